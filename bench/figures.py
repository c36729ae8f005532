"""A figure of a benchmark: one JSON line with a peer measured in the same run and a goal."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One measurement. *ratio* compares it with the peer; *goal* describes the condition that *met* tests."""

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


def monte_carlo_error(share: float, n: int) -> float:
    """The standard error of a simulated *share* of *n* replicates."""
    return math.sqrt(share * (1 - share) / max(n, 1))


def progress(message: str) -> None:
    """Print the progress of a benchmark to stderr."""
    print(message, file=sys.stderr, flush=True)


def interleaved(rounds: int, *timed: Callable[[], float]) -> list[float]:
    """Return the median result of each of *timed* over *rounds*, measured in turns so that noise affects all alike."""
    measured: list[list[float]] = [[] for _ in timed]
    for _ in range(rounds):
        for place, once in zip(measured, timed, strict=True):
            place.append(once())
    return [median(values) for values in measured]
