"""Battles as columns of codes: a Parquet file is read by its columns, with the same result as row by row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from judge.cli.battle_messages import battle_messages
from judge.domain.dataset import Battle
from judge.domain.errors import InvalidInput
from judge.domain.outcome import Outcome
from judge.formats import battles
from judge.formats.battle_codes import BattleCoder

_ROWS: list[dict[str, Any]] = [
    {"model_a": "m", "model_b": "n", "winner": "model_a", "question_id": "q1", "weight": 2.0, "conversation": ["x"]},
    {"model_a": "o", "model_b": "m", "winner": "tie (bothbad)", "question_id": "q2", "weight": 0.5, "conversation": []},
    {"model_a": "n", "model_b": "o", "winner": "model_b", "question_id": "q1", "weight": 1.0, "conversation": ["y"]},
]


def _read_both(folder: Path, rows: list[dict[str, Any]]) -> tuple[battles.BattleTable, battles.BattleTable]:
    pl.DataFrame(rows).write_parquet(folder / "battles.parquet")
    (folder / "battles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return battles.read(folder / "battles.parquet"), battles.read(folder / "battles.jsonl")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"question_id": 7},
        {"question_id": 7.0},
        {"question_id": None},
        {"question_id": ""},
        {"question_id": "a question as long as a text, which is longer than a name may be, and so is hashed"},
        {"weight": 1.0},
    ],
    ids=["texts", "integers", "float ids", "no prompt", "an empty prompt", "a text as prompt", "weights of 1"],
)
@pytest.mark.parametrize("n_changed", [1, 3])
def test_battle_codes_of_a_parquet_file_are_those_of_its_rows(
    tmp_path: Path, changes: dict[str, Any], n_changed: int
) -> None:
    """Both give the same battles, the same sentence on the columns, and the same warnings."""
    rows = [{**row, **(changes if place < n_changed else {})} for place, row in enumerate(_ROWS)]
    if isinstance(changes.get("question_id"), int | float) and n_changed == 1:
        rows = [{**row, "question_id": place + changes["question_id"]} for place, row in enumerate(_ROWS)]

    by_columns, by_rows = _read_both(tmp_path, rows)

    assert list(by_columns.battles) == list(by_rows.battles)
    assert by_columns.columns.replace("battles.parquet", "battles.jsonl") == by_rows.columns
    assert [text.replace("battles.parquet", "battles.jsonl") for text in by_columns.warnings] == list(by_rows.warnings)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"winner": "nobody"}, "has the unknown outcome 'nobody'"),
        ({"model_b": "o"}, "has 'o' on both sides"),
        ({"model_a": None}, "has no left"),
        ({"weight": -1.0}, "has an invalid weight"),
        ({"weight": float("nan")}, "has an invalid weight"),
        ({"winner": None}, "has no outcome"),
    ],
)
def test_battle_codes_a_wrong_row_of_a_parquet_file_is_named(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    """A file with a wrong row is read row by row, so that the error names it."""
    pl.DataFrame([_ROWS[0], {**_ROWS[1], **changes}, _ROWS[2]]).write_parquet(tmp_path / "battles.parquet")

    with pytest.raises(InvalidInput) as error:
        battles.read(tmp_path / "battles.parquet")

    assert f"battles.parquet row 2 {why}" in error.value.message


def test_battle_codes_are_not_read_row_by_row_from_a_parquet_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading a million rows one by one takes many times as long."""
    pl.DataFrame(_ROWS).write_parquet(tmp_path / "battles.parquet")
    monkeypatch.setattr(battles, "rows_of", None)

    assert len(battles.read(tmp_path / "battles.parquet").battles) == len(_ROWS)


def test_battle_codes_in_parts_are_the_same_battles() -> None:
    """Each message has only the names that it uses, and battles without a prompt stay without one."""
    coder = BattleCoder()
    for place in range(7):
        coder.add(Battle(left=f"m{place}", right="n", outcome=Outcome.TIE, prompt_id=f"q{place}" if place % 3 else ""))
    codes = coder.codes()

    parts = list(codes.parts(2))

    assert [battle for part in parts for battle in part] == list(codes)
    assert [len(part.names) for part in parts] == [4, 4, 5, 2]
    assert [len(message.outcome) for message in battle_messages(codes)] == [7]
