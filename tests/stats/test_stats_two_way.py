"""Intervals over prompts and annotators at once, beside a plain implementation and a simulation with known truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from judge.columns.arrays import Floats
from judge.stats.agreement import agreement, prompt_tables, share_agreeing
from judge.stats.agreement_two_way import agreement_of_new_annotators
from judge.stats.ceiling import ceiling
from judge.stats.cluster_intervals import EXACT
from judge.stats.planning_power import detectable
from judge.stats.two_way import two_way
from judge.stats.votes import NOBODY, VoteColumns, pairs_between, pairs_within
from stats.known import known

JUDGE = 99
Pair = tuple[int, frozenset[int], bool]
"""The prompt of a pair of votes, its annotators, and whether the votes are alike."""


def draw_votes(
    rng: np.random.Generator, *, prompts: int = 12, annotators: int = 7, spread: float = 0.15, votes: int = 3
) -> tuple[VoteColumns, VoteColumns]:
    """A judge that is right, and people's votes on two items a prompt, as often right as their annotator is."""
    right = np.clip(0.7 + rng.normal(0, spread, annotators), 0, 1)
    items = np.arange(2 * prompts, dtype=np.int32)
    item = np.repeat(items, votes)
    whose = np.concatenate([rng.choice(annotators, votes, replace=False) for _ in items])
    outcome = (rng.random(item.size) > right[whose]).astype(np.int8)
    judge = VoteColumns(items, np.zeros(items.size, dtype=np.int8), items // 2, np.full(items.size, JUDGE))
    return judge, VoteColumns(item, outcome, item // 2, whose)


def plain_variance(pairs: list[Pair]) -> float:
    """The variance of the share of alike pairs, by leaving out prompts, annotators and couples one by one."""
    share = np.mean([alike for *_, alike in pairs])

    def jackknife(clusters: Callable[[Pair], set[object]]) -> float:
        of_pair = [clusters(pair) for pair in pairs]
        changes = [
            np.mean([pair[2] for pair, keys in zip(pairs, of_pair, strict=True) if name not in keys]) - share
            for name in set[object]().union(*of_pair)
        ]
        return float((len(changes) - 1) / max(len(changes), 1) * np.square(changes).sum())

    of_prompts = jackknife(lambda pair: {pair[0]})
    people = jackknife(lambda pair: set(pair[1])) - jackknife(lambda pair: couple(pair[1]))
    both = jackknife(lambda pair: {(pair[0], who) for who in pair[1]})
    both -= jackknife(lambda pair: {(pair[0], who) for who in couple(pair[1])})
    return max(of_prompts, people, of_prompts + people - both)


def couple(people: frozenset[int]) -> set[object]:
    return {people} if len(people) > 1 else set()


def rate(summed: Floats) -> Floats:
    return share_agreeing(summed[:, 0])


@pytest.mark.parametrize("seed", range(3))
def test_the_variance_is_that_of_leaving_out_prompts_and_annotators_one_by_one(seed: int) -> None:
    judge, people = draw_votes(np.random.default_rng(seed))
    rows = list(
        zip(
            people.cluster.tolist(),
            people.annotator.tolist(),
            people.outcome.tolist(),
            people.item.tolist(),
            strict=True,
        )
    )
    between = [(prompt, frozenset({name}), outcome == 0) for prompt, name, outcome, _ in rows]
    within = [
        (first[0], frozenset({first[1], second[1]}), first[2] == second[2])
        for first, second in combinations(rows, 2)
        if first[3] == second[3]
    ]

    for pairs, plain in ((pairs_between(judge, people), between), (pairs_within(people), within)):
        result = two_way([pairs], prompt_tables, rate)
        assert known(result.standard_error) == pytest.approx(plain_variance(plain) ** 0.5, abs=1e-8)
        assert result.method == "two-way-jackknife-t"


def test_votes_without_a_name_are_of_different_people() -> None:
    """With as many names as votes, prompts alone matter; without names, there is no interval for new annotators."""
    judge, people = draw_votes(np.random.default_rng(1))
    each = replace(people, annotator=np.arange(people.n, dtype=np.int32))
    half = replace(each, annotator=np.where(np.arange(people.n) < people.n // 2, each.annotator, NOBODY))

    pairs = pairs_between(judge, each)
    by_name = two_way([pairs], prompt_tables, rate)
    by_prompt = agreement(pairs).rate
    assert known(by_name.standard_error) == pytest.approx(known(by_prompt.standard_error), rel=1e-6)
    partly = two_way([pairs_between(judge, half)], prompt_tables, rate)
    assert known(partly.standard_error) == pytest.approx(known(by_prompt.standard_error), rel=0.01)
    nobody = two_way([pairs_between(judge, people.anonymous())], prompt_tables, rate)
    assert (nobody.low, nobody.method) == (None, "none: 0 annotators with a name, at least 5 are needed")


def test_too_few_annotators_or_prompts_have_no_interval() -> None:
    judge, four = draw_votes(np.random.default_rng(2), annotators=4)
    short, few = draw_votes(np.random.default_rng(2), prompts=4)

    figure = agreement_of_new_annotators(agreement(pairs_within(four)), pairs_within(four))

    assert {figure.rate.method, figure.kappa.method, figure.alpha.method} == {
        "none: 4 annotators with a name, at least 5 are needed"
    }
    assert figure.rate.value == agreement(pairs_within(four)).rate.value
    assert ceiling(judge, four, new_annotators=True).rate.difference.low is None
    assert two_way([pairs_between(short, few)], prompt_tables, rate).method == "none: 4 prompts, at least 5 are needed"


def test_intervals_hold_for_new_annotators() -> None:
    """Ten annotators who differ much: the judge's agreement is within 95 % intervals, which over prompts it is not."""
    rng, replicates = np.random.default_rng(3), 300
    truth = float(np.clip(0.7 + rng.normal(0, 0.15, 1_000_000), 0, 1).mean())
    held = np.zeros(2)
    for _ in range(replicates):
        judge, people = draw_votes(rng, prompts=60, annotators=10)
        pairs = pairs_between(judge, people)
        for at, result in enumerate((two_way([pairs], prompt_tables, rate), agreement(pairs).rate)):
            held[at] += known(result.low) <= truth <= known(result.high)

    assert held[0] / replicates > 0.93 - 0.03
    assert held[1] / replicates < 0.8


def test_what_prompts_and_annotators_can_detect_follows_from_their_own_interval() -> None:
    """Seven annotators leave few degrees of freedom, and no number of prompts makes up for them."""
    judge, people = draw_votes(np.random.default_rng(4), prompts=40)
    result = ceiling(judge, people, new_annotators=True)

    difference = result.rate.difference
    error, freedom = known(difference.standard_error), known(difference.freedom)
    half = (known(difference.high) - known(difference.low)) / 2
    assert freedom < 12
    assert known(result.detectable) >= detectable(error, freedom, half / error)
    assert known(ceiling(judge, people).detectable) < known(result.detectable)
    assert result.needed is None


@pytest.mark.parametrize(("unequal", "fewest", "most"), [(0.0, 9, 30), (1.5, 2, 7)])
def test_annotators_with_most_of_the_votes_leave_fewer_degrees_of_freedom(
    unequal: float, fewest: float, most: float
) -> None:
    """Intervals hold for annotators with equal and with very unequal numbers of votes."""
    rng, held, freedom, replicates = np.random.default_rng(int(unequal)), 0, [], 200
    for _ in range(replicates):
        share = np.exp(unequal * rng.normal(size=12))
        annotator = rng.choice(12, 480, p=share / share.sum()).astype(np.int32)
        right = rng.random(480) < np.clip(0.7 + rng.normal(0, 0.1, 12), 0, 1)[annotator]
        item = np.arange(480, dtype=np.int32)
        people = VoteColumns(item, np.where(right, 0, 1).astype(np.int8), item // 6, annotator)
        judge = VoteColumns(item, np.zeros(480, dtype=np.int8), item // 6, np.full(480, JUDGE))
        result = two_way([pairs_between(judge, people)], prompt_tables, rate, bounds=(0.0, 1.0))
        held += known(result.low) <= 0.7 <= known(result.high)
        freedom.append(known(result.freedom))

    assert held / replicates > 0.93 - 2 * (0.93 * 0.07 / replicates) ** 0.5
    assert fewest < np.median(freedom) < most


def test_where_all_agree_the_interval_is_the_exact_one() -> None:
    """Six annotators that never differ count as six, so the next one may still differ."""
    item = np.arange(60, dtype=np.int32)
    people = VoteColumns(item, np.zeros(60, dtype=np.int8), item // 3, item % 6)
    judge = VoteColumns(item, np.zeros(60, dtype=np.int8), item // 3, np.full(60, JUDGE))
    result = two_way([pairs_between(judge, people)], prompt_tables, rate, bounds=(0.0, 1.0))

    assert (result.value, result.high, result.method) == (1.0, 1.0, EXACT)
    assert known(result.low) == pytest.approx(0.025 ** (1 / 6))
