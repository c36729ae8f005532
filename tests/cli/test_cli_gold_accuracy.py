"""Accuracy against gold labels from the benchmarks' own files, through `judge import` and `judge agree` alone."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats"
Judge = Callable[..., subprocess.CompletedProcess[str]]


def write_pairs(path: Path, *pairs: tuple[str, str, list[str | None]]) -> None:
    """Write pairs as JudgeBench does: source, gold label, and decisions, of which a lost call has none."""
    rows = []
    for number, (source, label, decisions) in enumerate(pairs):
        entries = [{"judgment": {"judge_model": "j", "prompt": "p"}, "decision": word} for word in decisions]
        row = {
            "pair_id": f"p{number}",
            "source": source,
            "question": f"q{number}",
            "response_A": "a",
            "response_B": "b",
        }
        judgments = [*entries, *[None] * (2 - len(entries))]
        rows.append(row | {"label": label, "judge_name": "v", "judgments": judgments})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def report(judge: Judge, dataset: str, source: str, *options: str) -> dict[str, Any]:
    done = judge("agree", source, "labels:gold", "--dataset", dataset, "--json", *options)
    assert done.returncode == 0, done.stderr
    fields: dict[str, Any] = json.loads(done.stdout)
    return fields


def rows_of(fields: dict[str, Any], rule: str) -> dict[str, dict[str, Any]]:
    """The rows of a rule by category."""
    return {
        row.get("slice", {}).get("category", ""): row
        for row in fields["gold_accuracy"]
        if row["rule"] == f"GOLD_RULE_{rule}"
    }


def test_cli_gold_accuracy_is_printed_with_both_denominators(served: Judge, tmp_path: Path) -> None:
    """The text has the rules, parts, and what verdicts without an outcome count as; files have a row for each rule."""
    write_pairs(
        tmp_path / "judge_model=j.jsonl",
        ("mmlu-pro-law", "A>B", ["A>B", "B>A"]),
        ("mmlu-pro-law", "A>B", ["A>B", None]),
        ("livebench-math", "B>A", ["B>A"]),
        ("livebench-math", "B>A", ["A=B", "A=B"]),
        ("livebench-math", "B>A", ["A>B", "B>A"]),
    )
    assert served("import", tmp_path, "--dataset", "gold-text").returncode == 0
    common = ("agree", "judge:v/j", "labels:gold", "--dataset", "gold-text", "--by", "category")

    text = " ".join(served(*common).stdout.split())
    served(*common, "-o", tmp_path / "out.csv")

    assert text.startswith("Accuracy of judge:v/j against gold labels, labels:gold")
    assert re.search(r"both right 0.200 \[0.0., 0...\] 1 5 0.333 3", text)
    assert "sum over both 0.600" in text
    assert "knowledge 2 1.000 0.500 0.750 0.500 0.500 1.000" in text
    assert "Of 10 verdicts, 1 is missing, and 1 has no outcome" in text
    assert "3 right, 1 wrong, 1 neither." in text
    with (tmp_path / "out-gold-accuracy.csv").open() as file:
        (row,) = (row for row in csv.DictReader(file) if (row["category"], row["rule"]) == ("math", "average"))
    counts = [row[name] for name in ("correct", "incorrect", "neither", "unreadable", "missing", "accuracy_n")]
    assert counts == ["1", "2", "2", "0", "1", "6"]


def test_cli_gold_accuracy_of_the_best_of_four(served: Judge, tmp_path: Path) -> None:
    """In RewardBench 2 a prompt is right if its right completion beats every wrong one."""
    rows = [
        {"id": name, "prompt": name, "chosen": ["c"], "rejected": ["x", "y", "z"], "subset": "Math"} for name in "pq"
    ]
    (tmp_path / "rewards.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    verdicts = [
        {
            "prompt_id": name,
            "left": "chosen",
            "right": "rejected",
            "right_sample": sample,
            "first": first,
            "judge": "j",
            "outcome": "right" if (name, sample, first) in {("q", 2, "left"), ("q", 2, "right")} else "left",
        }
        for name in "pq"
        for sample in range(3)
        for first in ("left", "right")
    ]
    (tmp_path / "verdicts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in verdicts))
    assert served("import", tmp_path, "--dataset", "best-of-four").returncode == 0

    fields = report(served, "best-of-four", "judge:j")

    summed, whole = (rows_of(fields, rule)[""] for rule in ("SUM_OVER_ORDERS", "WHOLE_PROMPT"))
    assert (summed["correct"], summed["accuracy"]["n"]) == (5, 6)
    assert (whole["correct"], whole["accuracy"]["n"], whole["accuracy"]["value"]) == (1, 2, 0.5)


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")
def test_cli_gold_accuracy_is_the_published_one(served: Judge) -> None:
    """The original file of a reward model gives JudgeBench's published accuracies, overall and by group."""
    assert served("import", DATA / "judgebench/outputs", "--dataset", "published").returncode == 0
    (expected,) = json.loads((DATA / "judgebench/expected.json").read_text()).values()

    fields = report(served, "published", "judge:reward_model/internlm/internlm2-7b-reward", "--by", "category")

    columns = {
        "SUM_OVER_ORDERS": "published_accuracy_pct",
        "LEFT_FIRST": "accuracy_first_order_pct",
        "RIGHT_FIRST": "accuracy_second_order_pct",
        "AVERAGE": "accuracy_average_pct",
        "BOTH_ORDERS": "both_right_pct",
        "ORDER_AGREEMENT": "same_in_both_orders_pct",
    }
    for rule, column in columns.items():
        percent = {
            category or "overall": round(100 * row["accuracy"]["value"], 4)
            for category, row in rows_of(fields, rule).items()
        }
        assert percent == {group: figures[column] for group, figures in expected.items()}


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")
def test_cli_gold_accuracy_of_a_prompted_judge(served: Judge) -> None:
    """Replies without a decision and lost calls count as not right."""
    assert served("import", DATA / "judgebench-prompted/outputs", "--dataset", "prompted").returncode == 0
    expected = json.loads((DATA / "judgebench-prompted/expected.json").read_text())

    fields = report(served, "prompted", "judge:arena_hard/made-up-judge")

    summed, average = (rows_of(fields, rule)[""] for rule in ("SUM_OVER_ORDERS", "AVERAGE"))
    assert (summed["correct"], summed["accuracy"]["n"]) == (expected["right_by_judgebench_rule"], expected["pairs"])
    assert average["accuracy_with_outcome"]["n"] == expected["readable_verdicts"]
    assert (average["unreadable"], average["missing"]) == (expected["unreadable"], expected["lost_calls"])
