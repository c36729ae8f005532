"""Plans: arrays of integers that say which comparisons a run makes, in which orders, and for how many judges.

A plan is a pure function of a dataset index (one revision of a dataset), the pairing and its seed. A run stores only
the plan's hash, and any process can rebuild the plan. For an adaptive run, that is the plan of its first round.
Positions are numbered judge by judge, so a shard belongs to one judge. No object is made for a comparison before the
shard that contains it is executed.
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
from judge.domain.run import MOST_POSITIONS, OrderPolicy, Pairing, PairPolicy, TurnPolicy
from judge.planning.selection import NamedComparisons, SelectedDataset
from judge.ports.dataset_index import Counts, DatasetIndex, Rows
from judge.ports.records import ItemRef
from judge.stats import adaptive
from judge.stats import pairing as pairs

BLOCK = 1 << 16
"""The number of comparisons that are hashed at once."""
_ORDERS = {order.value: order for order in Order}


@dataclass(frozen=True, eq=False)
class Plan:
    """Comparisons as arrays of the same length, and how often each is shown and judged.

    *prompt*, *left* and *right* are row ids of the store. *order* is the order in which a comparison is shown. With two
    *orders* each comparison has two presentations in a row: left first, then right first.
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
    """The caller's id of each comparison, if the caller listed them."""
    offset: int = 0
    """The first position. For a round, the end of the round before it."""

    @property
    def presentations(self) -> int:
        """The number of presentations, not counting judges and repeats."""
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
        """The first position of a *judge*, which is also the end of the judge before it."""
        return self.offset + judge * self.per_judge

    def comparison(self, position: int) -> tuple[int, int]:
        """The index of the judge and the index of the comparison at *position*."""
        judge, within = divmod(position - self.offset, self.per_judge)
        return judge, within // (self.repeats * self.orders)

    def items(self, positions: Sequence[int]) -> list[ItemRef]:
        """The presentation at each of *positions*, in the same order."""
        judge, within = np.divmod(np.asarray(positions, dtype=np.int64) - self.offset, self.per_judge)
        presentation, repeat = np.divmod(within, self.repeats)
        at, again = np.divmod(presentation, self.orders)
        order = np.where(again, Order.RIGHT_FIRST, self.order[at])
        columns = (column[at].tolist() for column in (self.prompt, self.turn, self.left, self.right))
        ids = (self.comparison_ids[n] for n in at.tolist()) if self.comparison_ids else repeated("")
        shown = map(_ORDERS.__getitem__, order.tolist())
        return list(map(ItemRef, positions, judge.tolist(), *columns, shown, repeat.tolist(), ids))


@dataclass(frozen=True, eq=False)
class _Comparisons:
    """Comparisons as columns of codes. *made_of* is the index of the pair or row that each was made from."""

    prompt: Counts
    turn: Counts
    left: Counts
    right: Counts
    made_of: Rows


def make_plan(index: DatasetIndex, pairing: Pairing, judges: int, named: NamedComparisons | None = None) -> Plan:
    """Make the plan of *pairing* over *index* for a number of *judges*; for ADAPTIVE, the plan of the first round.

    *named* are the comparisons that were labeled or listed. Raises Precondition NO_PAIRS if the plan is empty, and
    InvalidInput TOO_MANY_PRESENTATIONS if it has more than MOST_POSITIONS positions.
    """
    selected = SelectedDataset(index, pairing)
    ids: Sequence[str] = ()
    if pairing.policy is PairPolicy.LISTED:
        named = named or NamedComparisons(index)
        comparisons = _listed_comparisons(selected, pairing, named)
        ids = [named.ids[n] for n in comparisons.made_of.tolist()]
    elif pairing.policy is PairPolicy.LABELED:
        comparisons = _labeled_comparisons(selected, pairing, named or NamedComparisons(index))
    else:
        comparisons = _paired_comparisons(selected, pairing)
    if not comparisons.prompt.size:
        raise Precondition(
            f"there is nothing to compare: {len(selected.prompt_ids)} prompts and {len(selected.contestants)} "
            "contestants leave 0 pairs",
            reason="NO_PAIRS",
        )
    orders = 2 if pairing.orders is OrderPolicy.BOTH else 1
    check_size(len(comparisons.prompt) * orders * pairing.repeats, judges)
    return _build_plan(selected, comparisons, pairing, judges, ids)


def check_size(per_judge: int, judges: int) -> None:
    """Raise InvalidInput if *judges* with *per_judge* presentations each are more than a run may have."""
    if per_judge * judges > MOST_POSITIONS:
        raise InvalidInput(
            "pairing.repeats",
            f"the run would have {per_judge * judges:,} presentations, counting judges and repeats; at most "
            f"{MOST_POSITIONS:,} are allowed. Choose fewer repeats, judges or comparisons",
            reason="TOO_MANY_PRESENTATIONS",
        )


def _paired_comparisons(selected: SelectedDataset, pairing: Pairing) -> _Comparisons:
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
    """The first round of an adaptive run. Nothing is known yet, so all of it is drawn uniformly."""
    m = len(selected.contestants)
    if m and pairing.top >= m:
        raise InvalidInput("pairing.top", f"the best {pairing.top} of {m} contestants leave nobody out")
    present = selected.present(pairing.turn if pairing.turns is TurnPolicy.NUMBER else 1)
    nothing = np.zeros((*present.shape, m), dtype=bool)
    rng = np.random.default_rng([pairing.seed, 4])
    return adaptive.next_round(present, nothing, np.zeros((m, m)), pairing.in_round, rng, uniform=1.0)


def round_plan(
    selected: SelectedDataset, pairing: Pairing, judges: int, chosen: pairs.PairColumns, *, number: int, offset: int
) -> tuple[Plan, Rows]:
    """The plan of round *number* from position *offset*, and the index in *chosen* of each of its comparisons."""
    comparisons = _at_turns(selected, pairing, chosen)
    return _build_plan(selected, comparisons, pairing, judges, (), number=number, offset=offset), comparisons.made_of


def _at_turns(selected: SelectedDataset, pairing: Pairing, chosen: pairs.PairColumns) -> _Comparisons:
    left, right = (selected.at(chosen.prompt, end) for end in (chosen.left, chosen.right))
    last = np.minimum(selected.turns[left], selected.turns[right])
    return _comparisons_at(chosen.prompt, chosen.left, chosen.right, *_turns(pairing, last))


def _turns(pairing: Pairing, last: Counts) -> tuple[Counts, Counts]:
    """The first turn to judge and the number of turns, for comparisons whose *last* turns are given."""
    if pairing.turns is TurnPolicy.EACH:
        return np.ones_like(last), last
    if pairing.turns is TurnPolicy.NUMBER:
        return np.full_like(last, pairing.turn), (last >= pairing.turn).astype(np.int32)
    return last, np.ones_like(last)


def _comparisons_at(prompt: Counts, left: Counts, right: Counts, first: Counts, n_turns: Counts) -> _Comparisons:
    """Each comparison at *n_turns* turns, starting with the *first*."""
    made_of = np.repeat(np.arange(len(n_turns)), n_turns)
    since = np.arange(len(made_of)) - np.repeat(np.cumsum(n_turns) - n_turns, n_turns)
    turn = first[made_of] + since.astype(np.int32)
    return _Comparisons(prompt=prompt[made_of], turn=turn, left=left[made_of], right=right[made_of], made_of=made_of)


def _listed_comparisons(selected: SelectedDataset, pairing: Pairing, named: NamedComparisons) -> _Comparisons:
    prompt, left, right, turn = selected.codes(named)
    present, last = selected.last_turn(prompt, left, right)
    first, n_turns = _turns(pairing, last)
    first = np.where(turn > 0, turn, first)
    n_turns = np.where(turn > 0, turn <= last, n_turns) * present
    return _comparisons_at(prompt, left, right, first, n_turns.astype(np.int32))


def _labeled_comparisons(selected: SelectedDataset, pairing: Pairing, named: NamedComparisons) -> _Comparisons:
    prompt, left, right, turn = selected.codes(named)
    left, right = np.minimum(left, right), np.maximum(left, right)
    present, last = selected.last_turn(prompt, left, right)
    asked = present & (turn <= last)
    if pairing.turns is TurnPolicy.NUMBER:
        asked &= turn == pairing.turn
    rows = np.unique(np.stack([column[asked] for column in (prompt, turn, left, right)], axis=1), axis=0)
    prompt, turn, left, right = rows.T
    return _Comparisons(prompt=prompt, turn=turn, left=left, right=right, made_of=np.arange(len(rows)))


def _build_plan(
    selected: SelectedDataset,
    comparisons: _Comparisons,
    pairing: Pairing,
    judges: int,
    ids: Sequence[str],
    *,
    number: int = 0,
    offset: int = 0,
) -> Plan:
    both = pairing.orders is OrderPolicy.BOTH
    if pairing.orders is OrderPolicy.RANDOM:
        # The first runs drew 64-bit integers; another type would draw other orders.
        rng = np.random.default_rng([pairing.seed, 3, number] if number else [pairing.seed, 3])
        drawn = rng.integers(1, 3, size=len(comparisons.prompt), dtype=np.int64)
        order = drawn.astype(np.int8)
    else:
        order = np.full(len(comparisons.prompt), Order.LEFT_FIRST, dtype=np.int8)
    return Plan(
        prompt=_small(selected.prompt_rows[comparisons.prompt]),
        turn=_small(comparisons.turn),
        left=_small(selected.rows[selected.at(comparisons.prompt, comparisons.left)]),
        right=_small(selected.rows[selected.at(comparisons.prompt, comparisons.right)]),
        order=order,
        orders=2 if both else 1,
        judges=judges,
        repeats=pairing.repeats,
        hash=_hash(selected, comparisons, order, judges, pairing),
        comparison_ids=ids,
        offset=offset,
    )


def _small(column: NDArray[np.signedinteger[Any]]) -> NDArray[np.unsignedinteger[Any]]:
    """*column* in the smallest unsigned type that holds its largest number."""
    small: NDArray[np.unsignedinteger[Any]] = column.astype(np.min_scalar_type(int(column.max())))
    return small


def _hash(
    selected: SelectedDataset, comparisons: _Comparisons, order: NDArray[np.int8], judges: int, pairing: Pairing
) -> str:
    """SHA-256 of the names and codes of every presentation, without row ids, so that it is the same in every store."""
    both = pairing.orders is OrderPolicy.BOTH
    state = hashlib.sha256(f"{judges} {pairing.repeats} {pairing.cache_tag!r}".encode())
    state.update(b"".join(name.encode() + b"\0" for name in (*selected.contestants, *selected.prompt_ids)))
    blocks = [slice(begin, begin + BLOCK) for begin in range(0, len(order), BLOCK)]
    for block in blocks:
        columns = [
            column[block] for column in (comparisons.prompt, comparisons.turn, comparisons.left, comparisons.right)
        ]
        rows = np.stack(columns, axis=1).astype("<i8")
        state.update((np.repeat(rows, 2, axis=0) if both else rows).tobytes())
    for block in blocks:
        first = order[block].astype("<i8")
        state.update((np.stack((first, 3 - first), axis=1) if both else first).tobytes())
    return state.hexdigest()
