"""The votes computed from columns of verdicts equal those computed by hand, comparison by comparison."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.domain.outcome import LEFT_SCORE, ItemState, Order, Outcome, Preference, Reconcile, VerdictStatus
from judge.domain.verdict import ParsedVerdict, PresentationNames, Reply, Verdict
from judge.ports.parsed_verdicts import as_columns
from judge.votes.comparisons import ComparisonKey
from judge.votes.from_verdicts import JudgeVerdicts, PromptAttributes, judge_votes
from judge.votes.vote_table import Vote
from judge.votes.votes import Part, SourceVotes, Taking

LEADERBOARD = PromptAttributes({"p0": "x", "p1": "y"}, {"p0": ("t",), "p1": ()})


def verdict(
    presentation: PresentationNames,
    preference: Preference | None,
    p: float | None,
    strength: float,
    repeat: int,
    kind: int,
) -> Verdict:
    """Return a verdict of a *kind*: 0 refused, 1 without a reply, otherwise with a parsed verdict."""
    reply = None if kind == 1 else Reply("", VerdictStatus.REFUSED if kind == 0 else VerdictStatus.OK)
    parsed_verdicts = (
        ()
        if kind < 2
        else (ParsedVerdict(parser="brackets", preference=preference, probability_first=p, strength=strength),)
    )
    state = ItemState.REJECTED if kind == 1 else None
    return Verdict(
        judge="j",
        presentation=presentation,
        reply=reply,
        parsed_verdicts=parsed_verdicts,
        state=state,
        repeat=repeat,
        answer=0 if kind == 1 else 1,
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
swapped = presentations.map(
    lambda s: replace(s, left=s.right, right=s.left, left_sample=s.right_sample, right_sample=s.left_sample)
)
verdicts = st.lists(
    st.builds(
        verdict,
        presentations | swapped,
        st.sampled_from([*Preference, None]),
        st.sampled_from([None, 0.25, 0.5, 1.0]),
        st.sampled_from([0.0, 0.5, 1.0]),
        st.integers(0, 2),
        st.integers(0, 5),
    ),
    max_size=12,
)


def left_score_of(verdict: Verdict, *, soft: bool, flipped: bool) -> float | None:
    """Return the score that a verdict gives to the smaller name."""
    outcome = verdict.outcome
    if outcome is None:
        return None
    assert verdict.parsed_verdict is not None
    if soft and verdict.parsed_verdict.probability_first is not None:
        left_first = (verdict.presentation.order is Order.LEFT_FIRST) != flipped
        return verdict.parsed_verdict.probability_first if left_first else 1 - verdict.parsed_verdict.probability_first
    return LEFT_SCORE[outcome.flipped if flipped else outcome]


def votes_by_hand(verdicts: list[Verdict], reconcile: Reconcile) -> list[Vote]:
    """Return the votes of *verdicts*, computed comparison by comparison."""
    grouped: dict[ComparisonKey, dict[Order, list[float | None]]] = {}
    for verdict in verdicts:
        s = verdict.presentation
        ends = [(s.left, s.left_sample), (s.right, s.right_sample)]
        flipped = ends[1] < ends[0]
        (left, left_sample), (right, right_sample) = sorted(ends)
        order = Order(3 - s.order) if flipped else s.order
        key = ComparisonKey(
            prompt_id=s.prompt_id,
            turn=s.turn,
            left=left,
            right=right,
            left_sample=left_sample,
            right_sample=right_sample,
        )
        left_score = left_score_of(verdict, soft=reconcile is Reconcile.SOFT, flipped=flipped)
        grouped.setdefault(key, {}).setdefault(order, []).append(left_score)
    votes: list[Vote] = []
    for key, by_order in grouped.items():
        means: dict[Order, float | None] = {}
        for order in sorted(by_order):
            known = [left_score for left_score in by_order[order] if left_score is not None]
            means[order] = sum(known) / len(known) if known else None
        votes += reconcile_means(key, means, reconcile)
    return votes


def reconcile_means(key: ComparisonKey, means: dict[Order, float | None], reconcile: Reconcile) -> list[Vote]:
    known = {order: mean for order, mean in means.items() if mean is not None}
    if reconcile is Reconcile.BOTH and len(known) < len(Order):
        return []
    if reconcile in (Reconcile.EACH, Reconcile.BOTH):
        return [Vote(key, outcome_of(m), "j", left_first=order is Order.LEFT_FIRST) for order, m in known.items()]
    if len(known) < len(means):
        return []
    mean = sum(known.values()) / len(known)
    if reconcile is Reconcile.SOFT:
        return [Vote(key, outcome_of(mean), annotator="j", left_score=mean)]
    outcomes = {outcome_of(m) for m in known.values()}
    if len(outcomes) == 1:
        return [Vote(key, outcomes.pop(), "j")]
    return [] if reconcile is Reconcile.DROP else [Vote(key, Outcome.TIE, "j")]


def outcome_of(mean: float) -> Outcome:
    return {True: Outcome.LEFT, False: Outcome.RIGHT}[mean > 0.5] if mean != 0.5 else Outcome.TIE


def votes_of(rows: list[Verdict], taking: Taking, planned: int = 0) -> SourceVotes:
    return judge_votes(JudgeVerdicts("j", as_columns(rows), planned), "judge:j", taking, LEADERBOARD)


@given(verdicts, st.sampled_from(Reconcile))
def test_orders_are_reconciled_and_repeats_averaged_within_an_order_first(
    rows: list[Verdict], reconcile: Reconcile
) -> None:
    """Law 1: each rule gives one vote per comparison, in the order of the verdicts, and none if an order lacks one."""
    votes = votes_of(rows, Taking(reconcile))

    assert list(votes.rows) == votes_by_hand(rows, reconcile)
    assert votes.usable == sum(row.outcome is not None for row in rows)
    assert sum(votes.by_status.values()) == votes.planned == len(rows)


@given(verdicts, st.sampled_from([Part("x"), Part("", 2), Part(left="a"), Part(left="e", right="b"), Part(tag="t")]))
def test_a_part_has_the_votes_of_its_verdicts(rows: list[Verdict], part: Part) -> None:
    """The votes of a category, turn, pair or tag are the votes of its verdicts alone."""

    def is_inside(row: Verdict) -> bool:
        s = row.presentation
        return (
            (not part.category or LEADERBOARD.categories[s.prompt_id] == part.category)
            and (not part.turn or s.turn == part.turn)
            and {part.left, part.right} - {""} <= {s.left, s.right}
            and (not part.tag or part.tag in LEADERBOARD.tags[s.prompt_id])
        )

    votes = votes_of(rows, Taking(part=part), planned=100)

    kept = [row for row in rows if is_inside(row)]
    assert list(votes.rows) == votes_by_hand(kept, Reconcile.TIE)
    assert votes.planned == len(kept)


@given(verdicts)
def test_votes_keep_all_verdicts_behind_them(rows: list[Verdict]) -> None:
    """Votes know every comparison with a verdict, usable or not, the left score of each verdict, and the calls."""
    votes = votes_of(rows, Taking())

    left_scores = [s for by_order in votes.left_scores["j"].values() for each in by_order.values() for s in each]
    in_both_orders = {key for key, by_order in votes.left_scores["j"].items() if len(by_order) == len(Order)}
    assert len(left_scores) == len(rows)
    assert sum(left_score is not None for left_score in left_scores) == votes.usable
    assert votes.comparisons == set(votes.left_scores["j"])
    assert votes.calls == {row.answer for row in rows if row.answer}
    assert {comparison.key for comparison in votes.orders} == in_both_orders


def test_a_strong_verdict_may_count_as_several_votes_and_an_unreadable_one_as_a_tie() -> None:
    """A report may choose either. A tie is one vote whatever its strength."""
    shown = [PresentationNames(prompt_id="p0", turn=1, left="a", right="b", order=order) for order in Order]
    strong = [verdict(names, Preference.of(Outcome.LEFT, names.order), None, 1.0, 0, 5) for names in shown]
    unreadable = [verdict(replace(names, prompt_id="p1"), None, None, 0.0, 0, 5) for names in shown]

    votes = votes_of([*strong, *unreadable], Taking(decisive=3.0, unreadable_as_tie=True))

    assert [(vote.outcome, vote.weight) for vote in votes.rows] == [(Outcome.LEFT, 3.0), (Outcome.TIE, 1.0)]


@pytest.mark.parametrize("never_started", [None, ItemState.CANCELLED])
def test_coverage_counts_presentations_that_were_never_started(never_started: ItemState | None) -> None:
    """They count as pending, or under the state that the run gave them."""
    names = PresentationNames(prompt_id="p0", turn=1, left="a", right="b", order=Order.LEFT_FIRST)
    rows = [verdict(names, Preference.FIRST, None, 0.0, 0, 5)]

    votes = judge_votes(
        JudgeVerdicts("j", as_columns(rows), 5, never_started=never_started), "run:r/j", Taking(), LEADERBOARD
    )

    assert votes.by_status == {"ok": 1, never_started.name.lower() if never_started else "pending": 4}
    assert (votes.usable, votes.planned) == (1, 5)
