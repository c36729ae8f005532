"""Files of our own format and FastChat folders, read as prompts, outputs, labels, and verdicts."""

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
from judge.formats.jsonl import battle
from judge.formats.lines import read_rows


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
    """A folder holds prompts with their reference answers, outputs, and labels by file."""
    content = read(fastchat)

    (prompt,), (output,) = content.prompts(), content.outputs()
    assert (detect(fastchat), prompt.prompt_id, prompt.reference) == ("fastchat", "81", ("r1", "r2"))
    assert (output.contestant, output.turns) == ("m", ("", "b"))
    assert dict(content.counts().labels) == {"gpt4_pair_votes.jsonl": 1, "human_votes.jsonl": 3}


def test_formats_fastchat_judgment_is_two_verdicts(fastchat: Path) -> None:
    """Game 1 shows model_1 first, game 2 model_2. An error is unreadable and keeps its text. The sample is skipped."""
    first, second = read(fastchat).verdicts()

    assert (first.left, first.right, first.judge, first.turn) == ("m", "n", "j", 2)
    assert (first.order, first.outcome, first.raw) == (Order.LEFT_FIRST, Outcome.LEFT, "[[A]]")
    assert (second.order, second.outcome, second.raw) == (Order.RIGHT_FIRST, None, "hm")
    assert second.status is VerdictStatus.UNREADABLE


def test_formats_fastchat_votes_are_all_kept(fastchat: Path) -> None:
    """Repeated votes and both orientations are kept; their line numbers distinguish them."""
    labels = list(read(fastchat).labels())

    people = [label for source, label in labels if source == "human_votes.jsonl"]
    (machine,) = (label for source, label in labels if source == "gpt4_pair_votes.jsonl")
    assert [(label.label_id, label.left, label.outcome) for label in people] == [
        ("1", "m", Outcome.RIGHT),
        ("2", "m", Outcome.RIGHT),
        ("3", "n", Outcome.LEFT),
    ]
    assert {label.kind for label in people} == {AnnotatorKind.HUMAN}
    assert machine.kind is AnnotatorKind.MODEL
    assert (machine.outcome, machine.tie_kind) == (Outcome.TIE, TieKind.INCONSISTENT)


def test_formats_jsonl_aliases(tmp_path: Path) -> None:
    """The field names of other tools are read like ours."""
    write(tmp_path / "prompts.jsonl", {"question_id": 1, "text": "q"})
    write(tmp_path / "outputs.jsonl.gz", {"prompt_id": "1", "model": "m", "turns": ["a"]})
    pair = {"prompt_id": "1", "model_a": "m", "model_b": "n"}
    write(tmp_path / "labels.jsonl", pair | {"winner": "b", "annotator": "x"})
    write(tmp_path / "verdicts.jsonl", pair | {"first": "right", "judge": "j", "raw": "[[A]]"})

    content = read(tmp_path)

    (prompt,), (output,), (verdict,) = content.prompts(), content.outputs(), content.verdicts()
    ((source, label),) = content.labels()
    assert source == "labels.jsonl"
    assert (prompt.prompt_id, prompt.turns, output.contestant) == ("1", ("q",), "m")
    assert (label.outcome, label.kind, label.label_id) == (Outcome.RIGHT, AnnotatorKind.HUMAN, "1")
    assert (verdict.order, verdict.raw, verdict.outcome) == (Order.RIGHT_FIRST, "[[A]]", None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"prompt_id": "1", "le', "is not valid JSON: .* in column"),
        (b'{"prompt_id": "1\t"}', "is not valid JSON: Invalid control character in column 17$"),
        (b'{"prompt_id": "\xff"}', "is not UTF-8"),
        (b"[1]", "is not a JSON object"),
        (b'{"prompt_id": "1", "left": "m", "right": "n", "annotator": "x"}', "has no field 'outcome'"),
        (b'{"prompt_id": "1", "left": "m", "right": "n", "annotator": "x", "winner": "c"}', "unknown outcome 'c'"),
        (b'{"prompt_id": "1", "left": "m", "right": "m", "annotator": "x", "winner": "a"}', "compared with itself"),
        (b'{"prompt_id": "\\ud800"}', "lone surrogate"),
        (b'{"prompt_id": "1", "prompt_id": "2"}', "'prompt_id' is there twice"),
        (b'{"prompt_id": "1", "strength": NaN}', "NaN is not a number"),
        (
            b'{"prompt_id": "1", "left": "m", "right": "n", "judge": ["x"], "winner": "a"}',
            "has an invalid annotator: .* is not a name",
        ),
    ],
)
def test_formats_wrong_line_is_named(tmp_path: Path, line: bytes, message: str) -> None:
    """The error has the file and the line. An unknown word is an error and never a tie."""
    row = {"prompt_id": "1", "left": "m", "right": "n", "annotator": "x", "outcome": "tie"}
    path = tmp_path / "labels.jsonl"
    path.write_bytes(json.dumps(row).encode() + b"\n\n" + line)

    with pytest.raises(InvalidInput, match=f"labels.jsonl line 3.*{message}"):
        read(path).counts()


def test_formats_unknown_path_is_named(tmp_path: Path) -> None:
    """An empty folder, an unknown file, and a missing file are errors that name the path."""
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

    content = read(path)

    assert list(content.prompts()) == list(content.prompts()) != []


def test_formats_reference_answers_of_their_own_folder_are_the_ones_that_count(fastchat: Path) -> None:
    """A question's own reference is read only if there is no folder of reference answers."""
    row = {"question_id": 81, "turns": ["q1", "q2"], "reference": ["inline", ""]}
    other = {"question_id": 82, "turns": ["q1", "q2"], "reference": ["inline", ""]}
    write(fastchat / "question.jsonl", row, other)
    with_folder = [prompt.reference for prompt in read(fastchat).prompts()]
    (fastchat / "reference_answer/g.jsonl").unlink()
    (fastchat / "reference_answer").rmdir()

    without_folder = [prompt.reference for prompt in read(fastchat).prompts()]

    assert (with_folder, without_folder) == ([("r1", "r2"), ()], [("inline",), ("inline",)])


def test_formats_a_verdict_of_both_orders_is_a_label_of_a_model(tmp_path: Path) -> None:
    """Rows with `order: ab` or `ba` are verdicts, and `error` is an unreadable one. Rows with `both` are labels."""
    pair = {"prompt_id": "1", "model_a": "m", "model_b": "n", "judge": "j"}
    rows: list[dict[str, Any]] = [
        pair | {"order": "ab", "winner": "a", "raw": "[[A]]"},
        pair | {"order": "ba", "winner": "error", "raw": "hm"},
        pair | {"order": "both", "winner": "tie", "inconsistent": True},
        pair | {"order": "both", "winner": "b", "inconsistent": False},
    ]
    write(tmp_path / "judge_verdicts_j.jsonl.gz", *rows)

    content = read(tmp_path)

    first, second = content.verdicts()
    labels = [label for _, label in content.labels()]
    assert (first.order, first.outcome) == (Order.LEFT_FIRST, Outcome.LEFT)
    assert (second.order, second.outcome) == (Order.RIGHT_FIRST, None)
    assert second.status is VerdictStatus.UNREADABLE
    assert [(label.kind, label.outcome, label.tie_kind) for label in labels] == [
        (AnnotatorKind.MODEL, Outcome.TIE, TieKind.INCONSISTENT),
        (AnnotatorKind.MODEL, Outcome.RIGHT, None),
    ]


def test_formats_words_of_arenas_for_a_tie(tmp_path: Path) -> None:
    pair = {"prompt_id": "1", "left": "m", "right": "n", "judge": "x"}
    write(tmp_path / "labels.jsonl", *(pair | {"winner": word} for word in ("tie (bothbad)", "both_bad", "tie")))

    kinds = [label.tie_kind for _, label in read(tmp_path).labels()]

    assert kinds == [TieKind.BOTH_BAD, TieKind.BOTH_BAD, None]


def test_formats_a_file_cut_off_in_the_middle_is_named(tmp_path: Path) -> None:
    """The error has the line at which a compressed file breaks off."""
    path = write(tmp_path / "prompts.jsonl.gz", *({"prompt_id": str(n), "text": f"{n * n}"} for n in range(500)))
    path.write_bytes(path.read_bytes()[:-40])

    with pytest.raises(InvalidInput, match=r"prompts\.jsonl\.gz line \d+ is cut off"):
        read(path).counts()


def test_formats_battles_are_ranked_not_imported(tmp_path: Path) -> None:
    battles = write(tmp_path / "battles.jsonl", {"left": "m", "right": "n", "outcome": "left"})

    for path in (tmp_path, battles):
        with pytest.raises(InvalidInput, match="judge rank"):
            read(path)
    write(tmp_path / "prompts.jsonl", {"prompt_id": "1", "text": "q"})
    assert read(tmp_path).battles == (battles,)


def test_formats_words_of_battles(tmp_path: Path) -> None:
    """Battles accept every word that labels do, and all kinds of ties are ties."""
    pair = {"model_a": "m", "model_b": "n", "question_id": 1, "weight": 2}
    winners = ("model_a", "right", "tie (inconsistent)", "tie (bothbad)", "both_bad")
    path = write(tmp_path / "battles.jsonl", *(pair | {"winner": winner} for winner in winners))

    battles = list(read_rows(path, battle))

    assert [b.outcome for b in battles] == [Outcome.LEFT, Outcome.RIGHT, Outcome.TIE, Outcome.TIE, Outcome.TIE]
    assert {(b.weight, b.prompt_id) for b in battles} == {(2.0, "1")}


@pytest.mark.parametrize("weight", ["0", "-1", "1e999", "NaN", '"2"', "true"])
def test_formats_a_weight_is_finite_and_positive(tmp_path: Path, weight: str) -> None:
    path = tmp_path / "battles.jsonl"
    path.write_text(f'{{"left": "m", "right": "n", "outcome": "left", "weight": {weight}}}', "utf-8")

    with pytest.raises(InvalidInput, match=r"battles\.jsonl line 1 "):
        list(read_rows(path, battle))
