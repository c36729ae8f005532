"""Counts of published data sets, if their files are present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from judge.domain.dataset import ImportedVerdict, Output, Prompt
from judge.domain.outcome import AnnotatorKind, Order, Outcome, VerdictStatus
from judge.formats.detect import read
from judge.formats.importing import Import, count

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "mt-bench"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the mt-bench data is not in {DATA}")


def test_formats_mt_bench_counts() -> None:
    """No row of the folder is lost, and unreadable verdicts stay unreadable."""
    content = read(DATA / "fastchat")

    outputs, verdicts = list(content.rows(Output)), list(content.rows(ImportedVerdict))
    labels = [label for _, label in content.labels()]
    prompts = list(content.rows(Prompt))
    assert (len(prompts), sum(bool(prompt.reference) for prompt in prompts), len(outputs)) == (80, 30, 480)
    assert sum("" in output.turns for output in outputs) == 1
    assert sum(label.kind is AnnotatorKind.HUMAN for label in labels) == 3355
    assert sum(label.kind is AnnotatorKind.MODEL for label in labels) == 2400
    assert len(verdicts) == 4800
    assert sum(verdict.status is VerdictStatus.UNREADABLE for verdict in verdicts) == 649


def test_formats_mt_bench_in_its_two_layouts_is_the_same() -> None:
    """The data set's own layout and FastChat's layout hold the same votes and verdicts."""
    own, theirs = read(DATA), read(DATA / "fastchat")

    def votes(content: Import) -> list[tuple[str, int, str, str, Outcome]]:
        return sorted(
            (label.prompt_id.removeprefix("mtbench-"), label.turn, label.left, label.right, label.outcome)
            for _, label in content.labels()
        )

    def verdicts(content: Import) -> set[tuple[str, int, str, str, Order, Outcome | None, str | None]]:
        return {
            (v.prompt_id.removeprefix("mtbench-"), v.turn, v.left, v.right, v.order, v.outcome, v.raw)
            for v in content.rows(ImportedVerdict)
        }

    assert votes(own) == votes(theirs)
    assert verdicts(own) == verdicts(theirs)


@pytest.mark.parametrize(
    ("folder", "labels", "verdicts", "unreadable"),
    [("mt-bench", 5755, 4800, 649), ("pandalm", 2997, 1998, 25), ("ja-vicuna-qa", 0, 960, 0)],
)
def test_formats_data_sets_in_their_own_names(folder: str, labels: int, verdicts: int, unreadable: int) -> None:
    """All rows of `human_labels` and `judge_verdicts` are read, and those that merge both orders become labels."""
    content = read(DATA.parent / folder)

    counts = [count(file) for file in content.files]

    assert [sum(each.items[kind] for each in counts) for kind in ("labels", "verdicts")] == [labels, verdicts]
    assert not any(each.n_wrong for each in counts)
    read_verdicts = content.rows(ImportedVerdict)
    assert sum(verdict.status is VerdictStatus.UNREADABLE for verdict in read_verdicts) == unreadable


def test_formats_a_judge_of_pairs_in_files_of_their_own() -> None:
    """All verdicts of the Japanese set are read from its original folder, and they are the converted ones."""
    content, converted = read(DATA.parent / "ja-vicuna-qa/original"), read(DATA.parent / "ja-vicuna-qa")

    def verdicts(content: Import) -> list[tuple[str, frozenset[str], str | None]]:
        return sorted(
            (v.prompt_id.rpartition("-")[2], frozenset((v.left, v.right)), v.raw) for v in content.rows(ImportedVerdict)
        )

    assert len(verdicts(content)) == 960
    assert [raw for *_, raw in verdicts(content)].count(None) == 0
    assert sorted(str(raw) for *_, raw in verdicts(content)) == sorted(str(raw) for *_, raw in verdicts(converted))
    assert not [entry for entry in content.left_out if entry.loses]
