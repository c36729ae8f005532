"""The time of `judge --help` and of importing the client, measured as whole processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from time import perf_counter

from figures import Figure, interleaved, progress

ROUNDS = 9
HELP_SECONDS, IMPORT_SECONDS = 0.4, 0.3


def figures() -> Iterator[Figure]:
    """Measure the seconds of each process next to one that does nothing."""
    progress("startup: whole processes")
    nothing, help_, client = interleaved(
        ROUNDS, _process("-c", "pass"), _process("-m", "judge.cli", "--help"), _process("-c", "import judge_client")
    )
    peer = f"python -c pass: {nothing:.3f} s"
    for figure, value, goal in (
        ("judge --help", help_, HELP_SECONDS),
        ("import judge_client", client, IMPORT_SECONDS),
    ):
        yield Figure(
            bench="startup",
            figure=figure,
            value=value,
            unit="s",
            peer=peer,
            ratio=value / nothing,
            goal=f"< {goal} s",
            met=value < goal,
        )


def _process(*arguments: str) -> Callable[[], float]:
    def once() -> float:
        begin = perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        return perf_counter() - begin

    return once
