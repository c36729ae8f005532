"""`judge import` of a million labels from a Parquet file into SQLite, next to two bare inserts of the same rows.

The store's insert is what the service calls with rows that are ready: batches of 1,000, each in a transaction with its
lookups of what is there already. The bare statement is one executemany per 1,000 rows into the same table.
Each is a process of its own. Times are CPU seconds, without those of reading the file for the inserts.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from time import process_time

import numpy as np
import polars as pl
from figures import Figure, progress

from judge.domain.dataset import Label
from judge.domain.outcome import AnnotatorKind, Outcome

LABELS, FEW = 1_000_000, 100_000
CONTESTANTS, PROMPTS, ANNOTATORS = 100, 10_000, 500
BATCH = 1000
MOST, GROWTH_MIB = 2.0, 64


def figures() -> Iterator[Figure]:
    """Measure the import of all labels and of a tenth of them, and the inserts."""
    n_labels = int(os.environ.get("LABELS", LABELS))
    few = min(FEW, n_labels // 10)
    progress(f"judge import: {n_labels:,} labels")
    whole, memory = _measure("import", n_labels)
    _, small_memory = _measure("import", few)
    for peer in ("store", "statement"):
        seconds, _ = _measure(peer, n_labels)
        name = {"store": "the store's insert of the same rows", "statement": "bare executemany of the same rows"}[peer]
        yield Figure(
            bench="files",
            figure=f"import of {n_labels:,} labels, next to {name}",
            value=whole,
            unit="s CPU",
            peer=f"{seconds:.1f} s",
            ratio=whole / seconds,
            goal=f"<= {MOST:g} x" if peer == "store" else "",
            met=whole / seconds <= MOST if peer == "store" else None,
        )
    grown = memory - small_memory
    yield Figure(
        bench="files",
        figure=f"peak memory of an import of {n_labels:,} labels",
        value=memory,
        unit="MiB",
        peer=f"{few:,} labels: {small_memory:.0f} MiB",
        goal=f"at most {GROWTH_MIB} MiB more",
        met=grown <= GROWTH_MIB,
    )


def _measure(what: str, n_labels: int) -> tuple[float, float]:
    """Return the CPU seconds and the peak MiB of a process that does *what* with new labels and an empty store."""
    progress(f"  {what}: {n_labels:,}")
    with tempfile.TemporaryDirectory(prefix="judge-bench-") as home:
        write_labels(Path(home) / "labels.parquet", n_labels)
        out = subprocess.run(
            [sys.executable, __file__, what, home],
            env={**os.environ, "JUDGE_HOME": home},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
    seconds, mib = json.loads(out.splitlines()[-1])
    return seconds, mib


def write_labels(path: Path, n_labels: int) -> None:
    """Write labels by many annotators, in the product's own columns."""
    rng = np.random.default_rng(1)
    left = rng.integers(0, CONTESTANTS, n_labels)
    right = (left + rng.integers(1, CONTESTANTS, n_labels)) % CONTESTANTS
    names = np.array([f"model-{number:03}" for number in range(CONTESTANTS)])
    pl.DataFrame(
        {
            "prompt_id": np.array([f"q{number}" for number in range(PROMPTS)])[rng.integers(0, PROMPTS, n_labels)],
            "left": names[left],
            "right": names[right],
            "outcome": np.array(["left", "right", "tie"])[rng.integers(0, 3, n_labels)],
            "annotator": np.array([f"ann{n}" for n in range(ANNOTATORS)])[rng.integers(0, ANNOTATORS, n_labels)],
        }
    ).write_parquet(path)


def _labels(path: Path) -> list[Label]:
    outcomes = {outcome.name.lower(): outcome for outcome in Outcome}
    return [
        Label(
            label_id=f"{number:020}",
            prompt_id=prompt,
            left=left,
            right=right,
            outcome=outcomes[outcome],
            annotator=annotator,
            kind=AnnotatorKind.HUMAN,
        )
        for number, (prompt, left, right, outcome, annotator) in enumerate(pl.read_parquet(path).iter_rows())
    ]


async def _by_store(home: Path) -> float:
    from judge.ports.clock import SystemClock  # noqa: PLC0415  # only in the peer's process
    from judge.store.sql_store import SqlStore  # noqa: PLC0415

    labels = _labels(home / "labels.parquet")
    store = SqlStore.open(f"sqlite:///{home / 'judge.db'}", clock=SystemClock())
    await store.create_dataset("", "d")
    begin = process_time()
    for start in range(0, len(labels), BATCH):
        await store.add_labels("", "d", labels[start : start + BATCH], source="labels.parquet", replace=False)
    seconds = process_time() - begin
    await store.close()
    return seconds


async def _by_statement(home: Path) -> float:
    import sqlite3  # noqa: PLC0415  # only in the peer's process

    from judge.ports.clock import SystemClock  # noqa: PLC0415
    from judge.store.sql_store import SqlStore  # noqa: PLC0415

    labels = _labels(home / "labels.parquet")
    store = SqlStore.open(f"sqlite:///{home / 'judge.db'}", clock=SystemClock())
    await store.create_dataset("", "d")
    await store.close()
    with sqlite3.connect(home / "judge.db") as connection:
        ((tenant, dataset),) = connection.execute("SELECT tenant_id, id FROM dataset").fetchall()
        rows = [
            (tenant, dataset, 1, "labels.parquet", each.label_id, each.annotator, 1, json.dumps(asdict(each)))
            for each in labels
        ]
        begin = process_time()
        for start in range(0, len(rows), BATCH):
            connection.executemany(
                "INSERT INTO label (tenant_id, dataset_id, added, source, label_id, annotator, kind, body) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows[start : start + BATCH],
            )
            connection.commit()
    return process_time() - begin


def _by_import(home: Path) -> float:
    from judge.cli.main import main as judge  # noqa: PLC0415  # only in the import's process

    sys.argv = ["judge", "import", str(home / "labels.parquet"), "--dataset", "d"]
    try:
        judge()
    except SystemExit as end:
        if end.code:
            raise
    return process_time()


if __name__ == "__main__":
    _what, _home = sys.argv[1], Path(sys.argv[2])
    if _what == "import":
        _seconds = _by_import(_home)
    else:
        _seconds = asyncio.run(_by_store(_home) if _what == "store" else _by_statement(_home))
    print(json.dumps([_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
