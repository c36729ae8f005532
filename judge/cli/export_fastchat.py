"""FastChat's judgments of pairs: a row for each judge and comparison, with a game for each order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.cli.export_votes import comparison_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from judge.cli.export_rows import Row
    from judge.cli.export_votes import LeftOutVotes, VotedPair

_WINNERS = {"left": "model_1", "right": "model_2", "tie": "tie"}
_OTHER = {"left": "right", "right": "left", "tie": "tie"}
UNKNOWN_PROMPT = "unknown"
"""The name of the judge's prompt, which FastChat keeps next to the judge's."""


def judgments(rows: Iterable[Row], account: LeftOutVotes) -> Iterator[Row]:
    """Yield a judgment for each judge and comparison that has verdicts in both orders.

    The first game shows model_1 first. A reply without an outcome is an `error`, and so is a presentation without one.
    """
    games: dict[tuple[str, VotedPair], dict[str, Row]] = {}
    for row in rows:
        comparison = comparison_of(row)
        if comparison.left[1] or comparison.right[1]:
            account.leave_out("verdicts on a sample other than the first")
        elif row.get("repeat", 0):
            account.leave_out("repeated verdicts")
        elif (row["judge"], comparison.swapped()) in games:
            games[row["judge"], comparison.swapped()].setdefault(_OTHER[row["first"]], _swapped(row))
        else:
            games.setdefault((row["judge"], comparison), {}).setdefault(row["first"], row)
    for (judge, comparison), by_order in games.items():
        if len(by_order) > 1:
            yield _judgment(judge, comparison, by_order)
        else:
            account.leave_out("verdicts in one order only")


def _swapped(row: Row) -> Row:
    return row | {"outcome": _OTHER[row["outcome"]]} if "outcome" in row else row


def _judgment(judge: str, comparison: VotedPair, by_order: dict[str, Row]) -> Row:
    first, second = by_order["left"], by_order["right"]
    return {
        "question_id": question_id(comparison.prompt_id),
        "model_1": comparison.left[0],
        "model_2": comparison.right[0],
        "g1_winner": _WINNERS.get(first.get("outcome", ""), "error"),
        "g2_winner": _WINNERS.get(second.get("outcome", ""), "error"),
        "judge": [judge, UNKNOWN_PROMPT],
        "g1_judgment": first.get("raw", ""),
        "g2_judgment": second.get("raw", ""),
        "turn": comparison.turn,
    }


def question_id(prompt_id: str) -> int | str:
    """Return a prompt's id as a number if it is one, as FastChat's are.

    >>> question_id("81"), question_id("081")
    (81, '081')
    """
    return int(prompt_id) if prompt_id.isdecimal() and str(int(prompt_id)) == prompt_id else prompt_id
