"""The part of a dataset that a pairing selects, as codes: prompts in upload order, contestants sorted by name."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from judge.domain.dataset import Label, ListedComparison
from judge.domain.errors import InvalidInput
from judge.domain.run import Pairing
from judge.ports.dataset_index import Counts, DatasetIndex, Rows

Flags = NDArray[np.bool_]


class NamedComparisons:
    """Comparisons that were labeled or listed, as codes of the *index*; -1 for a name that the index does not have."""

    def __init__(self, index: DatasetIndex, rows: Iterable[Label | ListedComparison] = ()) -> None:
        self._prompt = {name: code for code, name in enumerate(index.prompts.prompt_id)}
        self._contestant = {name: code for code, name in enumerate(index.outputs.contestants)}
        self._codes = array("i")
        self.ids: list[str] = []
        """The caller's ids of listed comparisons."""
        self.add(rows)

    def add(self, rows: Iterable[Label | ListedComparison]) -> None:
        """Add the comparisons of *rows*."""
        for row in rows:
            left, right = self._contestant.get(row.left, -1), self._contestant.get(row.right, -1)
            self._codes.extend((self._prompt.get(row.prompt_id, -1), left, right, row.turn))
            if isinstance(row, ListedComparison):
                self.ids.append(row.comparison_id)

    def columns(self) -> Counts:
        """Prompts, left and right contestants, and turns: int32[4, n]."""
        return np.array(self._codes, dtype=np.int32).reshape(-1, 4).T


class SelectedDataset:
    """The prompts, contestants and outputs that a pairing selects. Of several samples, the lowest number is used.

    The columns of outputs are ordered by prompt and contestant: *rows* are the store's row ids, and *turns* the number
    of turns that each output has.
    """

    def __init__(self, index: DatasetIndex, pairing: Pairing) -> None:
        prompts = _selected_prompts(index, pairing)
        self._prompt_code = _codes(len(index.prompts), prompts)
        self.prompt_rows: Rows = index.prompts.row[prompts]
        self.prompt_ids = [index.prompts.prompt_id[place] for place in prompts.tolist()]
        known = index.outputs.contestants
        contestants = _selected_contestants(index, pairing)
        self._contestant_code = _codes(len(known), contestants)
        self.contestants = [known[place] for place in contestants.tolist()]
        self._keys, self.rows, self.turns = self._outputs(index)

    def _outputs(self, index: DatasetIndex) -> tuple[Rows, Rows, Counts]:
        outputs = index.outputs
        prompt = self._prompt_code[np.searchsorted(index.prompts.row, outputs.prompt)]
        contestant = self._contestant_code[outputs.contestant]
        selected = np.flatnonzero((prompt >= 0) & (contestant >= 0))
        keys = self._key(prompt[selected], contestant[selected])
        by_key = np.lexsort((outputs.sample[selected], keys))
        keys = keys[by_key]
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))
        kept = selected[by_key[firsts]]
        return keys[firsts], outputs.row[kept], outputs.turns[kept]

    def _key(self, prompt: Counts, contestant: Counts) -> Rows:
        return prompt.astype(np.int64) * len(self.contestants) + contestant

    @property
    def output_prompts(self) -> Rows:
        """The row id of the prompt of each output."""
        return self.prompt_rows[self._keys // max(len(self.contestants), 1)]

    def present(self, turns: int = 1) -> Flags:
        """Whether each contestant has an output with at least *turns* turns: bool[prompts, contestants]."""
        present = np.zeros((len(self.prompt_ids), len(self.contestants)), dtype=bool)
        present.ravel()[self._keys[self.turns >= turns]] = True
        return present

    def at(self, prompt: Counts, contestant: Counts) -> Rows:
        """The positions of the outputs of *contestant* to *prompt*, all of which must exist."""
        return np.searchsorted(self._keys, self._key(prompt, contestant))

    def codes(self, named: NamedComparisons) -> tuple[Counts, Counts, Counts, Counts]:
        """Prompts, left and right contestants as codes of the selection (-1 if not selected), and turns of *named*."""
        prompt, left, right, turn = named.columns()
        return (
            _translate(self._prompt_code, prompt),
            _translate(self._contestant_code, left),
            _translate(self._contestant_code, right),
            turn,
        )

    def last_turn(self, prompt: Counts, left: Counts, right: Counts) -> tuple[Flags, Counts]:
        """Whether both outputs exist, and the last turn that both have, or 0."""
        present, last = np.ones(len(prompt), dtype=bool), np.full(len(prompt), np.iinfo(np.int32).max, dtype=np.int32)
        keys, turns = np.append(self._keys, -1), np.append(self.turns, 0)
        for end in (left, right):
            key = np.where((prompt < 0) | (end < 0), np.int64(-2), self._key(prompt, end))
            at = np.searchsorted(self._keys, key)
            present &= keys[at] == key
            last = np.minimum(last, turns[at])
        return present, np.where(present, last, 0).astype(np.int32)


def _codes(n: int, selected: Rows) -> Counts:
    """The new codes of *n* old ones: those *selected* are numbered in their order, and the others are -1."""
    codes = np.full(n, -1, dtype=np.int32)
    codes[selected] = np.arange(len(selected), dtype=np.int32)
    return codes


def _translate(codes: Counts, places: Counts) -> Counts:
    return np.append(codes, np.int32(-1))[places]


def _selected_prompts(index: DatasetIndex, pairing: Pairing) -> Rows:
    """The positions of the prompts that *pairing* selects, in order."""
    prompts = index.prompts
    known = set(prompts.category)
    for category in pairing.categories:
        if category not in known:
            raise InvalidInput(
                "pairing.categories",
                f"no prompt has the category {category!r}; the categories are {', '.join(sorted(known)) or 'none'}",
                reason="UNKNOWN_CATEGORY",
            )
    chosen = np.arange(len(prompts))
    if pairing.categories:
        chosen = chosen[[category in pairing.categories for category in prompts.category]]
    if pairing.tags:
        chosen = chosen[[not set(pairing.tags).isdisjoint(prompts.tags[place]) for place in chosen.tolist()]]
    if pairing.prompts and pairing.prompts < len(chosen):
        drawn = np.random.default_rng([pairing.seed, 1]).permutation(len(chosen))[: pairing.prompts]
        chosen = chosen[np.sort(drawn)]
    return chosen


def _selected_contestants(index: DatasetIndex, pairing: Pairing) -> Rows:
    """The positions of the contestants that *pairing* selects, in order."""
    known = index.outputs.contestants
    asked = {*pairing.contestants, *([pairing.reference_contestant] if pairing.reference_contestant else [])}
    for name in (*pairing.contestants, pairing.reference_contestant):
        if name in asked.difference(known):
            raise InvalidInput(
                "pairing.contestants",
                f"contestant {name!r} has no output in this dataset; those that have are {', '.join(known) or 'none'}",
                reason="UNKNOWN_CONTESTANT",
            )
    selected = [place for place, name in enumerate(known) if not pairing.contestants or name in asked]
    return np.array(selected, dtype=np.int64)
