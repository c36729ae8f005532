"""A judge before and after, against its own noise; and two judges against the same votes."""

from __future__ import annotations

import numpy as np
import pytest

from judge.stats.ceiling import ceiling
from judge.stats.cluster_intervals import jackknife
from judge.stats.drift import Drift, drift
from judge.stats.second_source import compare_sources
from judge.stats.votes import VoteColumns

PROMPTS, PER_PROMPT = 60, 6


def simulate_drift(rng: np.random.Generator, *, moved: float, repeats: tuple[int, int] = (2, 2)) -> Drift:
    """A judge whose chances differ by showing, and by prompt, before and after a share of *moved* was drawn anew."""
    n = PROMPTS * PER_PROMPT
    prompt = np.repeat(np.arange(PROMPTS, dtype=np.int32), PER_PROMPT)
    chances = 0.5 * rng.dirichlet((0.5, 0.5, 0.3), PROMPTS)[prompt] + 0.5 * rng.dirichlet((0.5, 0.5, 0.3), n)
    anew = (rng.random(PROMPTS) < moved)[prompt]
    after = np.where(anew[:, None], rng.dirichlet((0.5, 0.5, 0.3), n), chances)
    told = [rng.multinomial(many, p).astype(np.float64) for many, p in zip(repeats, (chances, after), strict=True)]
    return drift(*told, rng.integers(0, 2, n).astype(np.int32), prompt)


@pytest.mark.parametrize("repeats", [(2, 2), (3, 1)])
def test_a_judge_that_has_not_changed_is_seldom_called_changed(repeats: tuple[int, int]) -> None:
    """The chance of a false alarm is half of 5 %, whichever side has the repeats."""
    rng = np.random.default_rng(1)
    found = [simulate_drift(rng, moved=0, repeats=repeats) for _ in range(400)]

    alarms = [one.answer == "changed" for one in found]
    assert np.mean(alarms) < 0.05
    assert np.mean([one.beyond.low <= 0 <= one.beyond.high for one in found]) > 0.92
    assert np.mean([one.beyond.value for one in found]) == pytest.approx(0, abs=0.004)
    assert np.mean([one.ties.low <= 0 <= one.ties.high for one in found]) > 0.92
    assert np.mean([one.first.low <= 0 <= one.first.high for one in found]) > 0.92


def test_a_judge_that_has_changed_is_found_and_how_far_is_what_the_formula_says() -> None:
    rng = np.random.default_rng(2)
    found = [simulate_drift(rng, moved=0.4) for _ in range(50)]

    assert np.mean([one.answer == "changed" for one in found]) > 0.9
    n = PROMPTS * PER_PROMPT
    before, after = rng.dirichlet((1, 1, 1), n), rng.dirichlet((1, 1, 1), n)
    counts = [rng.multinomial(40, p).astype(np.float64) for p in (before, after)]
    one = drift(*counts, np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int32))
    assert one.beyond.value == pytest.approx(np.square(before - after).sum(axis=1).mean() / 2, abs=0.01)
    assert one.changed.value == pytest.approx(1 - (before * after).sum(axis=1).mean(), abs=0.01)
    assert one.ties.value == pytest.approx((after - before)[:, 2].mean(), abs=0.01)


def test_without_repeats_noise_is_not_known_but_a_shift_is_seen() -> None:
    """Now everything is a tie: the share of ties has moved, and what a judge alone would change is not known."""
    n = 50
    before, after = np.tile([1.0, 0, 0], (n, 1)), np.tile([0, 0, 1.0], (n, 1))
    found = drift(before, after, np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int32))

    assert (found.answer, found.noise.value, found.changed.value) == ("cannot tell", None, 1.0)
    assert (found.ties.value, found.first.value) == (1.0, -0.5)
    assert found.ties.low > 0.8


def test_exactly_the_same_verdicts_have_not_changed_and_a_missing_one_is_refused() -> None:
    same, first = np.tile([2.0, 0, 0], (20, 1)), np.zeros(20, dtype=np.int32)
    assert drift(same, same, first, np.arange(20, dtype=np.int32)).answer == "no more than noise"
    with pytest.raises(ValueError, match="no verdict before or after"):
        drift(same, np.zeros((20, 3)), first, first)


def people(rng: np.random.Generator, items: int, seen: float) -> tuple[np.ndarray, VoteColumns]:
    """What is right of each item, five a prompt, and the votes of three who see it with a chance."""
    right = rng.integers(0, 3, items)
    item = np.repeat(np.arange(items, dtype=np.int32), 3)
    outcome = np.where(rng.random(item.size) < seen, right[item], rng.integers(0, 3, item.size)).astype(np.int8)
    return right, VoteColumns(item, outcome, item // 5, np.tile(np.arange(3), items))


def judge(rng: np.random.Generator, right: np.ndarray, seen: float) -> VoteColumns:
    item = np.arange(right.size, dtype=np.int32)
    outcome = np.where(rng.random(right.size) < seen, right, rng.integers(0, 3, right.size)).astype(np.int8)
    return VoteColumns(item, outcome, item // 5, np.full(right.size, 99))


@pytest.mark.parametrize("ties", ["WITH", "WITHOUT"])
def test_two_judges_are_separated_on_the_same_votes(ties: str) -> None:
    rng = np.random.default_rng(3)
    right, votes = people(rng, 500, 0.8)
    good, poor = (judge(rng, right, seen) for seen in (0.8, 0.5))
    found = compare_sources(good, poor.select(poor.item % 2 == 0), votes, ties)

    kept = ((votes.item % 2 == 0) & (poor.outcome != 2)[votes.item] & (good.outcome != 2)[votes.item]) | (
        ties == "WITH"
    )
    kept &= (votes.item % 2 == 0) & ((votes.outcome != 2) | (ties == "WITH"))
    shares = [np.mean(side.outcome[votes.item[kept]] == votes.outcome[kept]) for side in (good, poor)]
    assert [found.rate.one.value, found.rate.other.value] == pytest.approx(shares, abs=1e-8)
    assert found.rate.difference.value == pytest.approx(shares[0] - shares[1], abs=1e-8)
    assert found.rate.difference.low > 0
    assert found.votes == np.count_nonzero(kept)
    assert found.needed_votes == pytest.approx(found.needed * found.votes / found.prompts, abs=1)


def test_the_votes_needed_would_separate_the_judges() -> None:
    """With as many prompts as are said to be needed, the difference is found in about 80 of 100 worlds."""
    rng = np.random.default_rng(4)
    right, votes = people(rng, 2500, 0.8)
    wanted = (0.75 - 0.7) * 0.8 * 2 / 3  # both see the truth, or they agree by a chance of a third
    needed = compare_sources(judge(rng, right, 0.75), judge(rng, right, 0.7), votes, wanted=wanted).needed
    told = 0
    for _ in range(200):
        truth, said = people(rng, 5 * needed, 0.8)
        found = compare_sources(judge(rng, truth, 0.75), judge(rng, truth, 0.7), said)
        told += found.rate.difference.low > 0
    assert 0.7 < told / 200 < 0.9


def test_judges_without_a_comparison_in_common_cannot_be_separated() -> None:
    rng = np.random.default_rng(5)
    right, votes = people(rng, 20, 0.8)
    said = judge(rng, right, 0.8)
    found = compare_sources(said.select(said.item < 10), said.select(said.item >= 10), votes)
    assert (found.votes, found.rate.difference.value, found.needed) == (0, None, None)


def test_an_annotator_is_held_against_the_judge_and_against_everybody_else() -> None:
    """Brute force: the judge's agreement with one person's votes, and the other people's with the same votes."""
    rng = np.random.default_rng(6)
    right, votes = people(rng, 40, 0.6)
    votes = votes.select(rng.random(votes.n) < 0.8)
    said = judge(rng, right, 0.7)
    found = ceiling(said, votes, interval_method=jackknife, annotator=1)

    ours, theirs = [], []
    for item, outcome in zip(*(column[votes.annotator == 1] for column in (votes.item, votes.outcome)), strict=True):
        others = votes.outcome[(votes.item == item) & (votes.annotator != 1)]
        if others.size:
            ours.append(said.outcome[item] == outcome)
            theirs.extend(others == outcome)
    assert found.rate.one.value == pytest.approx(np.mean(ours), abs=1e-8)
    assert found.rate.other.value == pytest.approx(np.mean(theirs), abs=1e-8)
    assert (found.comparisons, found.votes) == (len(ours), len(ours))
