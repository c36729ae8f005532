"""When a report has the calibration of a judge's probabilities, and a cascade."""

from __future__ import annotations

import numpy as np
import pytest

from judge.agreement.measure import measure
from judge.agreement.options import AgreeOptions
from judge.domain.errors import InvalidInput
from judge.domain.outcome import Outcome
from judge.votes.comparisons import ComparisonKey
from judge.votes.vote_table import Vote, VoteTable
from judge.votes.votes import SourceVotes


def votes_of(name: str, rows: list[Vote]) -> SourceVotes:
    return SourceVotes(
        source=name, rows=VoteTable.of(rows), categories={}, tags={}, usable=len(rows), planned=len(rows)
    )


def test_calibration_compares_probabilities_to_votes_that_are_no_ties() -> None:
    """Only a source with probabilities has a calibration. Two orders that differ are not a probability."""
    rng = np.random.default_rng(0)
    keys = [ComparisonKey(prompt_id=f"p{n // 5}", turn=1, left="a", right="b", left_sample=n % 5) for n in range(200)]
    chance = rng.random(200).round(3)
    people = [
        Vote(key, Outcome.TIE if n % 10 == 0 else Outcome.LEFT if rng.random() < chance[n] else Outcome.RIGHT, "p")
        for n, key in enumerate(keys)
    ]
    soft = [Vote(key, Outcome.LEFT, left_score=float(share)) for key, share in zip(keys, chance, strict=True)]
    halves = [Vote(key, Outcome.TIE, left_score=0.5) for key in keys]

    calibration = measure(votes_of("j", soft), votes_of("p", people), AgreeOptions()).diagnostics.calibration

    assert calibration is not None
    assert calibration.brier.n == 180
    assert calibration.ece.value is not None
    assert calibration.ece.value < 0.15
    assert measure(votes_of("j", halves), votes_of("p", people), AgreeOptions()).diagnostics.calibration is None
    ties = [Vote(key, Outcome.TIE, "p") for key in keys]
    assert measure(votes_of("j", soft), votes_of("p", ties), AgreeOptions()).diagnostics.calibration is None


def test_a_cascade_answers_where_the_judge_is_sure() -> None:
    """A judge that is right whenever it is sure may answer alone on that half. Without a target there is no cascade."""
    keys = [ComparisonKey(prompt_id=f"p{n}", turn=1, left="a", right="b") for n in range(400)]
    people = [Vote(key, Outcome.LEFT, "p") for key in keys]
    soft = [
        Vote(key, Outcome.LEFT if n % 2 else Outcome.RIGHT, left_score=0.97 if n % 2 else 0.45)
        for n, key in enumerate(keys)
    ]

    options = AgreeOptions(cascade_target=0.9)

    cascade = measure(votes_of("j", soft), votes_of("p", people), options).diagnostics.cascade

    assert cascade is not None
    assert (cascade.threshold, cascade.share) == (0.94, 0.5)
    assert measure(votes_of("j", soft), votes_of("p", people), AgreeOptions()).diagnostics.cascade is None
    second = [Vote(key, Outcome.LEFT, "r") for key in keys[:300]]
    both = measure(votes_of("j", soft), votes_of("p", people), options, votes_of("r", second)).diagnostics.cascade
    assert both is not None
    first = both.steps[0].together
    assert first is not None
    assert (first.value, first.n) == (1.0, 350)
    with pytest.raises(InvalidInput, match="lie between 0 and 1"):
        AgreeOptions(cascade_target=1.5)
