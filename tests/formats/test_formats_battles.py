"""Battles read from JSON lines, CSV, and Parquet are equal, and an error names the wrong row."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from judge.domain.errors import InvalidInput
from judge.formats.battles import is_battle_file, read

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

    battles_of = {path.name: read(path).battles for path in tmp_path.iterdir()}

    assert len(battles_of["b.jsonl"]) == 2
    assert all(list(battles) == list(battles_of["b.jsonl"]) for battles in battles_of.values())


def test_formats_battles_of_columns_of_winners(tmp_path: Path) -> None:
    """Three columns of 0 and 1 are read as a winner, as in Chatbot Arena's table."""
    (path := tmp_path / "b.csv").write_text(
        "model_a,model_b,winner_model_a,winner_model_b,winner_tie\nm,n,0,1,0\nm,n,0,0,1\n"
    )

    assert [battle.outcome.name for battle in read(path).battles] == ["RIGHT", "TIE"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("b.csv", "left,right,outcome\nm,n,left\nm,n,won\n", "line 3 .*won"),
        ("b.csv", "left,right,outcome\nm,n\n", "line 2 has 2 fields, but the header has 3"),
        (
            "b.csv",
            "left,right,outcome,weight\nm,n,tie,much\n",
            "line 2 has an invalid weight: 'much' is not a finite number",
        ),
        (
            "b.csv",
            "left,right,outcome,weight\nm,n,tie,nan\n",
            "line 2 has an invalid weight: 'nan' is not a finite number",
        ),
        (
            "b.csv",
            "left,right,outcome\na,b,a\nb,a,a\n",
            "line 3 has the outcome 'a', which means left, but a contestant",
        ),
        ("b.csv", "left,right,outcome\nm,tie,tie\n", "line 2 .*'tie', which means tie, but a contestant has"),
        ("b.csv", "left,outcome\nm,tie\n", "line 2 has no right or model_b.* It has the columns left, outcome"),
        ("b.csv", "left,right,outcome\nm,n,left\nn,n,left\n", "line 3 has 'n' on both sides"),
        ("b.jsonl", '{"left": "m", "right": "n" "outcome": "left"}\n', "line 1 is not valid JSON: .* in column 28"),
        ("b.jsonl", '{"left": "m", "right": "n"\n', "line 1 is not valid JSON: .* in column 27"),
        ("b.csv", "model_a,model_b,winner_model_a,winner_model_b,winner_tie\nm,n,1,1,0\n", "line 2 has 2 winners"),
        ("b.csv", "left,right,outcome,left\nm,n,tie,n\n", "has the column 'left' twice"),
        ("b.csv", 'left,right,outcome\nm,"n,tie\n', "is not valid CSV"),
        ("b.parquet", "PAR1left", "is not valid Parquet"),
        ("b.txt", "left", r"b\.txt has no battles"),
    ],
)
def test_formats_a_wrong_battle_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    """The error has the row and what is wrong with it."""
    (path := tmp_path / name).write_text(text, "utf-8")

    with pytest.raises(InvalidInput, match=message):
        read(path)


def test_formats_columns_say_what_they_were_taken_for(tmp_path: Path) -> None:
    """Without a column of prompts, nobody should take battles for independent without knowing it."""
    (known := tmp_path / "known.csv").write_text(csv_of(ROWS), "utf-8")
    (unknown := tmp_path / "unknown.csv").write_text("left,right,outcome,note\nm,n,left,q1\n", "utf-8")

    assert read(known).columns == (
        f"Columns of {known}: left: model_a; right: model_b; outcome: winner; weight: weight; prompt: question_id"
    )
    assert read(known).warnings == ()
    table = read(unknown)
    assert table.columns.endswith("left: left; right: right; outcome: outcome. Not used: note")
    (warning,) = table.warnings
    assert "has no column prompt_id or question_id, so each battle counts as a prompt of its own" in warning


@pytest.mark.parametrize("column", ["Question_ID", "prompt", "instruction", "id", "Prompt ID", "uid", "question-id"])
def test_formats_prompts_of_other_names_are_prompts(tmp_path: Path, column: str) -> None:
    """A column that says which battles are on one prompt is used, whatever its spelling."""
    rows = "".join(f"m,n,left,{prompt}\n" for prompt in ("q1", "q1", "q2"))
    (path := tmp_path / "b.csv").write_text(f"left,right,outcome,{column}\n{rows}", "utf-8")

    table = read(path)

    assert [battle.prompt_id for battle in table.battles] == ["q1", "q1", "q2"]
    assert (f"prompt: {column}" in table.columns, table.warnings) == (True, ())


def test_formats_an_id_that_numbers_the_rows_is_no_prompt(tmp_path: Path) -> None:
    (path := tmp_path / "b.csv").write_text("id,left,right,outcome\n1,m,n,left\n2,m,n,left\n", "utf-8")

    table = read(path)

    assert [battle.prompt_id for battle in table.battles] == ["", ""]
    assert "Not used: id" in table.columns
    assert "a column id that differs in each row" in table.warnings[0]


@pytest.mark.parametrize("as_text", [False, True])
def test_formats_what_a_user_says_is_the_prompt_of_votes_with_ids_of_their_own(
    tmp_path: Path, *, as_text: bool
) -> None:
    """Two votes of Chatbot Arena on the same words are not independent, whatever the models answer."""
    chats = [
        [{"role": "user", "content": text}, {"role": "assistant", "content": f"{number}"}]
        for number, text in enumerate(("Hi", "Hi", "Why?"))
    ]
    rows = [
        {
            "question_id": f"v{number}",
            "model_a": "m",
            "model_b": "n",
            "winner": "model_a",
            "conversation_a": json.dumps(chat) if as_text else chat,
        }
        for number, chat in enumerate(chats)
    ]
    (path := tmp_path / "votes.json").write_text(json.dumps(rows), "utf-8")

    table = read(path)

    first, second, third = (battle.prompt_id for battle in table.battles)
    assert first == second != third
    assert "prompt: what the user says in conversation_a. Not used: question_id" in table.columns
    assert not table.warnings


def test_formats_a_prompt_text_is_a_prompt(tmp_path: Path) -> None:
    """A text longer than a name may be serves as well: equal texts are one prompt."""
    rows = [{"left": "m", "right": "n", "winner": "tie", "prompt": text * 50} for text in ("ab ", "ab ", "cd ")]
    (path := tmp_path / "b.json").write_text(json.dumps(rows), "utf-8")

    first, second, third = (battle.prompt_id for battle in read(path).battles)

    assert first == second != third


def test_formats_a_column_that_only_later_rows_have_is_used(tmp_path: Path) -> None:
    """The first row does not decide what the others hold."""
    pair = {"left": "m", "right": "n", "outcome": "left"}
    rows = [pair, pair | {"prompt_id": "q1"}, pair | {"prompt_id": "q1"}]
    (path := tmp_path / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    (table := tmp_path / "b.csv").write_text("left,right,outcome,prompt_id\nm,n,left,\nm,n,left,q1\n", "utf-8")

    assert [battle.prompt_id for battle in read(path).battles] == ["", "q1", "q1"]
    assert [battle.prompt_id for battle in read(table).battles] == ["", "q1"]


def test_formats_battles_without_a_prompt_are_counted(tmp_path: Path) -> None:
    """A column of prompts with gaps makes intervals too narrow as well, if less so."""
    (path := tmp_path / "gaps.csv").write_text("left,right,outcome,prompt_id\nm,n,left,q1\nm,n,left,\n", "utf-8")

    (warning,) = read(path).warnings

    assert "1 of 2 battles of " in warning
    assert "has no prompt and counts as a prompt of its own" in warning


@pytest.mark.parametrize("other", ["m ", " m", "M", "m\u200b", "\uff4d"])
def test_formats_names_that_look_alike_are_named(tmp_path: Path, other: str) -> None:
    """A blank, an invisible character, a capital, or a wide letter makes two contestants of one."""
    (path := tmp_path / "slips.jsonl").write_text(
        "".join(
            json.dumps({"left": name, "right": "x", "outcome": "left", "prompt_id": name}) + "\n"
            for name in ("m", other)
        ),
        "utf-8",
    )

    (warning,) = read(path).warnings

    assert "count as different contestants" in warning
    assert "'m'" in warning
    assert warning.isprintable()


def test_formats_votes_that_name_the_winner(tmp_path: Path) -> None:
    """ComparIA's votes name the model that was chosen, and have a column for ties."""
    pair = {"model_a_name": "m", "model_b_name": "n"}
    rows = [
        pair | {"chosen_model_name": "n", "both_equal": False},
        pair | {"chosen_model_name": None, "both_equal": True},
    ]
    pl.DataFrame(rows).write_parquet(path := tmp_path / "votes.parquet")

    assert [battle.outcome.name for battle in read(path).battles] == ["RIGHT", "TIE"]


def test_formats_a_file_without_battles_is_named(tmp_path: Path) -> None:
    """A header alone is not a leaderboard."""
    (path := tmp_path / "none.csv").write_text("left,right,outcome\n", "utf-8")

    with pytest.raises(InvalidInput, match=r"none\.csv has no battles"):
        read(path)


@pytest.mark.parametrize(
    ("name", "expected"), [("batles.csv", True), ("b.jsonl.gz", True), ("labels:a.csv", False), ("people", False)]
)
def test_formats_names_of_files_and_of_sources_differ(name: str, *, expected: bool) -> None:
    assert is_battle_file(name) is expected
