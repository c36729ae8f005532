"""The bundled answers, and a configuration that does not depend on the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import outcome_pb2
from judge.config.settings import JudgeSettings, Settings
from judge_client import JudgeClient

DEMO = Path(__file__).parents[2] / "judge" / "demo"
BASELINE_JUDGES = ("longest", "first", "random", "matches-reference")


def settings(**judges: JudgeSettings) -> Settings:
    """A configuration with the yardsticks and *judges*, whatever the environment says."""
    named = {
        name: JudgeSettings.model_validate({"backend": name, "rubric": "brackets", "concurrency": 64})
        for name in BASELINE_JUDGES
    }
    return Settings(judges={**named, **judges})


def rows(name: str) -> list[dict[str, Any]]:
    """The rows of one file of the bundled answers."""
    return [json.loads(line) for line in (DEMO / name).read_text("utf-8").splitlines()]


async def upload_demo(client: JudgeClient, dataset: str = "demo", prompts: int | None = None) -> None:
    """Put the bundled answers and labels in *dataset*, or those to the first *prompts*."""
    await client.create_dataset(dataset)
    asked = rows("prompts.jsonl")[:prompts]
    some = {row["prompt_id"] for row in asked}
    await client.upload_prompts(dataset, [pb.Prompt(**row) for row in asked])
    outputs = [pb.Output(**row) for row in rows("outputs.jsonl") if row["prompt_id"] in some]
    await client.upload_outputs(dataset, outputs)
    labels = []
    for row in (one for one in rows("labels.jsonl") if one["prompt_id"] in some):
        words = {
            "outcome": outcome_pb2.Outcome.Value(f"OUTCOME_{row['outcome'].upper()}"),
            "kind": outcome_pb2.ANNOTATOR_KIND_GOLD,
        }
        if row.get("tie_kind"):
            words["tie_kind"] = outcome_pb2.TieKind.Value(f"TIE_KIND_{row['tie_kind'].upper()}")
        labels.append(pb.Label(**{**row, **words}))
    await client.upload_labels(dataset, labels, source="demo")
