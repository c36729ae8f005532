"""Samples of lm-evaluation-harness."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from judge.domain.dataset import Output, Prompt
from judge.formats.detect import read
from judge.formats.importing import Import, count

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats/lm-eval"
SUMMARY: dict[str, Any] = {"results": {}, "configs": {}, "versions": {}}


def _row(doc_id: int, *texts: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    arguments = {"gen_args_0": {"arg_0": f"q{doc_id}", "arg_1": {"until": ["\n"]}}}
    return {"doc_id": doc_id, "doc": {}, "target": "t", "arguments": arguments, "resps": [list(texts)], **more}


def _read(folder: Path, *rows: dict[str, Any], name: str = "samples_gsm_8k_2026-03-01T10-00-00.5.jsonl") -> Import:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read(folder)


def test_formats_lm_eval_a_row_of_each_filter_is_one_output(tmp_path: Path) -> None:
    """The reply to a document is one, whatever each filter made of it. Repeats are samples."""
    rows = [_row(number, "a", "b", filter=name) for number in (0, 1) for name in ("strict", "flexible")]

    content = _read(tmp_path / "org__m-1", *rows)

    assert [(p.prompt_id, p.turns, p.category, p.reference) for p in content.rows(Prompt)] == [
        ("gsm_8k/0", ("q0",), "gsm_8k", ("t",)),
        ("gsm_8k/1", ("q1",), "gsm_8k", ("t",)),
    ]
    outputs = [(x.contestant, x.prompt_id, x.sample, *x.turns) for x in content.rows(Output)]
    assert outputs == [
        ("org/m-1", "gsm_8k/0", 0, "a"),
        ("org/m-1", "gsm_8k/0", 1, "b"),
        ("org/m-1", "gsm_8k/1", 0, "a"),
        ("org/m-1", "gsm_8k/1", 1, "b"),
    ]


def test_formats_lm_eval_the_model_is_named_in_the_results(tmp_path: Path) -> None:
    """The summary beside the samples is read for it, and loses nothing."""
    (tmp_path / "results_2026.json").write_text(json.dumps({**SUMMARY, "model_name": "org/exact__name"}))

    content = _read(tmp_path, _row(0, "a"))

    assert [output.contestant for output in content.rows(Output)] == ["org/exact__name"]
    assert [(entry.name, entry.loses) for entry in content.left_out] == [("results_2026.json", False)]


def test_formats_lm_eval_older_arguments_and_chats(tmp_path: Path) -> None:
    """Arguments may be lists, a prompt a chat as JSON, and a target no text."""
    chat = json.dumps([{"role": "user", "content": "hi"}])
    older = _row(0, "a", arguments=[[chat, {}]], target=["x", "y"])

    (prompt,) = _read(tmp_path, older).rows(Prompt)

    assert (prompt.turns, prompt.reference) == (("hi",), ('["x", "y"]',))


@pytest.mark.parametrize(
    "arguments",
    [
        {"gen_args_0": {"arg_0": "q", "arg_1": " yes"}, "gen_args_1": {"arg_0": "q", "arg_1": " no"}},
        {"gen_args_0": {"arg_0": "q", "arg_1": " yes"}},
    ],
)
def test_formats_lm_eval_log_likelihoods_are_left_out(tmp_path: Path, arguments: dict[str, Any]) -> None:
    """They are no texts, so there is nothing to compare; among other rows, such a row is wrong."""
    likelihoods = _row(1, arguments=arguments, resps=[[["-1.5", "False"]], [["-2.5", "True"]]])
    (tmp_path / "other").mkdir()
    _read(tmp_path / "a", _row(0, "a"))

    content = read(tmp_path)
    mixed = _read(tmp_path / "b", _row(0, "a"), likelihoods)
    (tmp_path / "a/samples_mc.jsonl").write_text(json.dumps(likelihoods))

    assert len(content.files) == 1
    (left_out,) = read(tmp_path / "a").left_out
    assert "log-likelihoods" in left_out.why
    assert "has log-likelihoods instead of a text" in count(mixed.files[0]).wrong[0].message


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")
def test_formats_lm_eval_sample() -> None:
    """The rows of two filters are four outputs of the model that the results name."""
    expected = json.loads((DATA / "expected.json").read_text())
    content = read(DATA)

    outputs = list(content.rows(Output))
    assert (len(list(content.rows(Prompt))), len(outputs)) == (expected["prompts"], expected["outputs"])
    assert {output.contestant for output in outputs} == {expected["contestant"]}
