"""A file is read once for its upload, however many sources its labels name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from judge.api.v1 import dataset_service_pb2 as pb
from judge.cli import import_rows
from judge.cli.import_account import FileAccount
from judge.formats.detect import read


class _Uploads:
    """Takes labels as the service does, and refuses those of one annotator."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, int]] = []

    async def upload_labels(self, _: str, rows: list[pb.Label], *, source: str, replace: bool) -> pb.UploadSummary:
        self.taken.append((source, len(rows)))
        refused = [
            pb.Rejection(batch=0, row=place, field="annotator", message="refused")
            for place, row in enumerate(rows)
            if row.annotator == "refused"
        ]
        return pb.UploadSummary(accepted=len(rows) - len(refused), rejected=len(refused), rejections=refused)


def _label(number: int, **changes: object) -> dict[str, object]:
    pair = {"prompt_id": "q", "left": "m", "right": "n", "outcome": "tie", "annotator": "ann"}
    return {**pair, "label_id": str(number), "source": f"source-{number % 40}", **changes}


def _send(path: Path) -> tuple[_Uploads, FileAccount, int]:
    (file,) = read(path).files
    client: Any = _Uploads()
    account = FileAccount(name=file.name, rejected=0, problems=[], notes=[])
    passes = 0

    def rows(path: Path) -> Any:  # noqa: ANN401  # as the format has it
        nonlocal passes
        passes += 1
        return read_rows(path)

    read_rows = file.format.rows
    object.__setattr__(file.format, "rows", rows)
    asyncio.run(import_rows.send_rows(client, "d", file, "labels", account, replace=False))
    return client, account, passes


def test_import_rows_of_many_sources_are_read_in_one_pass(tmp_path: Path) -> None:
    """Forty sources, which take turns, are forty uploads of one pass."""
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(_label(number)) + "\n" for number in range(4_000)), "utf-8")

    client, account, passes = _send(path)

    assert passes == 1
    assert client.taken == [(f"source-{number}", 100) for number in range(40)]
    assert account.accepted == 4_000


def test_import_rows_hold_a_bounded_number_of_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the batches of all sources are too large together, they are sent before they are full."""
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(_label(number)) + "\n" for number in range(200)), "utf-8")
    monkeypatch.setattr(import_rows, "MOST_HELD", 5_000)

    client, account, _ = _send(path)

    assert len(client.taken) > 40
    assert max(n_rows for _, n_rows in client.taken) < 5
    assert account.accepted == 200


def test_import_rows_that_are_refused_are_named_by_their_line(tmp_path: Path) -> None:
    """The place is that in the file, not in the batch of the source."""
    path = tmp_path / "labels.jsonl"
    rows = [_label(number, annotator="refused" if number == 77 else "ann") for number in range(100)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    _, account, _ = _send(path)

    assert account.problems == ["line 78: refused"]
