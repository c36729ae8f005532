"""A figure of a bench: one JSON line, beside its peer in the same run and the goal it is held against."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """What was measured. *ratio* is ours to the peer's; *goal* says what *met* was judged by."""

    bench: str
    figure: str
    value: float
    unit: str
    peer: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None

    def __str__(self) -> str:
        row = asdict(self) | {"value": float(f"{self.value:.4g}")}
        if self.ratio is not None:
            row["ratio"] = round(self.ratio, 3)
        return json.dumps(row)


def told(message: str) -> None:
    """Say how far the bench is, on stderr."""
    print(message, file=sys.stderr, flush=True)


def interleaved(rounds: int, *timed: Callable[[], float]) -> list[float]:
    """The median of what each of *timed* gives over *rounds*, taken in turns so that noise meets all alike."""
    taken: list[list[float]] = [[] for _ in timed]
    for _ in range(rounds):
        for place, once in zip(taken, timed, strict=True):
            place.append(once())
    return [median(values) for values in taken]
