"""What holds for every format of other tools: a wrong row is named, a file that is cut off or empty loses no word."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from judge.domain.errors import InvalidInput
from judge.formats.detect import read
from judge.formats.importing import ImportedFile, count

Rows = list[dict[str, Any]]
_PANDALM = {"instruction": "say", "input": "hi", "response1": "a", "response2": "b", "annotator1": 1, "annotator2": 0}
_JUDGEBENCH = {"question": "q", "response_A": "a", "response_B": "b", "label": "A>B"}
_HELPSTEER = {"response1": "a", "response2": "b", "overall_preference": 1}
_PROMETHEUS = {"orig_response_A": "a", "orig_response_B": "b", "orig_preference": "B"}
_ALPACA_EVAL = {"output_1": "a", "generator_1": "m", "output_2": "b", "generator_2": "n", "preference": 1}
_ARENA = {"model_a": "m", "model_b": "n", "winner": "tie", "prompt": "q", "response_a": "a", "response_b": "b"}
_ARENA_HARD = {"model": "m", "baseline": "n", "judge": "j", "games": [{"score": "A>B"}, {"score": "A=B"}]}
_LM_EVAL = {"doc": {}, "arguments": {"gen_args_0": {"arg_0": "q", "arg_1": {}}}, "resps": [["a"]], "target": "t"}
_SAMPLE = {"input": [{"role": "user", "content": "q"}], "output": [{"role": "assistant", "content": "a"}], "model": "m"}
_PROMPTFOO = {"provider": {"id": "m", "label": ""}, "prompt": {"raw": "q"}, "response": {"output": "a"}}
_ANNOTATION = {"completed_by": 7, "result": [{"type": "pairwise", "value": {"selected": "left"}}]}
_TASK = {"data": {"prompt": "q", "text1": "a", "text2": "b"}}
FORMATS: Mapping[str, Rows] = {
    "alpaca-eval": [{"instruction": str(number), "annotator": "j", **_ALPACA_EVAL} for number in range(3)],
    "arena": [{"id": number, **_ARENA} for number in range(3)],
    "arena-hard": [{"uid": str(number), **_ARENA_HARD} for number in range(3)],
    "pandalm": [{"idx": number, "cmp_key": "m_n", **_PANDALM} for number in range(3)],
    "judgebench": [{"pair_id": f"p{number}", **_JUDGEBENCH} for number in range(3)],
    "rewardbench": [
        {"id": number, "prompt": "q", "chosen": ["a"], "rejected": ["b"], "subset": "Math"} for number in range(3)
    ],
    "helpsteer": [{"context": [{"role": "user", "content": f"q{number}"}], **_HELPSTEER} for number in range(3)],
    "lm-eval": [{"doc_id": number, **_LM_EVAL} for number in range(3)],
    "openai-evals": [{"object": "eval.run.output_item", "id": str(number), "sample": _SAMPLE} for number in range(3)],
    "promptfoo": [{"promptIdx": 0, "testIdx": number, **_PROMPTFOO} for number in range(3)],
    "label-studio": [{"id": number, "annotations": [_ANNOTATION], **_TASK} for number in range(3)],
    "preferences": [{"prompt": f"q{number}", "chosen": "a", "rejected": "b"} for number in range(3)],
    "prometheus": [{"orig_instruction": f"q{number}", **_PROMETHEUS} for number in range(3)],
}
"""By format, three rows that are right, and differ as little as they can."""


def _write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _file(path: Path) -> ImportedFile:
    (file,) = read(path).files
    return file


@pytest.mark.parametrize("name", FORMATS)
def test_formats_contract_a_wrong_row_is_named_and_the_others_go_in(tmp_path: Path, name: str) -> None:
    """An object without the format's fields is a wrong row, with its file and line."""
    rows = FORMATS[name]
    right = count(_file(_write(tmp_path / "right.jsonl", rows)))

    with_wrong = count(_file(_write(tmp_path / "wrong.jsonl", [rows[0], {"other": 1}, *rows[1:]])))

    assert right.n_wrong == 0
    assert with_wrong.items == right.items
    (error,) = with_wrong.wrong
    assert error.message.startswith(f"{tmp_path / 'wrong.jsonl'} line 2 ")


@pytest.mark.parametrize("name", FORMATS)
def test_formats_contract_a_file_that_is_cut_off_names_its_last_row(tmp_path: Path, name: str) -> None:
    """The rows before the one that is cut off go in; an array that is cut off is refused as a whole."""
    text = _write(tmp_path / "rows.jsonl", FORMATS[name]).read_text()
    (tmp_path / "rows.jsonl").write_text(text[:-10])
    (tmp_path / "rows.json").write_text(json.dumps(FORMATS[name])[:-10])

    (error,) = count(_file(tmp_path / "rows.jsonl")).wrong

    assert "rows.jsonl line 3 is not valid JSON" in error.message
    with pytest.raises(InvalidInput, match=r"rows\.json is not valid JSON"):
        count(_file(tmp_path / "rows.json"))


@pytest.mark.parametrize("name", FORMATS)
def test_formats_contract_an_array_holds_the_same_as_lines(tmp_path: Path, name: str) -> None:
    """The container does not matter."""
    (tmp_path / "rows.json").write_text(json.dumps(FORMATS[name]))

    array = count(_file(tmp_path / "rows.json")).items

    assert array == count(_file(_write(tmp_path / "rows.jsonl", FORMATS[name]))).items
    assert array.total() > 0


@pytest.mark.parametrize("name", FORMATS)
def test_formats_contract_a_format_may_be_named(tmp_path: Path, name: str) -> None:
    """Named, it is the only one that is tried. An empty file is in no format."""
    path = _write(tmp_path / "rows.jsonl", FORMATS[name])
    empty = _write(tmp_path / "empty.jsonl", [])

    assert len(read(path, name).files) == 1
    with pytest.raises(InvalidInput, match="is empty"):
        read(empty, name)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "latin-1"])
def test_formats_contract_another_encoding_is_refused(tmp_path: Path, name: str, encoding: str) -> None:
    """UTF-16, with a byte order mark or not, is no text that is guessed at, and a Latin-1 row is wrong by its line."""
    rows = [{**row, "remark": "déjà vu"} for row in FORMATS[name]]
    path = tmp_path / "rows.jsonl"
    path.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(encoding))

    with pytest.raises(InvalidInput) as error:
        read(path, name)

    assert str(path) in error.value.message
    assert {"utf-16": "is UTF-16", "utf-16-be": "holds no text", "latin-1": "line 1 is not UTF-8"}[
        encoding
    ] in error.value.message


@pytest.mark.parametrize("name", FORMATS)
def test_formats_contract_one_latin_1_row_is_named_and_the_others_go_in(tmp_path: Path, name: str) -> None:
    """Only the row that is not UTF-8 is left out."""
    lines = [json.dumps(row).encode() for row in FORMATS[name]]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join([lines[0], '{"remark": "é"}'.encode("latin-1"), *lines[1:]]))

    counts = count(_file(path))

    assert [error.message for error in counts.wrong] == [f"{path} line 2 is not UTF-8"]
    assert counts.items == count(_file(_write(tmp_path / "right.jsonl", FORMATS[name]))).items


@pytest.mark.parametrize("name", FORMATS)
def test_formats_contract_a_directory_in_place_of_a_file_is_no_file(tmp_path: Path, name: str) -> None:
    """A folder with the name of a file is read as a folder, which holds nothing."""
    (tmp_path / "rows.jsonl").mkdir()

    with pytest.raises(InvalidInput, match="holds nothing to import: the folder is empty"):
        read(tmp_path / "rows.jsonl", name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
@pytest.mark.parametrize("name", FORMATS)
def test_formats_contract_a_file_without_permission_is_refused(tmp_path: Path, name: str) -> None:
    """The error is the system's, with the file."""
    path = _write(tmp_path / "rows.jsonl", FORMATS[name])
    path.chmod(0)

    with pytest.raises(InvalidInput, match=r"rows\.jsonl cannot be read: Permission denied"):
        read(path, name)


@pytest.mark.parametrize("name", FORMATS)
def test_formats_contract_one_wrong_row_among_thousands_is_named(tmp_path: Path, name: str) -> None:
    """Its line is right, and all the others go in."""
    rows = [row for _ in range(700) for row in FORMATS[name]]
    path = _write(tmp_path / "rows.jsonl", [*rows[:1_500], {"other": 1}, *rows[1_500:]])

    counts = count(_file(path))

    assert counts.n_wrong == 1
    assert counts.wrong[0].message.startswith(f"{path} line 1501 ")
    assert counts.items == count(_file(_write(tmp_path / "right.jsonl", rows))).items
