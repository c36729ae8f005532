"""The bundled answers, and a configuration that does not depend on the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import outcome_pb2
from judge.config import JudgeSettings, Settings
from judge_client import JudgeClient

DEMO = Path(__file__).parents[1] / "judge" / "demo"
YARDSTICKS = ("longest", "first", "random", "matches-reference")


def settings(**judges: JudgeSettings) -> Settings:
    """A configuration with the yardsticks and *judges*, whatever the environment says."""
    named = {
        name: JudgeSettings.model_validate({"backend": name, "rubric": "brackets", "concurrency": 64})
        for name in YARDSTICKS
    }
    return Settings(judges={**named, **judges})


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of one file of the bundled answers."""
    return [json.loads(line) for line in (DEMO / name).read_text("utf-8").splitlines()]


async def upload_demo(client: JudgeClient, dataset: str = "demo") -> None:
    """Put the bundled answers and labels in *dataset*."""
    await client.create_dataset(dataset)
    await client.upload_prompts(dataset, [pb.Prompt(**row) for row in rows("prompts.jsonl")])
    await client.upload_outputs(dataset, [pb.Output(**row) for row in rows("outputs.jsonl")])
    labels = []
    for row in rows("labels.jsonl"):
        words = {
            "outcome": outcome_pb2.Outcome.Value(f"OUTCOME_{row['outcome'].upper()}"),
            "kind": outcome_pb2.ANNOTATOR_KIND_GOLD,
        }
        if row.get("tie_kind"):
            words["tie_kind"] = outcome_pb2.TieKind.Value(f"TIE_KIND_{row['tie_kind'].upper()}")
        labels.append(pb.Label(**{**row, **words}))
    await client.upload_labels(dataset, labels, source="demo")
