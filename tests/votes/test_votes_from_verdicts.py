"""Votes made of verdicts: the columns say what one would say of each comparison with pen and paper."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.domain.outcome import LEFT_SCORE, ItemState, Order, Outcome, Preference, Reconcile, VerdictStatus
from judge.domain.verdict import ParsedVerdict, PresentationNames, Reply, Verdict
from judge.ports.parsed_verdicts import as_columns
from judge.votes.comparisons import ComparisonKey
from judge.votes.from_verdicts import JudgeVerdicts, PromptAttributes, judge_votes
from judge.votes.votes import Part, SourceVotes, Taking, Vote

LEADERBOARD = PromptAttributes({"p0": "x", "p1": "y"}, {"p0": ("t",), "p1": ()})


def verdict(
    presentation: PresentationNames,
    preference: Preference | None,
    p: float | None,
    strength: float,
    repeat: int,
    kind: int,
) -> Verdict:
    """One of a *kind*: 0 refused, 1 without a reply, else as it was read."""
    reply = None if kind == 1 else Reply("", VerdictStatus.REFUSED if kind == 0 else VerdictStatus.OK)
    parsed_verdicts = () if kind < 2 else (ParsedVerdict("brackets", preference, "", p, strength),)  # as above
    state = ItemState.REJECTED if kind == 1 else None
    return Verdict(
        "j", presentation, "", 0, "", reply, parsed_verdicts, state, repeat=repeat, answer=0 if kind == 1 else 1
    )


presentations = st.builds(
    PresentationNames,
    st.sampled_from(["p0", "p1"]),
    st.integers(1, 2),
    st.sampled_from("abc"),
    st.sampled_from("def"),
    st.sampled_from(Order),
    st.integers(0, 1),
)
turned = presentations.map(
    lambda s: PresentationNames(s.prompt_id, s.turn, s.right, s.left, s.order, s.right_sample, s.left_sample)
)
verdicts = st.lists(
    st.builds(
        verdict,
        presentations | turned,
        st.sampled_from([*Preference, None]),
        st.sampled_from([None, 0.25, 0.5, 1.0]),
        st.sampled_from([0.0, 0.5, 1.0]),
        st.integers(0, 2),
        st.integers(0, 5),
    ),
    max_size=12,
)


def left_score(one: Verdict, *, soft: bool, flipped: bool) -> float | None:
    """What goes to the smaller name, by one verdict."""
    outcome = one.outcome
    if outcome is None:
        return None
    assert one.parsed_verdict is not None
    if soft and one.parsed_verdict.probability_first is not None:
        left_first = (one.presentation.order is Order.LEFT_FIRST) != flipped
        return one.parsed_verdict.probability_first if left_first else 1 - one.parsed_verdict.probability_first
    return LEFT_SCORE[outcome.flipped if flipped else outcome]


def by_hand(told: list[Verdict], reconcile: Reconcile) -> list[Vote]:
    """The votes of *told*, comparison by comparison."""
    grouped: dict[ComparisonKey, dict[Order, list[float | None]]] = {}
    for one in told:
        s = one.presentation
        ends = [(s.left, s.left_sample), (s.right, s.right_sample)]
        flipped = ends[1] < ends[0]
        (left, left_sample), (right, right_sample) = sorted(ends)
        order = Order(3 - s.order) if flipped else s.order
        key = ComparisonKey(s.prompt_id, s.turn, left, right, left_sample, right_sample)
        said = left_score(one, soft=reconcile is Reconcile.SOFT, flipped=flipped)
        grouped.setdefault(key, {}).setdefault(order, []).append(said)
    votes: list[Vote] = []
    for key, by_order in grouped.items():
        means: dict[Order, float | None] = {}
        for order in sorted(by_order):
            known = [one for one in by_order[order] if one is not None]
            means[order] = sum(known) / len(known) if known else None
        votes += reconciled(key, means, reconcile)
    return votes


def reconciled(key: ComparisonKey, means: dict[Order, float | None], reconcile: Reconcile) -> list[Vote]:
    known = {order: mean for order, mean in means.items() if mean is not None}
    if reconcile is Reconcile.EACH:
        return [Vote(key, of(m), "j", left_first=order is Order.LEFT_FIRST) for order, m in known.items()]
    if len(known) < len(means):
        return []
    mean = sum(known.values()) / len(known)
    if reconcile is Reconcile.SOFT:
        return [Vote(key, of(mean), "j", mean)]
    outcomes = {of(m) for m in known.values()}
    if len(outcomes) == 1:
        return [Vote(key, outcomes.pop(), "j")]
    return [] if reconcile is Reconcile.DROP else [Vote(key, Outcome.TIE, "j")]


def of(mean: float) -> Outcome:
    return {True: Outcome.LEFT, False: Outcome.RIGHT}[mean > 0.5] if mean != 0.5 else Outcome.TIE  # half


def votes(told: list[Verdict], taking: Taking, planned: int = 0) -> SourceVotes:
    return judge_votes(JudgeVerdicts("j", as_columns(told), planned), "judge:j", taking, LEADERBOARD)


@given(verdicts, st.sampled_from(Reconcile))
def test_orders_are_reconciled_and_repeats_averaged_within_an_order_first(
    told: list[Verdict], reconcile: Reconcile
) -> None:
    """Law 1: one vote a comparison by each rule, in the order of the verdicts, and none where an order has none."""
    found = votes(told, Taking(reconcile))

    assert list(found.rows) == by_hand(told, reconcile)
    assert found.usable == sum(one.outcome is not None for one in told)
    assert sum(found.by_status.values()) == found.planned == len(told)


@given(verdicts, st.sampled_from([Part("x"), Part("", 2), Part(left="a"), Part(left="e", right="b"), Part(tag="t")]))
def test_a_part_has_the_votes_of_its_verdicts(told: list[Verdict], part: Part) -> None:
    """Narrowing the verdicts to a category, a turn, a pair or a tag, and taking votes of them, is the same."""

    def inside(one: Verdict) -> bool:
        s = one.presentation
        return (
            (not part.category or LEADERBOARD.categories[s.prompt_id] == part.category)
            and (not part.turn or s.turn == part.turn)
            and {part.left, part.right} - {""} <= {s.left, s.right}
            and (not part.tag or part.tag in LEADERBOARD.tags[s.prompt_id])
        )

    found = votes(told, Taking(part=part), planned=100)

    kept = [one for one in told if inside(one)]
    assert list(found.rows) == by_hand(kept, Reconcile.TIE)
    assert found.planned == len(kept)


@given(verdicts)
def test_behind_the_votes_is_all_that_was_said(told: list[Verdict]) -> None:
    """Every comparison that has a verdict, usable or not, with a share for each that has an outcome, and the calls."""
    found = votes(told, Taking())

    left_scores = [s for by_order in found.left_scores["j"].values() for each in by_order.values() for s in each]
    assert len(left_scores) == len(told)
    assert sum(one is not None for one in left_scores) == found.usable
    assert found.comparisons == set(found.left_scores["j"])
    assert found.calls == {one.answer for one in told if one.answer}
    assert {row.key for row in found.orders} == {w for w, by in found.left_scores["j"].items() if len(by) == len(Order)}


def test_a_strong_verdict_counts_as_several_votes_and_an_unreadable_one_as_a_tie_where_asked() -> None:
    """Both are a report's choices; a tie is one vote whatever its strength."""
    shown = [PresentationNames("p0", 1, "a", "b", order) for order in Order]
    told = [verdict(one, Preference.of(Outcome.LEFT, one.order), None, 1.0, 0, 5) for one in shown]
    other = [verdict(PresentationNames("p1", 1, "a", "b", one.order), None, None, 0.0, 0, 5) for one in shown]

    found = votes([*told, *other], Taking(decisive=3.0, unreadable_as_tie=True))

    assert [(vote.outcome, vote.weight) for vote in found.rows] == [(Outcome.LEFT, 3.0), (Outcome.TIE, 1.0)]


@pytest.mark.parametrize("never_started", [None, ItemState.CANCELLED])
def test_what_a_run_planned_and_never_showed_is_covered(never_started: ItemState | None) -> None:
    """Coverage counts it as pending, or as what became of it."""
    told = [verdict(PresentationNames("p0", 1, "a", "b", Order.LEFT_FIRST), Preference.FIRST, None, 0.0, 0, 5)]

    found = judge_votes(
        JudgeVerdicts("j", as_columns(told), 5, never_started=never_started), "run:r/j", Taking(), LEADERBOARD
    )

    assert found.by_status == {"ok": 1, never_started.name.lower() if never_started else "pending": 4}
    assert (found.usable, found.planned) == (1, 5)
