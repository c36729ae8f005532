"""The components of variance, from levels of known spread."""

import numpy as np
import pytest

from judge.stats.variance import LEVELS, components_of_variance

SPREAD = {"prompt": 0.5, "judge": 0.3, "order": 0.2, "repeat": 0.1}


def drawn(rng: np.random.Generator, *, prompts: int = 300) -> tuple[np.ndarray, list[np.ndarray]]:
    """Outcomes of four pairs on prompts, by three judges, in two orders, twice, with those spreads about each pair."""
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
    """Within a tenth, with every cell filled or three of ten rows missing; the difference of pairs is no variance."""
    rng = np.random.default_rng(0)
    outcome, codes = drawn(rng)
    rows = rng.random(outcome.size) < kept

    found = components_of_variance(outcome[rows], *(column[rows] for column in codes))

    assert [one.level for one in found] == list(LEVELS)
    for one in found:
        assert one.variance == pytest.approx(SPREAD[one.level] ** 2, rel=0.1)
    assert sum(one.share or 0 for one in found) == pytest.approx(1)


def test_a_level_where_nothing_differs_is_not_estimated() -> None:
    """One judge, one order and no repeats: all there is is prompts."""
    nothing = np.zeros(6, dtype=np.int32)
    outcome = np.array([1.0, 0.0, 0.5, 1.0, 0.0, 1.0])

    prompt, *others = components_of_variance(outcome, nothing, np.arange(6, dtype=np.int32), nothing, nothing)

    assert prompt.variance == pytest.approx(outcome.var(ddof=1))
    assert [(one.variance, one.share) for one in others] == [(None, None)] * 3
    with pytest.raises(ValueError, match="no outcomes"):
        components_of_variance(np.array([]), *(nothing[:0],) * 4)
