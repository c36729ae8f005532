"""Files of our own format and FastChat folders, read as prompts, outputs, labels, and verdicts."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from judge.domain.dataset import ImportedVerdict, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.outcome import AnnotatorKind, Order, Outcome, TieKind, VerdictStatus
from judge.formats import battles
from judge.formats.detect import read
from judge.formats.importing import Import, count


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

    (prompt,), (output,) = content.rows(Prompt), content.rows(Output)
    assert (prompt.prompt_id, prompt.reference) == ("81", ("r1", "r2"))
    assert (output.contestant, output.turns) == ("m", ("", "b"))
    assert Counter(source for source, _ in content.labels()) == {"gpt4_pair_votes.jsonl": 1, "human_votes.jsonl": 3}
    assert {entry.name: entry.why for entry in content.left_out} == {
        "model_judgment/j_pair.sample.jsonl": "a sample of j_pair.jsonl.gz",
        "reference_answer/g.jsonl": "reference answers, read with the questions",
    }
    assert not any(entry.loses for entry in content.left_out)


def test_formats_fastchat_judgment_is_two_verdicts(fastchat: Path) -> None:
    """Game 1 shows model_1 first, game 2 model_2. An error is unreadable and keeps its text. The sample is skipped."""
    first, second = read(fastchat).rows(ImportedVerdict)

    assert (first.left, first.right, first.judge, first.turn) == ("m", "n", "j", 2)
    assert (first.order, first.outcome, first.raw) == (Order.LEFT_FIRST, Outcome.LEFT, "[[A]]")
    assert (second.order, second.outcome, second.raw) == (Order.RIGHT_FIRST, None, "hm")
    assert second.status is VerdictStatus.UNREADABLE


def test_formats_fastchat_votes_are_all_kept(fastchat: Path) -> None:
    """Repeated votes and both orientations are kept; their number distinguishes them."""
    labels = list(read(fastchat).labels())

    people = [label for source, label in labels if source == "human_votes.jsonl"]
    (machine,) = (label for source, label in labels if source == "gpt4_pair_votes.jsonl")
    assert [(label.label_id.partition("-")[2], label.left, label.outcome) for label in people] == [
        ("", "m", Outcome.RIGHT),
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

    (prompt,), (output,), (verdict,) = content.rows(Prompt), content.rows(Output), content.rows(ImportedVerdict)
    ((source, label),) = content.labels()
    assert source == "labels.jsonl"
    assert (prompt.prompt_id, prompt.turns, output.contestant) == ("1", ("q",), "m")
    assert (label.outcome, label.kind) == (Outcome.RIGHT, AnnotatorKind.HUMAN)
    assert (verdict.order, verdict.raw, verdict.outcome) == (Order.RIGHT_FIRST, "[[A]]", None)


def test_formats_verdicts_name_the_samples_they_are_on(tmp_path: Path) -> None:
    """Sample 0 is the default, as for labels."""
    verdict = {"prompt_id": "1", "left": "m", "right": "n", "first": "left", "judge": "j", "outcome": "left"}
    write(tmp_path / "verdicts.jsonl", verdict, {**verdict, "right_sample": 2})

    samples = [(row.left_sample, row.right_sample) for row in read(tmp_path).rows(ImportedVerdict)]

    assert samples == [(0, 0), (0, 2)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"prompt_id": "1", "le', "is not valid JSON: .* in column"),
        (b'{"prompt_id": "1\t"}', "is not valid JSON: Invalid control character in column 17$"),
        (
            b'{"prompt_id": "1", "left": "m", "right": "n", "annotator": "x"}',
            "has no field outcome or winner. It has the fields prompt_id, left, right, annotator",
        ),
        (b'{"prompt_id": "1", "left": "m", "right": "n", "annotator": "x", "winner": "c"}', "unknown outcome 'c'"),
        (b'{"prompt_id": "1", "left": "m", "right": "m", "annotator": "x", "winner": "a"}', "compared with itself"),
        (
            b'{"prompt_id": 1.5, "left": "m", "right": "n", "annotator": "x", "winner": "a"}',
            "has an invalid prompt_id: 1.5 is not a name",
        ),
        (
            b'{"question_id": [1], "left": "m", "right": "n", "annotator": "x", "winner": "a"}',
            r"has an invalid question_id: \[1\] is not a name",
        ),
        (
            b'{"prompt_id": "1", "left": "m", "right": "n", "annotator": "x", "winner": "a", "strength": NaN}',
            "has an invalid strength: nan is not a finite number",
        ),
        (
            b'{"prompt_id": "1", "left": "m", "right": "n", "judge": ["x"], "winner": "a"}',
            "has an invalid judge: .* is not a name",
        ),
    ],
)
def test_formats_a_wrong_row_is_named_and_the_rest_is_read(tmp_path: Path, line: bytes, message: str) -> None:
    """The error has the file and the line. An unknown word is an error and never a tie."""
    row = {"prompt_id": "1", "left": "m", "right": "n", "annotator": "x", "outcome": "tie"}
    path = tmp_path / "labels.jsonl"
    path.write_bytes(b"\n".join((json.dumps(row).encode(), b"", line, json.dumps(row).encode())))

    (file,) = read(path).files
    counts = count(file)

    assert (counts.items["labels"], counts.n_wrong) == (2, 1)
    with pytest.raises(InvalidInput, match=f"labels.jsonl line 3.*{message}"):
        raise counts.wrong[0]
    with pytest.raises(InvalidInput, match=f"labels.jsonl line 3.*{message}"):
        list(file.items())


def test_formats_what_holds_nothing_is_named(tmp_path: Path) -> None:
    """An empty folder, an unknown file, and a missing file are errors that name the path and say why."""
    strange = write(tmp_path / "strange.jsonl", {"x": 1, "y": 2})
    (empty := tmp_path / "empty").mkdir()

    for path, why in (
        (strange, "it has the fields x, y"),
        (empty, "the folder is empty"),
        (tmp_path / "none", "exist"),
    ):
        with pytest.raises(InvalidInput, match=f"{re.escape(str(path))}.*{why}"):
            read(path)
    with pytest.raises(InvalidInput, match=r"use one of .*fastchat, .*own"):
        read(strange, "csv")


def test_formats_rows_are_read_anew_each_time(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.jsonl", LABEL)

    content = read(path)

    assert list(content.labels()) == list(content.labels()) != []


LABEL = {"prompt_id": "1", "left": "m", "right": "n", "annotator": "x", "outcome": "tie"}


def ids(content: Import) -> list[str]:
    return [label.label_id for _, label in content.labels()]


def test_formats_a_label_is_identified_by_its_content(tmp_path: Path) -> None:
    """A line that is put in front of the others changes no id, and a changed vote keeps its own."""
    others = [LABEL | {"prompt_id": str(n)} for n in range(3)]
    before = ids(read(write(tmp_path / "labels.jsonl", *others, others[0])))
    after = ids(read(write(tmp_path / "labels.jsonl", LABEL | {"annotator": "new"}, *others, others[0])))
    changed = ids(read(write(tmp_path / "labels.jsonl", *(row | {"outcome": "left"} for row in [*others, others[0]]))))

    assert (len(set(before)), after[1:], changed) == (4, before, before)
    assert after[0] not in before


def test_formats_a_label_keeps_an_id_of_its_own(tmp_path: Path) -> None:
    """A row's own source counts with its own id only, because both together identify a label."""
    rows: list[dict[str, Any]] = [
        LABEL | {"label_id": 7, "source": "before.jsonl"},
        LABEL | {"label_id": "8"},
        LABEL | {"source": "x"},
    ]

    labels = list(read(write(tmp_path / "labels.jsonl", *rows)).labels())

    assert [(source, label.label_id) for source, label in labels[:2]] == [("before.jsonl", "7"), ("labels.jsonl", "8")]
    assert labels[2].source == "labels.jsonl"


@pytest.mark.parametrize(
    ("name", "row", "kind"),
    [
        ("my_labels.jsonl", LABEL, "labels"),
        ("votes.csv", LABEL, "labels"),
        ("anything.json", {"question_id": 81.0, "text": "q"}, "prompts"),
        ("a.tsv", {"Prompt_ID": "1", "Model": "m", "Text": "a"}, "outputs"),
        (
            "x.jsonl",
            {"prompt_id": "1", "left": "m", "right": "n", "judge": "j", "first": "left", "raw": "hm"},
            "verdicts",
        ),
        ("y.parquet", {"comparison_id": "c", "prompt_id": "1", "left": "m", "right": "n"}, "comparisons"),
    ],
)
def test_formats_a_file_is_what_its_rows_say(tmp_path: Path, name: str, row: dict[str, Any], kind: str) -> None:
    """The name and the container do not count."""
    frame, path = pl.DataFrame([row]), tmp_path / name
    match path.suffix:
        case ".csv":
            frame.write_csv(path)
        case ".tsv":
            frame.write_csv(path, separator="\t")
        case ".parquet":
            frame.write_parquet(path)
        case ".json":
            path.write_text(json.dumps([row], indent=2), "utf-8")
        case _:
            write(path, row)

    (file,) = read(path).files

    assert count(file).items == {kind: 1}


def test_formats_every_file_of_a_folder_is_accounted_for(tmp_path: Path) -> None:
    """What is left out is named with its reason, and whether anything is lost by it."""
    write(tmp_path / "labels.jsonl", LABEL)
    write(tmp_path / "labels.jsonl.gz", LABEL)
    write(tmp_path / "battles.jsonl", {"left": "m", "right": "n", "outcome": "left"})
    write(tmp_path / "strange.jsonl", {"x": 1})
    write(tmp_path / "more/labels.jsonl", LABEL)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "notes.txt").write_text("Dear reader,\nno table.\n")
    (tmp_path / "README.md").write_text("# Data\n")
    (tmp_path / "judge.toml").write_text("[judges.j]\n")
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\0")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "out.jsonl").symlink_to("/etc/hostname")
    (tmp_path / "up").symlink_to(tmp_path.parent)

    content = read(tmp_path)

    assert [file.name for file in content.files] == ["labels.jsonl"]
    lost = {entry.name: entry.why for entry in content.left_out if entry.loses}
    assert lost.keys() == {
        *("battles.jsonl", "strange.jsonl", "more/", "empty.csv", "notes.txt", "picture.png", "pipe", "out.jsonl", "up")
    }
    assert "judge rank" in lost["battles.jsonl"]
    assert (lost["empty.csv"], lost["out.jsonl"]) == ("empty", "a link that leads out of the folder")
    assert {entry.name for entry in content.left_out if not entry.loses} == {
        *("README.md", "judge.toml", "labels.jsonl.gz")
    }


def test_formats_folders_are_searched_if_a_folder_holds_nothing_itself(tmp_path: Path) -> None:
    """A checkout has its data some folders down, next to a licence."""
    write(tmp_path / "data/bench/question.jsonl", {"question_id": 1, "turns": ["q"]})
    answer = {"question_id": 1, "model_id": "org/m", "choices": [{"index": 0, "turns": ["a"]}]}
    write(tmp_path / "data/bench/model_answer/org/m.jsonl", answer)
    (tmp_path / "LICENSE").write_text("MIT\n")

    content = read(tmp_path)

    assert [file.name for file in content.files] == [
        "data/bench/question.jsonl",
        "data/bench/model_answer/org/m.jsonl",
    ]


def test_formats_reference_answers_of_their_own_folder_are_the_ones_that_count(fastchat: Path) -> None:
    """A question's own reference is read only if there is no folder of reference answers."""
    row = {"question_id": 81, "turns": ["q1", "q2"], "reference": ["inline", ""]}
    other = {"question_id": 82, "turns": ["q1", "q2"], "reference": ["inline", ""]}
    write(fastchat / "question.jsonl", row, other)
    with_folder = [prompt.reference for prompt in read(fastchat).rows(Prompt)]
    (fastchat / "reference_answer/g.jsonl").unlink()
    (fastchat / "reference_answer").rmdir()

    without_folder = [prompt.reference for prompt in read(fastchat).rows(Prompt)]

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

    first, second = content.rows(ImportedVerdict)
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


def test_formats_single_scores_are_in_the_folder(fastchat: Path) -> None:
    """A score of one answer is a label beside the judgments of pairs, and nothing is left out."""
    row = {"question_id": 81, "model": "m", "judge": ["j", "single-v1"], "judgment": "[[7]]", "score": 7, "turn": 1}
    write(fastchat / "model_judgment/j_single.jsonl", row)

    content = read(fastchat)

    assert not [entry for entry in content.left_out if entry.loses]
    assert "j_single" in {label.annotator for _, label in content.labels()}


def test_formats_judgments_may_be_one_file_for_each_pair(fastchat: Path) -> None:
    """Such files name the judge and its prompt in two fields."""
    row = {key: value for key, value in (PAIR | GAMES).items() if key not in ("judge", "turn")}
    write(fastchat / "model_judgment/gpt-4/m__vs__n.jsonl", row | {"judge_model": "gpt-4", "judge_prompt": "pair"})

    verdicts = [verdict for verdict in read(fastchat).rows(ImportedVerdict) if verdict.judge == "gpt-4"]

    assert [(verdict.order, verdict.turn) for verdict in verdicts] == [(Order.LEFT_FIRST, 1), (Order.RIGHT_FIRST, 1)]


def test_formats_a_packed_file_cut_off_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "prompts.jsonl.gz", *({"prompt_id": str(n), "text": f"{n * n}"} for n in range(500)))
    path.write_bytes(path.read_bytes()[:-40])

    (file,) = read(path).files
    with pytest.raises(InvalidInput, match=r"prompts\.jsonl\.gz is cut off"):
        count(file)


def test_formats_battles_are_ranked_not_imported(tmp_path: Path) -> None:
    file = write(tmp_path / "battles.jsonl", {"left": "m", "right": "n", "outcome": "left"})

    for path in (tmp_path, file):
        with pytest.raises(InvalidInput, match="judge rank"):
            read(path)


def test_formats_words_of_battles(tmp_path: Path) -> None:
    """Battles accept every word that labels do, and all kinds of ties are ties."""
    pair = {"model_a": "m", "model_b": "n", "question_id": 1, "weight": 2}
    winners = ("model_a", "right", "tie (inconsistent)", "tie (bothbad)", "both_bad")
    path = write(tmp_path / "battles.jsonl", *(pair | {"winner": winner} for winner in winners))

    table = battles.read(path).battles

    assert table.outcome.tolist() == [Outcome.LEFT, Outcome.RIGHT, Outcome.TIE, Outcome.TIE, Outcome.TIE]
    assert table.weight is not None
    assert set(table.weight.tolist()) == {2.0}
    assert {table.names[code] for code in table.prompt.tolist()} == {"1"}


@pytest.mark.parametrize("weight", ["0", "-1", "1e999", "NaN", '"2"', "true"])
def test_formats_a_weight_is_finite_and_positive(tmp_path: Path, weight: str) -> None:
    path = tmp_path / "battles.jsonl"
    path.write_text(f'{{"left": "m", "right": "n", "outcome": "left", "weight": {weight}}}', "utf-8")

    with pytest.raises(InvalidInput, match=r"battles\.jsonl line 1 "):
        battles.read(path)
