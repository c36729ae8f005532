"""A judge compared with people: Krippendorff's alpha, the ceiling, and the alternative-annotator test."""

from functools import partial
from typing import Literal

import krippendorff
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.stats.agreement import Ties
from judge.stats.alternative import CANNOT_TELL, FAILS, PASSES, alternative_annotator
from judge.stats.ceiling import ceiling
from judge.stats.cluster_bootstrap import Resamples, bootstrap_interval
from judge.stats.errors import StatisticsError
from judge.stats.krippendorff import coincidences, krippendorff_alpha
from judge.stats.votes import VoteColumns, pairs_between, pairs_within
from stats.known import known

PLACE = np.array([0, 2, 1])
"""The positions of left, right and tie on a scale with the tie in the middle."""


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=80))
def test_alpha_equals_that_of_krippendorff(rows: list[tuple[int, int]]) -> None:
    """Nominal and ordinal alpha equal those of the krippendorff package."""
    item, outcome = (np.array(column, dtype=np.int32) for column in zip(*rows, strict=True))
    counts = np.zeros((10, 3))
    np.add.at(counts, (item, PLACE[outcome]), 1)
    counts = counts[counts.sum(axis=1) > 1]
    tables = coincidences(
        pairs_within(VoteColumns(item, outcome.astype(np.int8), item, np.arange(item.size, dtype=np.int32)))
    )
    levels: tuple[tuple[bool, Literal["nominal", "ordinal"]], ...] = ((False, "nominal"), (True, "ordinal"))
    for ordinal, level in levels:
        ours = float(krippendorff_alpha(tables.sum(axis=0), ordinal=ordinal))
        if np.count_nonzero(counts.sum(axis=0)) < 2:
            assert np.isnan(ours)
            continue
        assert ours == pytest.approx(krippendorff.alpha(value_counts=counts, level_of_measurement=level), abs=1e-9)


def people(rng: np.random.Generator, items: int, annotators: int, agree: float) -> tuple[np.ndarray, VoteColumns]:
    """Simulate the true outcome of items, ten per prompt, and votes that see it with probability *agree*."""
    right = rng.integers(0, 3, items)
    item = np.repeat(np.arange(items, dtype=np.int32), annotators)
    seen = rng.random(item.size) < agree
    outcome = np.where(seen, right[item], rng.integers(0, 3, item.size)).astype(np.int8)
    return right, VoteColumns(item, outcome, item // 10, np.tile(np.arange(annotators, dtype=np.int32), items))


def judge(rng: np.random.Generator, right: np.ndarray, agree: float) -> VoteColumns:
    item = np.arange(right.size, dtype=np.int32)
    outcome = np.where(rng.random(right.size) < agree, right, rng.integers(0, 3, right.size)).astype(np.int8)
    return VoteColumns(item, outcome, item // 10, np.full(right.size, 99))


@pytest.mark.parametrize("ties", ["WITH", "WITHOUT"])
def test_a_judge_that_sees_as_much_as_people_is_at_their_ceiling(ties: Ties) -> None:
    """The difference is about 0 for a judge like people, and above 0 for a better one, in rate and alpha."""
    rng = np.random.default_rng(4)
    right, votes = people(rng, 800, 3, 0.7)
    alike, better = (ceiling(judge(rng, right, share), votes, ties) for share in (0.7, 1.0))

    for pair in (alike.rate, alike.alpha):
        assert known(pair.difference.low) < 0 < known(pair.difference.high)
        assert known(pair.difference.value) == pytest.approx(
            known(pair.first.value) - known(pair.second.value), abs=1e-8
        )
    assert known(better.rate.difference.low) > 0
    assert known(better.alpha.difference.low) > 0
    assert (alike.ties, alike.votes) == (ties, 3 * alike.comparisons)


def test_the_ceiling_is_taken_on_the_same_comparisons() -> None:
    """Items with one vote or without the judge do not count; without ties, neither does a tie of the judge."""
    item = np.array([0, 0, 1, 2, 2, 3, 3], dtype=np.int32)
    votes = VoteColumns(item, np.array([0, 0, 1, 1, 0, 2, 0]), item, np.arange(7, dtype=np.int32))
    judge_votes = VoteColumns(
        np.array([0, 1, 3], dtype=np.int32), np.array([0, 1, 2]), np.array([0, 1, 3]), np.full(3, 9)
    )

    kept, dropped = ceiling(judge_votes, votes), ceiling(judge_votes, votes, "WITHOUT")

    assert (kept.comparisons, kept.votes, kept.rate.first.value, kept.rate.second.value) == (2, 4, 0.75, 0.5)
    assert (dropped.comparisons, dropped.rate.first.n, dropped.rate.second.n) == (1, 1, 1)
    as_published = ceiling(judge_votes, votes, "WITHOUT", weighting="VOTES")
    assert (as_published.comparisons, as_published.rate.first.n, as_published.rate.second.n) == (1, 2, 1)
    assert kept.largest.value == 0.75
    nothing = ceiling(judge_votes.select(judge_votes.item == 1), votes)
    assert (nothing.comparisons, nothing.rate.difference.value) == (0, None)


def test_the_judge_and_people_have_the_same_weights() -> None:
    """On 12 prompts with the votes 0, 0 on one item and 0, 0, 1, 1 on another, a judge that says 0 is 0.083 ahead.

    The judge agrees with 1 and 1/2 of the votes on the two items, and people with 1 and 1/3 of each other. Counting
    votes, it would be 2/3 against 3/7.
    """
    item = np.repeat(np.arange(24, dtype=np.int32), np.tile([2, 4], 12))
    votes = VoteColumns(item, np.tile([0, 0, 0, 0, 1, 1], 12), item // 2, np.arange(72, dtype=np.int32))
    each = np.arange(24, dtype=np.int32)
    always = VoteColumns(each, np.zeros(24, dtype=int), each // 2, np.full(24, 99))

    result, by_votes = ceiling(always, votes), ceiling(always, votes, weighting="VOTES")

    assert result.rate.difference.value == pytest.approx(3 / 4 - 2 / 3, abs=1e-8)
    assert (result.rate.first.n, result.rate.second.n, result.largest.value) == (24, 24, 0.75)
    assert by_votes.rate.difference.value == pytest.approx(2 / 3 - 3 / 7, abs=1e-8)
    # Chance alone would agree in half of all cases, and n is two votes on each of 24 items in both orientations.
    assert [result.alpha.first.value, result.alpha.second.value] == [
        pytest.approx(1 - 95 / 96 * 2 * (1 - share), abs=1e-8) for share in (3 / 4, 2 / 3)
    ]


def test_an_annotator_with_repeats_is_one_person_at_the_ceiling() -> None:
    """Three votes of one person make no ceiling, and beside another person they count as one vote."""
    item = np.repeat(np.arange(10, dtype=np.int32), 3)
    repeated = VoteColumns(item, np.tile([0, 0, 1], 10), item, np.tile([7, 7, 7], 10))
    other = VoteColumns(item, repeated.outcome, item, np.tile([7, 7, 8], 10))
    always = VoteColumns(item[::3], np.zeros(10, dtype=int), item[::3], np.full(10, 99))

    assert ceiling(always, repeated).comparisons == 0
    result = ceiling(always, other)
    assert (result.rate.first.value, result.rate.second.value, result.largest.value) == (0.5, 0, 0.5)


@pytest.mark.parametrize(("hard", "easy"), [(2, 6), (6, 2)])
def test_a_judge_that_is_one_more_person_is_seldom_called_better_or_worse(hard: int, easy: int) -> None:
    """With more votes on hard items, or on easy ones, a judge like people differs from them in 3 to 7 % of cases."""
    rng, prompts, replicates = np.random.default_rng(hard), 60, 400
    seen = np.tile([0.35, 0.95], prompts)
    counts = np.tile([hard, easy], prompts)
    item = np.repeat(np.arange(seen.size, dtype=np.int32), counts)
    wrong = 0
    for _ in range(replicates):
        outcome = (rng.random(item.size) > seen[item]).astype(np.int8)
        votes = VoteColumns(item, outcome, item // 2, np.arange(item.size, dtype=np.int32))
        one_more = np.arange(seen.size, dtype=np.int32)
        like_people = VoteColumns(one_more, (rng.random(seen.size) > seen).astype(np.int8), one_more // 2, one_more)
        difference = ceiling(like_people, votes, weighting="COMPARISONS").rate.difference
        wrong += known(difference.low) > 0 or known(difference.high) < 0

    # Two Monte-Carlo standard errors of a share of 5 % are 2.2 %.
    assert 0.05 - 0.022 <= wrong / replicates <= 0.05 + 0.022


def test_more_prompts_are_needed_for_a_smaller_difference() -> None:
    """Half the difference needs four times the prompts, and the detectable difference needs the present number."""
    rng = np.random.default_rng(6)
    right, votes = people(rng, 1000, 3, 0.7)
    judge_votes = judge(rng, right, 0.7)
    whole, half = (ceiling(judge_votes, votes, wanted=wanted) for wanted in (0.04, 0.02))

    assert known(half.needed) == pytest.approx(4 * known(whole.needed), rel=0.05)
    assert ceiling(judge_votes, votes, wanted=known(whole.detectable)).needed == pytest.approx(100, abs=1)


def test_a_bootstrap_and_the_jackknife_agree() -> None:
    rng = np.random.default_rng(6)
    right, votes = people(rng, 1000, 3, 0.7)
    judge_votes = judge(rng, right, 0.8)
    plain = ceiling(judge_votes, votes).alpha.difference
    drawn = ceiling(
        judge_votes, votes, interval_method=partial(bootstrap_interval, resamples=Resamples(0, 2000))
    ).alpha.difference

    assert drawn.standard_error == pytest.approx(plain.standard_error, rel=0.1)
    assert drawn.method == "bootstrap-se-t"


def test_resamples_are_the_same_in_every_block_and_every_time() -> None:
    """Kept draws and draws in blocks equal those that the seed gives at once."""
    few_clusters, few_replicates = Resamples(5, 200), Resamples(5, 3)
    for resamples, clusters, blocks in (
        (few_clusters, 12, 1),
        (few_clusters, 12, 1),
        (few_replicates, 500_000, 2),
        (few_replicates, 500_000, 2),
    ):
        drawn = list(resamples.of(clusters))
        at_once = np.random.default_rng(5).multinomial(clusters, np.full(clusters, 1 / clusters), resamples.replicates)
        assert len(drawn) == blocks
        assert (np.concatenate(drawn) == at_once).all()


def test_the_alternative_annotator_test_knows_who_is_better() -> None:
    """A judge better than people passes and one that guesses fails. With too few items the test cannot tell."""
    rng = np.random.default_rng(5)
    right, votes = people(rng, 400, 4, 0.7)

    better = alternative_annotator(judge(rng, right, 0.95), votes, rng)
    guess = alternative_annotator(judge(rng, right, 0.0), votes, rng)
    few = alternative_annotator(judge(rng, right[:35], 0.0), votes.select(votes.item < 35), rng)

    assert (better.answer, better.winning_rate) == (PASSES, 1.0)
    assert (guess.answer, guess.winning_rate) == (FAILS, 0.0)
    assert guess.parity is not None
    assert guess.parity > 0.9
    assert few.answer == CANNOT_TELL
    assert few.parity is not None
    assert few.parity < 0.8
    assert all(row.p < 0.05 for row in better.annotators)


def test_annotators_with_few_items_are_left_out() -> None:
    rng = np.random.default_rng(5)
    right, votes = people(rng, 60, 3, 0.7)
    votes = votes.select((votes.annotator < 2) | (votes.item < 10))

    test = alternative_annotator(judge(rng, right, 0.9), votes, rng)

    assert ([row.annotator for row in test.annotators], test.left_out) == ([0, 1], (2,))
    nobody = alternative_annotator(judge(rng, right, 0.9), votes, rng, least=100)
    assert (nobody.winning_rate, nobody.answer, nobody.left_out) == (None, CANNOT_TELL, (0, 1, 2))
    with pytest.raises(StatisticsError, match="epsilon must be from 0 to 1"):
        alternative_annotator(judge(rng, right, 0.9), votes, rng, epsilon=2)


def test_pairs_of_two_sources_count_as_separate_comparisons() -> None:
    """Between two sources, each pair is a comparison with two votes, whatever other votes the item has."""
    zero = np.zeros(3, dtype=np.int32)
    single = VoteColumns(zero[:1], np.array([0]), zero[:1], zero[:1])
    three = VoteColumns(zero, np.array([0, 0, 1]), zero, np.arange(3, dtype=np.int32))

    assert coincidences(pairs_between(single, three)).tolist() == [[[4.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]
