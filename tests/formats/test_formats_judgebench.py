"""JudgeBench: gold labels, and verdicts in both orders."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from judge.domain.dataset import ImportedVerdict, Output, Prompt
from judge.domain.names import SIDES
from judge.domain.outcome import AnnotatorKind, Order, Outcome, VerdictStatus
from judge.formats.detect import read
from judge.formats.importing import Import, count

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats"
PAIR = {"question": "q", "response_A": "a", "response_B": "b", "response_model": "m", "judge_name": "arena_hard"}


def _entry(decision: str | None, **judgment: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    return {"judgment": {"judge_model": "org/j", "prompt": "p", "response": "r", **judgment}, "decision": decision}


def _read(folder: Path, *judgments: list[dict[str, Any] | None], source: str = "mmlu-pro-law") -> Import:
    rows = [
        {"pair_id": f"p{number}", "source": source, **PAIR, "label": "B>A", "judgments": entries}
        for number, entries in enumerate(judgments)
    ]
    path = folder / "dataset=judgebench,judge_name=arena_hard,judge_model=named.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read(path)


def test_formats_judgebench_a_pair_is_a_prompt_two_sides_and_a_gold_label(tmp_path: Path) -> None:
    """The pair has no contestants, so its sides have the names that the file gives them."""
    content = _read(tmp_path, [])

    (prompt,), ((source, label),) = content.rows(Prompt), content.labels()
    assert (prompt.prompt_id, prompt.turns, prompt.category) == ("p0", ("q",), "knowledge")
    assert prompt.tags == ("mmlu-pro-law", "m")
    assert [(x.contestant, x.turns) for x in content.rows(Output)] == [("response_A", ("a",)), ("response_B", ("b",))]
    assert (label.left, label.right, label.outcome) == ("response_A", "response_B", Outcome.RIGHT)
    assert (label.kind, label.annotator, source) == (AnnotatorKind.GOLD, "gold", "judgebench")
    assert {label.left, label.right} <= SIDES


def test_formats_judgebench_the_second_decision_is_in_the_swapped_order(tmp_path: Path) -> None:
    """A is the answer shown first, so a judge that says A twice contradicts itself."""
    content = _read(tmp_path, [_entry("A>B"), _entry("A>B")], [_entry("A=B"), _entry("B>A")])

    verdicts = list(content.rows(ImportedVerdict))

    assert [(verdict.order, verdict.outcome) for verdict in verdicts] == [
        (Order.LEFT_FIRST, Outcome.LEFT),
        (Order.RIGHT_FIRST, Outcome.RIGHT),
        (Order.LEFT_FIRST, Outcome.TIE),
        (Order.RIGHT_FIRST, Outcome.LEFT),
    ]
    assert {(verdict.judge, verdict.raw) for verdict in verdicts} == {("arena_hard/org/j", "r")}


def test_formats_judgebench_no_decision_is_unreadable_and_a_lost_call_no_verdict(tmp_path: Path) -> None:
    """The judge of a lost call is that of the other one, or of the file's name."""
    content = _read(tmp_path, [None, _entry(None)], [None, None])

    (verdict,) = content.rows(ImportedVerdict)

    assert (verdict.order, verdict.status, verdict.raw) == (Order.RIGHT_FIRST, VerdictStatus.UNREADABLE, "r")


def test_formats_judgebench_raw_text_is_kept_where_a_file_puts_it(tmp_path: Path) -> None:
    """Reward models give no text; without a response, the text stands in the prompt's field."""
    in_prompt = _entry("A>B")
    del in_prompt["judgment"]["response"]
    unnamed = _entry("A>B", response="", judge_model=None)

    content = _read(tmp_path, [in_prompt, _entry("A>B", response="")], [unnamed])

    verdicts = list(content.rows(ImportedVerdict))
    assert [verdict.raw for verdict in verdicts] == ["p", None, None]
    assert verdicts[2].judge == "arena_hard/named"


def test_formats_judgebench_an_unknown_decision_is_an_error(tmp_path: Path) -> None:
    """It is never a tie."""
    (error,) = count(_read(tmp_path, [_entry("A>B")], [_entry("A>>B")]).files[0]).wrong

    assert "line 2 has an invalid decision: 'A>>B'" in error.message


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")
def test_formats_judgebench_published_accuracy() -> None:
    """The reward model's file gives the published accuracy of each group, and both files lose nothing."""
    content = read(DATA / "judgebench/outputs")
    (expected,) = json.loads((DATA / "judgebench/expected.json").read_text()).values()

    groups = {prompt.prompt_id: prompt.category for prompt in content.rows(Prompt)}
    gold = {label.prompt_id: label.outcome for _, label in content.labels()}
    points: Counter[str] = Counter()
    for verdict in content.rows(ImportedVerdict):
        if verdict.outcome in (Outcome.LEFT, Outcome.RIGHT):
            points[verdict.prompt_id] += 1 if verdict.outcome == gold[verdict.prompt_id] else -1
    right = Counter(groups[prompt] for prompt in gold if points[prompt] > 0)

    assert right == {group: expected[group]["right"] for group in expected if group != "overall"}
    assert right.total() == expected["overall"]["right"]


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")
def test_formats_judgebench_prompted_judge() -> None:
    """Replies without a decision are unreadable, and a lost call is none."""
    content = read(DATA / "judgebench-prompted/outputs")
    expected = json.loads((DATA / "judgebench-prompted/expected.json").read_text())

    verdicts = list(content.rows(ImportedVerdict))
    readable = sum(verdict.outcome is not None for verdict in verdicts)
    assert (readable, len(verdicts) - readable) == (expected["readable_verdicts"], expected["unreadable"])
    assert len(list(content.labels())) == expected["gold_labels"]
