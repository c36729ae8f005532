"""`judge rank` of a million battles in a Parquet file, next to reading the file with polars and one fit.

Each is a process of its own, from its start to its end, with the imports. Times are CPU seconds of one core.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
from figures import Figure, interleaved, progress

BATTLES, CONTESTANTS, PROMPTS = 1_000_000, 100, 10_000
ROUNDS = 5
MOST = 2.5


def figures() -> Iterator[Figure]:
    """Measure the whole processes: ours, the peer without intervals, and the peer with them."""
    progress(f"judge rank: {BATTLES:,} battles")
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as home:
        file = Path(home) / "battles.parquet"
        write_battles(file)
        judge = process(home, "-m", "judge.cli", "rank", str(file))
        fit = process(home, __file__, str(file))
        with_intervals = process(home, __file__, str(file), "intervals")
        help_ = process(home, "-m", "judge.cli", "--help")
        ours, plain, default, idle = interleaved(ROUNDS, judge, fit, with_intervals, help_)
    for name, peer in (("reading and one fit", plain), ("reading, one fit, and its intervals", default)):
        yield Figure(
            bench="files",
            figure=f"judge rank of a Parquet file, next to {name}",
            value=ours,
            unit="s CPU",
            peer=f"{peer:.2f} s",
            ratio=ours / peer,
            goal=f"<= {MOST:g} x",
            met=ours / peer <= MOST,
        )
    yield Figure(bench="files", figure="of which judge --help", value=idle, unit="s CPU")


def write_battles(path: Path) -> None:
    """Write battles of known strengths, with a tenth of ties."""
    rng = np.random.default_rng(1)
    left = rng.integers(0, CONTESTANTS, BATTLES)
    right = (left + rng.integers(1, CONTESTANTS, BATTLES)) % CONTESTANTS
    strength = rng.normal(0, 1, CONTESTANTS)
    wins = rng.random(BATTLES) < 1 / (1 + np.exp(strength[right] - strength[left]))
    names = np.array([f"model-{number:03}" for number in range(CONTESTANTS)])
    prompts = np.array([f"q{number}" for number in range(PROMPTS)])
    pl.DataFrame(
        {
            "question_id": prompts[rng.integers(0, PROMPTS, BATTLES)],
            "model_a": names[left],
            "model_b": names[right],
            "winner": np.where(rng.random(BATTLES) < 0.1, "tie", np.where(wins, "model_a", "model_b")),
        }
    ).write_parquet(path)


def process(home: str, *arguments: str) -> Callable[[], float]:
    """Return a function that runs Python with *arguments* and returns the CPU seconds of the process."""

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, "JUDGE_HOME": home}
        subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return once


def _peer(path: str, *, with_intervals: bool) -> None:
    from judge.stats.battles import Battles  # noqa: PLC0415  # only in the peer's process
    from judge.stats.bradley_terry import bradley_terry  # noqa: PLC0415

    frame = pl.read_parquet(path)
    words = frame["winner"].replace_strict({"model_a": "left", "model_b": "right", "tie": "tie"})
    fit = bradley_terry(Battles.from_names(frame["model_a"], frame["model_b"], words, cluster=frame["question_id"]))
    if with_intervals:
        fit.interval()


if __name__ == "__main__":
    _peer(sys.argv[1], with_intervals=len(sys.argv) > 2)  # a word behind the path
