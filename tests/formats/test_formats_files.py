from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from judge.domain.errors import InvalidInput
from judge.domain.outcome import AnnotatorKind, Order, Outcome, TieKind, VerdictStatus
from judge.formats.detect import detect, read


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


PAIR = {"question_id": 81, "turn": 2, "model_1": "m", "model_2": "n", "judge": ["j", "pair-v2"]}
GAMES = {"g1_winner": "model_1", "g2_winner": "error", "g1_judgment": "[[A]]", "g2_judgment": "hm"}


@pytest.fixture
def fastchat(tmp_path: Path) -> Path:
    write(tmp_path / "question.jsonl", {"question_id": 81, "category": "math", "turns": ["q1", "q2"]})
    answer = [{"index": 0, "turns": ["", "b"]}]
    write(tmp_path / "model_answer/m.jsonl", {"question_id": 81, "model_id": "m", "choices": answer})
    reference = [{"index": 0, "turns": ["r1", "r2"]}]
    write(tmp_path / "reference_answer/g.jsonl", {"question_id": 81, "model_id": "g", "choices": reference})
    write(tmp_path / "model_judgment/j_pair.jsonl.gz", PAIR | GAMES)
    write(tmp_path / "model_judgment/j_pair.sample.jsonl", PAIR | GAMES)
    vote = {"question_id": 81, "turn": 1, "model_a": "m", "model_b": "n"}
    write(
        tmp_path / "human_votes.jsonl",
        vote | {"judge": "expert_1", "winner": "model_b"},
        vote | {"judge": "expert_1", "winner": "model_b"},
        vote | {"judge": "expert_1", "winner": "model_a", "model_a": "n", "model_b": "m"},
    )
    write(tmp_path / "gpt4_pair_votes.jsonl", vote | {"judge": "gpt4_pair", "winner": "tie (inconsistent)"})
    return tmp_path


def test_formats_fastchat_folder(fastchat: Path) -> None:
    """A folder is prompts with their references, outputs, labels by file and two verdicts a judgment."""
    found = read(fastchat)

    (prompt,), (output,) = found.prompts(), found.outputs()
    assert (detect(fastchat), prompt.prompt_id, prompt.reference) == ("fastchat", "81", ("r1", "r2"))
    assert (output.contestant, output.turns) == ("m", ("", "b"))
    assert sorted(found.labels) == ["gpt4_pair_votes.jsonl", "human_votes.jsonl"]


def test_formats_fastchat_judgment_is_two_verdicts(fastchat: Path) -> None:
    """g1 showed model_1 first, g2 model_2; an error is unreadable and keeps its text; a sample is not read twice."""
    one, two = read(fastchat).verdicts()

    assert (one.left, one.right, one.judge, one.turn) == ("m", "n", "j", 2)
    assert (one.order, one.outcome, one.raw) == (Order.LEFT_FIRST, Outcome.LEFT, "[[A]]")
    assert (two.order, two.outcome, two.raw) == (Order.RIGHT_FIRST, None, "hm")
    assert two.status is VerdictStatus.UNREADABLE


def test_formats_fastchat_votes_are_all_kept(fastchat: Path) -> None:
    """Repeated votes and both orientations stay, told apart by their line."""
    labels = read(fastchat).labels

    people = list(labels["human_votes.jsonl"]())
    (machine,) = labels["gpt4_pair_votes.jsonl"]()
    assert [(label.label_id, label.left, label.outcome) for label in people] == [
        ("1", "m", Outcome.RIGHT),
        ("2", "m", Outcome.RIGHT),
        ("3", "n", Outcome.LEFT),
    ]
    assert {label.kind for label in people} == {AnnotatorKind.HUMAN}
    assert machine.kind is AnnotatorKind.MODEL
    assert (machine.outcome, machine.tie_kind) == (Outcome.TIE, TieKind.INCONSISTENT)


def test_formats_jsonl_aliases(tmp_path: Path) -> None:
    """A folder with the names other tools use reads like one with ours."""
    write(tmp_path / "prompts.jsonl", {"question_id": 1, "text": "q"})
    write(tmp_path / "outputs.jsonl.gz", {"prompt_id": "1", "model": "m", "turns": ["a"]})
    pair = {"prompt_id": "1", "model_a": "m", "model_b": "n"}
    write(tmp_path / "labels.jsonl", pair | {"winner": "b", "annotator": "x"})
    write(tmp_path / "verdicts.jsonl", pair | {"first": "right", "judge": "j", "raw": "[[A]]"})

    found = read(tmp_path)

    (prompt,), (output,), (verdict,) = found.prompts(), found.outputs(), found.verdicts()
    (label,) = found.labels["labels.jsonl"]()
    assert (prompt.prompt_id, prompt.turns, output.contestant) == ("1", ("q",), "m")
    assert (label.outcome, label.kind, label.label_id) == (Outcome.RIGHT, AnnotatorKind.HUMAN, "1")
    assert (verdict.order, verdict.raw, verdict.outcome) == (Order.RIGHT_FIRST, "[[A]]", None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"prompt_id": "1", "le', "is not JSON"),
        (b'{"prompt_id": "\xff"}', "is not UTF-8"),
        (b"[1]", "is not a JSON object"),
        (b'{"prompt_id": "1", "left": "m", "right": "n", "annotator": "x"}', "lacks 'outcome'"),
        (b'{"prompt_id": "1", "left": "m", "right": "n", "annotator": "x", "winner": "c"}', "unknown outcome 'c'"),
        (b'{"prompt_id": "1", "left": "m", "right": "m", "annotator": "x", "winner": "a"}', "compared with itself"),
    ],
)
def test_formats_wrong_line_is_named(tmp_path: Path, line: bytes, said: str) -> None:
    """Whatever is wrong with a line, the error has the file and the line's number; an unknown word is never a tie."""
    row = {"prompt_id": "1", "left": "m", "right": "n", "annotator": "x", "outcome": "tie"}
    path = tmp_path / "labels.jsonl"
    path.write_bytes(json.dumps(row).encode() + b"\n\n" + line)

    with pytest.raises(InvalidInput, match=f"labels.jsonl line 3.*{said}"):
        list(read(path).labels["labels.jsonl"]())


def test_formats_unknown_path_is_named(tmp_path: Path) -> None:
    """Neither an empty folder, nor a strange file, nor a missing one is a format."""
    strange = write(tmp_path / "strange.jsonl", {"x": 1})
    empty = tmp_path / "empty"
    empty.mkdir()

    for path in (strange, empty, tmp_path / "missing"):
        with pytest.raises(InvalidInput, match=re.escape(str(path))):
            detect(path)
    with pytest.raises(InvalidInput, match="fastchat, jsonl"):
        read(strange, "csv")


def test_formats_rows_are_read_anew_each_time(tmp_path: Path) -> None:
    path = write(tmp_path / "prompts.jsonl", {"prompt_id": "1", "turns": ["q"]})

    found = read(path)

    assert list(found.prompts()) == list(found.prompts()) != []
