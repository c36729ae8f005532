"""How long a person waits for `judge --help`, and a program for the client's import: whole processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from time import perf_counter

from figures import Figure, interleaved, told

ROUNDS = 9
HELP_SECONDS, IMPORT_SECONDS = 0.4, 0.3


def figures() -> Iterator[Figure]:
    """Seconds of each process, beside one that does nothing."""
    told("startup: whole processes")
    nothing, help_, client = interleaved(
        ROUNDS, _process("-c", "pass"), _process("-m", "judge.cli", "--help"), _process("-c", "import judge_client")
    )
    peer = f"python -c pass: {nothing:.3f} s"
    for figure, value, goal in (
        ("judge --help", help_, HELP_SECONDS),
        ("import judge_client", client, IMPORT_SECONDS),
    ):
        yield Figure("startup", figure, value, "s", peer, value / nothing, f"< {goal} s", value < goal)


def _process(*arguments: str) -> Callable[[], float]:
    def once() -> float:
        begun = perf_counter()
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
        return perf_counter() - begun

    return once
