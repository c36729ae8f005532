"""The probability of being the best."""

import numpy as np
import pytest
from fit_simulations import TRUTHS, Leader, leader
from scipy.integrate import quad
from scipy.stats import norm

from judge.columns.arrays import Floats
from judge.stats.best import probability_best, variance_of_strengths

FREEDOM = 10_000_000
"""So many degrees of freedom that Student's t is normal."""


def best_by_quadrature(means: Floats, sd: float) -> list[float]:
    """The probability that each of independent normal variables of one *sd* is the largest."""

    def density(x: float, i: int) -> float:
        others = norm.cdf((x - np.delete(means, i)) / sd)
        return float(norm.pdf((x - means[i]) / sd) / sd * others.prod())

    return [quad(density, -20, 20, args=(i,), points=means.tolist())[0] for i in range(means.size)]


def test_equal_errors_are_shrunk_by_the_excess_of_their_variance() -> None:
    """Estimates of variance s with errors of variance d have a truth of variance s - d, and shrink by d / s."""
    strengths, error = np.array([0.9, 0.5, 0.1, -0.4, -1.1]), 0.2
    spread = strengths.var(ddof=1)
    kept = 1 - error / spread
    rng = np.random.default_rng(0)
    best = probability_best(strengths, error * np.eye(5), FREEDOM, rng, draws=100_000)

    assert variance_of_strengths(strengths, error * np.eye(5)) == pytest.approx(spread - error)
    assert best == pytest.approx(best_by_quadrature(kept * strengths, np.sqrt(kept * error)), abs=0.006)


def test_a_precise_contestant_is_shrunk_less() -> None:
    """Of two with the same estimate, the one with the larger error is the best less often: its lead may be noise."""
    strengths = np.array([0.5, 0.5, 0.0, 0.0, -0.5, -0.5])
    best = probability_best(strengths, np.diag([0.01, 0.4, 0.1, 0.1, 0.1, 0.1]), 80, np.random.default_rng(0))

    assert best[0] > best[1] > best[4]


def test_noise_alone_makes_everybody_equally_the_best() -> None:
    """Estimates that differ by no more than their errors do not say who is the best."""
    rng = np.random.default_rng(0)

    assert probability_best(np.array([0.2, 0.0, -0.2, 0.1]), np.eye(4), 80, rng).tolist() == [0.25] * 4


def test_a_contestant_without_an_error_is_left_out() -> None:
    """A contestant without an interval has no probability, and the others are what they are without it."""
    strengths, errors = np.array([0.0, 9.0, 2.0]), np.diag([0.1, np.nan, 0.1])
    with_it = probability_best(strengths, errors, 80, np.random.default_rng(0))
    without = probability_best(strengths[[0, 2]], np.eye(2) * 0.1, 80, np.random.default_rng(0))

    assert np.isnan(with_it[1])
    assert with_it[[0, 2]].tolist() == without.tolist()
    assert np.isnan(probability_best(strengths, np.full((3, 3), np.nan), 80, np.random.default_rng(0))).all()


@pytest.mark.parametrize("truth", ["normal, SD 0.3", "normal, SD 1"])
def test_the_leader_is_the_best_as_often_as_predicted(truth: str) -> None:
    """Over 250 leaderboards of six contestants, the leaders are the best as often as their probabilities say."""
    result = leader(6, 40, TRUTHS[truth], 250)

    assert _mean(result, result.predicted) == pytest.approx(_mean(result, result.observed), abs=3.3 * result.error)


def test_a_leader_among_equals_is_not_said_to_be_the_best() -> None:
    """Draws around the estimates say twice as often as they should that the leader of six equals is the best."""
    result = leader(6, 40, TRUTHS["all equal"], 150)

    assert _mean(result, result.observed) == pytest.approx(1 / 6)
    assert _mean(result, result.around_estimates) > 0.45
    assert _mean(result, result.predicted) < 0.35


def _mean(result: Leader, total: float) -> float:
    return total / result.fitted


def test_a_covariance_from_few_resamples_does_not_depend_on_the_order() -> None:
    """With fewer resamples than contestants many eigenvalues are 0; none of their axes is preferred."""
    rng = np.random.default_rng(5)
    strengths, order = rng.normal(size=12), rng.permutation(12)
    covariance = np.cov(rng.normal(scale=0.3, size=(6, 12)), rowvar=False)

    variance = variance_of_strengths(strengths, covariance)

    assert variance_of_strengths(strengths[order], covariance[np.ix_(order, order)]) == pytest.approx(variance, 1e-9)
