"""Variance components are estimated from levels of known spread."""

import numpy as np
import pytest

from judge.stats.errors import StatisticsError
from judge.stats.variance import LEVELS, components_of_variance

SPREAD = {"prompt": 0.5, "judge": 0.3, "order": 0.2, "repeat": 0.1}


def simulate_outcomes(rng: np.random.Generator, *, prompts: int = 300) -> tuple[np.ndarray, list[np.ndarray]]:
    """Simulate outcomes of four pairs on prompts, by three judges, in two orders, twice, with known spreads."""
    index = np.indices((4, prompts, 3, 2, 2)).reshape(5, -1).astype(np.int32)
    pair, prompt, judge, order, _ = index
    inside = [
        rng.normal(0, SPREAD["prompt"], (4, prompts))[pair, prompt],
        rng.normal(0, SPREAD["judge"], (4, prompts, 3))[pair, prompt, judge],
        rng.normal(0, SPREAD["order"], (4, prompts, 3, 2))[pair, prompt, judge, order],
        rng.normal(0, SPREAD["repeat"], pair.size),
    ]
    return rng.normal(0, 5, 4)[pair] + sum(inside), [pair, prompt, judge, order]


@pytest.mark.parametrize("kept", [1.0, 0.7])
def test_every_level_gets_its_own_variance(kept: float) -> None:
    """Estimates are within a tenth, also with 30 % of rows missing. Differences between pairs do not count."""
    rng = np.random.default_rng(0)
    outcome, codes = simulate_outcomes(rng)
    rows = rng.random(outcome.size) < kept

    components = components_of_variance(outcome[rows], *(column[rows] for column in codes))

    assert [component.level for component in components] == list(LEVELS)
    for component in components:
        assert component.variance == pytest.approx(SPREAD[component.level] ** 2, rel=0.1)
    assert sum(component.share or 0 for component in components) == pytest.approx(1)


def test_without_repeats_the_variance_of_orders_is_named_for_their_noise_too() -> None:
    """A judge that flips a coin on each call has no effect of the order, but orders differ as much as repeats."""
    rng = np.random.default_rng(1)
    prompt, order = (column.reshape(-1).astype(np.int32) for column in np.indices((400, 2)))
    nothing = np.zeros(prompt.size, dtype=np.int32)
    columns = [nothing, prompt, nothing, order]

    single = components_of_variance(rng.integers(0, 2, prompt.size).astype(np.float64), *columns)
    twice = components_of_variance(
        rng.integers(0, 2, 2 * prompt.size).astype(np.float64), *(np.tile(column, 2) for column in columns)
    )

    assert [component.level for component in single] == ["prompt and judge", "judge", "order and repeat", "repeat"]
    assert [component.level for component in twice] == ["prompt and judge", "judge", "order", "repeat"]
    assert single[2].variance == pytest.approx(0.25, abs=0.03)
    assert twice[2].variance == pytest.approx(0, abs=0.03)


def test_a_level_where_nothing_differs_is_not_estimated() -> None:
    """With one judge, one order and no repeats, only the variance between prompts is estimated."""
    nothing = np.zeros(6, dtype=np.int32)
    outcome = np.array([1.0, 0.0, 0.5, 1.0, 0.0, 1.0])

    prompt, *others = components_of_variance(outcome, nothing, np.arange(6, dtype=np.int32), nothing, nothing)

    assert prompt.level == "prompt, judge, order and repeat"
    assert prompt.variance == pytest.approx(outcome.var(ddof=1))
    assert [(component.variance, component.share) for component in others] == [(None, None)] * 3
    with pytest.raises(StatisticsError, match="at least one outcome"):
        components_of_variance(np.array([]), *(nothing[:0],) * 4)
