"""Critical values for variances that are estimated from prompts of unequal size."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, norm, t

from judge.stats.critical_values import critical_value, satterthwaite_t, simultaneous_critical_value
from judge.stats.errors import StatisticsError


@pytest.mark.parametrize("level", [0.9, 0.95, 0.99, 1 - 0.05 / 4950])
def test_equal_prompts_give_students_t(level: float) -> None:
    """With k equal weights, the critical value is the quantile of Student's t with k degrees of freedom."""
    freedom = np.array([1.0, 2.0, 4.5, 7.0, 39.0, 1000.0])

    ours = critical_value(level, 1 / freedom, 1 / freedom**2)

    assert ours == pytest.approx(t.ppf((1 + level) / 2, freedom), rel=2e-6)
    assert satterthwaite_t(level, freedom) == pytest.approx(t.ppf((1 + level) / 2, freedom))


@pytest.mark.parametrize(("s2", "between"), [(0.5, 0.9), (0.25, 0.5), (0.1, 0.3), (0.02, 0.8)])
@pytest.mark.parametrize("level", [0.9, 0.95, 1 - 0.05 / 190])
def test_the_tail_beyond_the_critical_value_is_alpha(s2: float, between: float, level: float) -> None:
    """Numerical integration over V = a + b chi-square(n) gives the tail probability that was asked for."""
    s3 = s2**2 + between * (s2**1.5 - s2**2)
    b, n = s3 / s2, s2**3 / s3**2
    a = 1 - b * n

    c = float(critical_value(level, np.array(s2), np.array(s3)))

    def density(root: float) -> float:
        return float(2 * norm.sf(c * np.sqrt(a + b * root**2)) * chi2.pdf(root**2, n) * 2 * root)

    assert quad(density, 0, np.inf, limit=500)[0] == pytest.approx(1 - level, rel=1e-5)


def test_the_critical_value_holds_for_weights_of_unequal_size() -> None:
    """Beyond it lie 5 % of draws of Z / sqrt(V) for weights of a Pareto distribution; beyond Satterthwaite's t, 3 %."""
    rng = np.random.default_rng(4)
    weights = rng.pareto(1.2, 15) + 1
    weights /= weights.sum()
    s2, s3 = np.square(weights).sum(), (weights**3).sum()
    ratio = np.abs(rng.standard_normal(400_000)) / np.sqrt(np.square(rng.standard_normal((400_000, 15))) @ weights)

    assert (ratio > critical_value(0.95, s2, s3)).mean() == pytest.approx(0.05, abs=0.006)
    assert (ratio > satterthwaite_t(0.95, 1 / s2)).mean() == pytest.approx(0.035, abs=0.002)


def test_many_comparisons_lie_between_the_two_approximations() -> None:
    """For one comparison nothing is adjusted; for several, unequal prompts give a value between three moments and t."""
    s2, s3 = np.array([0.1, 0.1]), np.array([0.01, 0.02])
    adjusted = 1 - 0.05 / 10

    several = simultaneous_critical_value(0.95, 10, s2, s3)

    assert simultaneous_critical_value(0.95, 1, s2, s3) == pytest.approx(critical_value(0.95, s2, s3))
    assert several[0] == pytest.approx(t.ppf((1 + adjusted) / 2, 10), rel=1e-6)
    assert critical_value(adjusted, s2, s3)[1] < several[1] < t.ppf((1 + adjusted) / 2, 10)


def test_a_missing_moment_has_no_critical_value_and_each_may_have_its_own_level() -> None:
    """NaN stays NaN, and levels are broadcast."""
    both = critical_value(np.array([0.9, 0.95]), np.array([0.1, 0.1]), np.array([0.01, 0.01]))

    assert both == pytest.approx(t.ppf([0.95, 0.975], 10), rel=1e-6)
    assert np.isnan(critical_value(0.95, np.array([np.nan]), np.array([np.nan]))).all()
    for level in (0.0, 1.0, float("nan")):
        with pytest.raises(StatisticsError, match="level of an interval"):
            critical_value(level, np.array([0.1]), np.array([0.01]))
