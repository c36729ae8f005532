"""Scores of single answers, as FastChat writes them and as rows of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from judge.domain.outcome import AnnotatorKind
from judge.domain.scores import Score, ScoreScale, score_of
from judge.formats.detect import read
from judge.formats.importing import Import, count


def fastchat_row(model: str, value: float, turn: int = 1, question: int = 81) -> dict[str, Any]:
    judge = ["gpt-4", "single-v1" if turn == 1 else "single-v1-multi-turn"]
    return {
        "question_id": question,
        "model": model,
        "judge": judge,
        "user_prompt": "rate",
        "judgment": f"[[{value}]]",
        "score": value,
        "turn": turn,
        "tstamp": 1.5,
    }


def read_rows(folder: Path, *rows: dict[str, Any], name: str = "gpt-4_single.jsonl") -> Import:
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read(folder / name)


def scores_of(content: Import) -> list[Score]:
    scores = [score_of(label) for _, label in content.labels()]
    return [score for score in scores if score is not None]


def test_formats_scores_of_fastchat_are_labels_of_the_judge(tmp_path: Path) -> None:
    """All prompts of a judge are one annotator, halves are kept, and a model that is judged again has two scores."""
    content = read_rows(
        tmp_path, fastchat_row("m", 8), fastchat_row("m", 7.5, 2), fastchat_row("n", 10), fastchat_row("m", 9)
    )

    scores = scores_of(content)

    assert [(score.contestant, score.turn, score.value) for score in scores] == [
        ("m", 1, 8.0),
        ("m", 2, 7.5),
        ("n", 1, 10.0),
        ("m", 1, 9.0),
    ]
    assert {(score.annotator, score.kind, score.prompt_id) for score in scores} == {
        ("gpt-4_single", AnnotatorKind.MODEL, "81")
    }
    assert scores[0].note == "[[8]]"
    assert len({label.label_id for _, label in content.labels()}) == 4


def test_formats_scores_of_minus_one_are_none(tmp_path: Path) -> None:
    """FastChat writes -1 for a reply without a score. It never becomes a number, and the account counts it."""
    content = read_rows(tmp_path, fastchat_row("m", -1), fastchat_row("m", 4), fastchat_row("n", -1))

    counts = count(content.files[0])

    assert [score.value for score in scores_of(content)] == [4.0]
    assert counts.notes == {"without a score, since the judge's reply has none": 2}
    assert (counts.items, counts.n_wrong) == ({"labels": 1}, 0)


@pytest.mark.parametrize("value", [11, -2, "8 points"])
def test_formats_scores_that_are_not_on_the_scale_are_rejected(tmp_path: Path, value: float) -> None:
    content = read_rows(tmp_path, fastchat_row("m", 8), fastchat_row("m", value, 2))

    (error,) = count(content.files[0]).wrong

    assert "line 2" in error.message


def test_formats_scores_as_rows_of_our_own(tmp_path: Path) -> None:
    """Any annotator's scores go in, on any scale, under our names or those of other tools."""
    rows = (
        {"prompt_id": "q", "contestant": "m", "score": 4, "annotator": "ann", "lowest": 1, "highest": 5, "sample": 1},
        {"question_id": "q", "model": "n", "score": 2.5, "judge": "bob", "kind": "model", "label_id": "mine"},
        {"prompt_id": "q", "contestant": "m", "score": None, "annotator": "ann"},
    )
    content = read_rows(tmp_path, *rows, name="ratings.jsonl")

    first, second = scores_of(content)

    assert (first.value, first.scale, first.sample) == (4.0, ScoreScale(lowest=1, highest=5), 1)
    assert (first.kind, second.kind, second.scale) == (AnnotatorKind.HUMAN, AnnotatorKind.MODEL, ScoreScale())
    assert [label.label_id for _, label in content.labels()][1] == "mine"
    assert count(content.files[0]).notes == {"without a score, so without a label": 1}


def test_formats_scores_name_no_scale_as_a_contestant(tmp_path: Path) -> None:
    """The scale is not among the names that an import checks."""
    names = count(read_rows(tmp_path, fastchat_row("m", 8)).files[0]).names

    assert set(names.named_contestants) == {"m"}
