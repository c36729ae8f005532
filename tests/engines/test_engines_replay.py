"""Histories of every release are replayed: a workflow that was begun by one is gone on with by the next."""

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
from judge.engines.workflow import PartitionAt, RunAt, RunWorkflow, ShardAt, Told, noted
from judge.ports.clock import SystemClock
from support.workflow_histories import FOLDER, read_history

HISTORIES = sorted(FOLDER.glob("*.json"))


async def replayed(history: dict[str, Any]) -> None:
    await Replayer(workflows=[RunWorkflow]).replay_workflow(WorkflowHistory.from_json("run", history))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
async def test_a_history_is_replayed(path: Path) -> None:
    """The workflow decides as it did when the history was made."""
    assert await replayed(read_history(path)) is None


async def test_a_history_that_the_workflow_would_not_have_made_is_told() -> None:
    """Were a step another one, or in another place, the replay would say so."""
    other = json.loads(json.dumps(read_history(HISTORIES[0])).replace('"lanes"', '"tracks"'))

    with pytest.raises(NondeterminismError):
        await replayed(other)


def test_histories_tell_nothing_of_the_machine() -> None:
    """No name of a host, no path, no process."""
    told = [path.read_text("utf-8") for path in HISTORIES]

    assert [word for text in told for word in ("identity", "tmp", "@", "postgres") if word in text] == []


def test_what_a_history_is_given_stays_small() -> None:
    """However many shards were left alone, and for however many reasons: under 2 KB, the first named, all counted."""
    told: tuple[Told, ...] = ()
    for shard in range(1000):
        told = noted(told, Told("POISONED", f"positions {shard} to {shard}" + "x" * 100))
        told = noted(told, Told("JUDGE_UNUSABLE", f"judge {shard % 20}" + "y" * 140))
        told = noted(told, Told("CANCELLED", f"judge {shard % 20}"))

    at = RunAt("default", "0" * 16, "0" * 36, 9, (10**7,) * 20, told)
    payload = JSONPlainPayloadConverter().to_payload(at)
    assert payload is not None
    assert len(payload.data) < 2048
    assert {
        reason: sum(one.shards for one in told if one.reason == reason) for reason in ("POISONED", "CANCELLED")
    } == {
        "POISONED": 1000,
        "CANCELLED": 1000,
    }
    assert told[0].message.startswith("positions 0 ")


def test_a_reason_is_kept_once_for_each_message() -> None:
    """Equal words are counted, not repeated."""
    one = Told("BUDGET_STOPPED", "judge 'j'")

    assert noted(noted((), one), one) == (replace(one, shards=2),)


STEPS = (RunWorkflow.run, *Activities(None, SystemClock()).all())  # type: ignore[arg-type]  # nothing is executed


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_a_step_takes_one_dataclass_argument_with_defaults(step: Callable[..., object]) -> None:
    """So a field can be added, and a history of before is read with its default."""
    [kind] = [hint for name, hint in get_type_hints(step).items() if name != "return"]

    assert is_dataclass(kind)
    assert [field.name for field in fields(kind) if field.default is MISSING] == []


@pytest.mark.parametrize("kind", [RunAt, ShardAt, PartitionAt, Told])
def test_what_a_history_keeps_is_read_by_its_defaults(kind: type) -> None:
    """Of everything that is passed to and fro."""
    assert kind() == JSONPlainPayloadConverter().from_payload(Payload(metadata={}, data=b"{}"), kind)
