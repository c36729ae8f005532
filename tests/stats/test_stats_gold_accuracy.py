"""Accuracy against gold labels, compared with loops that follow the benchmarks' own code."""

from __future__ import annotations

from collections import defaultdict
from functools import partial

import numpy as np
import pytest

from judge.columns.arrays import Codes, Flags, Ints
from judge.stats.cluster_bootstrap import Resamples, bootstrap_interval
from judge.stats.cluster_intervals import mean
from judge.stats.errors import StatisticsError
from judge.stats.gold_accuracy import (
    NO_OUTCOME,
    GoldFigure,
    GoldIntervals,
    GoldRule,
    accuracy_by_order,
    accuracy_of_votes,
)

LEFT, RIGHT, TIE = 0, 1, 2
OPPOSITE = {LEFT: RIGHT, RIGHT: LEFT, TIE: TIE}


def drawn(seed: int, n: int = 300, prompts: int = 90) -> tuple[Codes, Codes, Flags, Ints]:
    """Gold labels with ties, outcomes in both orders with gaps, what was shown, and prompts of unequal size."""
    rng = np.random.default_rng(seed)
    gold = rng.choice(3, n, p=[0.5, 0.4, 0.1]).astype(np.int8)
    same = rng.random((n, 2)) < 0.6
    outcome = np.where(same, gold[:, np.newaxis], rng.choice(3, (n, 2))).astype(np.int8)
    shown = rng.random((n, 2)) < 0.95
    outcome[~shown | (rng.random((n, 2)) < 0.05)] = NO_OUTCOME
    return gold, outcome, shown, np.sort(rng.integers(prompts, size=n)).astype(np.int32)


def by_rule(figures: tuple[GoldFigure, ...]) -> dict[GoldRule, GoldFigure]:
    return {figure.rule: figure for figure in figures}


@pytest.mark.parametrize("seed", range(5))
def test_stats_gold_accuracy_of_each_rule_is_that_of_a_loop(seed: int) -> None:
    """Each rule counts what a loop over the comparisons counts, as JudgeBench's and RewardBench's code do."""
    gold, outcome, shown, prompt = drawn(seed)

    right: dict[GoldRule, int] = defaultdict(int)
    known: dict[GoldRule, int] = defaultdict(int)
    of_prompt: dict[int, list[int | None]] = defaultdict(list)
    for label, pair, group in zip(gold.tolist(), outcome.tolist(), prompt.tolist(), strict=True):
        points = 0
        for decision, rule in zip(pair, (GoldRule.LEFT_FIRST, GoldRule.RIGHT_FIRST), strict=True):
            known[rule] += decision != NO_OUTCOME
            right[rule] += decision == label
            if decision == label:
                points += 1
            elif decision != NO_OUTCOME and decision == OPPOSITE[label]:
                points -= 1
        decided = [decision for decision in pair if decision != NO_OUTCOME]
        known[GoldRule.BOTH_ORDERS] += len(decided) == 2
        right[GoldRule.BOTH_ORDERS] += pair == [label, label]
        known[GoldRule.ORDER_AGREEMENT] += len(decided) == 2
        right[GoldRule.ORDER_AGREEMENT] += len(decided) == 2 and pair[0] == pair[1]
        known[GoldRule.SUM_OVER_ORDERS] += bool(decided)
        right[GoldRule.SUM_OVER_ORDERS] += points > 0
        of_prompt[group].append(points if decided else None)
    for rule in (GoldRule.LEFT_FIRST, GoldRule.RIGHT_FIRST):
        right[GoldRule.AVERAGE] += right[rule]
        known[GoldRule.AVERAGE] += known[rule]
    right[GoldRule.WHOLE_PROMPT] = sum(all(points and points > 0 for points in each) for each in of_prompt.values())
    known[GoldRule.WHOLE_PROMPT] = sum(None not in each for each in of_prompt.values())

    figures = by_rule(accuracy_by_order(gold, outcome, shown, prompt))
    units = dict.fromkeys(GoldRule, gold.size) | {
        GoldRule.AVERAGE: 2 * gold.size,
        GoldRule.WHOLE_PROMPT: len(of_prompt),
    }
    assert set(figures) == set(GoldRule)
    for rule, figure in figures.items():
        assert (figure.correct, figure.accuracy.n, figure.with_outcome.n) == (right[rule], units[rule], known[rule])
        assert figure.accuracy.value == pytest.approx(right[rule] / units[rule], abs=1e-9)
        assert figure.with_outcome.value == pytest.approx(right[rule] / known[rule], abs=1e-9)
        assert figure.accuracy.clusters == len(of_prompt)
        judged = figure.correct + figure.incorrect + figure.neither
        assert (judged, judged + figure.unreadable + figure.missing) == (known[rule], units[rule])


def test_stats_gold_accuracy_right_and_tie_are_right_together() -> None:
    """By the sum, a right verdict outweighs a tie and a missing one, but not a wrong one; ties alone are nothing."""
    outcome = np.array([[LEFT, TIE], [LEFT, NO_OUTCOME], [LEFT, RIGHT], [TIE, TIE], [TIE, RIGHT]], dtype=np.int8)
    gold = np.zeros(5, dtype=np.int8)

    figures = by_rule(accuracy_by_order(gold, outcome, np.ones((5, 2), dtype=np.bool_), np.arange(5, dtype=np.int32)))

    summed, both = figures[GoldRule.SUM_OVER_ORDERS], figures[GoldRule.BOTH_ORDERS]
    assert (summed.correct, summed.incorrect, summed.neither) == (2, 1, 2)
    assert (both.correct, both.incorrect, both.neither, both.unreadable) == (0, 0, 4, 1)
    assert GoldRule.WHOLE_PROMPT not in figures


def test_stats_gold_accuracy_of_a_gold_tie() -> None:
    """Only a tie is right where the gold label is a tie, and a winner there is neither right nor wrong."""
    outcome = np.array([[TIE, TIE], [TIE, LEFT], [LEFT, LEFT], [LEFT, RIGHT]], dtype=np.int8)
    gold = np.full(4, TIE, dtype=np.int8)

    figures = by_rule(accuracy_by_order(gold, outcome, np.ones((4, 2), dtype=np.bool_), np.arange(4, dtype=np.int32)))

    summed, average = figures[GoldRule.SUM_OVER_ORDERS], figures[GoldRule.AVERAGE]
    assert (summed.correct, summed.incorrect, summed.neither) == (2, 0, 2)
    assert (average.correct, average.incorrect, average.neither) == (3, 0, 5)
    assert figures[GoldRule.ORDER_AGREEMENT].correct == 2


def test_stats_gold_accuracy_of_a_judge_that_saw_one_order_of_each() -> None:
    """Without both orders, each comparison counts in the order that it was shown in, and a missing one in both."""
    outcome = np.array([[LEFT, -1], [RIGHT, -1], [-1, LEFT], [-1, -1]], dtype=np.int8)
    shown = np.array([[True, False], [True, False], [False, True], [False, False]])
    gold = np.zeros(4, dtype=np.int8)

    figures = by_rule(accuracy_by_order(gold, outcome, shown, np.arange(4, dtype=np.int32)))

    assert set(figures) == {
        GoldRule.LEFT_FIRST,
        GoldRule.RIGHT_FIRST,
        GoldRule.AVERAGE,
        GoldRule.SUM_OVER_ORDERS,
    }
    counts = {rule: (figure.correct, figure.accuracy.n, figure.missing) for rule, figure in figures.items()}
    assert counts[GoldRule.LEFT_FIRST] == (1, 3, 1)
    assert counts[GoldRule.RIGHT_FIRST] == (1, 2, 1)
    assert counts[GoldRule.AVERAGE] == counts[GoldRule.SUM_OVER_ORDERS] == (2, 4, 1)


def test_stats_gold_accuracy_has_intervals_over_prompts() -> None:
    """The interval is that of a mean over prompts, or the bootstrap asked for."""
    gold, outcome, shown, prompt = drawn(7)
    method = partial(bootstrap_interval, resamples=Resamples(1, 500))

    plain = by_rule(accuracy_by_order(gold, outcome, shown, prompt))[GoldRule.LEFT_FIRST]
    drawn_figures = accuracy_by_order(gold, outcome, shown, prompt, GoldIntervals(0.9, method))

    assert plain.accuracy == mean((outcome[:, 0] == gold).astype(float), prompt, 0.95, (0.0, 1.0))
    resampled = by_rule(drawn_figures)[GoldRule.LEFT_FIRST].accuracy
    assert (resampled.method, resampled.level) == ("bootstrap-se-t", 0.9)
    assert resampled.value == plain.accuracy.value


def test_stats_gold_accuracy_of_votes_without_orders() -> None:
    """Each vote counts in the average, and a comparison without votes as one that is missing."""
    gold = np.array([LEFT, LEFT, RIGHT, TIE], dtype=np.int8)
    item = np.array([0, 0, 0, 1, 3], dtype=np.int32)
    outcome = np.array([LEFT, LEFT, RIGHT, TIE, TIE], dtype=np.int8)

    average, summed, whole = accuracy_of_votes(gold, item, outcome, np.array([0, 0, 1, 1], dtype=np.int32))

    assert (average.correct, average.incorrect, average.neither, average.missing) == (3, 1, 1, 1)
    assert (summed.correct, summed.neither, summed.missing, summed.accuracy.value) == (2, 1, 1, 0.5)
    assert (whole.rule, whole.correct, whole.accuracy.n) == (GoldRule.WHOLE_PROMPT, 0, 2)


def test_stats_gold_accuracy_needs_columns_of_one_length() -> None:
    gold, outcome, shown, prompt = drawn(1)

    with pytest.raises(StatisticsError, match="same comparisons"):
        accuracy_by_order(gold[:-1], outcome, shown, prompt)
