"""More ranking options over the wire: bootstraps, anchoring to labels, and components of variance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import outcome_pb2
from judge.api.v1.leaderboard_pb2 import RANKING_METHOD_ELO
from judge.api.v1.outcome_pb2 import (
    INTERVAL_METHOD_BOOTSTRAP,
    INTERVAL_METHOD_PERCENTILE,
    IntervalMethod,
)
from judge.api.v1.ranking_service_pb2 import Anchor, Battle, RankingOptions
from judge.rpc.enum_words import value
from judge_client import JudgeClient, JudgeClientError

NAMES = ("able", "base", "calm", "dull")
STRENGTH = {"able": 0.8, "base": 0.3, "calm": 0.0, "dull": -0.8}
PROMPTS = 60
OUTCOMES = (outcome_pb2.OUTCOME_LEFT, outcome_pb2.OUTCOME_RIGHT)
ORDERS = (outcome_pb2.ORDER_LEFT_FIRST, outcome_pb2.ORDER_RIGHT_FIRST)


def label(
    prompt: int,
    left: str,
    right: str,
    outcome: int,
    *,
    selection_probability: float | None = None,
    selection: outcome_pb2.Selection.ValueType = outcome_pb2.SELECTION_UNSPECIFIED,
) -> ds.Label:
    return ds.Label(
        label_id=f"{prompt}-{left}-{right}",
        prompt_id=f"p{prompt}",
        turn=1,
        left=left,
        right=right,
        outcome=OUTCOMES[outcome],
        annotator=f"person-{prompt % 3}",
        kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
        selection_probability=selection_probability,
        selection=selection,
    )


@pytest.fixture
async def service(client: JudgeClient) -> JudgeClient:
    """Two judges' verdicts on every pair of 60 prompts, in both orders and twice; the good one mostly echoes people."""
    rng = np.random.default_rng(5)
    await client.create_dataset("d")
    await client.upload_prompts("d", [ds.Prompt(prompt_id=f"p{n}", turns=["question"]) for n in range(PROMPTS)])
    outputs = [ds.Output(prompt_id=f"p{n}", contestant=name, turns=["text"]) for n in range(PROMPTS) for name in NAMES]
    await client.upload_outputs("d", outputs)
    verdicts, labels = [], []
    for prompt in range(PROMPTS):
        for i, left in enumerate(NAMES):
            for right in NAMES[i + 1 :]:
                chance = 1 / (1 + math.exp(STRENGTH[right] - STRENGTH[left]))
                people = int(rng.random() > chance)
                if prompt % 2:
                    labels.append(label(prompt, left, right, people, selection_probability=0.5))
                for judge, echo in (("good", 0.9), ("poor", 0.5)):
                    for order in ORDERS:
                        for repeat in range(2):
                            code = people if rng.random() < echo else int(rng.random() > chance)
                            verdicts.append(
                                ds.ImportedVerdict(
                                    prompt_id=f"p{prompt}",
                                    left=left,
                                    right=right,
                                    order=order,
                                    judge=judge,
                                    outcome=OUTCOMES[code],
                                    repeat=repeat,
                                )
                            )
    await client.upload_verdicts("d", verdicts)
    await client.upload_labels("d", labels, source="random")
    return client


@pytest.mark.parametrize("intervals", ["bootstrap", "bootstrap-t", "percentile"])
async def test_a_bootstrap_gives_every_rating_an_interval(service: JudgeClient, intervals: str) -> None:
    """Bootstrap intervals are about as wide as sandwich intervals, and the same seed gives the same bytes."""
    method = value(IntervalMethod, intervals)
    options = RankingOptions(intervals=method, replicates=200, reference_contestant="base", seed=3)
    plain = await service.leaderboard("d", "judge:good", RankingOptions(reference_contestant="base"))
    resampled, again = [await service.leaderboard("d", "judge:good", options) for _ in range(2)]

    assert resampled.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    kind = {"bootstrap": "bootstrap-se-t", "percentile": "bootstrap-percentile"}.get(intervals, intervals)
    assert (resampled.interval_method, resampled.replicates, resampled.replicates_apart) == (kind, 200, 0)
    for rating, other in zip(resampled.ratings, plain.ratings, strict=True):
        width = rating.interval.high - rating.interval.low
        assert 0.7 < width / (other.interval.high - other.interval.low) < 1.4
        assert rating.HasField("rank_interval")
    assert [rating.standing for rating in resampled.standings] == [rating.standing for rating in plain.standings]


async def test_an_unbeaten_resample_leaves_an_interval_open(client: JudgeClient) -> None:
    """A contestant beaten on one prompt of forty has no upper bound for its rating, and no rank interval."""
    battles = []
    for prompt in range(40):
        pairs = [("a", "b", int(prompt == 0)), ("b", "c", prompt % 2), ("c", "b", prompt % 3 == 0)]
        for left, right, lost in pairs:
            battles.append(Battle(left=left, right=right, outcome=OUTCOMES[int(lost)], prompt_id=f"p{prompt}"))
    options = RankingOptions(intervals=INTERVAL_METHOD_BOOTSTRAP, replicates=300, reference_contestant="b")

    leaderboard = await client.rank_battles(battles, options)

    best = leaderboard.ratings[0]
    assert best.contestant == "a"
    assert best.interval.high == math.inf
    assert math.isfinite(best.interval.low)
    assert 0.2 < leaderboard.replicates_apart / 300 < 0.6
    assert not best.HasField("rank_interval")
    ahead = next(row for row in leaderboard.standings if row.contestant == "a")
    assert ahead.interval.high == math.inf


async def test_ratings_are_anchored_to_labels(service: JudgeClient) -> None:
    """A good judge makes labels count for more than a poor one does, and ranks the contestants correctly."""
    options = RankingOptions(anchored_to="people", reference_contestant="base")
    good, poor = [await service.leaderboard("d", f"judge:{judge}", options) for judge in ("good", "poor")]

    anchoring = good.anchoring
    assert (anchoring.labeled, anchoring.comparisons, anchoring.labeled_prompts) == (180, 360, 30)
    assert not anchoring.assumed_random
    assert anchoring.gain > poor.anchoring.gain
    assert anchoring.gain > 1.2
    assert 0 < poor.anchoring.judge_weight < anchoring.judge_weight <= 1
    assert anchoring.twice_the_labels < 1
    assert good.interval_method == "prediction-powered-cr2"
    assert [rating.contestant for rating in good.ratings] == list(NAMES)
    assert all(rating.HasField("rank_interval") for rating in good.ratings)


async def test_labels_of_unknown_probability_are_flagged_or_rejected(service: JudgeClient) -> None:
    """If no probability is known, labels are assumed random and flagged; partly known ones and queues are rejected."""
    await service.upload_labels("d", [label(0, "able", "base", 0)], source="more")
    with pytest.raises(JudgeClientError, match="the selection probability of 1 of 181 labeled comparisons is unknown"):
        await service.leaderboard("d", "judge:good", RankingOptions(anchored_to="people"))

    rng = np.random.default_rng(8)
    pairs = [(left, right) for i, left in enumerate(NAMES) for right in NAMES[i + 1 :]]
    rows = [label(n, *pair, int(rng.integers(2))) for n in range(PROMPTS) for pair in pairs]
    for row in rows:
        row.annotator = "anyone"
    await service.upload_labels("d", rows, source="unknown")
    leaderboard = await service.leaderboard("d", "judge:good", RankingOptions(anchored_to="labels:anyone"))
    assert leaderboard.anchoring.assumed_random

    queued = [label(n, "able", "dull", 0, selection=outcome_pb2.SELECTION_QUEUE) for n in range(9)]
    for row in queued:
        row.annotator = "queued"
    await service.upload_labels("d", queued, source="queue")
    with pytest.raises(JudgeClientError, match="9 of 9 labeled comparisons"):
        await service.leaderboard("d", "judge:good", RankingOptions(anchored_to="labels:queued"))


async def test_a_jurys_variance_is_split_and_it_is_ranked_without_each_judge(service: JudgeClient) -> None:
    options = RankingOptions(variance=True, leave_one_out=True)
    leaderboard = await service.leaderboard("d", "jury:good+poor>=1", options)

    split = {component.level: component for component in leaderboard.variance}
    assert list(split) == ["prompt", "judge", "order", "repeat"]
    assert sum(component.share for component in split.values()) == pytest.approx(1, abs=1e-6)
    assert split["repeat"].variance > split["order"].variance
    without = {out.judge: list(out.ranks) for out in leaderboard.left_out if out.judge}
    assert sorted(without) == ["good", "poor"]
    assert all(sorted(names) == sorted(NAMES) for names in without.values())


async def test_repeats_of_a_judge_are_compared(service: JudgeClient) -> None:
    """Of two repeats, the judge that echoes people gives the same outcome more often than the poor judge."""
    good, poor = [await service.agreement("d", f"judge:{judge}", "people") for judge in ("good", "poor")]

    assert good.repeats_agree.n == 60 * 6 * 2
    assert good.repeats_agree.value > poor.repeats_agree.value > 0.5
    assert not (await service.agreement("d", "people")).HasField("repeats_agree")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            RankingOptions(intervals=99),  # type: ignore[arg-type]  # a number of a later release
            "options.intervals must be one of sandwich, bootstrap, bootstrap-t, percentile, not 99",
        ),
        (
            RankingOptions(intervals=INTERVAL_METHOD_BOOTSTRAP, replicates=1),
            "replicates must be from 2 to 10,000, but it is 1",
        ),
        (RankingOptions(intervals=INTERVAL_METHOD_BOOTSTRAP, strata=True), "leave out strata"),
        (
            RankingOptions(intervals=INTERVAL_METHOD_PERCENTILE, anchor=Anchor(contestant="able", rating=1)),
            "cannot be combined with an anchor",
        ),
        (
            RankingOptions(intervals=INTERVAL_METHOD_BOOTSTRAP, method=RANKING_METHOD_ELO),
            "method elo has no bootstrap intervals",
        ),
        (RankingOptions(anchored_to="judge:poor"), "anchored to people or labels:PATTERN"),
        (RankingOptions(anchored_to="labels:nobody"), "matches no label"),
        (RankingOptions(anchored_to="people", style=True), "need the default style"),
        (RankingOptions(decisive_weight=0.5), "decisive_weight must be 1 or more, but it is 0.5"),
    ],
)
async def test_options_that_do_not_fit_together_are_rejected(
    service: JudgeClient, options: RankingOptions, sentence: str
) -> None:
    with pytest.raises(JudgeClientError, match=sentence):
        await service.leaderboard("d", "judge:good", options)
