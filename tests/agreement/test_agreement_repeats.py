"""An annotator who labels a comparison several times counts once wherever people's labels are counted."""

from __future__ import annotations

import pytest

from judge.agreement.disagreements import find_disagreements
from judge.agreement.measure import measure
from judge.agreement.options import AgreeOptions
from judge.domain.outcome import Outcome
from judge.domain.source import Merge
from judge.votes.comparisons import ComparisonKey
from judge.votes.shared_codes import merge_votes
from judge.votes.vote_table import Vote, VoteTable
from judge.votes.votes import SourceVotes

KEYS = tuple(ComparisonKey(f"p{n}", 1, "a", "b") for n in range(12))


def labels(name: str, **outcomes: tuple[Outcome, ...]) -> SourceVotes:
    """The labels of annotators, who all give the same outcomes on every comparison."""
    rows = [
        Vote(key=key, outcome=outcome, annotator=annotator.removeprefix("_"))
        for key in KEYS
        for annotator, given in outcomes.items()
        for outcome in given
    ]
    table = VoteTable.of(rows)
    return SourceVotes(source=name, rows=table, categories={}, tags={}, usable=len(rows), planned=len(rows))


L, R, T = Outcome.LEFT, Outcome.RIGHT, Outcome.TIE


def test_the_mean_left_score_counts_an_annotator_once() -> None:
    """Three labels of x for left and one of y for right average to a half."""
    assert labels("people", x=(L, L, L), y=(R,)).rows.means() == pytest.approx(dict.fromkeys(KEYS, 0.5))


def test_labels_without_a_name_are_of_different_people() -> None:
    """Three labels without an annotator are three votes, and two of them make a pair."""
    unnamed = labels("people", _=(L, L, R))

    assert unnamed.rows.means() == pytest.approx(dict.fromkeys(KEYS, 2 / 3))
    assert measure(unnamed, None, AgreeOptions()).figures[0].figure.n == 3 * 12


def test_merged_votes_are_nobodys() -> None:
    """The plurality of x counts as nobody's vote, so it is compared with the plurality of y and of x."""
    merged = [
        SourceVotes(
            source=name, rows=merge_votes(votes.rows, Merge.PLURALITY), categories={}, tags={}, usable=12, planned=12
        )
        for name, votes in {"x": labels("x", x=(L,)), "y": labels("y", y=(L, R, R))}.items()
    ]

    assert measure(merged[0], merged[1], AgreeOptions()).figures[0].figure.n == 12


def test_a_disagreement_needs_more_annotators_against_the_source() -> None:
    """Two labels of x for right do not outvote one of y for left; one of z for right does."""
    judge = labels("j", j=(L,))
    even, against = labels("people", x=(R, R), y=(L,)), labels("people", x=(R, R), y=(L,), z=(R,))

    assert find_disagreements(judge, even) == []
    rows = find_disagreements(judge, against)
    assert {(row.target, row.informative) for row in rows} == {(R, 1.0)}
    assert rows[0].votes == {R: 3, L: 1}
    assert (len(find_disagreements(judge, against, least=3)), find_disagreements(judge, against, least=4)) == (12, [])


def test_a_person_is_not_compared_with_themselves() -> None:
    """The labels of x, compared with those of x and y, are compared with y's alone, and their ceiling has no x."""
    people = labels("people", x=(L,), y=(R,), z=(T,))

    report = measure(labels("labels:x", x=(L,)), people, AgreeOptions(ties="WITH"))

    assert (report.figures[0].figure.n, report.figures[0].figure.agree) == (24, 0)
    ((_, ceiling),) = report.diagnostics.ceilings
    assert (ceiling.votes, ceiling.rate.second.value) == (24, 0)


def test_intra_annotator_agreement_is_of_the_source_and_of_the_target() -> None:
    """Of x's three pairs of labels one is alike; y has no repeats."""
    report = measure(labels("x", x=(L, L, R)), labels("y", y=(L,)), AgreeOptions())

    source, target = report.intra_annotator
    assert source is not None
    assert source.value == pytest.approx(1 / 3)
    assert (source.n, source.clusters, target) == (12, 12, None)
