"""Intervals over prompts of unequal size hold the truth as often as they say, in simulations with a known truth."""

import numpy as np
import pytest
from share_simulations import (
    COEFFICIENTS,
    FEWEST_EFFECTIVE,
    GOAL,
    Coefficient,
    coefficient_coverage,
    drawn,
    share_coverage,
    sizes,
)

REPLICATES = 600


@pytest.mark.parametrize("mean", [2 / 3, 0.9])
@pytest.mark.parametrize(("kind", "prompts"), [("log-normal", 20), ("log-normal", 80), ("Pareto", 40), ("Pareto", 200)])
def test_the_interval_of_a_share_holds_on_unequal_prompts(kind: str, prompts: int, mean: float) -> None:
    """Coverage is at least 93 % less two Monte-Carlo errors, and more than without regard to sizes."""
    rng = np.random.default_rng([prompts, 1])

    covered = share_coverage(rng, sizes(rng, kind, (REPLICATES, prompts)), mean, alike=0.3)

    assert covered.printed == REPLICATES
    assert covered.held >= GOAL - 2 * covered.error
    assert covered.plain < covered.held
    assert covered.width < 1.25


@pytest.mark.parametrize("coefficient", COEFFICIENTS, ids=lambda coefficient: coefficient.name)
@pytest.mark.parametrize(("kind", "prompts"), [("equal", 8), ("log-normal", 20), ("Pareto", 80)])
def test_the_interval_of_a_coefficient_holds_on_unequal_prompts(
    kind: str, prompts: int, coefficient: Coefficient
) -> None:
    """Coverage of chance-corrected agreement, and of a difference, is at least 93 % less two Monte-Carlo errors."""
    rng = np.random.default_rng([prompts, 2])
    size = sizes(rng, kind, (REPLICATES // 2, prompts))

    covered = coefficient_coverage(rng, coefficient, size, right=0.7, alike=0.3)

    assert covered.printed == REPLICATES // 2
    assert covered.held >= GOAL - 2 * covered.error


@pytest.mark.parametrize(("kind", "prompts"), [("equal", 5), ("log-normal", 5), ("Pareto", 8)])
def test_few_prompts_have_intervals_that_are_wide_enough(kind: str, prompts: int) -> None:
    """From 5 prompts on there is an interval, although fewer of them are effective, and it is not too narrow."""
    rng = np.random.default_rng([prompts, 3])
    size = sizes(rng, kind, (REPLICATES, prompts))

    covered = share_coverage(rng, size, 2 / 3, alike=0.3)

    assert covered.effective < FEWEST_EFFECTIVE
    assert covered.printed == REPLICATES
    assert covered.held >= GOAL - 2 * covered.error


def test_intervals_hold_on_designs_that_nobody_picked() -> None:
    """Each of 12 designs that are drawn from a seed has the coverage that is required of it."""
    figures = list(drawn(seed=7, designs=12, replicates=300))

    assert [figure.figure for figure in figures if figure.met is False] == []
    assert sum(figure.met is True for figure in figures) >= 6
