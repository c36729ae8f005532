"""Battles read from JSON lines, CSV, and Parquet are equal, and an error names the wrong row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from judge.domain.errors import InvalidInput
from judge.formats.battles import is_battle_file, read, read_with_warnings

ROWS = [
    {"model_a": "m", "model_b": "n", "winner": "model_a", "question_id": "q1", "weight": 2.0},
    {"model_a": "n", "model_b": "m", "winner": "tie (bothbad)", "question_id": "q2", "weight": 0.5},
]


def csv_of(rows: list[dict[str, object]]) -> str:
    return pl.DataFrame(rows).write_csv()


def test_formats_battles_are_the_same_in_every_file(tmp_path: Path) -> None:
    """JSON lines, CSV, and Parquet hold the same battles, compressed or not."""
    (tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    (tmp_path / "b.csv").write_text(csv_of(ROWS), "utf-8")
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(csv_of(ROWS).encode()))
    pl.DataFrame(ROWS).write_parquet(tmp_path / "b.parquet")

    battles_of = {path.name: list(read(path)) for path in tmp_path.iterdir()}

    assert len(battles_of["b.jsonl"]) == 2
    assert all(battles == battles_of["b.jsonl"] for battles in battles_of.values())


def test_formats_battles_of_columns_of_winners(tmp_path: Path) -> None:
    """Three columns of 0 and 1 are read as a winner, as in Chatbot Arena's table."""
    (path := tmp_path / "b.csv").write_text(
        "model_a,model_b,winner_model_a,winner_model_b,winner_tie\nm,n,0,1,0\nm,n,0,0,1\n"
    )

    assert [battle.outcome.name for battle in read(path)] == ["RIGHT", "TIE"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("b.csv", "left,right,outcome\nm,n,left\nm,n,won\n", "line 3 .*won"),
        ("b.csv", "left,right,outcome\nm,n\n", "line 2 does not have as many fields"),
        (
            "b.csv",
            "left,right,outcome,weight\nm,n,tie,much\n",
            "line 2 has an invalid weight: 'much' is not a number",
        ),
        (
            "b.csv",
            "left,right,outcome,weight\nm,n,tie,nan\n",
            "line 2 has an invalid weight: nan is not a finite number",
        ),
        (
            "b.csv",
            "left,right,outcome\na,b,a\nb,a,a\n",
            "line 3 has the outcome 'a', which means left, but a contestant",
        ),
        ("b.csv", "left,right,outcome\nm,tie,tie\n", "line 2 .*'tie', which means tie, but a contestant has"),
        ("b.csv", "left,outcome\nm,tie\n", "line 2 has no right or model_b. It has the fields left, outcome"),
        ("b.csv", "left,right,outcome\nm,n,left\nn,n,left\n", "line 3 has 'n' on both sides"),
        ("b.jsonl", '{"left": "m", "right": "n" "outcome": "left"}\n', "line 1 is not valid JSON: .* in column 28"),
        ("b.jsonl", '{"left": "m", "right": "n"\n', "line 1 is not valid JSON: .* in column 27"),
        ("b.csv", "model_a,model_b,winner_model_a,winner_model_b,winner_tie\nm,n,1,1,0\n", "line 2 has 2 winners"),
        ("b.csv.gz", "left", "is not valid CSV"),
        ("b.parquet", "left", "is not valid Parquet"),
        ("b.txt", "left", r"its name must end with .jsonl, .csv, or .parquet"),
    ],
)
def test_formats_a_wrong_battle_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    """The error has the row and what is wrong with it."""
    (path := tmp_path / name).write_text(text, "utf-8")

    with pytest.raises(InvalidInput, match=message):
        list(read(path))


def test_formats_columns_that_are_missing_or_not_used_are_named(tmp_path: Path) -> None:
    """Without a column of prompts, nobody should take battles for independent without knowing it."""
    (known := tmp_path / "known.csv").write_text(csv_of(ROWS), "utf-8")
    (unknown := tmp_path / "unknown.csv").write_text("left,right,outcome,prompt\nm,n,left,q1\n", "utf-8")

    assert read_with_warnings(known) == (list(read(known)), ())
    _, (no_prompts, not_used) = read_with_warnings(unknown)
    assert "has no column prompt_id or question_id, so each battle counts as a prompt of its own" in no_prompts
    assert not_used.endswith("that are not used: prompt")


def test_formats_battles_without_a_prompt_are_counted(tmp_path: Path) -> None:
    """A column of prompts with gaps makes intervals too narrow as well, if less so."""
    (path := tmp_path / "gaps.csv").write_text("left,right,outcome,prompt_id\nm,n,left,q1\nm,n,left,\n", "utf-8")

    _, (warning,) = read_with_warnings(path)

    assert "1 of 2 battles of " in warning
    assert "has no prompt and counts as a prompt of its own" in warning


def test_formats_names_that_print_alike_are_named(tmp_path: Path) -> None:
    """A space at the end of a name makes two contestants of one."""
    (path := tmp_path / "slips.csv").write_text(
        "left,right,outcome,prompt_id\nm,n,left,q1\nm ,n,left,q2\nN,m,tie,q3\n", "utf-8"
    )

    _, warnings = read_with_warnings(path)

    assert [warning.partition(" count as")[0] for warning in warnings] == ["'N', 'n'", "'m', 'm '"]


def test_formats_a_file_without_battles_is_named(tmp_path: Path) -> None:
    """A header alone is not a leaderboard."""
    (path := tmp_path / "none.csv").write_text("left,right,outcome\n", "utf-8")

    with pytest.raises(InvalidInput, match=r"none\.csv has no battles"):
        read_with_warnings(path)


@pytest.mark.parametrize(
    ("name", "expected"), [("batles.csv", True), ("b.jsonl.gz", True), ("labels:a.csv", False), ("people", False)]
)
def test_formats_names_of_files_and_of_sources_differ(name: str, *, expected: bool) -> None:
    assert is_battle_file(name) is expected
