"""A source without outcomes is refused with its coverage, so that people see what its verdicts are."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from judge.domain.errors import Precondition
from judge.ranking.battles import battle_design
from judge.ranking.options import RankOptions
from judge.votes.vote_table import VoteTable
from judge.votes.votes import SourceVotes


@pytest.mark.parametrize(
    ("usable", "by_status", "words"),
    [
        (0, {"unreadable": 30, "truncated": 10}, "0 of 40 verdicts are usable (10 truncated, 30 unreadable)"),
        (40, {"ok": 40}, "40 of 40 verdicts are usable, but with these options no comparison has an outcome"),
    ],
)
def test_a_source_without_outcomes_is_refused_with_its_coverage(
    usable: int, by_status: Mapping[str, int], words: str
) -> None:
    """Either no verdict is usable, or all comparisons were left out, such as those whose orders disagree."""
    votes = SourceVotes(
        source="judge:j",
        rows=VoteTable.of([]),
        categories={},
        tags={},
        usable=usable,
        planned=40,
        by_status=by_status,
    )

    with pytest.raises(Precondition) as refused:
        battle_design(votes, RankOptions())

    assert (refused.value.reason, refused.value.message) == (
        "NO_OUTCOMES",
        f"source judge:j has no outcomes to rank: {words}",
    )
