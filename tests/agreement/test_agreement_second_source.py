"""A second source that is one of the target's annotators is not compared with its own votes."""

from __future__ import annotations

import numpy as np
import pytest

from judge.agreement.measure import measure
from judge.agreement.options import AgreeOptions
from judge.domain.outcome import Outcome
from judge.votes.comparisons import ComparisonKey
from judge.votes.vote_table import Vote, VoteTable
from judge.votes.votes import SourceVotes
from stats.known import known

PROMPTS = 40
OUTCOMES = (Outcome.LEFT, Outcome.RIGHT)


def labels(*annotators: str) -> SourceVotes:
    """Random labels of *annotators*; those of one name are the same wherever it occurs."""
    rows = [
        Vote(key=ComparisonKey(f"p{n}", 1, "a", "b"), outcome=OUTCOMES[side], annotator=name)
        for name in annotators
        for n, side in enumerate(np.random.default_rng(sum(map(ord, name))).integers(0, 2, PROMPTS))
    ]
    return SourceVotes(
        source="labels", rows=VoteTable.of(rows), categories={}, tags={}, usable=len(rows), planned=len(rows)
    )


def agreement_of(*names: str) -> float:
    """The share of equal votes of the first of two annotators and each of the others."""
    first, *others = ([vote.outcome for vote in labels(name).rows] for name in names)
    return float(np.mean([[mine is theirs for mine, theirs in zip(first, votes, strict=True)] for votes in others]))


@pytest.mark.parametrize(("weighting", "others"), [("COMPARISONS", ("zoe", "moe")), ("VOTES", ("zoe", "moe", "eve"))])
def test_each_source_is_compared_with_the_votes_of_others(weighting: str, others: tuple[str, ...]) -> None:
    """Also in a cascade; votes that are weighted as published include one's own."""
    people = labels("eve", "zoe", "moe")
    options = AgreeOptions(weighting=weighting, ties="WITH", cascade_target=0.6)
    diagnostics = measure(labels("robo"), people, options, labels("eve")).diagnostics
    swapped = measure(labels("eve"), people, options, labels("robo")).diagnostics

    (compared,), (other_way,) = diagnostics.second_sources, swapped.second_sources
    assert compared.votes == other_way.votes == PROMPTS * len(others)
    assert known(compared.rate.second.value) == pytest.approx(agreement_of("eve", *others), abs=1e-8)
    assert known(compared.rate.first.value) == pytest.approx(agreement_of("robo", *others), abs=1e-8)
    assert known(other_way.rate.difference.value) == pytest.approx(-known(compared.rate.difference.value), abs=1e-8)


def test_a_second_source_with_the_targets_votes_alone_has_no_agreement() -> None:
    options = AgreeOptions(ties="WITH", cascade_target=0.6)
    (compared,) = measure(labels("robo"), labels("eve"), options, labels("eve")).diagnostics.second_sources

    assert (compared.votes, compared.rate.second.value) == (0, None)
