"""The rounds of an adaptive run, as they are stored: one row each, written once, and all that planning may know.

A row holds the comparisons of its round as codes, and what the round before it said when it closed. So a round is a
function of the seed and of rows before it, and a verdict that comes late changes none. The row after the last round has
no comparisons and says why there are no more. Positions go on from round to round, judge by judge within each.

A row's bytes are little-endian: 1 for a round and 0 for the end, why it ended, two bytes of padding, the first position
(int64), the numbers of comparisons of this round and the one before (int32); then this round's prompts, left and right
contestants (int32 each) and which comparisons were drawn uniformly (a byte each); then the half points of the left
contestants of the round before, and how many judges gave them (int32 each).
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
from judge.planning.plan import Plan, make_plan, round_plan
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
    """As many comparisons as were asked for have been made."""
    REACHED = 2
    """The requested precision is reached, or every required pair is significantly different."""
    EXHAUSTED = 3
    """Every comparison there is has been made."""


SENTENCES = {
    Ending.COUNT: "as many comparisons as were asked for",
    Ending.REACHED: "the goal was reached",
    Ending.EXHAUSTED: "there is nothing more to compare",
}
"""How a run ended."""


@dataclass(frozen=True, eq=False)
class Closed:
    """What a round said: half points of the left contestant and how many judges gave them, int32[n] each."""

    halves: Counts
    judged: Counts


NOTHING = Closed(np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int32))
"""The state before the first round."""
_NOBODY = PairColumns(*[np.zeros(0, dtype=np.int32)] * 3)


@dataclass(frozen=True, eq=False)
class RoundRow:
    """A round's comparisons and its first position, what the one before said; or why there are no more rounds."""

    drawn: Round
    before: Closed
    offset: int
    ending: Ending | None = None

    @staticmethod
    def end(before: Closed, offset: int, ending: Ending) -> RoundRow:
        """The row after the last round."""
        return RoundRow(Round(_NOBODY, np.zeros(0, dtype=bool)), before, offset, ending)

    def to_bytes(self) -> bytes:
        """The row as it is stored."""
        pairs = self.drawn.pairs
        head = _HEAD.pack(self.ending is None, self.ending or 0, self.offset, pairs.n, len(self.before.halves))
        columns = (pairs.prompt, pairs.left, pairs.right, self.before.halves, self.before.judged)
        parts = [column.astype("<i4").tobytes() for column in columns]
        return b"".join((head, *parts[:3], self.drawn.uniform.astype("u1").tobytes(), *parts[3:]))

    @staticmethod
    def of(body: bytes) -> RoundRow:
        """The row that is stored as *body*."""
        going_on, ending, offset, n, closed = _HEAD.unpack_from(body)
        at = _HEAD.size

        def column(count: int, kind: str = "<i4") -> NDArray[np.int32]:
            nonlocal at
            values = np.frombuffer(body, dtype=kind, count=count, offset=at).astype(np.int32)
            at += count * np.dtype(kind).itemsize
            return values

        pairs = PairColumns(column(n), column(n), column(n))
        uniform = column(n, "u1").astype(bool)
        before = Closed(column(closed), column(closed))
        return RoundRow(Round(pairs, uniform), before, offset, None if going_on else Ending(ending))


class Rounds:
    """The plan of an adaptive run, as far as its rounds are planned."""

    def __init__(self, index: DatasetIndex, pairing: Pairing, judges: int) -> None:
        self.pairing, self.judges = pairing, judges
        self.selected = SelectedDataset(index, pairing)
        self._first = make_plan(index, pairing, judges)
        self.rows: list[RoundRow] = []
        self._plans: list[tuple[Plan, Rows]] = []
        self._firsts: list[int] = []

    def __len__(self) -> int:
        """How many rows there are, the one after the last round with them."""
        return len(self.rows)

    @property
    def ended(self) -> bool:
        """Whether there are no more rounds."""
        return bool(self.rows) and self.rows[-1].ending is not None

    @property
    def hash(self) -> str:
        """Of the first round, which nothing but the seed has a part in."""
        return self._first.hash

    @property
    def plans(self) -> Sequence[Plan]:
        """The plans of all rounds; before there is any row, of the first one that there will be."""
        return [plan for plan, _ in self._plans] or [self._first]

    @property
    def so_far(self) -> str:
        """How many rounds there are, and why there are no more."""
        n_rounds, ending = len(self._plans), self.rows[-1].ending if self.rows else None
        return f"{n_rounds} round{'' if n_rounds == 1 else 's'}" + (f": {SENTENCES[ending]}" if ending else "")

    @property
    def n_positions(self) -> int:
        """The positions of all rounds planned."""
        return sum(plan.n_positions for plan, _ in self._plans)

    @cached_property
    def present(self) -> Flags:
        """Which outputs can be compared: bool[prompts, contestants]."""
        return self.selected.present(self.pairing.turn if self.pairing.turns is TurnPolicy.NUMBER else 1)

    @cached_property
    def per_judge(self) -> int:
        """The most presentations that one judge may have."""
        orders = 2 if self.pairing.orders is OrderPolicy.BOTH else 1
        turns = int(self.selected.turns.max(initial=1)) if self.pairing.turns is TurnPolicy.EACH else 1
        return min(self.pairing.count, count_pairs(self.present)) * turns * orders * self.pairing.repeats

    def with_row(self, row: RoundRow) -> tuple[Plan, Rows]:
        """The plan of *row*, the next one, and which of its comparisons each comparison with a turn is."""
        pairs, number = row.drawn.pairs, len(self.rows)
        return round_plan(self.selected, self.pairing, self.judges, pairs, number=number, offset=row.offset)

    def add(self, number: int, body: bytes) -> None:
        """Take in row *number* as it is stored, if it isn't here yet."""
        if number == len(self.rows):
            row = RoundRow.of(body)
            if row.ending is None:
                self._plans.append(self.with_row(row))
                self._firsts.append(row.offset)
            self.rows.append(row)

    def restore(self, body: bytes) -> None:
        """Take in *body* as the next row. Raises InvalidInput where it is no row, or doesn't go on from those here."""
        try:
            row = RoundRow.of(body)
            if wrong := self._unfit(row, body):
                raise InvalidInput("row", wrong)
            self.add(len(self), body)
        except (struct.error, ValueError, IndexError):
            raise InvalidInput("row", "it is not the row of a round over these outputs") from None

    def _unfit(self, row: RoundRow, body: bytes) -> str:
        pairs, many = row.drawn.pairs, len(self.selected.contestants)
        ends = ((pairs.prompt, len(self.selected.prompt_ids)), (pairs.left, many), (pairs.right, many))
        closed = self.rows[-1].drawn.pairs.n if self.rows else 0
        said = row.before
        if row.to_bytes() != body:
            return "it is not spelled as rows are"
        if self.ended or row.offset != self.n_positions or said.halves.size != closed:
            return "it does not go on from the row before it"
        if any(((codes < 0) | (codes >= known)).any() for codes, known in ends):
            return "it compares what there is not"
        if ((said.halves < 0) | (said.halves > 2 * said.judged) | (said.judged > self.judges)).any():
            return "it says of the round before what no judges can have said"
        return ""

    def plan(self, number: int) -> Plan | None:
        """The plan of round *number*; None if there is no such round."""
        return self._plans[number][0] if number < len(self._plans) else None

    def made_of(self, number: int) -> Rows:
        """Which of the comparisons of round *number* each of its plan's is."""
        return self._plans[number][1]

    def items(self, positions: Sequence[int]) -> list[ItemRef]:
        """What stands at each of *positions*, in their order."""
        by_round = groupby(positions, key=lambda position: bisect_right(self._firsts, position) - 1)
        return [item for number, mine in by_round for item in self._plans[number][0].items(list(mine))]

    def uniform_sample(self) -> Iterator[tuple[str, str, str]]:
        """The comparisons that were drawn uniformly: prompt, left and right contestant by name."""
        prompts, names = self.selected.prompt_ids, self.selected.contestants
        for row in self.rows:
            pairs, uniform = row.drawn.pairs, row.drawn.uniform
            columns = (pairs.prompt[uniform].tolist(), pairs.left[uniform].tolist(), pairs.right[uniform].tolist())
            for prompt, left, right in zip(*columns, strict=True):
                yield prompts[prompt], names[left], names[right]


async def build_rounds(store: Store, tenant: str, spec: RunSpec, revision: int) -> Rounds:
    """The rounds of a run of *spec* over *revision* of its dataset, without any row yet."""
    index = await store.dataset_index(tenant, spec.dataset, revision)
    return await asyncio.to_thread(Rounds, index, spec.pairing, len(spec.judges))


async def stored_rounds(store: Store, tenant: str, run: Run) -> Rounds:
    """The rounds of *run* as far as they are stored."""
    rounds = await build_rounds(store, tenant, run.spec, run.dataset_revision)
    bodies = await store.rounds(run.row, 0)
    # Nobody else has these rounds yet, so that they may be filled elsewhere than on the event loop.
    await asyncio.to_thread(_take_in, rounds, 0, bodies)
    return rounds


async def catch_up(store: Store, run: int, rounds: Rounds) -> None:
    """Take in the rows that are stored of the run in row *run* by now."""
    first = len(rounds)
    if not rounds.ended:
        _take_in(rounds, first, await store.rounds(run, first))


def _take_in(rounds: Rounds, first: int, bodies: Iterable[bytes]) -> None:
    for number, body in enumerate(bodies, first):
        rounds.add(number, body)
