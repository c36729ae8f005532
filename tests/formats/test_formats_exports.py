"""Exports of OpenAI's Evals, promptfoo and Label Studio."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from judge.domain.dataset import Output, Prompt
from judge.domain.names import SIDES
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats.detect import read
from judge.formats.importing import Import, count

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats"
present = pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")


def _read(folder: Path, document: object) -> Import:
    (folder / "export.json").write_text(json.dumps(document, indent=1))
    return read(folder / "export.json")


def _outputs(content: Import) -> list[tuple[str, int, str]]:
    return [(output.contestant, output.sample, output.texts[0]) for output in content.rows(Output)]


def _item(answer: object, **sample: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    output = [] if answer is None else [{"role": "assistant", "content": answer}]
    messages = [{"role": "user", "content": "q"}]
    return {
        "object": "eval.run.output_item",
        "datasource_item": {},
        "results": [{"name": "check", "passed": True}],
        "sample": {"input": messages, "output": output, "model": "m", **sample},
    }


def test_formats_openai_evals_an_item_is_a_prompt_and_an_output(tmp_path: Path) -> None:
    """Each item on a prompt is a sample of its own, and one whose call failed is only a prompt."""
    part = {"type": "output_text", "text": "a"}
    items = [_item("a"), _item([part]), _item(part), _item(None, model="n")]

    content = _read(tmp_path, items)

    assert [prompt.turns for prompt in content.rows(Prompt)] == [("q",)]
    assert _outputs(content) == [("m", 0, "a"), ("m", 1, "a"), ("m", 2, "a")]


def test_formats_openai_evals_a_page_holds_the_same_items(tmp_path: Path) -> None:
    """A page of the API is one object with a list."""
    items = [_item("a"), _item("b", model="n")]

    page = _read(tmp_path, {"object": "list", "data": items, "has_more": False})
    pages = list(page.rows(Output))

    assert pages == list(_read(tmp_path, items).rows(Output))
    assert len(pages) == 2


def test_formats_openai_evals_azure_keeps_query_and_answer_in_the_item(tmp_path: Path) -> None:
    """There, the sample has only the model."""
    item = {**_item(None, input=None), "datasource_item": {"query": "why?", "sample.output_text": "so"}}

    content = _read(tmp_path, [item])

    assert ([prompt.turns for prompt in content.rows(Prompt)], _outputs(content)) == ([("why?",)], [("m", 0, "so")])


def test_formats_openai_evals_a_wrong_item_of_a_page_is_named(tmp_path: Path) -> None:
    """An image elsewhere is refused, and the other items go in."""
    image = _item("a", input=[{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}])

    counts = count(_read(tmp_path, {"object": "list", "data": [_item("a"), image]}).files[0])

    assert counts.items == {"prompts": 1, "outputs": 1}
    assert "data 2 has an image at 'x', which is not fetched" in counts.wrong[0].message


def _result(test: int, provider: object, output: object, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    response = {} if output is None else {"response": {"output": output}}
    return {"promptIdx": 0, "testIdx": test, "provider": provider, "prompt": {"raw": f"q{test}"}, **response, **more}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda rows: {"evalId": "e", "results": {"version": 3, "results": rows, "prompts": []}},
        lambda rows: {"version": 3, "results": rows, "prompts": []},
        lambda rows: rows,
    ],
    ids=["export", "summary", "rows"],
)
def test_formats_promptfoo_results_are_found_where_they_hang(tmp_path: Path, wrap: Any) -> None:  # noqa: ANN401
    """What was sent for a test is the prompt, and the provider the contestant."""
    rows = [_result(number, {"id": name, "label": ""}, f"{name}{number}") for number in (0, 1) for name in "mn"]

    content = _read(tmp_path, wrap(rows))

    assert [prompt.turns[0] for prompt in content.rows(Prompt)] == ["q0", "q1"]
    assert _outputs(content) == [("m", 0, "m0"), ("n", 0, "n0"), ("m", 0, "m1"), ("n", 0, "n1")]


def test_formats_promptfoo_labels_objects_and_errors(tmp_path: Path) -> None:
    """A label distinguishes providers with one id; an object is written as JSON; an error is no output."""
    rows = [
        _result(0, {"id": "m", "label": "hot"}, {"answer": "é"}),
        _result(0, {"id": "m", "label": "cold"}, 7, error="an assertion failed", success=False, failureReason=1),
        _result(0, "plain", "x"),
        _result(1, {"id": "m"}, None, error="timeout", failureReason=2),
    ]

    content = _read(tmp_path, rows)

    assert _outputs(content) == [("hot", 0, '{"answer": "é"}'), ("cold", 0, "7"), ("plain", 0, "x")]
    assert len(list(content.rows(Prompt))) == 2


def test_formats_promptfoo_tests_that_send_the_same_are_different_prompts(tmp_path: Path) -> None:
    """They have different assertions, so they are different tasks."""
    rows = [{**_result(number, "m", "a"), "prompt": {"raw": "same"}} for number in (0, 1)]

    assert len({prompt.prompt_id for prompt in _read(tmp_path, rows).rows(Prompt)}) == 2


CONFIGURATION = """<View><Text name="t1" value="$zulu"/> <Text value='$alpha' name='t2'/>
  <Pairwise name="pw" leftClass="l" toName="t1,t2"/></View>"""


def _annotation(number: int, selected: str | None, **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    result = [] if selected is None else [{"type": "pairwise", "value": {"selected": selected}, "to_name": "pw"}]
    return {"id": number, "completed_by": 7, "result": result, **more}


def _task(*annotations: dict[str, Any], **data: str) -> dict[str, Any]:
    return {"id": 1, "data": data or {"prompt": "q", "alpha": "a", "zulu": "z"}, "annotations": annotations}


def test_formats_label_studio_an_annotation_is_a_label(tmp_path: Path) -> None:
    """Its own id is the label's; a canceled annotation and one that was taken back are none."""
    annotations = [
        _annotation(5, "left"),
        _annotation(6, "right", completed_by={"id": 8, "email": "a@example.com"}),
        _annotation(7, "left", was_cancelled=True),
        _annotation(8, None),
    ]

    content = _read(tmp_path, [_task(), _task(*annotations)])

    labels = [label for _, label in content.labels()]
    assert [(x.label_id, x.outcome, x.annotator) for x in labels] == [
        ("5", Outcome.LEFT, "7"),
        ("6", Outcome.RIGHT, "a@example.com"),
    ]
    assert {(x.left, x.right, x.kind) for x in labels} == {("left", "right", AnnotatorKind.HUMAN)}
    assert {"left", "right"} <= SIDES


def test_formats_label_studio_the_configuration_says_which_field_is_left(tmp_path: Path) -> None:
    """Without it, the first of the fields is taken for the left one, and both are told."""
    tasks = [_task(_annotation(5, "left"))]

    guessed = _read(tmp_path, tasks)
    (tmp_path / "label_config.xml").write_text(CONFIGURATION)
    configured = _read(tmp_path, tasks)

    assert _outputs(guessed) == [("left", 0, "a"), ("right", 0, "z")]
    assert guessed.files[0].format.note.startswith("took the field alpha for left and zulu for right")
    assert _outputs(configured) == [("left", 0, "z"), ("right", 0, "a")]
    assert configured.files[0].format.note == "left is the field zulu, as the labeling configuration says"
    assert [(entry.name, entry.loses) for entry in read(tmp_path).left_out] == [("label_config.xml", False)]


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (_task(_annotation(5, "left"), prompt="q", a="a", b="b", c="c"), "which of a, b, c, prompt was left"),
        (_task(_annotation(5, None)), "without pairwise annotations"),
    ],
)
def test_formats_label_studio_what_cannot_be_read_is_left_out(tmp_path: Path, task: dict[str, Any], why: str) -> None:
    """Labels on sides that nobody knows would be noise."""
    (tmp_path / "prompts.jsonl").write_text('{"prompt_id": "1", "text": "q"}\n')
    (tmp_path / "export.json").write_text(json.dumps([task]))

    (left_out,) = read(tmp_path).left_out

    assert (why in left_out.why, left_out.loses) == (True, True)


def test_formats_label_studio_tasks_without_a_prompt_are_prompts_of_their_own(tmp_path: Path) -> None:
    """Two texts are a pair even if nobody asked for them."""
    tasks = [{**_task(_annotation(n, "left"), one=f"a{n}", two="b"), "id": n} for n in (1, 2)]

    assert [prompt.prompt_id for prompt in _read(tmp_path, tasks).rows(Prompt)] == ["task 1", "task 2"]


@present
def test_formats_exports_samples() -> None:
    """Prompts, outputs and labels of the shared samples."""
    for folder, name in (
        ("openai-evals", "output_items.jsonl"),
        ("openai-evals", "output_items_page.json"),
        ("promptfoo", "results.json"),
    ):
        expected = json.loads((DATA / folder / "expected.json").read_text())
        content = read(DATA / folder / name)
        outputs = list(content.rows(Output))
        assert (len(list(content.rows(Prompt))), len(outputs)) == (expected["prompts"], expected["outputs"])
        assert sorted({x.contestant for x in outputs}) == expected.get("contestants", [expected.get("contestant")])

    expected = json.loads((DATA / "label-studio/expected.json").read_text())
    content = read(DATA / "label-studio")
    labels = [label for _, label in content.labels()]
    assert (len(list(content.rows(Prompt))), len(labels)) == (expected["prompts"], expected["labels"])
    assert Counter(label.outcome.name.lower() for label in labels) == expected["outcomes"]
    assert len({label.annotator for label in labels}) == expected["annotators"]
