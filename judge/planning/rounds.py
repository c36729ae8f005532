"""The rounds of an adaptive run as they are stored: one row each, written once. Planning uses nothing else.

A row holds the comparisons of its round as codes, and the result of the round before it when that round closed. So a
round is a function of the seed and the rows before it, and a late verdict changes no round. The row after the last
round has no comparisons and says why there are no more. Positions continue from round to round, and within a round they
are numbered judge by judge.

A row's bytes are little-endian: 1 for a round and 0 for the end; the reason for the end; two bytes of padding; the
first position (int64); the numbers of comparisons of this round and the round before (int32). Then come this round's
prompts, left contestants and right contestants (int32 each), and whether each comparison was drawn uniformly (a byte
each). Then come, for the round before, the half points of the left contestants and the number of judges that gave them
(int32 each).
"""

from __future__ import annotations

import asyncio
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from judge.domain.errors import InvalidInput
from judge.domain.run import OrderPolicy, Pairing, Run, RunSpec, TurnPolicy
from judge.planning.plan import Plan, check_size, make_plan, round_plan
from judge.planning.selection import Flags, SelectedDataset
from judge.ports.dataset_index import Counts, DatasetIndex, Rows
from judge.ports.records import ItemRef
from judge.ports.store import Store
from judge.stats.adaptive import Round
from judge.stats.pairing import PairColumns, count_pairs

_HEAD = struct.Struct("<BBxxqii")


class Ending(IntEnum):
    """Why there are no more rounds."""

    COUNT = 1
    """The requested number of comparisons has been made."""
    REACHED = 2
    """The requested precision is reached, or every required pair is significantly different."""
    EXHAUSTED = 3
    """Every possible comparison has been made."""


SENTENCES = {
    Ending.COUNT: "as many comparisons as were asked for",
    Ending.REACHED: "the goal was reached",
    Ending.EXHAUSTED: "there is nothing more to compare",
}
"""The ending in words, for notes on leaderboards."""


@dataclass(frozen=True, eq=False)
class RoundResult:
    """The half points of each left contestant and the number of judges that gave them, int32[n] each."""

    halves: Counts
    judged: Counts


NOTHING = RoundResult(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32))
"""The result before the first round."""
_NO_PAIRS = PairColumns(*[np.zeros(0, dtype=np.int32)] * 3)


@dataclass(frozen=True, eq=False)
class RoundRow:
    """A round's comparisons and first position, and the result of the round before; or why there are no more rounds."""

    drawn: Round
    before: RoundResult
    offset: int
    ending: Ending | None = None

    @staticmethod
    def end(before: RoundResult, offset: int, ending: Ending) -> RoundRow:
        """The row after the last round."""
        return RoundRow(drawn=Round(_NO_PAIRS, np.zeros(0, dtype=bool)), before=before, offset=offset, ending=ending)

    def to_bytes(self) -> bytes:
        """The stored form of the row."""
        pairs = self.drawn.pairs
        head = _HEAD.pack(self.ending is None, self.ending or 0, self.offset, pairs.n, len(self.before.halves))
        columns = (pairs.prompt, pairs.left, pairs.right, self.before.halves, self.before.judged)
        parts = [column.astype("<i4").tobytes() for column in columns]
        return b"".join((head, *parts[:3], self.drawn.uniform.astype("u1").tobytes(), *parts[3:]))

    @staticmethod
    def of(body: bytes) -> RoundRow:
        """The row whose stored form is *body*."""
        is_round, ending, offset, n, closed = _HEAD.unpack_from(body)
        at = _HEAD.size

        def column(count: int, kind: str = "<i4") -> NDArray[np.int32]:
            nonlocal at
            values = np.frombuffer(body, dtype=kind, count=count, offset=at).astype(np.int32)
            at += count * np.dtype(kind).itemsize
            return values

        pairs = PairColumns(column(n), column(n), column(n))
        uniform = column(n, "u1").astype(bool)
        before = RoundResult(column(closed), column(closed))
        return RoundRow(
            drawn=Round(pairs, uniform), before=before, offset=offset, ending=None if is_round else Ending(ending)
        )


class Rounds:
    """The plans of the rounds of an adaptive run, as far as they are planned."""

    def __init__(self, index: DatasetIndex, pairing: Pairing, judges: int) -> None:
        self.pairing, self.judges = pairing, judges
        self.selected = SelectedDataset(index, pairing)
        self._first = make_plan(index, pairing, judges)
        check_size(self.per_judge, judges)
        self.rows: list[RoundRow] = []
        self._plans: list[tuple[Plan, Rows]] = []
        self._firsts: list[int] = []

    def __len__(self) -> int:
        """The number of rows, including the row after the last round."""
        return len(self.rows)

    @property
    def ended(self) -> bool:
        """Whether there are no more rounds."""
        return bool(self.rows) and self.rows[-1].ending is not None

    @property
    def hash(self) -> str:
        """The hash of the first round's plan, which depends on no verdict."""
        return self._first.hash

    @property
    def plans(self) -> Sequence[Plan]:
        """The plans of all rounds; before the first row is stored, the plan of the first round."""
        return [plan for plan, _ in self._plans] or [self._first]

    @property
    def so_far(self) -> str:
        """The number of rounds and why there are no more, in words."""
        n_rounds, ending = len(self._plans), self.rows[-1].ending if self.rows else None
        return f"{n_rounds} round{'' if n_rounds == 1 else 's'}" + (f": {SENTENCES[ending]}" if ending else "")

    @property
    def n_positions(self) -> int:
        """The number of positions of all rounds planned so far."""
        return sum(plan.n_positions for plan, _ in self._plans)

    @cached_property
    def present(self) -> Flags:
        """Which outputs can be compared: bool[prompts, contestants]."""
        return self.selected.present(self.pairing.turn if self.pairing.turns is TurnPolicy.NUMBER else 1)

    @cached_property
    def per_judge(self) -> int:
        """The largest number of presentations that a judge may have."""
        orders = 2 if self.pairing.orders is OrderPolicy.BOTH else 1
        turns = int(self.selected.turns.max(initial=1)) if self.pairing.turns is TurnPolicy.EACH else 1
        return min(self.pairing.count, count_pairs(self.present)) * turns * orders * self.pairing.repeats

    def with_row(self, row: RoundRow) -> tuple[Plan, Rows]:
        """The plan of *row*, which is the next one, and the index in *row* of each of the plan's comparisons."""
        pairs, number = row.drawn.pairs, len(self.rows)
        return round_plan(self.selected, self.pairing, self.judges, pairs, number=number, offset=row.offset)

    def add(self, number: int, body: bytes) -> None:
        """Add row *number* from its stored form, unless it is already here."""
        if number == len(self.rows):
            row = RoundRow.of(body)
            if row.ending is None:
                self._plans.append(self.with_row(row))
                self._firsts.append(row.offset)
            self.rows.append(row)

    def restore(self, body: bytes) -> None:
        """Add *body* as the next row. Raises InvalidInput if it is no row, or does not follow the rows already here."""
        try:
            row = RoundRow.of(body)
            if problem := self._problem_with(row, body):
                raise InvalidInput("row", problem)
            self.add(len(self), body)
        except (struct.error, ValueError, IndexError):
            raise InvalidInput("row", "it is not the row of a round over these outputs") from None

    def _problem_with(self, row: RoundRow, body: bytes) -> str:
        pairs, m = row.drawn.pairs, len(self.selected.contestants)
        limits = ((pairs.prompt, len(self.selected.prompt_ids)), (pairs.left, m), (pairs.right, m))
        closed = self.rows[-1].drawn.pairs.n if self.rows else 0
        result = row.before
        if row.to_bytes() != body:
            return "its bytes are not the bytes that a row has"
        if self.ended or row.offset != self.n_positions or result.halves.size != closed:
            return "it does not follow from the row before it"
        if any(((codes < 0) | (codes >= known)).any() for codes, known in limits):
            return "it compares prompts or contestants that do not exist"
        if ((result.halves < 0) | (result.halves > 2 * result.judged) | (result.judged > self.judges)).any():
            return "its result of the round before is impossible for this number of judges"
        return ""

    def plan(self, number: int) -> Plan | None:
        """The plan of round *number*; None if there is no such round."""
        return self._plans[number][0] if number < len(self._plans) else None

    def made_of(self, number: int) -> Rows:
        """The index of the drawn comparison that each comparison of the plan of round *number* was made from."""
        return self._plans[number][1]

    def items(self, positions: Sequence[int]) -> list[ItemRef]:
        """The presentation at each of *positions*, in the same order."""
        by_round = groupby(positions, key=lambda position: bisect_right(self._firsts, position) - 1)
        return [item for number, in_round in by_round for item in self._plans[number][0].items(list(in_round))]

    def uniform_sample(self) -> Iterator[tuple[str, str, str]]:
        """Yield the comparisons that were drawn uniformly: prompt, left and right contestant by name."""
        prompts, names = self.selected.prompt_ids, self.selected.contestants
        for row in self.rows:
            pairs, uniform = row.drawn.pairs, row.drawn.uniform
            columns = (pairs.prompt[uniform].tolist(), pairs.left[uniform].tolist(), pairs.right[uniform].tolist())
            for prompt, left, right in zip(*columns, strict=True):
                yield prompts[prompt], names[left], names[right]


async def build_rounds(store: Store, tenant: str, spec: RunSpec, revision: int) -> Rounds:
    """Build the rounds of a run of *spec* over *revision* of its dataset, without any row yet."""
    index = await store.dataset_index(tenant, spec.dataset, revision)
    return await asyncio.to_thread(Rounds, index, spec.pairing, len(spec.judges))


async def load_rounds(store: Store, tenant: str, run: Run) -> Rounds:
    """Load the rounds of *run* as far as they are stored."""
    rounds = await build_rounds(store, tenant, run.spec, run.dataset_revision)
    bodies = await store.rounds(run.row, 0)
    # Nobody else uses these rounds yet, so another thread than the event loop's may fill them.
    await asyncio.to_thread(_add_rows, rounds, 0, bodies)
    return rounds


async def catch_up(store: Store, run: int, rounds: Rounds) -> None:
    """Add the rows that have been stored meanwhile for the run in row *run*."""
    first = len(rounds)
    if not rounds.ended:
        _add_rows(rounds, first, await store.rounds(run, first))


def _add_rows(rounds: Rounds, first: int, bodies: Iterable[bytes]) -> None:
    for number, body in enumerate(bodies, first):
        rounds.add(number, body)
