"""The demo dataset that ships with the service, and settings that do not depend on the environment."""

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
    """Return settings with the baseline judges and *judges*, independent of the environment."""
    named = {
        name: JudgeSettings.model_validate({"backend": name, "rubric": "brackets", "concurrency": 64})
        for name in BASELINE_JUDGES
    }
    return Settings(judges={**named, **judges})


def rows(name: str) -> list[dict[str, Any]]:
    """Return the rows of one file of the demo dataset."""
    return [json.loads(line) for line in (DEMO / name).read_text("utf-8").splitlines()]


async def upload_demo(client: JudgeClient, dataset: str = "demo", prompts: int | None = None) -> None:
    """Upload the demo dataset to *dataset*, or only its first *prompts* prompts with their outputs and labels."""
    await client.create_dataset(dataset)
    prompt_rows = rows("prompts.jsonl")[:prompts]
    prompt_ids = {row["prompt_id"] for row in prompt_rows}
    await client.upload_prompts(dataset, [pb.Prompt(**row) for row in prompt_rows])
    outputs = [pb.Output(**row) for row in rows("outputs.jsonl") if row["prompt_id"] in prompt_ids]
    await client.upload_outputs(dataset, outputs)
    labels = []
    for row in (row for row in rows("labels.jsonl") if row["prompt_id"] in prompt_ids):
        fields = {
            "outcome": outcome_pb2.Outcome.Value(f"OUTCOME_{row['outcome'].upper()}"),
            "kind": outcome_pb2.ANNOTATOR_KIND_GOLD,
        }
        if row.get("tie_kind"):
            fields["tie_kind"] = outcome_pb2.TieKind.Value(f"TIE_KIND_{row['tie_kind'].upper()}")
        labels.append(pb.Label(**{**row, **fields}))
    await client.upload_labels(dataset, labels, source="demo")
