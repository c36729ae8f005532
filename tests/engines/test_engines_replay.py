"""The histories of every release are replayed: each release continues the workflows that earlier ones began."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowHistory
from temporalio.converter import JSONPlainPayloadConverter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from judge.engines.activities import Activities
from judge.engines.workflow import PartitionAt, RunAt, RunWorkflow, ShardAt, StopReport, add_report
from judge.ports.clock import SystemClock
from support.workflow_histories import FOLDER, read_history

HISTORIES = sorted(FOLDER.glob("*.json"))


async def replay(history: dict[str, Any]) -> None:
    await Replayer(workflows=[RunWorkflow]).replay_workflow(WorkflowHistory.from_json("run", history))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_history_is_replayed(path: Path) -> None:
    """The workflow makes the same decisions as when the history was made; otherwise the replay raises."""
    await replay(read_history(path))


async def test_a_history_that_the_workflow_would_not_have_made_is_an_error() -> None:
    """A replay fails if the history has another step than the workflow takes."""
    other = json.loads(json.dumps(read_history(HISTORIES[0])).replace('"lanes"', '"tracks"'))

    with pytest.raises(NondeterminismError):
        await replay(other)


def test_histories_hold_nothing_about_the_machine() -> None:
    """Histories name no host, no path and no process."""
    texts = [path.read_text("utf-8") for path in HISTORIES]

    assert [word for text in texts for word in ("identity", "tmp", "@", "postgres") if word in text] == []


def test_the_argument_of_a_history_stays_small() -> None:
    """With any number of unfinished shards it stays under 2 KB, names the first of them and counts all."""
    reports: tuple[StopReport, ...] = ()
    for shard in range(1000):
        reports = add_report(reports, StopReport("POISONED", f"positions {shard} to {shard}" + "x" * 100))
        reports = add_report(reports, StopReport("JUDGE_UNUSABLE", f"judge {shard % 20}" + "y" * 140))
        reports = add_report(reports, StopReport("CANCELLED", f"judge {shard % 20}"))

    at = RunAt(tenant="default", run_id="0" * 16, opening="0" * 36, round=9, cursors=(10**7,) * 20, told=reports)
    payload = JSONPlainPayloadConverter().to_payload(at)
    assert payload is not None
    assert len(payload.data) < 2048
    assert {
        reason: sum(report.shards for report in reports if report.reason == reason)
        for reason in ("POISONED", "CANCELLED")
    } == {
        "POISONED": 1000,
        "CANCELLED": 1000,
    }
    assert reports[0].message.startswith("positions 0 ")


def test_a_reason_is_kept_once_for_each_message() -> None:
    """Equal messages are counted, not repeated."""
    report = StopReport("BUDGET_STOPPED", "judge 'j'")

    assert add_report(add_report((), report), report) == (replace(report, shards=2),)


STEPS = (RunWorkflow.run, *Activities(None, SystemClock()).all())  # type: ignore[arg-type]  # nothing is executed


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_step_takes_one_dataclass_argument_with_defaults(step: Callable[..., object]) -> None:
    """So a field can be added, and an older history is read with its default."""
    [kind] = [hint for name, hint in get_type_hints(step).items() if name != "return"]

    assert is_dataclass(kind)
    assert [field.name for field in fields(kind) if field.default is MISSING] == []


@pytest.mark.parametrize("kind", [RunAt, ShardAt, PartitionAt, StopReport])
def test_every_payload_of_a_history_can_be_read_from_its_defaults(kind: type) -> None:
    """An empty payload of each kind is read as its defaults."""
    assert kind() == JSONPlainPayloadConverter().from_payload(Payload(metadata={}, data=b"{}"), kind)
