from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations
from random import Random
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from judge.stats.agreement import AgreementFigure, Ties, agreement
from judge.stats.battles import LEFT, RIGHT, TIE
from judge.stats.chance import both_orientations, cohen_kappa, gwet_ac1
from judge.stats.errors import StatisticsError
from judge.stats.order_effects import order_consistency
from judge.stats.votes import (
    NOBODY,
    VoteColumns,
    VotePairs,
    majority,
    pairs_between,
    pairs_of_repeats,
    pairs_within,
    plurality,
    split_plurality,
)
from stats.known import known

SWAPPED = np.array([RIGHT, LEFT, TIE], dtype=np.int8)


def votes(*rows: tuple[int, int, int, int]) -> VoteColumns:
    """Votes from (item, outcome, cluster, annotator)."""
    return VoteColumns(*np.array(rows, dtype=np.int64).reshape(-1, 4).T)


@st.composite
def ballots(draw: st.DrawFn) -> VoteColumns:
    """Up to sixty votes on a dozen items of four prompts, by five annotators."""
    row = st.tuples(st.integers(0, 11), st.sampled_from((LEFT, RIGHT, TIE)), st.integers(0, 4))
    rows = draw(st.lists(row, max_size=60))
    return votes(*[(item, outcome, item // 3, annotator) for item, outcome, annotator in rows])


def figures(figure: AgreementFigure) -> dict[str, object]:
    """All fields of a figure, as values that can be compared."""
    return {name: np.asarray(value).tolist() for name, value in vars(figure).items()}


def test_the_plurality_is_what_most_said() -> None:
    """The outcome with the most votes wins. Several with the most give a tie, or no vote."""
    cast = votes((5, LEFT, 1, 0), (5, LEFT, 1, 1), (5, TIE, 1, 2), (2, LEFT, 0, 0), (2, RIGHT, 0, 1), (7, TIE, 1, 0))

    kept, dropped = plurality(cast), plurality(cast, "drop")

    assert (kept.item.tolist(), kept.outcome.tolist()) == ([2, 5, 7], [TIE, LEFT, TIE])
    assert (dropped.item.tolist(), dropped.outcome.tolist()) == ([5, 7], [LEFT, TIE])
    assert kept.cluster.tolist() == [0, 1, 1]
    assert set(kept.annotator.tolist()) == {NOBODY}


def test_the_majority_is_more_than_half() -> None:
    """Two of four votes are a plurality but not a majority."""
    cast = votes((1, LEFT, 0, 0), (1, LEFT, 0, 1), (1, TIE, 0, 2), (1, RIGHT, 0, 3), (2, TIE, 0, 0), (3, LEFT, 0, 0))

    assert (majority(cast).item.tolist(), majority(cast).outcome.tolist()) == ([2, 3], [TIE, LEFT])
    assert plurality(cast).outcome.tolist() == [LEFT, TIE, LEFT]


def weighted(pairs: VotePairs) -> list[tuple[int, int, int, float]]:
    """The item, the outcomes and the weight of each pair, sorted."""
    weight = np.ones(pairs.item.size) if pairs.weight is None else pairs.weight
    return sorted(zip(pairs.item.tolist(), pairs.source.tolist(), pairs.target.tolist(), weight.tolist(), strict=True))


@settings(deadline=None, max_examples=60)
@given(ballots(), ballots())
def test_pairs_are_those_of_two_loops(source: VoteColumns, target: VoteColumns) -> None:
    """Pairs between and within sources equal those of two nested loops; r votes of one annotator count 1 / r each."""
    between, within, repeats = pairs_between(source, target), pairs_within(target), pairs_of_repeats(target)

    ours, rows = (
        list(zip(side.item.tolist(), side.outcome.tolist(), side.annotator.tolist(), strict=True))
        for side in (source, target)
    )
    mine, times = (Counter((item, who) for item, _, who in side) for side in (ours, rows))
    expected = [(i, a, b, 1 / (mine[i, p] * times[i, q])) for i, b, q in rows for j, a, p in ours if i == j]
    alike = [(a, b) for a, b in combinations(rows, 2) if a[0] == b[0]]
    inner = [
        (a[0], *sorted((a[1], b[1])), 1 / (times[a[0], a[2]] * times[b[0], b[2]])) for a, b in alike if a[2] != b[2]
    ]
    again = [
        (a[0], *sorted((a[1], b[1])), 2 / (times[a[0], a[2]] * (times[a[0], a[2]] - 1)))
        for a, b in alike
        if a[2] == b[2]
    ]
    for pairs, loop in ((between, expected), (within, inner), (repeats, again)):
        assert np.array(weighted(pairs)) == pytest.approx(np.array(sorted(loop)))
        assert pairs.n == pytest.approx(sum(row[-1] for row in loop))
        assert pairs.cluster.tolist() == (pairs.item // 3).tolist()


@settings(deadline=None, max_examples=60)
@given(ballots(), ballots(), st.sampled_from(["WITH", "WITHOUT"]))
def test_kappa_equals_that_of_scikit_learn(source: VoteColumns, target: VoteColumns, ties: Ties) -> None:
    """Cohen's kappa equals that of scikit-learn, as stored and in both orientations."""
    pairs = pairs_between(source, target)
    kept = np.ones(pairs.item.size, dtype=bool) if ties == "WITH" else (pairs.source != TIE) & (pairs.target != TIE)
    counted = pairs.select(kept)
    source_outcome, target_outcome = counted.source, counted.target
    weight = np.ones(source_outcome.size) if counted.weight is None else counted.weight
    as_stored, both = agreement(pairs, ties, "sorted"), agreement(pairs, ties)

    assert as_stored.n == both.n == pytest.approx(weight.sum())
    assert as_stored.agree == both.agree == pytest.approx(weight[source_outcome == target_outcome].sum(), abs=1e-8)
    for figure, left, right in (
        (as_stored, source_outcome, target_outcome),
        (both, np.r_[source_outcome, SWAPPED[source_outcome]], np.r_[target_outcome, SWAPPED[target_outcome]]),
    ):
        if left.size and len(set(left) | set(right)) > 1:
            weights = np.resize(weight, left.size)
            assert figure.kappa.value == pytest.approx(cohen_kappa_score(left, right, sample_weight=weights), abs=1e-8)
        else:
            assert figure.kappa.value is None
            assert figure.reason


@settings(deadline=None, max_examples=60)
@given(ballots(), ballots(), st.sampled_from(["WITH", "WITHOUT"]), st.randoms(use_true_random=False))
def test_law_9_exchanging_left_and_right_or_reordering_votes_changes_no_agreement(
    source: VoteColumns, target: VoteColumns, ties: Ties, random: Random
) -> None:
    """Exchanging left and right on some comparisons, or reordering votes, changes no figure of agreement."""
    exchanged = np.array([random.random() < 0.5 for _ in range(12)])

    def again(cast: VoteColumns) -> VoteColumns:
        order = random.sample(range(cast.n), cast.n)
        flipped = np.where(exchanged[cast.item], SWAPPED[cast.outcome], cast.outcome)
        return VoteColumns(cast.item[order], flipped[order], cast.cluster[order], cast.annotator[order])

    for before, after in (
        (pairs_between(source, target), pairs_between(again(source), again(target))),
        (pairs_within(source), pairs_within(again(source))),
    ):
        figures_before, figures_after = figures(agreement(before, ties)), figures(agreement(after, ties))
        del figures_before["confusion"], figures_after["confusion"]
        assert figures_before == figures_after


def test_pairs_within_one_group_have_no_source() -> None:
    """Kappa within a group counts each pair in both roles. The table has each once, smaller outcome code first."""
    cast = votes((0, RIGHT, 0, 0), (0, LEFT, 0, 1), (1, TIE, 1, 0), (1, TIE, 1, 1))

    figure = agreement(pairs_within(cast), orientation="sorted")

    assert figure.confusion.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]
    assert figure.kappa.value == pytest.approx(cohen_kappa_score([0, 1, 2, 2], [1, 0, 2, 2]))


def test_an_annotator_who_votes_twice_is_not_two_who_agree() -> None:
    """Two votes of x against one of y never agree, and x alone has nobody to agree with."""
    three = votes(
        *[row for item in range(12) for row in ((item, LEFT, item, 1), (item, LEFT, item, 1), (item, RIGHT, item, 2))]
    )
    alone = three.select(three.annotator == 1)

    figure, repeats = agreement(pairs_within(three)), agreement(pairs_of_repeats(alone))

    assert (figure.agree, figure.n, figure.rate.value) == (0, 12, 0)
    assert figure.confusion.tolist() == [[0, 12, 0], [0, 0, 0], [0, 0, 0]]
    assert figure.alpha.value == pytest.approx(1 - 47 / 24)
    assert (pairs_within(alone).n, repeats.n, repeats.rate.value) == (0, 12, 1)


def test_votes_without_a_name_are_votes_of_different_people() -> None:
    """A vote without an annotator always counts, and anonymous votes are as many as there are rows."""
    cast = votes((0, LEFT, 0, NOBODY), (0, LEFT, 0, NOBODY), (0, RIGHT, 0, 3), (0, RIGHT, 0, 3))

    assert weighted(pairs_within(cast)) == [
        (0, LEFT, LEFT, 1),
        (0, LEFT, RIGHT, 0.5),
        (0, LEFT, RIGHT, 0.5),
        (0, LEFT, RIGHT, 0.5),
        (0, LEFT, RIGHT, 0.5),
    ]
    assert pairs_within(cast.anonymous()).n == 6


def test_the_plurality_counts_an_annotator_once() -> None:
    """Two votes of x do not outvote y; a vote for each side counts half for each."""
    cast = votes(
        (0, LEFT, 0, 1), (0, LEFT, 0, 1), (0, RIGHT, 0, 2), (1, LEFT, 0, 1), (1, RIGHT, 0, 1), (1, RIGHT, 0, 2),
        (2, LEFT, 0, 1), (2, LEFT, 0, 1), (2, LEFT, 0, 1), (2, RIGHT, 0, 2),
    )  # fmt: skip

    assert plurality(cast).outcome.tolist() == [TIE, RIGHT, TIE]
    assert plurality(cast, "drop").item.tolist() == majority(cast).item.tolist() == [1]
    assert split_plurality(cast)[1].tolist() == [0.5, 0.5, 1, 0.5, 0.5]


def test_what_is_counted_once_without_ties_is_an_annotator_with_an_outcome_left() -> None:
    """Without ties, an annotator who said left and tie counts once, with left."""
    pairs = pairs_within(votes((0, LEFT, 0, 1), (0, TIE, 0, 1), (0, LEFT, 0, 2)))

    with_ties, without = agreement(pairs), agreement(pairs, "WITHOUT")

    assert (with_ties.n, with_ties.agree, without.n, without.agree) == (1, 0.5, 1, 1)


def test_each_comparison_may_count_once() -> None:
    """With by_comparison, ten votes on one comparison count as much as one vote on another."""
    crowd, single = [(0, LEFT, 0, n) for n in range(10)], (1, RIGHT, 1, 0)
    target, source = votes(*crowd, single), votes((0, LEFT, 0, 50), (1, LEFT, 1, 50))
    pairs = pairs_between(source, target)

    figure = agreement(replace(pairs, by_comparison=True))

    assert agreement(pairs).rate.value == pytest.approx(10 / 11)
    assert (figure.rate.value, figure.n) == (0.5, 2)
    assert figure.confusion.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_what_cannot_be_computed_is_absent_with_a_reason() -> None:
    """No common comparison, only ties under DROP, or only one answer: None and a sentence, never a number."""
    nothing = agreement(pairs_between(votes((1, LEFT, 0, 0)), votes((2, LEFT, 0, 0))))
    ties = agreement(pairs_between(votes((1, TIE, 0, 0)), votes((1, LEFT, 0, 0))), "WITHOUT")
    same = agreement(pairs_between(votes((1, LEFT, 0, 0)), votes((1, LEFT, 0, 0))), orientation="sorted")

    assert (nothing.rate.value, nothing.kappa.value, nothing.ac1.value, nothing.n, nothing.prompts) == (
        None,
        None,
        None,
        0,
        0,
    )
    assert nothing.reason == "There is no pair of votes on the same comparison."
    assert ties.reason == "There is no pair of votes without a tie on the same comparison."
    assert (same.rate.value, same.kappa.value, same.ac1.value) == (1.0, None, 1.0)
    assert same.reason.startswith("Kappa is not determined")
    assert same.rate.method == "none: 1 prompt, at least 5 are needed"


def test_ac1_is_gwets() -> None:
    """AC1 equals Gwet's formula, computed by hand."""
    table = np.array([[[40.0, 6, 2], [4, 30, 3], [1, 5, 9]]])
    q = (table[0].sum(axis=0) + table[0].sum(axis=1)) / 200
    chance = (q * (1 - q)).sum() / 2

    assert gwet_ac1(table)[0] == pytest.approx((0.79 - chance) / (1 - chance))


def test_kappa_depends_on_names_and_both_orientations_do_not() -> None:
    """Renaming changes kappa as stored but not in both orientations, for a judge that prefers left."""
    table = np.array([[60.0, 5, 0], [10, 5, 0], [3, 3, 2]])
    renamed = table[[1, 0, 2]][:, [1, 0, 2]]
    half = np.array([[30.0, 4, 0], [6, 31, 0], [3, 3, 2]])

    assert cohen_kappa(both_orientations(table)) == cohen_kappa(both_orientations(renamed))
    assert cohen_kappa(half) != pytest.approx(float(cohen_kappa(table)), abs=0.05)


def test_kappas_interval_comes_from_leaving_out_each_prompt() -> None:
    """With prompts of one size, kappa's standard error and degrees of freedom are those of recomputing without each.

    The interval is Wilson's for (kappa + 1) / 2 and the rows that its variance is worth.
    """
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 3, 240)
    source_outcome, target_outcome = (np.where(rng.random(240) < 0.7, truth, rng.integers(0, 3, 240)) for _ in range(2))
    cluster = np.repeat(np.arange(20, dtype=np.int32), 12)
    whole = cohen_kappa_score(source_outcome, target_outcome)
    without = [cohen_kappa_score(source_outcome[cluster != g], target_outcome[cluster != g]) for g in range(20)]
    error = np.sqrt(19 / 20 * np.square(np.array(without) - whole).sum())
    # The ends solve (kappa - k)^2 = c^2 V(k), where V is proportional to (1 + k) (1 - k).
    spread = (2.093024054 * error) ** 2 / ((1 + whole) * (1 - whole))
    low, high = np.sort(np.roots([1 + spread, -2 * whole, whole**2 - spread]))

    pairs = VotePairs(
        source_outcome.astype(np.int8), target_outcome.astype(np.int8), np.arange(240, dtype=np.int32), cluster
    )
    figure = agreement(pairs, orientation="sorted")

    assert figure.kappa.standard_error == pytest.approx(error, rel=1e-6)
    assert figure.kappa.low == pytest.approx(low, abs=1e-5)
    assert figure.kappa.high == pytest.approx(high, abs=1e-5)
    assert figure.kappa.method == figure.ac1.method == "jackknife-wilson"
    assert known(figure.ac1.low) < known(figure.ac1.value) < known(figure.ac1.high)


def test_order_effects_are_counted_by_kind() -> None:
    """Outcomes are counted as consistent, preferring a position, or leaning to it with one tie."""
    first = [LEFT, LEFT, RIGHT, LEFT, TIE, RIGHT, TIE, TIE]
    second = [LEFT, RIGHT, LEFT, TIE, RIGHT, TIE, LEFT, TIE]

    effects = order_consistency(first, second)

    assert (effects.n, effects.consistent) == (8, 2)
    assert (effects.prefers_first, effects.prefers_second, effects.leans_first, effects.leans_second) == (1, 1, 2, 2)
    assert effects.consistency.value == 0.25
    assert effects.first_share.value == 0.5


def test_a_judge_that_always_takes_the_first_is_never_consistent() -> None:
    """A judge that always takes the first has consistency 0 and a first share of 1, with exact intervals."""
    effects = order_consistency(np.full(60, LEFT), np.full(60, RIGHT), np.repeat(np.arange(30), 2))

    assert (effects.consistency.value, effects.first_share.value) == (0.0, 1.0)
    assert effects.prefers_first == 60
    assert effects.consistency.method == "exact-binomial-over-prompts"
    assert 0 < known(effects.consistency.high) < 0.13


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda: votes((0, 3, 0, 0)), "unknown outcome"),
        (lambda: votes((-1, 0, 0, 0)), "item holds a code"),
        (lambda: votes((0, 0, 0, 0), (0, 0, 1, 1)), "several prompts"),
        (lambda: VoteColumns(np.array([0]), np.array([0]), np.array([0]), np.array([0, 1])), "differ in length"),
        (lambda: plurality(votes((0, 0, 0, 0)), cast("Any", "coin")), "rule for ties 'coin'"),
        (lambda: agreement(pairs_within(votes()), cast("Any", "MAYBE")), "treatment of ties 'MAYBE'"),
        (lambda: agreement(pairs_within(votes()), orientation=cast("Any", "up")), "orientation 'up'"),
        (lambda: agreement(pairs_within(votes()), level=95), "level of an interval"),
        (lambda: order_consistency([0, 1], [0]), "differ in length"),
        (lambda: order_consistency([4], [0]), "first_outcome holds an unknown outcome"),
    ],
)
def test_bad_votes_are_refused_by_name(ask: Callable[..., object], sentence: str) -> None:
    """Every defect of votes raises a StatisticsError that names it."""
    with pytest.raises(StatisticsError, match=sentence):
        ask()


def test_no_votes_are_no_error() -> None:
    """Empty votes have no plurality, no majority and no pairs."""
    assert plurality(votes()).n == majority(votes()).n == 0
    assert pairs_within(votes()).n == pairs_between(votes(), votes((1, 0, 0, 0))).n == 0
