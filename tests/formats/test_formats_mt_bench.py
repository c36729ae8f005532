"""Counts of a published data set, where it is at hand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from judge.domain.outcome import AnnotatorKind, VerdictStatus
from judge.formats.detect import read

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "mt-bench"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"the mt-bench data is not in {DATA}")


def test_formats_mt_bench_counts() -> None:
    """Nothing of the folder is lost, and what its judge could not read stays unread."""
    found = read(DATA / "fastchat")

    outputs, verdicts = list(found.outputs()), list(found.verdicts())
    labels = [label for rows in found.labels.values() for label in rows()]
    assert (len(list(found.prompts())), len(outputs)) == (80, 480)
    assert sum("" in output.turns for output in outputs) == 1
    assert sum(label.kind is AnnotatorKind.HUMAN for label in labels) == 3355
    assert sum(label.kind is AnnotatorKind.MODEL for label in labels) == 2400
    assert len(verdicts) == 4800
    assert sum(verdict.status is VerdictStatus.UNREADABLE for verdict in verdicts) == 649
