"""Tie rules, position, covariates and ridge agree with independent implementations."""

from collections.abc import Callable

import choix
import numpy as np
import pytest
import statsmodels.api as sm  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from judge.columns.arrays import Floats
from judge.stats.battles import LEFT, RIGHT, TIE, Battles
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.errors import Disconnected, NoMaximum, StatisticsError
from judge.stats.paired_model import Covariates, make_invertible
from judge.stats.prompt_sums import sum_prompts
from judge.stats.tie_rules import DAVIDSON, HALF_WIN, RAO_KUPPER, RULES, expected, terms
from stats.known import known


def chances(rule: str, eta: Floats, tau: float) -> Floats:
    """The probabilities of left, right and tie as the papers write them: float64[3, k]."""
    if rule == DAVIDSON:
        odds, nu = np.exp(eta), np.exp(tau)
        whole = odds + 1 + nu * np.sqrt(odds)
        return np.array([odds / whole, 1 / whole, nu * np.sqrt(odds) / whole])
    theta, odds = np.exp(tau), np.exp(eta)
    left, right = odds / (odds + theta), 1 / (1 + theta * odds)
    return np.array([left, right, (theta**2 - 1) * odds / ((odds + theta) * (1 + theta * odds))])


def log_likelihood(rule: str, outcome: np.ndarray, eta: Floats, tau: float) -> Floats:
    if rule == HALF_WIN:
        score = np.where(outcome == TIE, 0.5, outcome == LEFT)
        half_wins: Floats = score * eta - np.log1p(np.exp(eta))
        return half_wins
    likelihood: Floats = np.log(chances(rule, eta, tau))[outcome, np.arange(eta.size)]
    return likelihood


def battles_from(rng: np.random.Generator, m: int, n: int, *, weighted: bool, prompts: int = 50) -> Battles:
    """Random battles in which each contestant meets the next in both orders with every outcome."""
    left = np.concatenate((np.arange(m).repeat(3), (np.arange(m).repeat(3) + 1) % m, rng.integers(0, m, n)))
    right = np.concatenate(((np.arange(m).repeat(3) + 1) % m, np.arange(m).repeat(3), np.zeros(n, dtype=int)))
    right[6 * m :] = (left[6 * m :] + rng.integers(1, m, n)) % m
    outcome = np.concatenate((np.tile([LEFT, RIGHT, TIE], 2 * m), rng.choice([LEFT, LEFT, RIGHT, TIE], n)))
    weight = rng.integers(1, 5, left.size) / 2 if weighted else None
    cluster = rng.integers(0, prompts, left.size)
    return Battles(
        contestants=tuple(f"c{i:02}" for i in range(m)),
        left=left.astype(np.int32),
        right=right.astype(np.int32),
        outcome=outcome.astype(np.int8),
        weight=weight,
        cluster=cluster.astype(np.int32),
        n_clusters=prompts,
    )


def maximum_of_likelihood(battles: Battles, rule: str, *, position: bool, extra: Floats | None, ridge: float) -> Floats:
    """The maximum that a general optimizer finds from the likelihood alone."""
    m = len(battles.contestants)
    columns = np.empty((battles.n, 0)) if extra is None else extra
    if position:
        columns = np.column_stack((np.ones(battles.n), columns))
    weight = np.ones(battles.n) if battles.weight is None else battles.weight

    def worse(parameters: Floats) -> float:
        strengths = parameters[:m]
        eta = strengths[battles.left] - strengths[battles.right] + columns @ parameters[m : m + columns.shape[1]]
        tau = parameters[-1] if rule == DAVIDSON else np.exp(parameters[-1])
        likelihood = weight @ log_likelihood(rule, battles.outcome, eta, tau)
        return float(-likelihood + ridge / 2 * strengths @ strengths + strengths.sum() ** 2)

    start = np.zeros(m + columns.shape[1] + 1)
    best: Floats = minimize(worse, start, method="BFGS", options={"gtol": 1e-7}).x
    if rule == RAO_KUPPER:
        best[-1] = np.exp(best[-1])
    return best[:-1] if rule == HALF_WIN else best


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("outcome", [LEFT, RIGHT, TIE])
def test_derivatives_are_those_of_the_papers_likelihood(rule: str, outcome: int) -> None:
    """First and second derivatives agree with finite differences of the published log likelihood."""
    eta, tau, h = np.linspace(-3, 3, 13), 0.7, 1e-5
    outcomes = np.full(eta.size, outcome, dtype=np.int8)
    derivatives = terms(rule, outcomes, eta, tau)

    def at(more: float, wider: float) -> Floats:
        return log_likelihood(rule, outcomes, eta + more, tau + wider)

    np.testing.assert_allclose(derivatives.eta, (at(h, 0) - at(-h, 0)) / (2 * h), atol=1e-8)
    np.testing.assert_allclose(derivatives.tau, (at(0, h) - at(0, -h)) / (2 * h), atol=1e-8)
    h = 1e-3
    np.testing.assert_allclose(-derivatives.eta_eta, (at(h, 0) - 2 * at(0, 0) + at(-h, 0)) / h**2, atol=1e-5)
    np.testing.assert_allclose(-derivatives.tau_tau, (at(0, h) - 2 * at(0, 0) + at(0, -h)) / h**2, atol=1e-5)
    mixed = (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4 * h**2)
    np.testing.assert_allclose(-derivatives.eta_tau, mixed, atol=1e-5)


@pytest.mark.parametrize("rule", [DAVIDSON, RAO_KUPPER])
def test_the_expected_score_counts_a_tie_as_half(rule: str) -> None:
    eta = np.linspace(-4, 4, 17)
    left, _, tie = chances(rule, eta, 0.4)

    np.testing.assert_allclose(expected(rule, eta, 0.4), left + tie / 2, atol=1e-14)
    np.testing.assert_allclose(expected(rule, eta, 0.4) + expected(rule, -eta, 0.4), 1, atol=1e-14)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    m=st.integers(2, 5),
    rule=st.sampled_from(RULES),
    position=st.booleans(),
    styled=st.booleans(),
    weighted=st.booleans(),
    ridge=st.sampled_from([0.0, 0.5]),
)
def test_fits_are_the_maximum_of_the_likelihood(
    seed: int, m: int, rule: str, position: bool, styled: bool, weighted: bool, ridge: float
) -> None:
    """Every combination of rule, position, covariates, weights and ridge equals the result of a general optimizer."""
    rng = np.random.default_rng(seed)
    battles = battles_from(rng, m, 60, weighted=weighted)
    extra = rng.normal(size=(battles.n, 2)) if styled else None
    covariates = None if extra is None else Covariates(("length", "lists"), extra)

    fit = bradley_terry(battles, ties=rule, position=position, covariates=covariates, ridge=ridge)

    best = maximum_of_likelihood(battles, rule, position=position, extra=extra, ridge=ridge)
    np.testing.assert_allclose(fit.model.parameters, best, atol=2e-6)
    assert np.abs(fit.log_strengths.sum()) < 1e-12


def test_sandwiches_equal_those_of_statsmodels(random_battles: Callable[..., Battles]) -> None:
    """Before the correction for leverage, the sandwich is that of a clustered logistic regression, effects included."""
    rng = np.random.default_rng(3)
    for weighted in (False, True):
        battles = random_battles(5, n=500, weighted=weighted)
        m, rows = len(battles.contestants), np.arange(battles.n)
        extra = rng.normal(size=(battles.n, 1))
        design = np.zeros((battles.n, m))
        design[rows, battles.left] += 1
        design[rows, battles.right] -= 1
        design = np.column_stack((design[:, 1:], np.ones(battles.n), extra))
        score = np.where(battles.outcome == TIE, 0.5, battles.outcome == LEFT)

        fit = bradley_terry(battles, position=True, covariates=Covariates(("x",), extra))

        # Doubled, the weights are numbers of rows, and the sandwich stays the same.
        n_rows = 1 if battles.weight is None else (2 * battles.weight).astype(int)
        each = np.repeat(rows, n_rows)
        peer = sm.GLM(score[each], design[each], family=sm.families.Binomial()).fit(
            tol=1e-12, cov_type="cluster", cov_kwds={"groups": known(battles.cluster)[each], "use_correction": False}
        )
        score_sums = sum_prompts(fit.model, slice(None), known(battles.cluster), battles.n_clusters).score
        bread = np.linalg.inv(make_invertible(fit.model.information(), m))
        plain = bread @ score_sums.T @ score_sums @ bread
        to_first = np.eye(m + 2)
        to_first[1:m, 0] = -1
        ours = (to_first @ plain @ to_first.T)[1:, 1:]
        parameters = (to_first @ fit.model.parameters)[1:]
        np.testing.assert_allclose(parameters, peer.params, atol=1e-8)
        np.testing.assert_allclose(ours, peer.cov_params(), rtol=1e-6, atol=1e-10)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), m=st.integers(2, 8))
def test_strengths_equal_those_of_choix(seed: int, m: int) -> None:
    """Without ties, the strengths equal those of iterative Luce spectral ranking."""
    rng = np.random.default_rng(seed)
    battles = battles_from(rng, m, 100, weighted=False)
    decided = battles.outcome != TIE
    plain = Battles(battles.contestants, battles.left[decided], battles.right[decided], battles.outcome[decided])
    won = np.where(plain.outcome == LEFT, plain.left, plain.right)
    lost = np.where(plain.outcome == LEFT, plain.right, plain.left)

    peer = choix.ilsr_pairwise(m, list(zip(won.tolist(), lost.tolist(), strict=True)), tol=1e-12, max_iter=1000)

    np.testing.assert_allclose(bradley_terry(plain).log_strengths, peer - peer.mean(), atol=1e-6)


@pytest.mark.parametrize("rule", RULES)
def test_law_9_swapping_the_sides_turns_the_position_effect_and_nothing_else(rule: str) -> None:
    battles = battles_from(np.random.default_rng(1), 4, 300, weighted=False)
    swap = np.array([RIGHT, LEFT, TIE], dtype=np.int8)
    exchanged = Battles(
        battles.contestants, battles.right, battles.left, swap[battles.outcome], None, battles.cluster, 50
    )

    def figures(fit: BradleyTerryFit) -> tuple[list[float], list[float], float]:
        by_name = {effect.name: effect for effect in fit.effects()}
        return fit.ratings.tolist(), fit.interval().low.tolist(), by_name["position"].value

    plain, swapped = (figures(bradley_terry(b, ties=rule, position=True)) for b in (battles, exchanged))

    np.testing.assert_allclose(plain[0], swapped[0], atol=2e-6)
    np.testing.assert_allclose(plain[1], swapped[1], atol=2e-6)
    assert plain[2] == pytest.approx(-swapped[2], abs=2e-6)
    assert plain[2] > 0.1


def test_without_ties_all_rules_are_the_same(random_battles: Callable[..., Battles]) -> None:
    battles = random_battles(3)
    decided = battles.outcome != TIE
    plain = Battles(battles.contestants, battles.left[decided], battles.right[decided], battles.outcome[decided])

    ratings = [bradley_terry(plain, ties=rule).ratings.tolist() for rule in RULES]

    assert ratings[0] == ratings[1] == ratings[2]


@pytest.mark.parametrize("rule", [DAVIDSON, RAO_KUPPER])
def test_nothing_but_ties_is_refused_by_a_rule_that_models_them(rule: str) -> None:
    battles = Battles.from_names(["a", "b", "c"], ["b", "c", "a"], ["tie"] * 3)

    assert bradley_terry(battles).ratings.tolist() == [1000.0] * 3
    with pytest.raises(StatisticsError, match="All battles are ties"):
        bradley_terry(battles, ties=rule)


@pytest.mark.parametrize("rule", [DAVIDSON, RAO_KUPPER])
def test_ties_without_a_bound_are_refused(rule: str) -> None:
    """The first beats the last and ties with the middle: more of all three parameters makes each battle likelier."""
    left, right, words = ["a", "b", "a"] * 12, ["b", "c", "c"] * 12, ["tie", "tie", "left"] * 12
    runaway = Battles.from_names(left, right, words)
    bounded = Battles.from_names([*left, "a"], [*right, "c"], [*words, "right"])

    with pytest.raises(NoMaximum, match=f"The tie rule {rule} has no estimate .* have no bound"):
        bradley_terry(runaway, ties=rule)
    assert np.abs(bradley_terry(bounded, ties=rule).model.parameters).max() < 10
    assert bradley_terry(runaway, ties=rule, ridge=0.1).ranks.tolist() == [1, 2, 3]


@pytest.mark.parametrize("rule", [DAVIDSON, RAO_KUPPER])
@pytest.mark.parametrize("seed", range(60))
def test_what_is_not_refused_has_a_maximum(rule: str, seed: int) -> None:
    """A fit of a few battles, most of which agree with one order, is refused or settles at moderate parameters."""
    rng = np.random.default_rng(seed)
    left = rng.integers(0, 4, 10)
    right = (left + rng.integers(1, 4, 10)) % 4
    outcome = np.where(rng.random(10) < 0.45, TIE, (left > right) ^ (rng.random(10) < 0.12))
    try:
        fit = bradley_terry(Battles.from_names([*map(str, left)], [*map(str, right)], outcome), ties=rule)
    except (Disconnected, NoMaximum):
        return

    assert np.abs(fit.model.parameters).max() < 20
    assert fit.model.gradient() == pytest.approx(0, abs=1e-8)


def test_a_position_that_nobody_changes_is_refused() -> None:
    """If a is always shown first, its strength cannot be separated from the position."""
    battles = Battles.from_names(["a"] * 9, ["b"] * 9, ["left", "right", "left"] * 3)

    with pytest.raises(StatisticsError, match="cannot separate position"):
        bradley_terry(battles, position=True)


def test_covariates_that_differ_together_are_named(random_battles: Callable[..., Battles]) -> None:
    """The message says what is wrong with which covariates, and blames nobody's sides."""
    battles, names = random_battles(1, n=200, m=3), ("length", "lists", "bold")
    length, lists = np.random.default_rng(1).normal(0, 1, (2, 200))
    together = Covariates(names, np.column_stack((length, lists, 2 * lists)))
    absent = Covariates(names, np.column_stack((length, lists, 0 * lists)))

    with pytest.raises(StatisticsError, match="separate the effects of lists, bold: they always differ together"):
        bradley_terry(battles, covariates=together)
    with pytest.raises(StatisticsError, match="the effects of bold: the two sides never differ in it"):
        bradley_terry(battles, covariates=absent)


def test_a_ridge_ranks_what_cannot_be_ranked_and_is_named() -> None:
    """An unbeaten contestant gets a finite rating only with a ridge."""
    battles = Battles.from_names(["a", "a", "b"], ["b", "c", "c"], ["left", "left", "left"])
    with pytest.raises(Disconnected):
        bradley_terry(battles)

    fit = bradley_terry(battles, ridge=0.1)

    assert fit.ridge == 0.1
    assert np.isfinite(fit.ratings).all()
    assert fit.ranks.tolist() == [1, 2, 3]


@pytest.mark.parametrize("ridge", [-1.0, float("nan"), float("inf")])
def test_a_senseless_ridge_is_refused(ridge: float, random_battles: Callable[..., Battles]) -> None:
    with pytest.raises(StatisticsError, match="ridge"):
        bradley_terry(random_battles(1), ridge=ridge)


def test_senseless_covariates_are_refused(random_battles: Callable[..., Battles]) -> None:
    battles = random_battles(1)
    with pytest.raises(StatisticsError, match="NaN"):
        Covariates(("x",), np.full((battles.n, 1), np.nan))
    with pytest.raises(StatisticsError, match="rows of covariates"):
        bradley_terry(battles, covariates=Covariates(("x",), np.ones((3, 1))))
    with pytest.raises(StatisticsError, match="cannot separate"):
        bradley_terry(battles, covariates=Covariates(("x",), np.zeros((battles.n, 1))))


def test_strata_take_what_they_differ_by_out_of_the_uncertainty() -> None:
    """If opposite contestants win in two categories, strata by category reduce the uncertainty."""
    rng = np.random.default_rng(2)
    prompts = 60
    cluster = np.repeat(np.arange(prompts, dtype=np.int32), 4)
    favored = np.where(cluster % 2 == 0, 0.9, 0.1)
    outcome = np.where(rng.random(cluster.size) < favored, LEFT, RIGHT).astype(np.int8)
    zero = np.zeros(cluster.size, dtype=np.int32)
    battles = Battles(("a", "b"), zero, zero + 1, outcome, None, cluster, prompts)

    whole = bradley_terry(battles).interval()
    within = bradley_terry(battles, strata=(np.arange(prompts) % 2).astype(np.int32)).interval()

    assert within.method == "sandwich-cr2-stratified"
    assert within.standard_error[0] < 0.7 * whole.standard_error[0]
    alone = bradley_terry(battles, strata=np.minimum(np.arange(prompts), 1).astype(np.int32)).interval()
    assert alone.method == "none: a stratum has a single prompt"
