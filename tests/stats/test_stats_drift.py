"""Drift of a judge compared to its own noise, and two judges compared on the same votes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from judge.stats.agreement import Ties
from judge.stats.ceiling import ceiling
from judge.stats.cluster_intervals import jackknife
from judge.stats.drift import Drift, drift
from judge.stats.errors import StatisticsError
from judge.stats.second_source import compare_sources
from judge.stats.votes import VoteColumns
from stats.known import known

PROMPTS, PER_PROMPT = 120, 6


def simulate_drift(rng: np.random.Generator, *, moved: float, repeats: tuple[int, int] = (2, 2)) -> Drift:
    """Simulate a judge before and after its probabilities changed on a share *moved* of the prompts."""
    n = PROMPTS * PER_PROMPT
    prompt = np.repeat(np.arange(PROMPTS, dtype=np.int32), PER_PROMPT)
    chances = 0.5 * rng.dirichlet((0.5, 0.5, 0.3), PROMPTS)[prompt] + 0.5 * rng.dirichlet((0.5, 0.5, 0.3), n)
    anew = (rng.random(PROMPTS) < moved)[prompt]
    after = np.where(anew[:, None], rng.dirichlet((0.5, 0.5, 0.3), n), chances)
    counts = [
        rng.multinomial(n_repeats, p).astype(np.float64) for n_repeats, p in zip(repeats, (chances, after), strict=True)
    ]
    return drift(counts[0], counts[1], rng.integers(0, 2, n).astype(np.int32), prompt)


def test_a_judge_that_has_not_changed_is_seldom_called_changed() -> None:
    """The probability of a false alarm is half of 5 %, and most often the change is known to be small."""
    rng = np.random.default_rng(1)
    drifts = [simulate_drift(rng, moved=0) for _ in range(400)]

    alarms = [result.answer == "changed" for result in drifts]
    assert np.mean(alarms) < 0.05
    assert np.mean([result.answer == "no more than noise" for result in drifts]) > 0.6
    assert np.mean([known(result.beyond.low) <= 0 <= known(result.beyond.high) for result in drifts]) > 0.92
    assert np.mean([result.beyond.value for result in drifts]) == pytest.approx(0, abs=0.004)
    assert np.mean([known(result.ties.low) <= 0 <= known(result.ties.high) for result in drifts]) > 0.92
    assert np.mean([known(result.first.low) <= 0 <= known(result.first.high) for result in drifts]) > 0.92


def test_a_judge_that_has_changed_is_found_and_how_far_is_what_the_formula_says() -> None:
    rng = np.random.default_rng(2)
    drifts = [simulate_drift(rng, moved=0.4) for _ in range(50)]

    assert np.mean([result.answer == "changed" for result in drifts]) > 0.9
    n = PROMPTS * PER_PROMPT
    before, after = rng.dirichlet((1, 1, 1), n), rng.dirichlet((1, 1, 1), n)
    counts = [rng.multinomial(40, p).astype(np.float64) for p in (before, after)]
    result = drift(counts[0], counts[1], np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int32))
    assert result.beyond.value == pytest.approx(np.square(before - after).sum(axis=1).mean() / 2, abs=0.01)
    assert result.changed.value == pytest.approx(1 - (before * after).sum(axis=1).mean(), abs=0.01)
    assert result.ties.value == pytest.approx((after - before)[:, 2].mean(), abs=0.01)


def test_without_repeats_noise_is_not_known_but_a_shift_is_seen() -> None:
    """Without repeats the noise is unknown, but a change in the share of ties is visible."""
    n = 50
    before, after = np.tile([1.0, 0, 0], (n, 1)), np.tile([0, 0, 1.0], (n, 1))
    result = drift(before, after, np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int32))

    assert (result.answer, result.noise.value, result.changed.value) == ("cannot tell", None, 1.0)
    assert (result.ties.value, result.first.value) == (1.0, -0.5)
    assert known(result.ties.low) > 0.8


def test_repeats_on_one_side_alone_cannot_tell() -> None:
    """A noisy judge that became sure differs from itself no more than by its own noise, so noise before is not enough.

    Here sum(p (p - q)) is 0, and half of sum((p - q)^2) is 0.0625.
    """
    rng, n = np.random.default_rng(7), 300
    sides = [rng.multinomial(count, p, n).astype(np.float64) for count, p in ((2, (0.5, 0.5, 0)), (2, (0.75, 0.25, 0)))]
    first, prompt = np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int32)
    single = np.eye(3)[[rng.choice(3, p=row / 2) for row in sides[1]]]

    one_sided, both = drift(sides[0], single, first, prompt), drift(sides[0], sides[1], first, prompt)

    assert (one_sided.answer, one_sided.beyond.value, one_sided.bound) == ("cannot tell", None, None)
    assert one_sided.beyond.method == "none: no presentation has repeats both before and after"
    assert one_sided.changed.value == pytest.approx(known(one_sided.noise.value), abs=0.07)
    assert known(both.beyond.low) < 0.0625 < known(both.beyond.high)


def test_no_more_than_noise_needs_a_bound_below_the_margin() -> None:
    """A small sample without a change cannot tell; a wider margin may."""
    result = simulate_drift(np.random.default_rng(4), moved=0)
    assert known(result.beyond.low) < 0 < known(result.bound)

    for margin, answer in ((known(result.bound) / 2, "cannot tell"), (known(result.bound) * 2, "no more than noise")):
        assert replace(result, margin=margin).answer == answer


def test_a_change_of_few_prompts_is_seldom_taken_for_noise() -> None:
    """One prompt in twenty changes altogether, which is the margin: at most 2.5 % are told that it is noise."""
    rng, n = np.random.default_rng(5), 80
    same, flipped = np.array([2.0, 0, 0]), np.array([0, 2.0, 0])
    first, prompt = np.zeros(n, dtype=np.int32), np.arange(n, dtype=np.int32)
    answers = [
        drift(np.tile(same, (n, 1)), np.where((rng.random(n) < 0.05)[:, None], flipped, same), first, prompt).answer
        for _ in range(2000)
    ]

    assert answers.count("no more than noise") / 2000 < 0.035


@pytest.mark.parametrize(("sizes", "prompts"), [("pareto", 80), ("pareto", 200), ("log-normal", 80)])
def test_few_changed_prompts_of_unequal_size_are_seldom_taken_for_noise(sizes: str, prompts: int) -> None:
    """One prompt in twenty changes altogether, which is the margin, and the interval contains that change."""
    noise, held = 0, 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        drawn = 3 * rng.pareto(1.1, prompts) + 1 if sizes == "pareto" else rng.lognormal(1.5, 1, prompts)
        prompt = np.repeat(np.arange(prompts, dtype=np.int32), np.ceil(drawn).clip(1, 200).astype(int))
        before = np.tile([2.0, 0, 0], (prompt.size, 1))
        after = np.where((rng.random(prompts) < 0.05)[prompt, None], [0, 2.0, 0], before)
        result = drift(before, after, np.zeros(prompt.size, dtype=np.int32), prompt)
        noise += result.answer == "no more than noise"
        held += known(result.beyond.low) <= 0.05 <= known(result.beyond.high)

    assert noise / 150 <= 0.05
    assert held / 150 >= 0.9


def test_exactly_the_same_verdicts_are_bounded_by_the_number_of_prompts() -> None:
    """Without any difference on 20 prompts the change may be 0.17, and on 100 prompts 0.04."""
    same, first = np.tile([2.0, 0, 0], (100, 1)), np.zeros(100, dtype=np.int32)
    prompt = np.arange(100, dtype=np.int32)
    of_20, of_100 = (drift(same[:n], same[:n], first[:n], prompt[:n]) for n in (20, 100))

    assert (of_20.answer, of_100.answer) == ("cannot tell", "no more than noise")
    assert known(of_20.bound) == pytest.approx(1 - 0.025 ** (1 / 20))
    assert known(of_100.bound) == pytest.approx(0.0362, abs=1e-4)


@pytest.mark.parametrize("margin", [0.05, 0.2])
def test_the_least_prompts_are_those_whose_bound_can_lie_below_the_margin(margin: float) -> None:
    same, first, prompt = np.tile([2.0, 0, 0], (100, 1)), np.zeros(100, dtype=np.int32), np.arange(100, dtype=np.int32)
    least = drift(same, same, first, prompt, margin=margin).least_prompts
    fewer, enough = (drift(same[:n], same[:n], first[:n], prompt[:n], margin=margin) for n in (least - 1, least))

    assert ("cannot tell", "no more than noise") == (fewer.answer, enough.answer)
    assert least == {0.05: 72, 0.2: 17}[margin]


def test_a_missing_verdict_and_a_margin_out_of_range_are_refused() -> None:
    same, first = np.tile([2.0, 0, 0], (20, 1)), np.zeros(20, dtype=np.int32)
    with pytest.raises(StatisticsError, match="no verdict before or after"):
        drift(same, np.zeros((20, 3)), first, first)
    with pytest.raises(StatisticsError, match="margin of a drift must be between 0 and 1"):
        drift(same, same, first, first, margin=0)


def people(rng: np.random.Generator, items: int, seen: float) -> tuple[np.ndarray, VoteColumns]:
    """Simulate the true outcome of items, five per prompt, and three votes that see it with probability *seen*."""
    right = rng.integers(0, 3, items)
    item = np.repeat(np.arange(items, dtype=np.int32), 3)
    outcome = np.where(rng.random(item.size) < seen, right[item], rng.integers(0, 3, item.size)).astype(np.int8)
    return right, VoteColumns(item, outcome, item // 5, np.tile(np.arange(3), items))


def judge(rng: np.random.Generator, right: np.ndarray, seen: float) -> VoteColumns:
    item = np.arange(right.size, dtype=np.int32)
    outcome = np.where(rng.random(right.size) < seen, right, rng.integers(0, 3, right.size)).astype(np.int8)
    return VoteColumns(item, outcome, item // 5, np.full(right.size, 99))


@pytest.mark.parametrize("ties", ["WITH", "WITHOUT"])
def test_two_judges_are_separated_on_the_same_votes(ties: Ties) -> None:
    rng = np.random.default_rng(3)
    right, votes = people(rng, 500, 0.8)
    good, poor = (judge(rng, right, seen) for seen in (0.8, 0.5))
    result = compare_sources(good, poor.select(poor.item % 2 == 0), votes, ties)

    kept = ((votes.item % 2 == 0) & (poor.outcome != 2)[votes.item] & (good.outcome != 2)[votes.item]) | (
        ties == "WITH"
    )
    kept &= (votes.item % 2 == 0) & ((votes.outcome != 2) | (ties == "WITH"))
    shares = [np.mean(side.outcome[votes.item[kept]] == votes.outcome[kept]) for side in (good, poor)]
    assert [result.rate.first.value, result.rate.second.value] == pytest.approx(shares, abs=1e-8)
    assert result.rate.difference.value == pytest.approx(shares[0] - shares[1], abs=1e-8)
    assert known(result.rate.difference.low) > 0
    assert result.votes == np.count_nonzero(kept)
    assert result.needed_votes == pytest.approx(known(result.needed) * result.votes / result.prompts, abs=1)


def test_the_votes_needed_would_separate_the_judges() -> None:
    """With the number of prompts needed, the difference is detected in about 80 of 100 simulations."""
    rng = np.random.default_rng(4)
    right, votes = people(rng, 2500, 0.8)
    wanted = (0.75 - 0.7) * 0.8 * 2 / 3  # both see the truth, or they agree with probability 1 / 3
    needed = compare_sources(judge(rng, right, 0.75), judge(rng, right, 0.7), votes, wanted=wanted).needed
    detected = 0
    for _ in range(200):
        truth, new_votes = people(rng, 5 * known(needed), 0.8)
        result = compare_sources(judge(rng, truth, 0.75), judge(rng, truth, 0.7), new_votes)
        detected += known(result.rate.difference.low) > 0
    assert 0.7 < detected / 200 < 0.9


def test_judges_without_a_comparison_in_common_cannot_be_separated() -> None:
    rng = np.random.default_rng(5)
    right, votes = people(rng, 20, 0.8)
    judge_votes = judge(rng, right, 0.8)
    result = compare_sources(
        judge_votes.select(judge_votes.item < 10), judge_votes.select(judge_votes.item >= 10), votes
    )
    assert (result.votes, result.rate.difference.value, result.needed) == (0, None, None)


def test_an_annotator_is_compared_to_the_judge_and_to_all_others() -> None:
    """The figures of one annotator equal a loop over the judge's and the other people's votes on the same items."""
    rng = np.random.default_rng(6)
    right, votes = people(rng, 40, 0.6)
    votes = votes.select(rng.random(votes.n) < 0.8)
    judge_votes = judge(rng, right, 0.7)
    result = ceiling(judge_votes, votes, interval_method=jackknife, annotator=1)

    ours, theirs, votes_of_others = [], [], []
    for item, outcome in zip(*(column[votes.annotator == 1] for column in (votes.item, votes.outcome)), strict=True):
        others = votes.outcome[(votes.item == item) & (votes.annotator != 1)]
        if others.size:
            ours.append(judge_votes.outcome[item] == outcome)
            theirs.append(np.mean(others == outcome))
            votes_of_others.extend(others == outcome)
    assert result.rate.first.value == pytest.approx(np.mean(ours), abs=1e-8)
    assert result.rate.second.value == pytest.approx(np.mean(theirs), abs=1e-8)
    assert (result.comparisons, result.votes) == (len(ours), len(ours))
    as_published = ceiling(judge_votes, votes, annotator=1, weighting="VOTES")
    assert as_published.rate.second.value == pytest.approx(np.mean(votes_of_others), abs=1e-8)
