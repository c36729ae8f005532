"""The variance by own leverage against brute force with G x G matrices."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import t as student

from judge.columns.arrays import Floats
from judge.stats.battles import Battles
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.newton import refit
from judge.stats.own_leverage import OwnLeverage
from judge.stats.paired_model import Covariates, make_invertible
from judge.stats.prompt_sums import sum_battles, sum_prompts
from judge.stats.sandwich import covariance
from judge.stats.tie_rules import DAVIDSON, HALF_WIN, RAO_KUPPER
from stats.known import known


@dataclass
class Brute:
    """The working model of one fit, written down battle by battle."""

    score: Floats
    gamma: Floats
    leverage: Floats
    bread: Floats

    def matrix(self, i: int) -> Floats:
        """The G x G covariance of the corrected scores of contestant i over prompts, in its own information."""
        g = len(self.gamma)
        corrected = np.diag(np.where(self.leverage[:, i] < 1, 1 / np.sqrt(1 - self.leverage[:, i]), 0.0))
        # The fit takes from every prompt's score its part of the sum of all.
        fitted = corrected @ (np.eye(g) - np.outer(self.leverage[:, i], np.ones(g)))
        result: Floats = fitted @ np.diag(self.gamma[:, i]) @ fitted.T
        return result

    def moments(self, contrast: Floats) -> tuple[float, float, float, float]:
        """The corrected variance of a contrast, S2, and S3 by eigenvalues and by the diagonal."""
        weights = np.square(contrast)
        whole = sum(w * self.matrix(i) for i, w in enumerate(weights))
        omega = np.where(self.leverage < 1, 1 / np.sqrt(1 - self.leverage), 0.0)
        raw = np.square((self.score * omega) @ self.bread @ contrast).sum()
        trace = np.trace(whole)
        spread = np.linalg.eigvalsh(whole) / trace
        diagonal = whole.diagonal() / trace
        by_diagonal = (diagonal**3).sum() * (np.square(spread).sum() / np.square(diagonal).sum()) ** 2
        true = weights @ self.gamma.sum(axis=0)
        return float(raw * true / trace), float(np.square(spread).sum()), float((spread**3).sum()), float(by_diagonal)


def brute_force(fit: BradleyTerryFit) -> Brute:
    """The working model of a fit with half wins, in plain loops."""
    battles, m = fit.battles, len(fit.battles.contestants)
    g = battles.n_clusters
    score, d, d2, c4 = np.zeros((4, g, m))
    information = np.zeros((m, m))
    surprise = expected = 0.0
    for b in range(battles.n):
        i, j, prompt = int(battles.left[b]), int(battles.right[b]), int(known(battles.cluster)[b])
        w = 1.0 if battles.weight is None else float(battles.weight[b])
        p = 1 / (1 + np.exp(fit.log_strengths[j] - fit.log_strengths[i]))
        e = {0: 1.0, 1: 0.0, 2: 0.5}[int(battles.outcome[b])] - p
        score[prompt, i] += w * e
        score[prompt, j] -= w * e
        for side in (i, j):
            d[prompt, side] += w * p * (1 - p)
            d2[prompt, side] += w * w * p * (1 - p)
            c4[prompt, side] += (w * p * (1 - p)) ** 2
        information[i, i] += w * p * (1 - p)
        information[j, j] += w * p * (1 - p)
        information[i, j] -= w * p * (1 - p)
        information[j, i] -= w * p * (1 - p)
        surprise += (w * e) ** 2
        expected += w * w * p * (1 - p)
    phi = surprise / expected
    h = d / d.sum(axis=0)
    f = d**2 - c4
    inside = (h < 1) & (d > 0)
    u = np.where(inside, score**2 / np.where(h < 1, 1 - h, 1) - phi * d2, 0)
    f_inside = np.where(inside, f, 0)
    start = max(u.sum() / f_inside.sum(), 0.02) if f_inside.sum() > 0 else 0.02
    v = np.where(d2 > 0, 1 / np.where(d2 > 0, phi * d2 + start * d**2, 1) ** 2, 0)
    tau = max((v * u * f_inside).sum() / (v * f_inside**2).sum(), 0.0) if f_inside.sum() > 0 else 0.0
    gamma = (phi * d2 + tau * f) / d.sum(axis=0) ** 2
    return Brute(score=score, gamma=gamma, leverage=h, bread=np.linalg.pinv(information).astype(np.float64))


def of_leverage(fit: BradleyTerryFit) -> OwnLeverage:
    """The variance of a fit, which must have one."""
    leverage = fit.covariance.leverage
    assert isinstance(leverage, OwnLeverage)
    return leverage


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_contrasts_equal_those_of_matrices_over_prompts(
    weighted: bool, random_battles: Callable[..., Battles]
) -> None:
    """The variance, S2 and the diagonal's S3 of ratings and pairs equal those of G x G matrices."""
    fit = bradley_terry(random_battles(4, n=120, m=4, prompts=11, weighted=weighted))
    brute, m = brute_force(fit), 4

    ratings, pairs = fit.covariance.ratings, fit.covariance.pairs

    for i in range(m):
        variance, s2, _, s3 = brute.moments(np.eye(m)[i] - 1 / m)
        assert ratings.error[i] ** 2 == pytest.approx(variance)
        assert (ratings.s2[i], ratings.s3[i]) == pytest.approx((s2, s3))
        for j in set(range(m)) - {i}:
            variance, s2, _, s3 = brute.moments(np.eye(m)[i] - np.eye(m)[j])
            assert pairs.error[i, j] ** 2 == pytest.approx(variance)
            assert (pairs.s2[i, j], pairs.s3[i, j]) == pytest.approx((s2, s3))


def test_the_third_moment_by_the_diagonal_is_close_to_that_of_the_eigenvalues(
    random_battles: Callable[..., Battles],
) -> None:
    """With prompts of very different size, S3 is within 10 % of the sum of cubes of the eigenvalues."""
    rng = np.random.default_rng(0)
    battles = random_battles(4, n=300, m=4, prompts=15)
    cluster = np.minimum(rng.pareto(1.0, battles.n) * 2, 14).astype(np.int32)
    brute = brute_force(bradley_terry(replace(battles, cluster=cluster)))

    _, _, exact, by_diagonal = brute.moments(np.array([0.75, -0.25, -0.25, -0.25]))

    assert by_diagonal == pytest.approx(exact, rel=0.1)


def test_prompts_of_one_battle_are_counted_by_kind(random_battles: Callable[..., Battles]) -> None:
    """Equal battles counted together have the variance and S2 of one prompt each."""
    alone = replace(random_battles(7, n=160, m=4), cluster=None)
    brute = brute_force(bradley_terry(replace(alone, cluster=np.arange(160, dtype=np.int32), n_clusters=160)))

    ratings = bradley_terry(alone).covariance.ratings

    for i in range(4):
        variance, s2, *_ = brute.moments(np.eye(4)[i] - 0.25)
        assert (ratings.error[i] ** 2, ratings.s2[i]) == pytest.approx((variance, s2))
        assert ratings.s3[i] == pytest.approx(s2**2)


def test_many_prompts_have_the_variance_of_a_table_of_prompts(
    random_battles: Callable[..., Battles], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts without a table of prompts and parameters give the same variance and S2, but Satterthwaite's t."""
    battles = random_battles(8, n=500, prompts=60)
    whole = of_leverage(bradley_terry(battles))
    strata = (np.arange(60) % 3).astype(np.int32)
    within = of_leverage(bradley_terry(battles, strata=strata))
    monkeypatch.setattr("judge.stats.sandwich._CELLS", 5 * 17)

    blocks = of_leverage(bradley_terry(battles))

    assert blocks.diagonals is None
    for ours, theirs in ((blocks.matrix, whole.matrix), (blocks.squares, whole.squares), (blocks.mean, whole.mean)):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    sparse_within = of_leverage(bradley_terry(battles, strata=strata))
    np.testing.assert_allclose(sparse_within.matrix, within.matrix, atol=1e-12)
    np.testing.assert_allclose(sparse_within.squares, within.squares, atol=1e-12)


@pytest.mark.parametrize("k", [5, 8, 40])
def test_two_contestants_on_equal_prompts_have_the_interval_of_a_mean(k: int) -> None:
    """With as many battles on every prompt, error and critical value are those of the mean over k prompts."""
    rng = np.random.default_rng(k)
    left = rng.random((k, 6)) < rng.beta(2, 2, (k, 1))
    outcome = np.where(left, 0, 1).ravel().astype(np.int8)
    zero, cluster = np.zeros(6 * k, dtype=np.int32), np.repeat(np.arange(k, dtype=np.int32), 6)
    fit = bradley_terry(Battles(("a", "b"), zero, zero + 1, outcome, None, cluster, k))

    differences = fit.covariance.pairs.at((np.array([0]), np.array([1])))

    p = left.mean()
    mean_error = left.mean(axis=1).std(ddof=1) / np.sqrt(k)
    assert differences.error[0] == pytest.approx(mean_error / (p * (1 - p)))
    assert differences.half_width(0.95)[0] / differences.error[0] == pytest.approx(student.ppf(0.975, k - 1), rel=1e-5)


@pytest.mark.parametrize("rule", [HALF_WIN, DAVIDSON, RAO_KUPPER])
def test_effects_have_a_leverage_of_their_own(rule: str, random_battles: Callable[..., Battles]) -> None:
    """Position, covariates and tie parameters have standard errors and degrees of freedom below those of prompts."""
    battles = random_battles(5, n=900, prompts=30)
    extra = np.random.default_rng(0).normal(size=(battles.n, 1))
    fit = bradley_terry(battles, ties=rule, position=True, covariates=Covariates(("x",), extra))

    errors = fit.covariance.of_effects

    assert errors.error.size == (2 if rule == HALF_WIN else 3)
    assert (errors.error > 0).all()
    assert ((errors.freedom > 12) & (errors.freedom < 29)).all()
    u, bread = sandwich_parts(fit)
    plain = np.sqrt((bread @ u.T @ u @ bread).diagonal()[5:] * 30 / 29)
    assert errors.error == pytest.approx(plain, rel=0.08)


def sandwich_parts(fit: BradleyTerryFit) -> tuple[Floats, Floats]:
    """The scores of prompts by numerical differences of nothing but the model, and the inverse information."""
    sums = sum_prompts(fit.model, slice(None), known(fit.battles.cluster), fit.battles.n_clusters)
    return sums.score, np.linalg.inv(make_invertible(fit.model.information(), fit.model.m)).astype(np.float64)


def test_a_contestant_on_few_prompts_has_no_interval_and_spoils_no_other(
    random_battles: Callable[..., Battles],
) -> None:
    """A contestant with 4 prompts of its own has the reason; the others are relative to their own mean."""
    battles = random_battles(6, n=1500, m=5, prompts=60)
    rows = ((battles.left != 4) & (battles.right != 4)) | (known(battles.cluster) < 4)
    few = Battles(
        battles.contestants,
        battles.left[rows],
        battles.right[rows],
        battles.outcome[rows],
        None,
        known(battles.cluster)[rows],
        60,
    )
    fit = bradley_terry(few)

    intervals, against_few, against_first = fit.interval(), fit.differences(4), fit.differences(0)

    reason = "none: 4 prompts of its own, at least 5 are needed"
    assert intervals.reasons == ("", "", "", "", reason)
    assert np.isnan(intervals.low).tolist() == [False, False, False, False, True]
    assert np.isnan(against_few.low).tolist() == [True] * 5
    assert np.isnan(against_first.low).tolist() == [False, False, False, False, True]
    assert intervals.freedom[:4].min() > 20
    alone = bradley_terry(few.among(range(4))).interval()
    assert intervals.standard_error[:4] == pytest.approx(alone.standard_error, rel=0.05)


def test_a_singular_information_matrix_is_a_reason_and_no_error(random_battles: Callable[..., Battles]) -> None:
    """Without an inverse there is no covariance, and the reason says so."""
    fit = bradley_terry(random_battles(5))
    far = fit.model.parameters.copy()
    far[:] = np.where(np.arange(far.size) % 2, 700, -700)
    alternating = fit.model.design.among((fit.battles.left + fit.battles.right) % 2 == 1)
    separated = replace(fit.model, design=alternating, parameters=far)

    result = covariance(separated)

    assert result.effects is None
    assert set(result.reasons) == {"none: the battles hardly determine the ratings"}


def test_tables_without_a_solution_are_fitted_alone() -> None:
    """Where the start has no information, each table is fitted from a start of its own."""
    table = np.array([[[0.0, 3.0], [1.0, 0.0]]])

    [strengths] = refit(table, np.array([700.0, -700.0]))

    assert strengths == pytest.approx([np.log(3) / 2, -np.log(3) / 2])


@pytest.mark.parametrize("rule", [HALF_WIN, DAVIDSON, RAO_KUPPER])
@pytest.mark.parametrize("weighted", [False, True])
def test_prompts_of_one_battle_have_the_same_sums_with_effects(
    rule: str, weighted: bool, random_battles: Callable[..., Battles]
) -> None:
    """Summed by battle, as a whole or in parts, or by prompt, effects and tie parameters have the same variance."""
    battles = replace(random_battles(9, n=150, m=4, weighted=weighted), cluster=None)
    extra = np.random.default_rng(1).normal(size=(battles.n, 1))
    for covariates, position in itertools.product((None, Covariates(("x",), extra)), (False, True)):
        model = bradley_terry(battles, ties=rule, position=position, covariates=covariates).model
        by_prompt = sum_prompts(model, slice(None), np.arange(battles.n, dtype=np.int32), battles.n)

        by_battle = sum_battles(model, each=False)

        parts = [part for part, _ in by_battle.parts(40)]
        # Scores are only ever multiplied by scores.
        pairs = ((by_prompt.score, by_prompt.score), (by_prompt.information, by_prompt.noise))
        ours = ((by_battle.score, by_battle.score), (by_battle.information, by_battle.noise))
        in_parts = sum(part.cross(part.information, part.noise) for part in parts)
        np.testing.assert_allclose(in_parts, by_prompt.cross(*pairs[1]), atol=1e-10)
        for (first, second), (first_sum, second_sum) in zip(pairs, ours, strict=True):
            np.testing.assert_allclose(
                by_battle.cross(first_sum, second_sum), by_prompt.cross(first, second), atol=1e-10
            )
        for column in ("alone", "information", "noise"):
            ours_of, theirs_of = getattr(by_battle, column), getattr(by_prompt, column)
            np.testing.assert_allclose(by_battle.total(ours_of), by_prompt.total(theirs_of), atol=1e-10)
