"""Battles as columns of codes: collected row by row, or taken from the columns of a Parquet file as a whole."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from judge.columns.arrays import Codes, Floats, Ints, present
from judge.columns.names import encode_names
from judge.domain.dataset import Battle
from judge.domain.outcome import Outcome

if TYPE_CHECKING:
    import polars as pl

UNKNOWN_PROMPT = -1
"""The code of a prompt that is not known: the battle is independent of all others."""


@dataclass(frozen=True)
class BattleCodes:
    """Battles as columns of n rows; contestants and prompts are indices of *names*."""

    names: tuple[str, ...]
    left: Ints
    """The left contestants, int32[n]."""
    right: Ints
    """The right contestants, int32[n]."""
    outcome: Codes
    """The numbers of outcomes, int8[n]."""
    prompt: Ints
    """The prompts, int32[n]; UNKNOWN_PROMPT if a battle has none."""
    weight: Floats | None = None
    """The weights, float64[n]; None if all are 1."""

    def __len__(self) -> int:
        """Return the number of battles."""
        return len(self.outcome)

    def __iter__(self) -> Iterator[Battle]:
        """Yield the battles one by one."""
        weights = [None] * len(self) if self.weight is None else self.weight.tolist()
        codes = zip(*(column.tolist() for column in (self.left, self.right, self.outcome, self.prompt)), strict=True)
        for (left, right, outcome, prompt), weight in zip(codes, weights, strict=True):
            yield Battle(
                left=self.names[left],
                right=self.names[right],
                outcome=Outcome(outcome),
                weight=weight,
                prompt_id="" if prompt == UNKNOWN_PROMPT else self.names[prompt],
            )

    @property
    def contestants(self) -> set[str]:
        """The names of the contestants."""
        return {self.names[code] for code in present(self.left, self.right).tolist()}

    @property
    def n_without_prompt(self) -> int:
        """The number of battles whose prompt is not known."""
        return int((self.prompt == UNKNOWN_PROMPT).sum())

    @property
    def each_has_its_prompt(self) -> bool:
        """Whether each of several battles is on a prompt of its own, which is known."""
        return len(self) > 1 and self.n_without_prompt == 0 and present(self.prompt).size == len(self)

    def without_prompts(self) -> BattleCodes:
        """Return the same battles, each independent of the others."""
        return replace(self, prompt=np.full(len(self), UNKNOWN_PROMPT, dtype=np.int32))

    def with_prompts(self, prompts: Sequence[str]) -> BattleCodes:
        """Return the same battles with other prompts, given by name."""
        distinct, (codes,) = encode_names(list(prompts))
        return replace(self, names=(*self.names, *distinct), prompt=codes + np.int32(len(self.names)))

    def parts(self, most: int) -> Iterator[BattleCodes]:
        """Yield the battles in their order, at most *most* at a time, each time with only the names that they use."""
        for begin in range(0, len(self), most):
            rows = slice(begin, begin + most)
            left, right, prompt = self.left[rows], self.right[rows], self.prompt[rows]
            used = present(left, right, prompt[prompt != UNKNOWN_PROMPT])
            # The last place is that of UNKNOWN_PROMPT, -1.
            places = np.full(len(self.names) + 1, UNKNOWN_PROMPT, dtype=np.int32)
            places[used] = np.arange(used.size)
            yield BattleCodes(
                names=tuple(self.names[code] for code in used.tolist()),
                left=places[left],
                right=places[right],
                outcome=self.outcome[rows],
                prompt=places[prompt],
                weight=None if self.weight is None else self.weight[rows],
            )


class BattleCoder:
    """Collects battles as codes, in some 21 bytes each, and each name once."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}
        self._left, self._right, self._prompt = array("i"), array("i"), array("i")
        self._outcome, self._weight = array("b"), array("d")

    def add(self, battle: Battle) -> None:
        """Add a battle."""
        self._left.append(self._code(battle.left))
        self._right.append(self._code(battle.right))
        self._prompt.append(self._code(battle.prompt_id) if battle.prompt_id else UNKNOWN_PROMPT)
        self._outcome.append(battle.outcome)
        self._weight.append(1.0 if battle.weight is None else battle.weight)

    def _code(self, name: str) -> int:
        return self._codes.setdefault(name, len(self._codes))

    def codes(self) -> BattleCodes:
        """Return all battles."""
        weight = np.array(self._weight)
        return BattleCodes(
            names=tuple(self._codes),
            left=np.array(self._left, dtype=np.int32),
            right=np.array(self._right, dtype=np.int32),
            outcome=np.array(self._outcome, dtype=np.int8),
            prompt=np.array(self._prompt, dtype=np.int32),
            weight=None if bool((weight == 1).all()) else weight,
        )


@dataclass(frozen=True)
class FrameReaders:
    """The columns of a frame by their roles, and how a value of each is read. Readers raise as those of `fields` do."""

    taken: dict[str, str]
    contestant: Callable[[str, Any], str]
    outcome: Callable[[Any], Outcome]
    prompt: Callable[[Any], str]


def frame_codes(frame: pl.DataFrame, readers: FrameReaders) -> BattleCodes | None:
    """Code the battles of a *frame* that has no wrong row; None if one may be wrong, so that rows are read one by one.

    Each distinct value is read once. Raises KeyError, TypeError or ValueError if a reader does.
    """
    taken, codes = readers.taken, dict[str, int]()
    sides = [
        _coded(frame[taken[side]], lambda value, side=side: readers.contestant(taken[side], value), codes)  # type: ignore[misc]
        for side in ("left", "right")
    ]
    contestants = set(codes)
    words, outcome = _distinct(frame[taken["outcome"]])
    weight = _weights(frame[taken["weight"]]) if "weight" in taken else None
    left, right = sides
    if "weight" in taken and weight is None:
        return None
    if frame.height == 0 or (left == right).any() or not contestants.isdisjoint(map(str, words)):
        return None
    numbers = np.array([readers.outcome(word) for word in words], dtype=np.int8)
    prompt = np.full(frame.height, UNKNOWN_PROMPT, dtype=np.int32)
    if "prompt" in taken:
        prompt = _coded(frame[taken["prompt"]], readers.prompt, codes, may_lack=True)
    return BattleCodes(
        names=tuple(codes),
        left=left,
        right=right,
        outcome=numbers[outcome],
        prompt=prompt,
        weight=None if weight is None or bool((weight == 1).all()) else weight,
    )


def _coded(column: pl.Series, read: Callable[[Any], str], codes: dict[str, int], *, may_lack: bool = False) -> Ints:
    """The codes of a column's names, int32[n]. Names that are new are added to *codes*."""
    values, rows = _distinct(column, may_lack=may_lack)
    names: list[str] = ["" if value is None else read(value) for value in values]
    own = [codes.setdefault(name, len(codes)) if name or not may_lack else UNKNOWN_PROMPT for name in names]
    return np.array(own, dtype=np.int32)[rows]


def _distinct(column: pl.Series, *, may_lack: bool = False) -> tuple[list[Any], Ints]:
    """The distinct values of a column of texts or numbers, and the position of each row's among them, int32[n].

    Raises ValueError for another type, and for missing values unless it *may_lack* them.
    """
    missing = column.is_null().to_numpy()
    listed: list[Any]
    if missing.any() and not may_lack:
        raise ValueError("a value is missing")
    if column.dtype.is_integer() or column.dtype.is_float():
        values, rows = np.unique(column.fill_null(0).to_numpy(), return_inverse=True)
        listed, positions = list(values.tolist()), rows.astype(np.int32)
    else:
        texts = column.fill_null("") if missing.any() else column
        distinct: tuple[tuple[str, ...], tuple[Ints, ...]] = encode_names(texts)
        listed, positions = list(distinct[0]), distinct[1][0]
    if missing.any():
        positions = np.where(missing, np.int32(len(listed)), positions)
        listed.append(None)
    return listed, positions


def _weights(column: pl.Series) -> Floats | None:
    """The weights; None if one is missing, or is not a finite positive number."""
    if not column.dtype.is_numeric() or column.null_count():
        return None
    weight = column.to_numpy().astype(np.float64)
    return weight if bool((np.isfinite(weight) & (weight > 0)).all()) else None
