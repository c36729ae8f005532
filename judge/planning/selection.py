"""What a pairing takes of a board, as codes: prompts in upload order, contestants by name."""

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


class Named:
    """Comparisons that somebody named, taken in one after another: codes of the *index*, -1 for what it has not."""

    def __init__(self, index: DatasetIndex, rows: Iterable[Label | ListedComparison] = ()) -> None:
        self._prompt = {name: code for code, name in enumerate(index.prompts.prompt_id)}
        self._contestant = {name: code for code, name in enumerate(index.outputs.contestants)}
        self._codes = array("i")
        self.ids: list[str] = []
        """The caller's ids of listed comparisons."""
        self.add(rows)

    def add(self, rows: Iterable[Label | ListedComparison]) -> None:
        """Take in some more."""
        for row in rows:
            left, right = self._contestant.get(row.left, -1), self._contestant.get(row.right, -1)
            self._codes.extend((self._prompt.get(row.prompt_id, -1), left, right, row.turn))
            if isinstance(row, ListedComparison):
                self.ids.append(row.comparison_id)

    def columns(self) -> Counts:
        """Prompts, left and right contestants, and turns: int32[4, n]."""
        return np.array(self._codes, dtype=np.int32).reshape(-1, 4).T


class SelectedDataset:
    """A board without what the pairing leaves out. Of several samples, the first in number stands for all.

    Outputs are columns ordered by prompt and contestant: *rows* are the store's, *turns* how many each has.
    """

    def __init__(self, index: DatasetIndex, pairing: Pairing) -> None:
        taken = _taken_prompts(index, pairing)
        self._prompt_code = _codes(len(index.prompts), taken)
        self.prompt_rows: Rows = index.prompts.row[taken]
        self.prompt_ids = [index.prompts.prompt_id[place] for place in taken.tolist()]
        known = index.outputs.contestants
        who = _taken_contestants(index, pairing)
        self._contestant_code = _codes(len(known), who)
        self.contestants = [known[place] for place in who.tolist()]
        self._keys, self.rows, self.turns = self._outputs(index)

    def _outputs(self, index: DatasetIndex) -> tuple[Rows, Rows, Counts]:
        outputs = index.outputs
        prompt = self._prompt_code[np.searchsorted(index.prompts.row, outputs.prompt)]
        contestant = self._contestant_code[outputs.contestant]
        there = np.flatnonzero((prompt >= 0) & (contestant >= 0))
        keys = self._key(prompt[there], contestant[there])
        by_key = np.lexsort((outputs.sample[there], keys))
        keys = keys[by_key]
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))
        kept = there[by_key[firsts]]
        return keys[firsts], outputs.row[kept], outputs.turns[kept]

    def _key(self, prompt: Counts, contestant: Counts) -> Rows:
        return prompt.astype(np.int64) * len(self.contestants) + contestant

    def present(self, turns: int = 1) -> Flags:
        """Who answered what, in at least so many *turns*: bool[prompts, contestants]."""
        found = np.zeros((len(self.prompt_ids), len(self.contestants)), dtype=bool)
        found.ravel()[self._keys[self.turns >= turns]] = True
        return found

    def at(self, prompt: Counts, contestant: Counts) -> Rows:
        """Where the outputs of *contestant* to *prompt* stand, all of which are there."""
        return np.searchsorted(self._keys, self._key(prompt, contestant))

    def codes(self, named: Named) -> tuple[Counts, Counts, Counts, Counts]:
        """What is *named*, in codes of what is left: prompts, left and right contestants, -1 where left out; turns."""
        prompt, left, right, turn = named.columns()
        return (
            _recoded(self._prompt_code, prompt),
            _recoded(self._contestant_code, left),
            _recoded(self._contestant_code, right),
            turn,
        )

    def last_turn(self, prompt: Counts, left: Counts, right: Counts) -> tuple[Flags, Counts]:
        """Whether both outputs are there, and the last turn that both have, or 0."""
        there, last = np.ones(len(prompt), dtype=bool), np.full(len(prompt), np.iinfo(np.int32).max, dtype=np.int32)
        keys, turns = np.append(self._keys, -1), np.append(self.turns, 0)
        for end in (left, right):
            key = np.where((prompt < 0) | (end < 0), np.int64(-2), self._key(prompt, end))
            at = np.searchsorted(self._keys, key)
            there &= keys[at] == key
            last = np.minimum(last, turns[at])
        return there, np.where(there, last, 0).astype(np.int32)


def _codes(many: int, taken: Rows) -> Counts:
    """The code of each of *many* places, in the order in which they are *taken*; -1 for the others."""
    codes = np.full(many, -1, dtype=np.int32)
    codes[taken] = np.arange(len(taken), dtype=np.int32)
    return codes


def _recoded(codes: Counts, places: Counts) -> Counts:
    return np.append(codes, np.int32(-1))[places]


def _taken_prompts(index: DatasetIndex, pairing: Pairing) -> Rows:
    """The places of the prompts that *pairing* takes, in order."""
    prompts = index.prompts
    known = set(prompts.category)
    for category in pairing.categories:
        if category not in known:
            raise InvalidInput(
                "pairing.categories",
                f"no prompt has the category {category!r}; there are {', '.join(sorted(known)) or 'none'}",
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


def _taken_contestants(index: DatasetIndex, pairing: Pairing) -> Rows:
    """The places of the contestants that *pairing* takes, in order."""
    known = index.outputs.contestants
    asked = {*pairing.contestants, *([pairing.reference_contestant] if pairing.reference_contestant else [])}
    for name in (*pairing.contestants, pairing.reference_contestant):
        if name in asked.difference(known):
            raise InvalidInput(
                "pairing.contestants",
                f"contestant {name!r} has no output in this dataset; it has {', '.join(known) or 'none'}",
                reason="UNKNOWN_CONTESTANT",
            )
    taken = [place for place, name in enumerate(known) if not pairing.contestants or name in asked]
    return np.array(taken, dtype=np.int64)
