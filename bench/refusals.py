"""How often ratings have no interval, on real data: labels and verdicts of MT-bench, PandaLM and ja-vicuna-qa."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from judge.stats.battles import Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.errors import StatisticsError

SOURCES = {
    "mt-bench": ("human_labels", "judge_verdicts_gpt4"),
    "pandalm": ("human_labels", "judge_verdicts"),
    "ja-vicuna-qa": ("judge_verdicts",),
}
OUTCOMES = {"a": "left", "b": "right", "tie": "tie"}
Row = Mapping[str, str]


def refusals(data: Path) -> Iterator[str]:
    """Yield a line for each source below *data*: how many ratings have no interval, in all and by category."""
    for dataset, sources in SOURCES.items():
        if not (data / dataset).is_dir():
            yield f"{dataset} is not in {data}"
            continue
        category = {row["prompt_id"]: row.get("category", "") for row in _rows(data / dataset / "prompts.jsonl")}
        for source in sources:
            rows = [row for row in _rows(data / dataset / f"{source}.jsonl") if row["winner"] in OUTCOMES]
            parts = defaultdict(list)
            for row in rows:
                parts[category[row["prompt_id"]]].append(row)
            by_category = [_without(part) for part in parts.values()]
            without, of = (sum(column) for column in zip(*by_category, strict=True))
            whole = _without(rows)
            yield (
                f"{dataset}, {source}: {whole[0]} of {whole[1]} ratings have no interval; "
                f"in its {len(parts)} categories, {without} of {of}"
            )


def _without(rows: Sequence[Row]) -> tuple[int, int]:
    """How many contestants of *rows* have no interval, and how many contestants there are."""
    battles = Battles.from_names(
        [row["model_a"] for row in rows],
        [row["model_b"] for row in rows],
        [OUTCOMES[row["winner"]] for row in rows],
        cluster=[row["prompt_id"] for row in rows],
    )
    contestants = len(battles.contestants)
    try:
        reasons = bradley_terry(battles).interval().reasons
    except StatisticsError:
        return contestants, contestants
    return sum(map(bool, reasons)), contestants


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
