"""Intervals and ranks hold as often as they say on unbalanced designs with a known truth."""

import math

import numpy as np
import pytest
from interval_coverage import Design, own_prompts, simulate

REPLICATES = 400
GOAL, GOAL_AT_ONCE = 0.93, 0.94


def least(goal: float, replicates: float) -> float:
    """The *goal*, less two Monte-Carlo standard errors."""
    return goal - 2 * math.sqrt(goal * (1 - goal) / replicates)


@pytest.mark.parametrize("design", own_prompts(), ids=lambda design: design.name)
def test_intervals_hold_for_a_contestant_with_few_prompts_of_its_own(design: Design) -> None:
    """From 5 prompts of one's own on, ratings and differences are covered in at least 93 %, for everybody."""
    held = simulate(design, REPLICATES)

    assert (held.printed == held.fitted).all()
    assert held.ratings.min() / held.fitted >= least(GOAL, held.fitted)
    assert held.differences[:-1].min() / held.fitted >= least(GOAL, held.fitted)


@pytest.mark.parametrize(("prompts", "kind"), [(40, "pareto"), (80, "lognormal")])
def test_intervals_hold_for_prompts_of_unequal_size(prompts: int, kind: str) -> None:
    """With some prompts far larger than others, intervals cover at least 93 %, and are not much wider than needed."""
    held = simulate(Design(kind, prompts=prompts, sizes=kind, seed=prompts), REPLICATES)

    assert held.ratings.min() / held.fitted >= least(GOAL, held.fitted)
    oracle = 1.96 * np.std(held.errors, axis=0)
    assert np.median(np.median(held.widths, axis=0) / oracle) <= 1.25


@pytest.mark.parametrize("prompts", [8, 10])
def test_rank_intervals_of_twenty_equal_contestants_hold_at_once(prompts: int) -> None:
    """On few prompts, the rank intervals of all 20 contestants include all ranks in at least 94 % of leaderboards."""
    design = Design("equal", contestants=20, prompts=prompts, spread=0.0, each=80, seed=prompts)

    held = simulate(design, 300, at_once=True)

    assert held.at_once / held.fitted >= least(GOAL_AT_ONCE, held.fitted)
