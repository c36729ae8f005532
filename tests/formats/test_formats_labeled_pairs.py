"""RewardBench 2, HelpSteer3 and Prometheus: pairs whose sides have no contestants."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from judge.domain.dataset import Output, Prompt
from judge.domain.messages import ChatMessage, ChatTurn, Role, TextPart
from judge.domain.names import SIDES
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats.detect import read
from judge.formats.importing import Import, count

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats"
present = pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")
REWARD = {"id": "7", "prompt": "q", "subset": "Ties", "models": ["m", "n", "m", "n"], "num_correct": 2}
STEER = {"context": [{"role": "user", "content": "q"}], "domain": "code", "language": "python"}
PROMETHEUS = {"orig_instruction": "q", "orig_response_A": "a", "orig_response_B": "b", "orig_preference": "A"}


def _read(folder: Path, *rows: dict[str, Any]) -> Import:
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read(folder / "rows.jsonl")


def _totals(content: Import) -> dict[str, int]:
    counts = [count(file) for file in content.files]
    assert not any(each.n_wrong for each in counts)
    total = sum((each.items for each in counts), Counter[str]())
    return {kind: total[kind] for kind in ("prompts", "outputs", "labels")}


def test_formats_rewardbench_each_chosen_beats_each_rejected(tmp_path: Path) -> None:
    """Many right and many wrong completions are samples of two sides."""
    content = _read(tmp_path, {**REWARD, "chosen": ["a", "b"], "rejected": ["c", "d"]})

    labels = [label for _, label in content.labels()]
    assert [(output.contestant, output.sample, *output.turns) for output in content.rows(Output)] == [
        ("chosen", 0, "a"),
        ("chosen", 1, "b"),
        ("rejected", 0, "c"),
        ("rejected", 1, "d"),
    ]
    pairs = [(label.left, label.left_sample, label.right, label.right_sample) for label in labels]
    assert pairs == [("chosen", left, "rejected", right) for left in (0, 1) for right in (0, 1)]
    assert {(label.outcome, label.kind) for label in labels} == {(Outcome.LEFT, AnnotatorKind.GOLD)}
    assert [(prompt.prompt_id, prompt.category) for prompt in content.rows(Prompt)] == [("7", "Ties")]
    assert {label.left for label in labels} | {label.right for label in labels} <= SIDES


def test_formats_rewardbench_the_same_rows_in_two_files_have_the_same_labels(tmp_path: Path) -> None:
    """A gold label's source is the benchmark, not the file, so the second file adds nothing."""
    rows = [{**REWARD, "chosen": ["a"], "rejected": ["c", "d"]}]
    _read(tmp_path, *rows)
    pl.DataFrame(rows).write_parquet(tmp_path / "rows.parquet")

    labels = [(source, label) for source, label in read(tmp_path).labels()]

    assert len(labels) == 4
    assert labels[:2] == labels[2:]


def test_formats_helpsteer_a_label_of_each_annotator(tmp_path: Path) -> None:
    """A negative score is for response1, and its size is the strength."""
    scores = [{"score": -3, "reasoning": "why"}, {"score": 0}, {"score": 1}]
    row = {**STEER, "response1": "a", "response2": "b", "overall_preference": -1, "individual_preference": scores}

    content = _read(tmp_path, row)

    labels = [label for _, label in content.labels()]
    assert [(x.annotator, x.outcome, x.strength, x.note) for x in labels] == [
        ("annotator1", Outcome.LEFT, 1.0, "why"),
        ("annotator2", Outcome.TIE, 0.0, ""),
        ("annotator3", Outcome.RIGHT, 1 / 3, ""),
    ]
    assert {(label.left, label.right) for label in labels} == {("response1", "response2")}
    assert {"response1", "response2"} <= SIDES
    assert [(p.turns, p.category, p.tags) for p in content.rows(Prompt)] == [(("q",), "code", ("python",))]


def test_formats_helpsteer_without_annotators_the_overall_score_counts(tmp_path: Path) -> None:
    """The field may be missing, and a score beyond the scale is wrong."""
    row = {**STEER, "response1": "a", "response2": "b", "overall_preference": 2}

    content = _read(tmp_path, row, {**row, "overall_preference": 4})

    ((_, label),) = content.files[0].labels(lambda _: None)
    (error,) = count(content.files[0]).wrong
    assert (label.annotator, label.outcome) == ("overall", Outcome.RIGHT)
    assert "overall_preference: 4 is not from -3 to 3" in error.message


def test_formats_helpsteer_a_conversation_is_one_turn_and_other_responses_are_samples(tmp_path: Path) -> None:
    """Messages keep their roles. A conversation that is in two rows is one prompt."""
    turns = [("system", "s"), ("user", "q1"), ("assistant", "a1"), ("user", "q2")]
    context = [{"role": role, "content": text} for role, text in turns]
    row = {"context": context, "response1": "a", "response2": "b", "overall_preference": 1}

    content = _read(tmp_path, row, {**row, "response1": "c"})

    (prompt,) = content.rows(Prompt)
    assert prompt.turns == (ChatTurn(tuple(ChatMessage(Role(role), (TextPart(text),)) for role, text in turns)),)
    assert [(output.contestant, output.sample, *output.turns) for output in content.rows(Output)] == [
        ("response1", 0, "a"),
        ("response2", 0, "b"),
        ("response1", 1, "c"),
    ]
    assert [label.left_sample for _, label in content.labels()] == [0, 1]


def test_formats_helpsteer_an_image_is_refused(tmp_path: Path) -> None:
    """The row is wrong, and the next row still brings the texts that both share."""
    image = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}
    row = {**STEER, "response1": "a", "response2": "b", "overall_preference": 1}

    content = _read(tmp_path, row, {**row, "context": [image]})

    (error,) = count(content.files[0]).wrong
    assert "has an image at 'data:', which is not fetched" in error.message


def test_formats_preferences_a_wrong_row_takes_nothing_from_the_next(tmp_path: Path) -> None:
    """A prompt and outputs of a row that is refused go in with the next row that has them."""
    too_long, no_outcome = {"orig_response_B": "x" * 1_100_000}, {"orig_preference": "C"}
    content = _read(tmp_path, PROMETHEUS | too_long, PROMETHEUS | no_outcome, PROMETHEUS)

    counts = count(content.files[0])

    assert counts.items == {"prompts": 1, "outputs": 2, "labels": 1}
    assert [error.reason for error in counts.wrong] == ["TEXT_TOO_LONG", "INVALID_ROW"]


def test_formats_prometheus_a_criterion_is_part_of_the_prompt(tmp_path: Path) -> None:
    """One instruction under two criteria is two prompts, each with a reference answer of its own."""
    other = {"orig_criteria": "Is it short?", "orig_reference_answer": "r"}

    content = _read(tmp_path, PROMETHEUS, {**PROMETHEUS, **other, "orig_preference": "B"})

    first, second = content.rows(Prompt)
    assert (first.turns, first.reference) == (("q",), ())
    assert (second.turns, second.reference) == (("q\n\nCriterion: Is it short?",), ("r",))
    labels = [label for _, label in content.labels()]
    assert [label.outcome for label in labels] == [Outcome.LEFT, Outcome.RIGHT]
    assert {labels[0].left, labels[0].right} <= SIDES


@present
@pytest.mark.parametrize(
    ("folder", "name"),
    [("rewardbench2", "test.jsonl"), ("rewardbench2", "test.parquet"), ("helpsteer3", ""), ("prometheus", "")],
)
def test_formats_preferences_samples(folder: str, name: str) -> None:
    """Nothing in the shared samples is lost."""
    expected = json.loads((DATA / folder / "expected.json").read_text())
    inner = {"helpsteer3": "preference", "prometheus": "preference_collection.json"}
    content = read(DATA / folder / (name or inner[folder]))

    totals = _totals(content)

    labels = expected.get("labels", expected.get("gold_pairs"))
    assert totals == {"prompts": expected["prompts"], "outputs": expected["outputs"], "labels": labels}
    if "outcomes" in expected:
        outcomes = Counter(label.outcome.name.lower() for _, label in content.labels())
        assert outcomes == expected["outcomes"]
