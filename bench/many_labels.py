"""The cost of agreement of a million labels by a hundred annotators, streamed to a server as columns."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
from server import Served, served

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import outcome_pb2
from judge_client import JudgeClient

LABELS, ANNOTATORS, EACH = 1_000_000, 100, 20
CONTESTANTS, PER_PROMPT = 20, 10
SEEN = 0.6
"""The probability that an annotator sees the true outcome; otherwise the outcome is random."""
SECONDS, MEGABYTES = 10.0, 1000.0


def columns() -> ds.LabelColumns:
    """Return 20 votes on each of 50,000 comparisons, with 10 comparisons per prompt."""
    rng = np.random.default_rng(0)
    items = LABELS // EACH
    prompts = items // PER_PROMPT
    names = [f"prompt-{n}" for n in range(prompts)]
    names += [f"contestant-{n}" for n in range(CONTESTANTS)] + [f"person-{n}" for n in range(ANNOTATORS)]
    item = np.repeat(np.arange(items), EACH)
    left = rng.integers(0, CONTESTANTS, items)
    right = (left + rng.integers(1, CONTESTANTS, items)) % CONTESTANTS
    truth = rng.integers(1, 4, items)
    outcome = np.where(rng.random(LABELS) < SEEN, truth[item], rng.integers(1, 4, LABELS))
    person = (7 * item + 5 * np.tile(np.arange(EACH), items)) % ANNOTATORS
    return ds.LabelColumns(
        names=names,
        left=(prompts + left)[item].tolist(),
        right=(prompts + right)[item].tolist(),
        prompt=(np.arange(items) % prompts)[item].tolist(),
        turn=(1 + np.arange(items) // prompts)[item].tolist(),
        annotator=(prompts + CONTESTANTS + person).tolist(),
        outcome=outcome.tolist(),
        kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
    )


async def measure(server: Served, labels: ds.LabelColumns) -> None:
    """Print the server's CPU seconds and peak memory for people among themselves and for one person and the others."""
    async with JudgeClient(server.address) as client:
        for source, target in (("people", ""), ("labels:person-1", "people@plurality")):
            begin = server.cpu_seconds
            report = await client.measure_agreement(labels, source, target)
            seconds, peak = server.cpu_seconds - begin, _peak(server)
            met = seconds <= SECONDS and peak <= MEGABYTES
            print(
                f"10^6 labels of {ANNOTATORS} annotators, {source}{' and ' if target else ''}{target} "
                f"({report.figures[0].n:,} pairs): {seconds:.1f} s of the server's CPU, {peak:.0f} MB at most "
                f"(at most {SECONDS:g} s and {MEGABYTES:g} MB: {met})"
            )


def _peak(server: Served) -> float:
    status = Path(f"/proc/{server.process.pid}/status").read_text("utf-8")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def main() -> None:
    """Measure both reports."""
    labels = columns()
    with served() as server:
        asyncio.run(measure(server, labels))


if __name__ == "__main__":
    main()
