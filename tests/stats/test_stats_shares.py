"""Figures over prompts of unequal size: their variance, their degrees of freedom and their intervals."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta
from scipy.stats import t as student

from judge.columns.arrays import Floats, Ints, sums
from judge.stats.agreement import agreement
from judge.stats.battles import Battles
from judge.stats.chance import cohen_kappa
from judge.stats.cluster_intervals import (
    ALIKE,
    jackknife,
    mean,
    mean_by_cluster,
    ratio,
    share_of_counts,
    without_interval,
)
from judge.stats.cluster_variance import ClusterSums, cluster_variance, effective, share_sums
from judge.stats.critical_values import critical_value
from judge.stats.score_intervals import clopper_pearson
from judge.stats.votes import VotePairs
from judge.stats.win_rate import win_rates
from stats.known import known


def draw_shares(seed: int, prompts: int) -> tuple[Floats, Ints]:
    """Rows of a share on prompts of Pareto-distributed size, with their prompts."""
    rng = np.random.default_rng(seed)
    size = np.ceil(2 * rng.random(prompts) ** -0.5).astype(int)
    cluster = np.repeat(np.arange(prompts, dtype=np.int32), size)
    return (rng.random(cluster.size) < rng.beta(3, 1.5, prompts)[cluster]).astype(float), cluster


def moments_by_matrices(weight: Floats, squares: Floats, rho: float) -> tuple[float, float, float]:
    """Return s / tr C, S2 and the trace of C cubed over that of C to the third, from G x G matrices."""
    leverage = weight / weight.sum()
    hat = np.eye(weight.size) - np.outer(leverage, np.ones(weight.size))
    corrected = np.diag((1 - leverage) ** -0.5) @ hat
    variances = squares + rho * (weight**2 - squares)
    covariance = corrected @ np.diag(variances) @ corrected.T
    eigenvalues = np.linalg.eigvalsh(covariance)
    first, second, third = (float((eigenvalues**power).sum()) for power in (1, 2, 3))
    return float(variances.sum()) / first, second / first**2, third / first**3


@given(st.lists(st.integers(1, 30), min_size=12, max_size=25))
def test_moments_equal_those_of_matrices(sizes: list[int]) -> None:
    """The variance and S2 equal those of the whole matrix C for independent rows; S3 is within a quarter."""
    weight = np.array(sizes, dtype=np.float64)
    if effective(weight) < 5:
        return
    residual = np.zeros(weight.size)
    residual[:2] = 1e-3, -1e-3  # far less than independent rows would vary, so rho is 0
    ratio_of_traces, s2, s3 = moments_by_matrices(weight, weight, 0.0)

    result = cluster_variance(ClusterSums(residual=residual, weight=weight, row_variance=1.0))

    plain = (residual**2 / (1 - weight / weight.sum())).sum() / weight.sum() ** 2
    assert result.variance == pytest.approx(plain * ratio_of_traces)
    assert result.s2 == pytest.approx(s2)
    assert result.s3 == pytest.approx(s3, rel=0.25)


def test_prompts_that_vary_as_wholes_have_fewer_degrees_of_freedom() -> None:
    """Where prompts vary with the square of their size, the moments are those of the matrix with rho 1."""
    weight = np.array([30.0, 10, 10, 5, 5, 5, 5, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1])
    residual = np.where(np.arange(weight.size) % 2, 1, -1) * weight * np.sqrt(1 - weight / weight.sum())

    result = cluster_variance(ClusterSums(residual=residual, weight=weight, row_variance=1.0))

    _, s2, s3 = moments_by_matrices(weight, weight, 1.0)
    assert result.s2 == pytest.approx(s2, rel=0.02)
    assert result.s3 == pytest.approx(s3, rel=0.1)


def test_below_five_effective_prompts_rows_count_as_alike() -> None:
    """With one prompt that has most rows, the moments are those of rho 1, whatever the residuals are."""
    weight = np.array([60.0, 3, 3, 3, 3, 3, 3, 3])
    residual = np.zeros(8)
    residual[1:3] = 0.1, -0.1

    assert effective(weight) < 5
    assert cluster_variance(ClusterSums(residual=residual, weight=weight, row_variance=1.0)).s2 == pytest.approx(
        moments_by_matrices(weight, weight, 1.0)[1]
    )


def test_prompts_of_one_size_have_t_of_their_number_less_one() -> None:
    """With prompts of one size, a mean has the standard error of the prompts' means and t of G - 1."""
    values = np.random.default_rng(2).normal(size=30)
    cluster = np.repeat(np.arange(10, dtype=np.int32), 3)
    error = values.reshape(10, 3).mean(axis=1).std(ddof=1) / np.sqrt(10)

    estimate = mean(values, cluster)

    assert estimate.method == "cr2-t"
    assert estimate.standard_error == pytest.approx(error)
    assert estimate.high == pytest.approx(values.mean() + student.ppf(0.975, 9) * error, abs=1e-5)
    assert estimate.low == pytest.approx(values.mean() - student.ppf(0.975, 9) * error, abs=1e-5)


def test_a_ratio_is_that_of_the_sums() -> None:
    """A ratio of weighted rows has its variance and critical value from the matrix C, with rho by moments."""
    rng = np.random.default_rng(1)
    cluster = np.repeat(np.arange(50, dtype=np.int32), rng.integers(1, 9, 50))
    bottom = rng.integers(1, 4, cluster.size).astype(float)
    top = bottom * (rng.normal(size=cluster.size) + rng.normal(size=50)[cluster])
    value = top.sum() / bottom.sum()
    weight, squares = sums(cluster, bottom), sums(cluster, bottom**2)
    residual = sums(cluster, top - value * bottom)
    terms, alike = residual**2 / (1 - weight / weight.sum()), weight**2 - squares
    row_variance = np.square(top - value * bottom).sum() / squares.sum()
    rho = (terms / row_variance - squares).sum() / alike.sum()
    precision = np.diag((squares + rho * alike) ** -2)
    rho = float((terms / row_variance - squares) @ precision @ alike / (alike @ precision @ alike))
    trace, s2, _ = moments_by_matrices(weight, squares, rho)

    estimate = ratio(top, bottom, cluster)

    assert 0 < rho < 1
    assert estimate.value == pytest.approx(value)
    error = np.sqrt(terms.sum() * trace) / weight.sum()
    assert estimate.standard_error == pytest.approx(error)
    by_satterthwaite = float(student.ppf(0.975, 1 / s2))
    assert known(estimate.high) - value == pytest.approx(by_satterthwaite * error, rel=0.01)
    assert (estimate.n, estimate.clusters, estimate.method) == (cluster.size, 50, "cr2-t")


def test_a_share_has_wilsons_interval() -> None:
    """Its ends are the shares p with (v - p)^2 = c^2 p (1 - p) / n, where n is v (1 - v) / V."""
    values, cluster = draw_shares(3, 80)
    weight, hits = sums(cluster), sums(cluster, values)
    value = values.mean()
    spread = cluster_variance(share_sums(hits, weight))
    critical = float(critical_value(0.95, np.array(spread.s2), np.array(spread.s3)))
    shrink = critical**2 * spread.variance / (value * (1 - value))
    low, high = np.sort(np.roots([1 + shrink, -2 * value - shrink, value**2]))

    estimate = mean(values, cluster, bounds=(0.0, 1.0))

    assert estimate.low == pytest.approx(low)
    assert estimate.high == pytest.approx(high)
    assert estimate.method == "cr2-wilson"
    counted = share_of_counts(hits, weight)
    assert (counted.low, counted.high) == pytest.approx((estimate.low, estimate.high))


def test_a_share_near_one_has_the_interval_of_korn_and_graubard() -> None:
    """Its ends are exact binomial ones with the effective number of rows times (z / c)^2."""
    values = np.ones(120)
    values[[0, 20, 21]] = 0
    cluster = np.repeat(np.arange(30, dtype=np.int32), 4)
    hits = values.reshape(30, 4).sum(axis=1)
    variance = 30 / 29 * np.square(hits - hits.mean()).sum() / 120**2
    rows = 0.975 * 0.025 / variance * (student.ppf(0.975, 1e9) / student.ppf(0.975, 29)) ** 2

    estimate = mean(values, cluster, bounds=(0.0, 1.0))

    assert estimate.method == "cr2-korn-graubard"
    assert estimate.low == pytest.approx(beta.ppf(0.025, rows * 0.975, rows * 0.025 + 1), abs=1e-6)
    assert estimate.high == pytest.approx(beta.ppf(0.975, rows * 0.975 + 1, rows * 0.025), abs=1e-6)


def test_a_share_is_worth_no_more_than_its_rows() -> None:
    """Prompts that are all half right would have no variance; the interval is that of as many independent rows."""
    estimate = mean(np.tile([0.0, 1.0], 20), np.repeat(np.arange(20, dtype=np.int32), 2), bounds=(0.0, 1.0))

    assert estimate.standard_error == pytest.approx((0.25 / 40) ** 0.5)
    assert estimate.method == "cr2-wilson"


def test_a_share_is_worth_no_less_than_its_effective_prompts() -> None:
    """However unequal the prompts, at worst the rows of each are all alike."""
    weight = np.array([40.0, 4, 4, 4, 4, 4, 4, 4, 4, 4])
    hits = np.where(np.arange(10) < 1, 0.0, weight)
    value = 36 / 76

    estimate = share_of_counts(hits, weight)

    assert estimate.standard_error == pytest.approx((value * (1 - value) / effective(weight)) ** 0.5, rel=1e-6)


def test_a_perfect_share_still_has_an_uncertainty() -> None:
    """Agreement on all of 20 prompts has the exact binomial interval over prompts, or effective prompts."""
    equal = mean(np.ones(40), np.repeat(np.arange(20), 2), bounds=(0.0, 1.0))
    unequal = share_of_counts(np.arange(1.0, 11.0), np.arange(1.0, 11.0))

    assert (equal.value, equal.high, equal.method) == (1.0, 1.0, "exact-binomial-over-prompts")
    assert equal.low == pytest.approx(0.025 ** (1 / 20))
    assert unequal.low == pytest.approx(clopper_pearson(1.0, effective(np.arange(1.0, 11.0)), 0.025)[0])


def test_prompts_that_are_all_alike_bound_how_many_would_differ() -> None:
    """A difference of 0 on all of 30 prompts is at most the share of prompts that may differ, on either side."""
    same = mean(np.zeros(60), np.repeat(np.arange(30), 2), bounds=(-1.0, 1.0))
    boundless = mean(np.zeros(60), np.repeat(np.arange(30), 2))

    assert (same.low, same.high) == pytest.approx((-(1 - 0.025 ** (1 / 30)), 1 - 0.025 ** (1 / 30)))
    assert (boundless.value, boundless.low) == (0.0, None)
    assert boundless.method == ALIKE


def test_a_mean_of_nothing_has_no_value() -> None:
    """Without rows there is no value and no interval, and the method says so."""
    assert mean(np.array([])) == without_interval(None, "none: there is nothing to count", 0.95, 0, 0)


def test_below_five_prompts_there_is_no_interval_of_a_share() -> None:
    """Four prompts have a share without an interval, and the method has the reason; five have an interval."""
    four, five = (share_of_counts(np.full(prompts, 3.0), np.full(prompts, 4.0)) for prompts in (4, 5))

    assert (four.value, four.method) == (0.75, "none: 4 prompts, at least 5 are needed")
    assert known(five.low) < 0.75 < known(five.high)


def test_each_prompt_counts_once_in_the_mean_over_prompts() -> None:
    """A contestant that wins on nine small prompts and loses on a large one wins half of its battles, on 9 of 10."""
    cluster = np.repeat(np.arange(10, dtype=np.int32), [1] * 9 + [9])
    won, zero = np.repeat([1.0, 0.0], 9), np.zeros(18, dtype=np.int8)
    outcome = (1 - won).astype(np.int8)
    names = ["left" if win else "right" for win in won]

    rates = win_rates(Battles.from_names(["a"] * 18, ["b"] * 18, names, cluster=cluster), 1)
    figure = agreement(VotePairs(outcome, zero, np.arange(18, dtype=np.int32), cluster))

    for share, by_prompt in ((rates.rates[0], rates.by_prompt[0]), (figure.rate, figure.rate_by_prompt)):
        assert (share.value, by_prompt.value, by_prompt.n) == (0.5, 0.9, 10)
        assert by_prompt == mean(np.repeat([1.0, 0.0], [9, 1]), bounds=(0.0, 1.0))
    assert mean_by_cluster(2 * won, np.full(18, 2.0), cluster, bounds=(0.0, 1.0)).value == 0.9


def test_fractional_scores_vary_as_scores_and_not_as_the_battles_they_are_split_into() -> None:
    """The standard error is sd / sqrt(n); two battles of one vote are one row, whose interval is narrower."""
    score = np.random.default_rng(1).random(400)
    vote = np.repeat(np.arange(400, dtype=np.int32), 2)
    weight = np.stack((score, 1 - score), axis=1).ravel()
    battles = replace(
        Battles.from_names(["a"] * 800, ["b"] * 800, ["left", "right"] * 400, cluster=vote), weight=weight
    )

    whole, split = win_rates(battles, 1, votes=vote), win_rates(battles, 1)

    assert whole.rates[0].value == pytest.approx(score.mean())
    assert whole.standard_errors[0] == pytest.approx(score.std(ddof=1) / 20)
    assert whole.rates[0].n == 400
    assert known(whole.rates[0].high) - known(whole.rates[0].low) < 0.8 * (
        known(split.rates[0].high) - known(split.rates[0].low)
    )
    assert whole.counts == (
        ((score > 0.5).sum(), (score < 0.5).sum(), 0),
        (0, 0, 0),
    )


def test_the_jackknife_of_a_share_is_the_share() -> None:
    """For a share of summed counts, leaving out prompts gives the variance and the moments of the ratio."""
    values, cluster = draw_shares(5, 40)
    weight, hits = sums(cluster), sums(cluster, values)
    tables = np.stack([hits, weight - hits], axis=1)

    left_out = jackknife(tables, lambda table: table[:, 0] / table.sum(axis=1), bounds=(0.0, 1.0))
    direct = share_of_counts(hits, weight)

    assert left_out.standard_error == pytest.approx(direct.standard_error, rel=1e-4)
    assert (left_out.low, left_out.high) == pytest.approx((direct.low, direct.high), rel=1e-4)


def test_a_jackknife_without_an_interval_has_a_reason() -> None:
    """A statistic that is undefined without some prompt has the whole range, or without bounds no interval."""
    tables = np.zeros((6, 3))
    tables[:, 2] = 1
    tables[0, :2] = 1, 2

    def share(tables: Floats) -> Floats:
        whole: Floats = np.divide(tables[:, 0], tables[:, 1], out=np.full(len(tables), np.nan), where=tables[:, 1] > 0)
        return whole

    without, within = jackknife(tables, share), jackknife(tables, share, bounds=(0.0, 1.0))
    still = jackknife(np.ones((6, 2)), lambda tables: tables[:, 0] / tables[:, 1])

    assert (without.value, without.low) == (0.5, None)
    assert without.method == "none: without one of the prompts the figure is not determined"
    assert (within.value, within.low, within.high, within.method) == (0.5, 0.0, 1.0, "whole-range")
    assert still.value == 1.0
    assert still.method == ALIKE


def test_a_kappa_of_one_still_has_an_uncertainty() -> None:
    """A judge that agrees on every one of 20 prompts has a kappa of 1 with a lower end."""
    tables = np.tile(np.diag([2.0, 2.0, 1.0]), (20, 1, 1))

    estimate = jackknife(tables, cohen_kappa, bounds=(-1.0, 1.0))

    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(2 * 0.025 ** (1 / 20) - 1)
