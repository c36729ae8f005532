"""Compare rounds with what they follow from: the seed, the rounds before them, and the answers. No store is needed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence

from judge.domain.verdict import Verdict
from judge.planning.adaptive import next_row, round_result
from judge.planning.rounds import RoundResult, Rounds
from judge.ports.dataset_index import DatasetIndex


def wrong_rounds(index: DatasetIndex, rounds: Rounds, counted: int) -> Iterator[str]:
    """Plan each round again, and yield the first that differs, and whether there are not as many as the run *counted*.

    Rounds after the first wrong one follow from it and are not checked.
    """
    n_rounds = sum(row.ending is None for row in rounds.rows)
    if n_rounds != counted:
        yield f"there are {n_rounds} rounds, but the run counts {counted}"
    before = Rounds(index, rounds.pairing, rounds.judges)
    for number, row in enumerate(rounds.rows):
        body = row.to_bytes()
        if next_row(before, row.before).to_bytes() != body:
            yield f"line {number + 1} is not the round that follows from the seed and the rounds before it"
            return
        before.add(number, body)


def late_answers(rounds: Rounds, verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Yield a note if *verdicts* on closed rounds differ from those by which the next round was planned."""
    in_order = sorted(verdicts, key=lambda verdict: verdict.position)
    positions = [verdict.position for verdict in in_order]
    n_different = 0
    for number, (plan, after) in enumerate(zip(rounds.plans, rounds.rows[1:], strict=False)):
        of_round = slice(bisect_left(positions, plan.offset), bisect_left(positions, plan.first(rounds.judges)))
        n_different += _count_different(round_result(rounds, number, in_order[of_round]), after.before)
    if n_different:
        subject = "1 comparison has" if n_different == 1 else f"{n_different:,} comparisons have"
        yield (
            f"{subject} other answers than when the next round was planned: "
            "they were given, or parsed again, after that"
        )


def _count_different(now: RoundResult, then: RoundResult) -> int:
    """Count the comparisons with another outcome, or another number of verdicts."""
    return int(((now.halves != then.halves) | (now.judged != then.judged)).sum())
