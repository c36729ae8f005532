"""Counts of a published data set, where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from judge.domain.outcome import AnnotatorKind, Order, Outcome, VerdictStatus
from judge.formats.detect import read
from judge.formats.lines import Import

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "mt-bench"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the mt-bench data is not in {DATA}")


def test_formats_mt_bench_counts() -> None:
    """Nothing of the folder is lost, and what its judge could not read stays unread."""
    found = read(DATA / "fastchat")

    outputs, verdicts = list(found.outputs()), list(found.verdicts())
    labels = [label for _, label in found.labels()]
    prompts = list(found.prompts())
    assert (len(prompts), sum(bool(prompt.reference) for prompt in prompts), len(outputs)) == (80, 30, 480)
    assert sum("" in output.turns for output in outputs) == 1
    assert sum(label.kind is AnnotatorKind.HUMAN for label in labels) == 3355
    assert sum(label.kind is AnnotatorKind.MODEL for label in labels) == 2400
    assert len(verdicts) == 4800
    assert sum(verdict.status is VerdictStatus.UNREADABLE for verdict in verdicts) == 649


def test_formats_mt_bench_in_its_two_layouts_is_the_same() -> None:
    """The data set's own rows and FastChat's files of it give the same votes and verdicts."""
    own, theirs = read(DATA), read(DATA / "fastchat")

    def votes(found: Import) -> list[tuple[str, int, str, str, Outcome]]:
        return sorted(
            (label.prompt_id.removeprefix("mtbench-"), label.turn, label.left, label.right, label.outcome)
            for _, label in found.labels()
        )

    def verdicts(found: Import) -> set[tuple[str, int, str, str, Order, Outcome | None, str | None]]:
        return {
            (v.prompt_id.removeprefix("mtbench-"), v.turn, v.left, v.right, v.order, v.outcome, v.raw)
            for v in found.verdicts()
        }

    assert votes(own) == votes(theirs)
    assert verdicts(own) == verdicts(theirs)


@pytest.mark.parametrize(
    ("folder", "labels", "verdicts", "unreadable"),
    [("mt-bench", 5755, 4800, 649), ("pandalm", 2997, 1998, 25), ("ja-vicuna-qa", 0, 960, 0)],
)
def test_formats_data_sets_in_their_own_names(folder: str, labels: int, verdicts: int, unreadable: int) -> None:
    """`human_labels` and `judge_verdicts` of a folder are all read, those of both orders as labels."""
    found = read(DATA.parent / folder)

    counts = found.counts()

    assert (counts.labels.total(), counts.verdicts) == (labels, verdicts)
    assert sum(verdict.status is VerdictStatus.UNREADABLE for verdict in found.verdicts()) == unreadable
