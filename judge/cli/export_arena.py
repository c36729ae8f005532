"""Battles as Chatbot Arena's tools read them: a row for each vote, with the conversations if they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.cli.export_fastchat import question_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from judge.cli.export_rows import Row
    from judge.cli.export_votes import ExportedVote, LeftOutVotes, Side, Texts, VotedPair

_TIE = 0.5
_TIES = {"both_bad": "tie (bothbad)", "inconsistent": "tie (inconsistent)"}


def battles(votes: Iterable[ExportedVote], texts: Texts, account: LeftOutVotes) -> Iterator[Row]:
    """Yield a battle for each vote on first samples. `turn` is the number of turns of the conversations."""
    for vote in votes:
        comparison = vote.comparison
        if comparison.left[1] or comparison.right[1]:
            account.leave_out("votes on a sample other than the first")
            continue
        yield {
            "question_id": question_id(comparison.prompt_id),
            "model_a": comparison.left[0],
            "model_b": comparison.right[0],
            "winner": _winner(vote),
            "judge": vote.annotator,
            "turn": comparison.turn,
            **_conversations(comparison, texts),
        }


def _winner(vote: ExportedVote) -> str:
    if vote.score == _TIE:
        return _TIES.get(vote.tie_kind, "tie")
    return "model_a" if vote.score > _TIE else "model_b"


def _conversations(comparison: VotedPair, texts: Texts) -> Row:
    """Return both conversations; nothing if a text of them is not there."""
    both = [_conversation(comparison, side, texts) for side in (comparison.left, comparison.right)]
    return dict(zip(("conversation_a", "conversation_b"), both, strict=True)) if all(both) else {}


def _conversation(comparison: VotedPair, side: Side, texts: Texts) -> list[Row]:
    prompt, turn = texts.prompts.get(comparison.prompt_id, {"turns": []}), comparison.turn
    questions, replies = prompt["turns"][:turn], texts.outputs.get((comparison.prompt_id, *side), [])[:turn]
    if min(len(questions), len(replies)) < turn:
        return []
    asked = texts.messages.get((comparison.prompt_id,)) or [_message("user", text) for text in questions]
    answered = texts.messages.get((comparison.prompt_id, *side)) or [_message("assistant", text) for text in replies]
    return [row for number in range(turn) for rows in (asked[number], answered[number]) for row in rows]


def _message(role: str, text: str) -> list[Row]:
    return [{"role": role, "content": text}]
