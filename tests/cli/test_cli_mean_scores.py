"""`judge scores`: averages of single scores from FastChat's own files."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats"
Judge = Callable[..., subprocess.CompletedProcess[str]]


def write_scores(folder: Path) -> None:
    """Write the single scores of two models on two turns of six questions, with one reply without a score."""
    rows = [
        {
            "question_id": question,
            "model": model,
            "judge": ["j", "single-v1"],
            "judgment": "text",
            "score": -1 if (model, question, turn) == ("n", 1, 2) else 9 - turn - 3 * (model == "n"),
            "turn": turn,
        }
        for question in range(1, 7)
        for model in ("m", "n")
        for turn in (1, 2)
    ]
    (folder / "j_single.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_cli_mean_scores_are_printed_by_turn_and_written(served: Judge, tmp_path: Path) -> None:
    """A reply without a score is counted by the import, and is in no mean."""
    write_scores(tmp_path)
    imported = served("import", tmp_path, "--dataset", "scores-text")
    common = ("scores", "labels:j_single", "--dataset", "scores-text", "--by", "turn")

    printed = " ".join(served(*common).stdout.split())
    written = served(*common, "-o", tmp_path / "out.csv")
    as_json = json.loads(served(*common, "--json").stdout)

    assert (imported.returncode, written.returncode) == (0, 0)
    assert "labels: 23 added" in imported.stderr
    assert "1 row without a score" in imported.stderr
    assert "Mean scores by labels:j_single, from 0 to 10" in printed
    assert "contestant mean n prompts turn 1 turn 2" in printed
    assert "m 7.5000" in printed
    assert "12 6 8.0000 7.0000" in printed
    assert "11 6 5.0000 4.0000" in printed
    with (tmp_path / "out.csv").open() as file:
        rows = {(row["contestant"], row["turn"]): row for row in csv.DictReader(file)}
    assert float(rows["n", ""]["mean"]) == pytest.approx((6 * 5 + 5 * 4) / 11)
    assert [row["contestant"] for row in as_json["means"]] == ["m", "n"] * 3


def test_cli_mean_scores_also_rank(served: Judge, tmp_path: Path) -> None:
    """The pairs that scores make are ranked like other labels, and are no contestants of their own."""
    write_scores(tmp_path)
    rows = [{"question_id": question, "text": "q"} for question in range(1, 7)]
    (tmp_path / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    served("import", tmp_path, "--dataset", "scores-rank")

    ranked_by_scores = served("rank", "labels:j_single", "--dataset", "scores-rank", "--json", "--ridge", "1")

    names = [row["contestant"] for row in json.loads(ranked_by_scores.stdout)["ratings"]]
    assert names == ["m", "n"]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")
def test_cli_mean_scores_are_the_published_ones(served: Judge) -> None:
    """FastChat's own file gives its averages: of the first and the second turn, and of both."""
    folder = DATA / "fastchat-mt-bench"
    expected = json.loads((folder / "expected.json").read_text())["single"]
    imported = served("import", folder / "data/mt_bench", "--dataset", "scores-published")

    done = served("scores", "labels:gpt-4_single", "--dataset", "scores-published", "--by", "turn", "--json")

    assert imported.returncode == 0
    means = json.loads(done.stdout)["means"]
    assert {
        (row["contestant"], row.get("slice", {}).get("turn", 0)): (round(row["mean"], 4), row["n"]) for row in means
    } == {
        (model, turn): (figures[name], figures["rows"] // (2 if turn else 1))
        for model, figures in expected.items()
        for turn, name in enumerate(("average", "first_turn", "second_turn"))
    }
