"""Pairs of a better and a worse answer, for training on preferences (DPO)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from judge.cli.export_rows import Row
    from judge.cli.export_votes import ExportedVote, LeftOutVotes, Texts, VotedPair

_TIE = 0.5


@dataclass(frozen=True)
class PreferenceRule:
    """When a comparison is a pair: at least this share of its votes, and more than half, prefer one side.

    A tie counts half for each side, or is dropped.
    """

    least_agreement: float
    ties: Literal["half", "drop"]


def preferences(
    votes: Iterable[ExportedVote], texts: Texts, rule: PreferenceRule, account: LeftOutVotes
) -> Iterator[Row]:
    """Yield a pair for each comparison on the first turn that *rule* decides. Each says by which rule."""
    for comparison, scores in _scores(votes, account).items():
        counted = [score for score in scores if rule.ties == "half" or score != _TIE]
        share = sum(counted) / len(counted) if counted else _TIE
        agreement = max(share, 1 - share)
        better, worse = (comparison.left, comparison.right) if share > _TIE else (comparison.right, comparison.left)
        prompt = texts.prompts.get(comparison.prompt_id)
        chosen, rejected = (texts.output(comparison, side) for side in (better, worse))
        if agreement < rule.least_agreement or agreement == _TIE:
            account.leave_out("votes on comparisons with too little agreement", len(scores))
        elif prompt is None or chosen is None or rejected is None:
            account.leave_out("votes whose texts are not there", len(scores))
        else:
            yield {
                "prompt": prompt["turns"][0],
                "chosen": chosen,
                "rejected": rejected,
                "agreement": agreement,
                "votes": len(counted),
                "least_agreement": rule.least_agreement,
                "ties": rule.ties,
                "prompt_id": comparison.prompt_id,
                "chosen_model": better[0],
                "rejected_model": worse[0],
            }


def _scores(votes: Iterable[ExportedVote], account: LeftOutVotes) -> dict[VotedPair, list[float]]:
    """Collect the left scores of the votes on each comparison of first turns."""
    scores: dict[VotedPair, list[float]] = {}
    for vote in votes:
        comparison, score = vote.comparison, vote.score
        if comparison.turn > 1:
            # The answers before it differ, so a pair would have no prompt in common.
            account.leave_out("votes on a turn other than the first")
            continue
        if comparison.swapped() in scores:
            comparison, score = comparison.swapped(), 1 - score
        scores.setdefault(comparison, []).append(score)
    return scores
