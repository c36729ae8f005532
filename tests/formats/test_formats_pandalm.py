"""PandaLM's test set and results."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from judge.domain.dataset import ImportedVerdict, Output, Prompt
from judge.domain.outcome import AnnotatorKind, Order, Outcome, VerdictStatus
from judge.formats.detect import read
from judge.formats.importing import Import, count

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "pandalm"
TASK = {"motivation_app": "Mail", "instruction": "Answer.", "input": "Hello"}


def _write(folder: Path, **files: list[dict[str, Any]]) -> Import:
    for name, rows in files.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return read(folder)


def _pair(idx: int, models: str, texts: tuple[object, object], *outcomes: int) -> dict[str, Any]:
    annotators = {f"annotator{number}": outcome for number, outcome in enumerate(outcomes, 1)}
    return {"idx": idx, "cmp_key": models, **TASK, "response1": texts[0], "response2": texts[1], **annotators}


def test_formats_pandalm_a_row_is_a_prompt_two_outputs_and_a_label_of_each_annotator(tmp_path: Path) -> None:
    """0 is a tie, 1 and 2 are the responses. The task and its input are the prompt."""
    content = _write(tmp_path, testset=[_pair(0, "m-1_n-2", ("a", "b"), 0, 1, 2)])

    (prompt,) = content.rows(Prompt)
    assert (prompt.turns, prompt.category) == (("Answer.\n\nHello",), "Mail")
    assert [(output.contestant, output.turns) for output in content.rows(Output)] == [("m-1", ("a",)), ("n-2", ("b",))]
    labels = [label for _, label in content.labels()]
    assert [(label.annotator, label.outcome) for label in labels] == [
        ("annotator1", Outcome.TIE),
        ("annotator2", Outcome.LEFT),
        ("annotator3", Outcome.RIGHT),
    ]
    assert {(label.left, label.right, label.kind) for label in labels} == {("m-1", "n-2", AnnotatorKind.HUMAN)}


def test_formats_pandalm_another_text_of_a_model_is_a_further_sample(tmp_path: Path) -> None:
    """A prompt and an output that are in several rows go in once, and the JSON value true was the text True."""
    rows = [_pair(0, "m_n", ("a", "b"), 1), _pair(1, "m_o", ("a", True), 1), _pair(2, "m_o2", ("a2", "c"), 1)]

    content = _write(tmp_path, testset=rows)

    assert len(list(content.rows(Prompt))) == 1
    assert [(output.contestant, *output.turns, output.sample) for output in content.rows(Output)] == [
        ("m", "a", 0),
        ("n", "b", 0),
        ("o", "True", 0),
        ("m", "a2", 1),
        ("o2", "c", 0),
    ]


def test_formats_pandalm_results_are_verdicts_on_the_rows_of_the_test_set(tmp_path: Path) -> None:
    """A result is a number or a word, its judge the file's name, and garbage is unreadable."""
    results = [{"idx": 0, "gpt_result": "2", "gpt_reason": "why"}, {"idx": 1, "gpt_result": "garbage"}]
    test = [_pair(0, "m_n", ("a", "b"), 1), _pair(1, "m_o", ("a", "c"), 1)]
    files: dict[str, list[dict[str, Any]]] = {"testset-v1": test, "gpt-3.5-turbo-testset-v1": [*results, {"idx": 1}]}
    content = _write(tmp_path, **files)

    first, second = content.rows(ImportedVerdict, lambda _: None)

    prompt = next(content.rows(Prompt, lambda _: None)).prompt_id
    assert (first.prompt_id, first.left, first.right, first.judge) == (prompt, "m", "n", "gpt-3.5-turbo")
    assert (first.order, first.outcome, first.reason) == (Order.LEFT_FIRST, Outcome.RIGHT, "why")
    assert (second.right, second.outcome, second.status) == ("o", None, VerdictStatus.UNREADABLE)


def test_formats_pandalm_a_result_is_on_the_texts_of_its_row(tmp_path: Path) -> None:
    """A label and a verdict on a further sample are on the same comparison."""
    test = [_pair(0, "m_n", ("a", "b"), 1), _pair(1, "m_o", ("a2", "c"), 1)]
    content = _write(tmp_path, testset=test, results=[{"idx": 1, "pandalm_result": 2}])

    (verdict,) = content.rows(ImportedVerdict)
    label = next(label for _, label in content.labels() if label.right == "o")
    assert (verdict.left_sample, verdict.right_sample) == (label.left_sample, label.right_sample) == (1, 0)


def test_formats_pandalm_results_without_their_test_set_are_left_out(tmp_path: Path) -> None:
    """Their rows have only numbers, so they would be about nothing."""
    content = _write(tmp_path, results=[{"idx": 0, "gpt_result": "2"}], prompts=[{"prompt_id": "1", "text": "q"}])

    (left_out,) = content.left_out
    assert (left_out.name, left_out.loses) == ("results.json", True)
    assert "test set is not in the same folder" in left_out.why


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cmp_key": "a_b_c"}, "invalid cmp_key: 'a_b_c' is not two models"),
        ({"annotator1": 3}, "invalid annotator1: 3 is not 0, 1, 2"),
        ({"annotator1": "garbage"}, "invalid annotator1: 'garbage' is no outcome"),
        ({"response2": None}, "has no field response2"),
    ],
)
def test_formats_pandalm_a_wrong_value_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    """A wrong row adds nothing and is named."""
    row = _pair(0, "m_n", ("a", "b"), 1)
    content = _write(tmp_path, testset=[row, row | change])

    counts = count(content.files[0])

    assert message in counts.wrong[0].message
    assert counts.items["labels"] == 1


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")
def test_formats_pandalm_original_files_are_the_converted_ones() -> None:
    """All outcomes of the original files are those of the data set in our own format."""
    original, converted = read(DATA / "original"), read(DATA)
    assert not original.left_out

    texts = {"original": {p.prompt_id: p.turns[0] for p in original.rows(Prompt)}}
    texts["converted"] = {p.prompt_id: p.turns[0] for p in converted.rows(Prompt)}
    outputs = list(original.rows(Output))
    assert (len(texts["original"]), len(outputs), sum(output.sample > 0 for output in outputs)) == (170, 800, 21)

    def labels(content: Import, name: str) -> Counter[tuple[object, ...]]:
        return Counter((texts[name][x.prompt_id], x.left, x.right, x.annotator, x.outcome) for _, x in content.labels())

    def verdicts(content: Import, name: str) -> Counter[tuple[object, ...]]:
        return Counter(
            (texts[name][v.prompt_id], v.left, v.right, v.judge, v.outcome, v.reason)
            for v in content.rows(ImportedVerdict)
        )

    assert labels(original, "original") == labels(converted, "converted")
    assert labels(original, "original").total() == 2997
    assert verdicts(original, "original") == verdicts(converted, "converted")
    assert verdicts(original, "original").total() == 1998
