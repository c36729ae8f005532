"""Likert margins as weights: on request, a decisive verdict counts as several votes."""

from __future__ import annotations

import pytest

from judge.domain.outcome import Order, Outcome, Preference, Reconcile, VerdictStatus
from judge.domain.verdict import ParsedVerdict, PresentationNames, Reply, Verdict
from judge.ports.parsed_verdicts import as_columns
from judge.votes.from_verdicts import JudgeVerdicts, PromptAttributes, judge_votes
from judge.votes.votes import SourceVotes, Taking


def votes_of(first: float, second: float, reconcile: Reconcile, decisive: float) -> SourceVotes:
    """Return the votes on a comparison whose left side won in both orders, with strengths *first* and *second*."""
    verdicts = [
        Verdict(
            "j",
            PresentationNames(prompt_id="p", turn=1, left="a", right="b", order=order),
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
def test_a_decisive_verdict_counts_as_several_votes(strengths: tuple[float, float], weight: float) -> None:
    """A>>B counts as three A>B, as in Arena-Hard. A vote from both orders has their mean weight."""
    (vote,) = votes_of(*strengths, Reconcile.TIE, 3.0).rows

    assert (vote.outcome, vote.weight) == (Outcome.LEFT, weight)


def test_each_order_has_its_own_weight_and_by_default_all_weights_are_1() -> None:
    assert [vote.weight for vote in votes_of(1.0, 0.5, Reconcile.EACH, 3.0).rows] == [3.0, 1.0]
    assert [vote.weight for vote in votes_of(1.0, 0.5, Reconcile.EACH, 1.0).rows] == [1.0, 1.0]
