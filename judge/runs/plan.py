"""A plan is arrays of integers: which comparisons, in which orders, for how many judges and repeats.

It is a pure function of a board (one revision of a dataset), the pairing and its seed, so a run stores only its hash
and any process can rebuild it. A position counts judge by judge, so that a shard belongs to one judge.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judge.domain.dataset import Label, ListedComparison
from judge.domain.errors import InvalidInput, NotBuilt, Precondition
from judge.domain.outcome import Order
from judge.domain.run import OrderPolicy, Pairing, PairPolicy, TurnPolicy
from judge.ports.store import Board, BoardOutput, BoardPrompt, ItemRef
from judge.stats import pairing as pairs

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """Showings as arrays of rows, all of one length, and how often each is judged."""

    prompt: Ints
    turn: Ints
    left: Ints
    right: Ints
    order: Ints
    judges: int
    repeats: int
    hash: str
    comparison_ids: tuple[str, ...] = ()

    @property
    def showings(self) -> int:
        """The number of showings, each judge's and repeat's taken once."""
        return len(self.prompt)

    @property
    def per_judge(self) -> int:
        """The number of positions of one judge."""
        return self.showings * self.repeats

    @property
    def planned(self) -> int:
        """The number of positions."""
        return self.per_judge * self.judges

    def item(self, position: int) -> ItemRef:
        """What stands at *position*."""
        judge, within = divmod(position, self.per_judge)
        showing, repeat = divmod(within, self.repeats)
        return ItemRef(
            position=position,
            judge=judge,
            prompt=int(self.prompt[showing]),
            turn=int(self.turn[showing]),
            left=int(self.left[showing]),
            right=int(self.right[showing]),
            order=Order(int(self.order[showing])),
            repeat=repeat,
            comparison_id=self.comparison_ids[showing] if self.comparison_ids else "",
        )


class _Narrowed:
    """A board without what the pairing leaves out, as codes: prompts in upload order, contestants by name."""

    def __init__(self, board: Board, pairing: Pairing) -> None:
        self.prompts = _prompts(board, pairing)
        code = {prompt.row: number for number, prompt in enumerate(self.prompts)}
        known = {output.contestant for output in board.outputs}
        for name in (*pairing.contestants, *([pairing.reference_contestant] if pairing.reference_contestant else [])):
            if name not in known:
                raise InvalidInput(
                    "pairing.contestants",
                    f"contestant {name!r} has no output in this dataset; it has {', '.join(sorted(known)) or 'none'}",
                    reason="UNKNOWN_CONTESTANT",
                )
        wanted = set(pairing.contestants or known) | {pairing.reference_contestant}
        self.contestants = sorted(known & wanted)
        self.number = {name: number for number, name in enumerate(self.contestants)}
        self.outputs: dict[tuple[int, int], BoardOutput] = {}
        for output in sorted(board.outputs, key=lambda o: o.sample):
            if output.prompt in code and output.contestant in self.number:
                self.outputs.setdefault((code[output.prompt], self.number[output.contestant]), output)

    def turns(self, prompt: int, left: int, right: int, pairing: Pairing) -> range:
        """The turns to judge of one pair, as the pairing says."""
        last = min(self.outputs[prompt, left].turns, self.outputs[prompt, right].turns)
        if pairing.turns is TurnPolicy.EACH:
            return range(1, last + 1)
        if pairing.turns is TurnPolicy.NUMBER:
            return range(pairing.turn, pairing.turn + 1) if pairing.turn <= last else range(0)
        return range(last, last + 1)


def _prompts(board: Board, pairing: Pairing) -> list[BoardPrompt]:
    known = {prompt.category for prompt in board.prompts}
    for category in pairing.categories:
        if category not in known:
            raise InvalidInput(
                "pairing.categories",
                f"no prompt has the category {category!r}; there are {', '.join(sorted(known)) or 'none'}",
                reason="UNKNOWN_CATEGORY",
            )
    chosen = [
        prompt
        for prompt in board.prompts
        if (not pairing.categories or prompt.category in pairing.categories)
        and (not pairing.tags or set(pairing.tags) & set(prompt.tags))
    ]
    if pairing.prompts and pairing.prompts < len(chosen):
        drawn = np.random.default_rng([pairing.seed, 1]).permutation(len(chosen))[: pairing.prompts]
        chosen = [chosen[i] for i in sorted(drawn)]
    return chosen


def make_plan(
    board: Board,
    pairing: Pairing,
    judges: int,
    *,
    labels: Iterable[Label] = (),
    listed: Sequence[ListedComparison] = (),
) -> Plan:
    """The plan of *pairing* over *board* for so many *judges*; Precondition NO_PAIRS if it is empty."""
    if pairing.policy is PairPolicy.ADAPTIVE:
        raise NotBuilt("pairing ADAPTIVE is not built yet; all, against, random, labelled and listed are")
    narrowed = _Narrowed(board, pairing)
    ids: list[str] = []
    if pairing.policy is PairPolicy.LISTED:
        rows = _listed(narrowed, pairing, listed, ids)
    elif pairing.policy is PairPolicy.LABELLED:
        rows = _labelled(narrowed, pairing, labels)
    else:
        rows = _crossed(narrowed, pairing)
    if not rows:
        raise Precondition(
            f"there is nothing to compare: {len(narrowed.prompts)} prompts and {len(narrowed.contestants)} contestants "
            "leave 0 pairs",
            reason="NO_PAIRS",
        )
    return _shown(narrowed, np.array(rows, dtype=np.int64).reshape(-1, 4), pairing, judges, ids)


def _crossed(narrowed: _Narrowed, pairing: Pairing) -> list[tuple[int, int, int, int]]:
    present = np.zeros((len(narrowed.prompts), len(narrowed.contestants)), dtype=bool)
    for prompt, contestant in narrowed.outputs:
        present[prompt, contestant] = True
    if pairing.policy is PairPolicy.AGAINST:
        chosen = pairs.against(present, narrowed.number[pairing.reference_contestant])
    elif pairing.policy is PairPolicy.RANDOM:
        rng = np.random.default_rng([pairing.seed, 2])
        chosen = pairs.random_balanced(present, min(pairing.count, len(pairs.all_pairs(present).prompt)), rng)
    else:
        chosen = pairs.all_pairs(present)
    return [
        (prompt, turn, left, right)
        for prompt, left, right in zip(chosen.prompt.tolist(), chosen.left.tolist(), chosen.right.tolist(), strict=True)
        for turn in narrowed.turns(prompt, left, right, pairing)
    ]


def _listed(
    narrowed: _Narrowed, pairing: Pairing, listed: Sequence[ListedComparison], ids: list[str]
) -> list[tuple[int, int, int, int]]:
    by_id = {prompt.prompt_id: number for number, prompt in enumerate(narrowed.prompts)}
    rows = []
    for row in listed:
        prompt = by_id.get(row.prompt_id, -1)
        left, right = narrowed.number.get(row.left, -1), narrowed.number.get(row.right, -1)
        if (prompt, left) not in narrowed.outputs or (prompt, right) not in narrowed.outputs:
            continue
        last = min(narrowed.outputs[prompt, left].turns, narrowed.outputs[prompt, right].turns)
        turns = [row.turn] if row.turn else list(narrowed.turns(prompt, left, right, pairing))
        for turn in turns:
            if turn <= last:
                rows.append((prompt, turn, left, right))
                ids.append(row.comparison_id)
    return rows


def _labelled(narrowed: _Narrowed, pairing: Pairing, labels: Iterable[Label]) -> list[tuple[int, int, int, int]]:
    by_id = {prompt.prompt_id: number for number, prompt in enumerate(narrowed.prompts)}
    rows = set()
    for label in labels:
        prompt = by_id.get(label.prompt_id, -1)
        ends = sorted((narrowed.number.get(label.left, -1), narrowed.number.get(label.right, -1)))
        if any((prompt, end) not in narrowed.outputs for end in ends):
            continue
        last = min(narrowed.outputs[prompt, end].turns for end in ends)
        asked = pairing.turn if pairing.turns is TurnPolicy.NUMBER else label.turn
        if label.turn == asked <= last:
            rows.add((prompt, label.turn, ends[0], ends[1]))
    return sorted(rows)


def _shown(narrowed: _Narrowed, rows: Ints, pairing: Pairing, judges: int, ids: list[str]) -> Plan:
    count = len(rows)
    if pairing.orders is OrderPolicy.BOTH:
        rows = np.repeat(rows, 2, axis=0)
        order = np.tile(np.array([Order.LEFT_FIRST, Order.RIGHT_FIRST], dtype=np.int64), count)
        ids = [name for name in ids for _ in range(2)]
    elif pairing.orders is OrderPolicy.RANDOM:
        order = np.random.default_rng([pairing.seed, 3]).integers(1, 3, size=count, dtype=np.int64)
    else:
        order = np.full(count, Order.LEFT_FIRST, dtype=np.int64)
    outputs = {key: output.row for key, output in narrowed.outputs.items()}
    prompt, left, right = rows[:, 0].tolist(), rows[:, 2].tolist(), rows[:, 3].tolist()
    return Plan(
        prompt=np.array([narrowed.prompts[p].row for p in prompt], dtype=np.int64),
        turn=rows[:, 1].copy(),
        left=np.array([outputs[key] for key in zip(prompt, left, strict=True)], dtype=np.int64),
        right=np.array([outputs[key] for key in zip(prompt, right, strict=True)], dtype=np.int64),
        order=order,
        judges=judges,
        repeats=pairing.repeats,
        hash=_hash(narrowed, rows, order, judges, pairing),
        comparison_ids=tuple(ids),
    )


def _hash(narrowed: _Narrowed, rows: Ints, order: Ints, judges: int, pairing: Pairing) -> str:
    """SHA-256 over names and codes, never over a store's row ids: equal in every store."""
    state = hashlib.sha256(f"{judges} {pairing.repeats} {pairing.epoch!r}".encode())
    for name in (*narrowed.contestants, *(prompt.prompt_id for prompt in narrowed.prompts)):
        state.update(name.encode() + b"\0")
    for array in (rows, order):
        state.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return state.hexdigest()
