"""Likert margins as weights: by request, a decisive verdict counts as several."""

from __future__ import annotations

import pytest

from judge.domain.outcome import Order, Outcome, Reconcile, VerdictStatus
from judge.domain.verdict import ParsedVerdict, Preference, PresentationNames, Reply, Verdict
from judge.ports.parsed_verdicts import as_columns
from judge.votes.from_verdicts import JudgeVerdicts, PromptAttributes, judge_votes
from judge.votes.votes import SourceVotes, Taking


def said(first: float, second: float, reconcile: Reconcile, decisive: float) -> SourceVotes:
    """Votes of one comparison: in each order its left side won, with those strengths."""
    verdicts = [
        Verdict(
            "j",
            PresentationNames("p", 1, "a", "b", order),
            reply=Reply("[[A>B]]", VerdictStatus.OK),
            parsed_verdicts=(ParsedVerdict("likert/1", preference, strength=strength),),
        )
        for order, preference, strength in (
            (Order.LEFT_FIRST, Preference.FIRST, first),
            (Order.RIGHT_FIRST, Preference.SECOND, second),
        )
    ]
    taking = Taking(reconcile, decisive=decisive)
    return judge_votes(JudgeVerdicts("j", as_columns(verdicts)), "judge:j", taking, PromptAttributes({}, {}))


@pytest.mark.parametrize(
    ("strengths", "weight"), [((1.0, 1.0), 3.0), ((0.5, 0.5), 1.0), ((1.0, 0.5), 2.0), ((0.75, 0.75), 2.0)]
)
def test_a_decisive_verdict_counts_as_so_many(strengths: tuple[float, float], weight: float) -> None:
    """A>>B three times A>B, as in Arena-Hard; in between in between; the mean of both orders where they are one."""
    (vote,) = said(*strengths, Reconcile.TIE, 3.0).rows

    assert (vote.outcome, vote.weight) == (Outcome.LEFT, weight)


def test_each_order_has_its_own_weight_and_by_default_all_count_the_same() -> None:
    assert [vote.weight for vote in said(1.0, 0.5, Reconcile.EACH, 3.0).rows] == [3.0, 1.0]
    assert [vote.weight for vote in said(1.0, 0.5, Reconcile.EACH, 1.0).rows] == [1.0, 1.0]
