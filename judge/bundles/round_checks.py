"""Rounds held against what they follow from: the seed, the rows before them and the answers. No store is needed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from judge.domain.verdict import Verdict
from judge.planning.adaptive import closed_by, next_row
from judge.planning.rounds import Closed, Rounds
from judge.ports.dataset_index import DatasetIndex


def wrong_rounds(index: DatasetIndex, rounds: Rounds, counted: int) -> Iterator[str]:
    """Where *rounds* over *index* are not as many as were *counted*, and the first that doesn't follow from others.

    Whatever comes after that one follows from something else, and is not looked at.
    """
    many = sum(row.ending is None for row in rounds.rows)
    if many != counted:
        yield f"there are {many} rounds, and the run counts {counted}"
    before = Rounds(index, rounds.pairing, rounds.judges)
    for number, row in enumerate(rounds.rows):
        body = row.to_bytes()
        if next_row(before, row.before).to_bytes() != body:
            yield f"line {number + 1} is not the round that follows from the seed and the rounds before it"
            return
        before.add(number, body)


def said_since(rounds: Rounds, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """That *verdicts* say something else of closed rounds than what the round after them was planned by, if so."""
    in_order = sorted(verdicts, key=lambda verdict: verdict.position)
    places = [verdict.position for verdict in in_order]
    many = 0
    for number, (plan, after) in enumerate(zip(rounds.plans, rounds.rows[1:], strict=False)):
        of_round = slice(bisect_left(places, plan.offset), bisect_left(places, plan.first(rounds.judges)))
        many += _differ(closed_by(rounds, number, in_order[of_round]), after.before)
    if many:
        told = "1 comparison" if many == 1 else f"{many} comparisons"
        yield (
            f"of {told} the answers say something else than when the round after theirs was planned: "
            "they were given, or read anew, since then"
        )


def _differ(now: Closed, then: Closed) -> int:
    """Of how many comparisons something else was said."""
    return int(((now.halves != then.halves) | (now.judged != then.judged)).sum())
