"""Ratings anchored to labels are unbiased with any judge, and more precise with a good one."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from judge.columns.arrays import Floats
from judge.stats.battles import Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.errors import NotConverged, StatisticsError
from judge.stats.newton import newton
from judge.stats.prediction_powered import ComparisonColumns, anchored_fit

M = 5
LEFT, RIGHT = (side.astype(np.int32) for side in np.triu_indices(M, 1))
PAIRS = LEFT.size


class World:
    """People and a biased judge, whose opinions correlate within prompts."""

    def __init__(self, prompts: int = 20_000) -> None:
        rng = np.random.default_rng(99)
        self.people = np.linspace(0.8, -0.8, M) + rng.normal(0, 0.6, (prompts, M))
        bias = np.array([0.3, 0, -0.2, 0.2, 0])
        self.judge = self.people + bias + rng.normal(0, 0.3, (prompts, M))
        wins = np.zeros((M, M))
        chance = self.chance(self.people).mean(axis=0)
        wins[LEFT, RIGHT], wins[RIGHT, LEFT] = chance, 1 - chance
        self.truth = newton(wins, 1e-10, 100)[0]

    @staticmethod
    def chance(strengths: Floats) -> Floats:
        """The probability that the left side of each pair wins, by prompt."""
        chance: Floats = 1 / (1 + np.exp(strengths[:, RIGHT] - strengths[:, LEFT]))
        return chance

    def draw(self, rng: np.random.Generator, prompts: int, *, tilted: bool) -> ComparisonColumns:
        """Draw all pairs on new prompts, 30 % of them labeled: at random, or more often where the judge is unsure."""
        at = rng.integers(0, len(self.people), prompts)
        sure = self.chance(self.judge[at]).ravel()
        label = (rng.random(sure.size) < self.chance(self.people[at]).ravel()).astype(float)
        unsure = np.where(np.abs(sure - 0.5) < 0.2, 1.0, 0.2)
        probability = np.clip(0.3 * unsure / unsure.mean(), 0.05, 1) if tilted else np.full(sure.size, 0.3)
        return ComparisonColumns(
            M,
            np.tile(LEFT, prompts),
            np.tile(RIGHT, prompts),
            sure,
            np.where(rng.random(sure.size) < probability, label, np.nan),
            probability,
            np.repeat(np.arange(prompts, dtype=np.int32), PAIRS),
        )


@pytest.mark.parametrize("tilted", [False, True])
def test_intervals_cover_the_ratings_of_people(*, tilted: bool) -> None:
    """The 95 % intervals over 40 prompts cover 92 to 98 %, for both kinds of labeling."""
    world, rng, held, replicates = World(), np.random.default_rng(7), np.zeros(M), 1000
    gains = []
    for _ in range(replicates):
        fit = anchored_fit(world.draw(rng, 40, tilted=tilted))
        assert fit.covariance.matrix is not None
        half = fit.covariance.ratings.half_width(0.95)
        held += np.abs(fit.log_strengths - world.truth) <= half
        gains.append(fit.gain)

    assert 0.92 <= (held / replicates).mean() <= 0.98, held / replicates
    assert 1.05 < np.nanmean(gains) < 1.25  # that of the estimates themselves is 1.08 and 1.12, +- 0.013


def test_with_labels_on_everything_the_judge_adds_nothing() -> None:
    """With all labels, the fit is that of the labels, the gain is 1, and more labels change nothing."""
    columns = World().draw(np.random.default_rng(1), 450, tilted=False)
    everything = replace(columns, labeled=np.round(columns.judged), probability=np.ones(columns.judged.size))

    fit = anchored_fit(everything)
    outcome = (1 - everything.labeled).astype(np.int8)
    plain = bradley_terry(
        Battles(tuple("abcde"), columns.left, columns.right, outcome, cluster=columns.cluster, n_clusters=450)
    )

    assert np.allclose(fit.log_strengths, plain.log_strengths, atol=1e-8)
    assert fit.covariance.matrix is not None
    assert plain.covariance.matrix is not None
    assert np.allclose(fit.covariance.matrix, plain.covariance.matrix, rtol=1e-6)
    assert (fit.weight, fit.gain) == (0.0, 1.0)
    assert fit.more_labels == 1.0
    assert math.sqrt(0.5) < fit.more_prompts < 1.0


def test_a_judge_that_agrees_with_people_multiplies_the_labels() -> None:
    """A verdict of a perfect judge counts like a label; a verdict of a random judge counts nothing."""
    world, rng = World(), np.random.default_rng(2)
    columns = world.draw(rng, 450, tilted=False)
    label = (rng.random(columns.judged.size) < 0.5 + 0.4 * np.sign(columns.judged - 0.5)).astype(float)
    labeled = np.where(columns.chosen, label, np.nan)

    twin = anchored_fit(replace(columns, judged=label, labeled=labeled))
    coin = anchored_fit(replace(columns, judged=rng.integers(0, 2, label.size).astype(float), labeled=labeled))

    assert twin.weight == 1.0
    assert twin.gain == pytest.approx(1 / 0.3, rel=0.2)
    assert coin.weight < 0.1
    assert coin.gain == pytest.approx(1, abs=0.05)


def test_few_prompts_with_labels_have_no_interval_and_too_few_labels_no_rating() -> None:
    columns = World().draw(np.random.default_rng(3), 40, tilted=False)
    first = columns.cluster < 4
    every_other = np.where(first, np.arange(first.size) % 2, np.nan)
    fit = anchored_fit(replace(columns, labeled=every_other, probability=np.full(first.size, 0.1)))
    assert fit.covariance.matrix is None
    assert fit.covariance.method == "none: 4 prompts with labels, at least 5 are needed"

    lone = np.full(columns.judged.size, np.nan)
    lone[0] = 1 - np.round(columns.judged[0])
    with pytest.raises(NotConverged):
        anchored_fit(replace(columns, labeled=lone, probability=np.full(lone.size, 1e-6)))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"labeled": np.full(3, np.nan)}, "No comparison has a label"),
        ({"judged": np.array([0.5, 2.0, 0.5])}, "left score lies outside 0 to 1"),
        ({"probability": np.array([0.0, 1.0, 1.0])}, "must be above 0 and at most 1"),
        ({"right": np.zeros(3, dtype=np.int32)}, "meets itself"),
        ({"judged": np.array([0.5])}, "differ in length"),
    ],
)
def test_bad_comparisons_are_refused_by_name(change: dict[str, Any], sentence: str) -> None:
    zero = np.zeros(3, dtype=np.int32)
    good = ComparisonColumns(2, zero, zero + 1, np.full(3, 0.5), np.array([1.0, 0.0, np.nan]), np.ones(3), zero)

    with pytest.raises(StatisticsError, match=sentence):
        replace(good, **change)
