"""A plan is arrays of integers: which comparisons, in which orders, for how many judges and repeats.

It is a pure function of a board (one revision of a dataset), the pairing and its seed, so a run stores only its hash
and any process can rebuild it; of an adaptive run, that is its first round. A position counts judge by judge, so that a
shard belongs to one judge. No object is made for a comparison until its shard is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat as repeated
from typing import Any

import numpy as np
from numpy.typing import NDArray

from judge.domain.errors import InvalidInput, Precondition
from judge.domain.outcome import Order
from judge.domain.run import OrderPolicy, Pairing, PairPolicy, TurnPolicy
from judge.planning.selection import Named, SelectedDataset
from judge.ports.dataset_index import Counts, DatasetIndex, Rows
from judge.ports.records import ItemRef
from judge.stats import adaptive
from judge.stats import pairing as pairs

BLOCK = 1 << 16
"""Comparisons hashed at once."""
_ORDERS = {order.value: order for order in Order}


@dataclass(frozen=True, eq=False)
class Plan:
    """Comparisons as arrays of one length, of rows and turns, and how often each is shown and judged.

    *order* is what each is shown in; where there are two *orders*, left first, and next to it right first.
    """

    prompt: NDArray[np.unsignedinteger[Any]]
    turn: NDArray[np.unsignedinteger[Any]]
    left: NDArray[np.unsignedinteger[Any]]
    right: NDArray[np.unsignedinteger[Any]]
    order: NDArray[np.int8]
    orders: int
    judges: int
    repeats: int
    hash: str
    comparison_ids: Sequence[str] = ()
    """The caller's, one for each comparison, if he listed them."""
    offset: int = 0
    """The first position: of a round, where the one before it ended."""

    @property
    def presentations(self) -> int:
        """The number of showings, each judge's and repeat's taken once."""
        return len(self.prompt) * self.orders

    @property
    def per_judge(self) -> int:
        """The number of positions of one judge."""
        return self.presentations * self.repeats

    @property
    def n_positions(self) -> int:
        """The number of positions."""
        return self.per_judge * self.judges

    def first(self, judge: int) -> int:
        """The first position of a *judge*, or behind the last one of the judge before."""
        return self.offset + judge * self.per_judge

    def comparison(self, position: int) -> tuple[int, int]:
        """The judge at *position*, and which of the comparisons stands there."""
        judge, within = divmod(position - self.offset, self.per_judge)
        return judge, within // (self.repeats * self.orders)

    def items(self, positions: Sequence[int]) -> list[ItemRef]:
        """What stands at each of *positions*, in their order."""
        judge, within = np.divmod(np.asarray(positions, dtype=np.int64) - self.offset, self.per_judge)
        presentation, repeat = np.divmod(within, self.repeats)
        at, again = np.divmod(presentation, self.orders)
        order = np.where(again, Order.RIGHT_FIRST, self.order[at])
        there = (column[at].tolist() for column in (self.prompt, self.turn, self.left, self.right))
        ids = (self.comparison_ids[n] for n in at.tolist()) if self.comparison_ids else repeated("")
        shown = map(_ORDERS.__getitem__, order.tolist())
        return list(map(ItemRef, positions, judge.tolist(), *there, shown, repeat.tolist(), ids))


@dataclass(frozen=True, eq=False)
class _Comparisons:
    """Comparisons as columns of codes, and which of the rows they were made of each is."""

    prompt: Counts
    turn: Counts
    left: Counts
    right: Counts
    made_of: Rows


def make_plan(index: DatasetIndex, pairing: Pairing, judges: int, named: Named | None = None) -> Plan:
    """The plan of *pairing* over *index* for so many *judges*; Precondition NO_PAIRS if it is empty.

    What was labelled, or listed, is *named*. Of ADAPTIVE it is the first round's.
    """
    selected = SelectedDataset(index, pairing)
    ids: Sequence[str] = ()
    if pairing.policy is PairPolicy.LISTED:
        named = named or Named(index)
        comparisons = _listed(selected, pairing, named)
        ids = [named.ids[n] for n in comparisons.made_of.tolist()]
    elif pairing.policy is PairPolicy.LABELLED:
        comparisons = _labelled(selected, pairing, named or Named(index))
    else:
        comparisons = _crossed(selected, pairing)
    if not comparisons.prompt.size:
        raise Precondition(
            f"there is nothing to compare: {len(selected.prompt_ids)} prompts and {len(selected.contestants)} "
            "contestants leave 0 pairs",
            reason="NO_PAIRS",
        )
    return _shown(selected, comparisons, pairing, judges, ids)


def _crossed(selected: SelectedDataset, pairing: Pairing) -> _Comparisons:
    present = selected.present()
    if pairing.policy is PairPolicy.AGAINST:
        chosen = pairs.against(present, selected.contestants.index(pairing.reference_contestant))
    elif pairing.policy is PairPolicy.RANDOM:
        rng = np.random.default_rng([pairing.seed, 2])
        chosen = pairs.random_balanced(present, min(pairing.count, pairs.count_pairs(present)), rng)
    elif pairing.policy is PairPolicy.ADAPTIVE:
        chosen = first_round(selected, pairing).pairs
    else:
        chosen = pairs.all_pairs(present)
    return _at_turns(selected, pairing, chosen)


def first_round(selected: SelectedDataset, pairing: Pairing) -> adaptive.Round:
    """The first round of an adaptive run: nothing is known yet, so that all of it is drawn by lot."""
    many = len(selected.contestants)
    if many and pairing.top >= many:
        raise InvalidInput("pairing.top", f"the best {pairing.top} of {many} contestants leave nobody out")
    present = selected.present(pairing.turn if pairing.turns is TurnPolicy.NUMBER else 1)
    nothing = np.zeros((*present.shape, many), dtype=bool)
    rng = np.random.default_rng([pairing.seed, 4])
    return adaptive.next_round(present, nothing, np.zeros((many, many)), pairing.in_round, rng, uniform=1.0)


def round_plan(
    selected: SelectedDataset, pairing: Pairing, judges: int, chosen: pairs.PairColumns, *, number: int, offset: int
) -> tuple[Plan, Rows]:
    """The plan of the comparisons of round *number*, from position *offset*; of which of them each of its own is."""
    comparisons = _at_turns(selected, pairing, chosen)
    return _shown(selected, comparisons, pairing, judges, (), number=number, offset=offset), comparisons.made_of


def _at_turns(selected: SelectedDataset, pairing: Pairing, chosen: pairs.PairColumns) -> _Comparisons:
    left, right = (selected.at(chosen.prompt, end) for end in (chosen.left, chosen.right))
    last = np.minimum(selected.turns[left], selected.turns[right])
    return _turned(chosen.prompt, chosen.left, chosen.right, *_turns(pairing, last))


def _turns(pairing: Pairing, last: Counts) -> tuple[Counts, Counts]:
    """The first turn to judge of each comparison and how many, as the pairing says, where *last* is the last."""
    if pairing.turns is TurnPolicy.EACH:
        return np.ones_like(last), last
    if pairing.turns is TurnPolicy.NUMBER:
        return np.full_like(last, pairing.turn), (last >= pairing.turn).astype(np.int32)
    return last, np.ones_like(last)


def _turned(prompt: Counts, left: Counts, right: Counts, first: Counts, many: Counts) -> _Comparisons:
    """Each comparison at its *many* turns from the *first* on."""
    made_of = np.repeat(np.arange(len(many)), many)
    since = np.arange(len(made_of)) - np.repeat(np.cumsum(many) - many, many)
    turn = first[made_of] + since.astype(np.int32)
    return _Comparisons(prompt[made_of], turn, left[made_of], right[made_of], made_of)


def _listed(selected: SelectedDataset, pairing: Pairing, named: Named) -> _Comparisons:
    prompt, left, right, turn = selected.codes(named)
    there, last = selected.last_turn(prompt, left, right)
    first, many = _turns(pairing, last)
    first = np.where(turn > 0, turn, first)
    many = np.where(turn > 0, turn <= last, many) * there
    return _turned(prompt, left, right, first, many.astype(np.int32))


def _labelled(selected: SelectedDataset, pairing: Pairing, named: Named) -> _Comparisons:
    prompt, one, other, turn = selected.codes(named)
    left, right = np.minimum(one, other), np.maximum(one, other)
    there, last = selected.last_turn(prompt, left, right)
    asked = there & (turn <= last)
    if pairing.turns is TurnPolicy.NUMBER:
        asked &= turn == pairing.turn
    rows = np.unique(np.stack([column[asked] for column in (prompt, turn, left, right)], axis=1), axis=0)
    prompt, turn, left, right = rows.T
    return _Comparisons(prompt, turn, left, right, np.arange(len(rows)))


def _shown(
    selected: SelectedDataset,
    told: _Comparisons,
    pairing: Pairing,
    judges: int,
    ids: Sequence[str],
    *,
    number: int = 0,
    offset: int = 0,
) -> Plan:
    both = pairing.orders is OrderPolicy.BOTH
    if pairing.orders is OrderPolicy.RANDOM:
        # Drawn as the wide integers that the first runs drew.
        rng = np.random.default_rng([pairing.seed, 3, number] if number else [pairing.seed, 3])
        drawn = rng.integers(1, 3, size=len(told.prompt), dtype=np.int64)
        order = drawn.astype(np.int8)
    else:
        order = np.full(len(told.prompt), Order.LEFT_FIRST, dtype=np.int8)
    return Plan(
        prompt=_small(selected.prompt_rows[told.prompt]),
        turn=_small(told.turn),
        left=_small(selected.rows[selected.at(told.prompt, told.left)]),
        right=_small(selected.rows[selected.at(told.prompt, told.right)]),
        order=order,
        orders=2 if both else 1,
        judges=judges,
        repeats=pairing.repeats,
        hash=_hash(selected, told, order, judges, pairing),
        comparison_ids=ids,
        offset=offset,
    )


def _small(column: NDArray[np.signedinteger[Any]]) -> NDArray[np.unsignedinteger[Any]]:
    """*column* in as few bytes as hold its largest number."""
    found: NDArray[np.unsignedinteger[Any]] = column.astype(np.min_scalar_type(int(column.max())))
    return found


def _hash(selected: SelectedDataset, told: _Comparisons, order: NDArray[np.int8], judges: int, pairing: Pairing) -> str:
    """SHA-256 over names and codes of every showing, never over a store's row ids: equal in every store."""
    both = pairing.orders is OrderPolicy.BOTH
    state = hashlib.sha256(f"{judges} {pairing.repeats} {pairing.cache_tag!r}".encode())
    state.update(b"".join(name.encode() + b"\0" for name in (*selected.contestants, *selected.prompt_ids)))
    blocks = [slice(begin, begin + BLOCK) for begin in range(0, len(order), BLOCK)]
    for block in blocks:
        columns = [column[block] for column in (told.prompt, told.turn, told.left, told.right)]
        rows = np.stack(columns, axis=1).astype("<i8")
        state.update((np.repeat(rows, 2, axis=0) if both else rows).tobytes())
    for block in blocks:
        first = order[block].astype("<i8")
        state.update((np.stack((first, 3 - first), axis=1) if both else first).tobytes())
    return state.hexdigest()
