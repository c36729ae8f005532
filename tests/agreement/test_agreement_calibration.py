"""When a report says what a judge's probabilities are worth, and where it may answer alone."""

from __future__ import annotations

import numpy as np
import pytest

from judge.agreement.measure import measure
from judge.agreement.options import AgreeOptions
from judge.domain.errors import InvalidInput
from judge.domain.outcome import Outcome
from judge.votes.comparisons import ComparisonKey
from judge.votes.votes import SourceVotes, Vote


def said(name: str, rows: list[Vote]) -> SourceVotes:
    return SourceVotes(name, tuple(rows), {}, {}, len(rows), len(rows))


def test_probabilities_are_held_against_votes_that_are_no_ties() -> None:
    """Only a source with probabilities of its own has them; two orders that part are no probability."""
    rng = np.random.default_rng(0)
    keys = [ComparisonKey(f"p{n // 5}", 1, "a", "b", n % 5) for n in range(200)]
    chance = rng.random(200).round(3)
    people = [
        Vote(key, Outcome.TIE if n % 10 == 0 else Outcome.LEFT if rng.random() < chance[n] else Outcome.RIGHT, "p")
        for n, key in enumerate(keys)
    ]
    soft = [Vote(key, Outcome.LEFT, left_score=float(share)) for key, share in zip(keys, chance, strict=True)]
    halves = [Vote(key, Outcome.TIE, left_score=0.5) for key in keys]

    found = measure(said("j", soft), said("p", people), AgreeOptions()).diagnostics.calibration

    assert found is not None
    assert found.brier.n == 180
    assert found.ece.value is not None
    assert found.ece.value < 0.15
    assert measure(said("j", halves), said("p", people), AgreeOptions()).diagnostics.calibration is None
    ties = [Vote(key, Outcome.TIE, "p") for key in keys]
    assert measure(said("j", soft), said("p", ties), AgreeOptions()).diagnostics.calibration is None


def test_a_cascade_answers_where_the_judge_is_sure() -> None:
    """Sure and right, or unsure and wrong: it may answer alone on the sure half; without a target nothing is said."""
    keys = [ComparisonKey(f"p{n}", 1, "a", "b") for n in range(400)]
    people = [Vote(key, Outcome.LEFT, "p") for key in keys]
    soft = [
        Vote(key, Outcome.LEFT if n % 2 else Outcome.RIGHT, left_score=0.97 if n % 2 else 0.45)
        for n, key in enumerate(keys)
    ]

    found = measure(said("j", soft), said("p", people), AgreeOptions(cascade_target=0.9)).diagnostics.cascade

    assert found is not None
    assert (found.threshold, found.share) == (0.94, 0.5)
    assert measure(said("j", soft), said("p", people), AgreeOptions()).diagnostics.cascade is None
    options = AgreeOptions(cascade_target=0.9)
    both = measure(said("j", soft), said("p", people), options, said("r", people[:300])).diagnostics.cascade
    assert both is not None
    first = both.steps[0].together
    assert first is not None
    assert (first.value, first.n) == (1.0, 350)
    with pytest.raises(InvalidInput, match="lie between 0 and 1"):
        AgreeOptions(cascade_target=1.5)
