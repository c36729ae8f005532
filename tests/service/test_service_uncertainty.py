"""What else a ranking may ask for over the wire: bootstraps, anchoring to labels, and where the variance comes from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import outcome_pb2
from judge.api.v1.ranking_service_pb2 import Anchor, Battle, RankingOptions
from judge_client import JudgeClient, JudgeClientError

NAMES = ("able", "base", "calm", "dull")
STRENGTH = {"able": 0.8, "base": 0.3, "calm": 0.0, "dull": -0.8}
PROMPTS = 60
OUTCOMES = (outcome_pb2.OUTCOME_LEFT, outcome_pb2.OUTCOME_RIGHT)
ORDERS = (outcome_pb2.ORDER_LEFT_FIRST, outcome_pb2.ORDER_RIGHT_FIRST)


def label(prompt: int, left: str, right: str, outcome: int, **more: object) -> ds.Label:
    return ds.Label(
        label_id=f"{prompt}-{left}-{right}",
        prompt_id=f"p{prompt}",
        turn=1,
        left=left,
        right=right,
        outcome=OUTCOMES[outcome],
        annotator=f"person-{prompt % 3}",
        kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
        **more,
    )


@pytest.fixture
async def leaderboard(client: JudgeClient) -> JudgeClient:
    """Two judges' verdicts on every pair of 60 prompts, in both orders and twice; one is an echo of people."""
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
                            said = people if rng.random() < echo else int(rng.random() > chance)
                            verdicts.append(
                                ds.ImportedVerdict(
                                    prompt_id=f"p{prompt}",
                                    left=left,
                                    right=right,
                                    order=order,
                                    judge=judge,
                                    outcome=OUTCOMES[said],
                                    repeat=repeat,
                                )
                            )
    await client.upload_verdicts("d", verdicts)
    await client.upload_labels("d", labels, source="random")
    return client


@pytest.mark.parametrize("intervals", ["bootstrap", "bootstrap-t", "percentile"])
async def test_a_bootstrap_gives_every_rating_an_interval(leaderboard: JudgeClient, intervals: str) -> None:
    """About as wide as the sandwich's; the resamples are counted, and the same seed gives the same bytes."""
    options = RankingOptions(intervals=intervals, replicates=200, reference_contestant="base", seed=3)
    plain = await leaderboard.leaderboard("d", "judge:good", RankingOptions(reference_contestant="base"))
    found, again = [await leaderboard.leaderboard("d", "judge:good", options) for _ in range(2)]

    assert found.SerializeToString(deterministic=True) == again.SerializeToString(deterministic=True)
    kind = {"bootstrap": "bootstrap-se-t", "percentile": "bootstrap-percentile"}.get(intervals, intervals)
    assert (found.interval_method, found.replicates, found.replicates_apart) == (kind, 200, 0)
    for one, other in zip(found.ratings, plain.ratings, strict=True):
        width = one.interval.high - one.interval.low
        assert 0.7 < width / (other.interval.high - other.interval.low) < 1.4
        assert one.HasField("rank_interval")
    assert [one.standing for one in found.standings] == [one.standing for one in plain.standings]


async def test_an_unbeaten_resample_leaves_an_interval_open(client: JudgeClient) -> None:
    """Beaten on one prompt of forty, it has no upper end; ranks and standings do not pretend to know."""
    battles = []
    for prompt in range(40):
        pairs = [("a", "b", int(prompt == 0)), ("b", "c", prompt % 2), ("c", "b", prompt % 3 == 0)]
        for left, right, lost in pairs:
            battles.append(Battle(left=left, right=right, outcome=OUTCOMES[int(lost)], prompt_id=f"p{prompt}"))
    options = RankingOptions(intervals="bootstrap", replicates=300, reference_contestant="b")

    found = await client.rank_battles(battles, options)

    best = found.ratings[0]
    assert best.contestant == "a"
    assert best.interval.high == math.inf
    assert math.isfinite(best.interval.low)
    assert 0.2 < found.replicates_apart / 300 < 0.6
    assert not best.HasField("rank_interval")
    ahead = next(one for one in found.standings if one.contestant == "a")
    assert ahead.interval.high == math.inf


async def test_ratings_are_anchored_to_labels(leaderboard: JudgeClient) -> None:
    """A good judge multiplies the labels, a poor one hardly does; the planner speaks; ratings stay near the judge's."""
    options = RankingOptions(anchored_to="people", reference_contestant="base")
    good, poor = [await leaderboard.leaderboard("d", f"judge:{judge}", options) for judge in ("good", "poor")]

    told = good.anchoring
    assert (told.labelled, told.comparisons, told.labelled_prompts) == (180, 360, 30)
    assert not told.assumed_random
    assert told.gain > poor.anchoring.gain
    assert told.gain > 1.2
    assert 0 < poor.anchoring.judge_weight < told.judge_weight <= 1
    assert told.twice_the_labels < 1
    assert good.interval_method == "prediction-powered-cr3-t"
    assert [rating.contestant for rating in good.ratings] == list(NAMES)
    assert all(rating.HasField("rank_interval") for rating in good.ratings)


async def test_labels_of_unknown_probability_are_flagged_or_refused(leaderboard: JudgeClient) -> None:
    """None known: taken as random, and said. Some known, or a queue: refused, with how many."""
    await leaderboard.upload_labels("d", [label(0, "able", "base", 0)], source="more")
    with pytest.raises(JudgeClientError, match="the selection probability of 1 of 181 labeled comparisons is unknown"):
        await leaderboard.leaderboard("d", "judge:good", RankingOptions(anchored_to="people"))

    rng = np.random.default_rng(8)
    pairs = [(left, right) for i, left in enumerate(NAMES) for right in NAMES[i + 1 :]]
    rows = [label(n, *pair, int(rng.integers(2))) for n in range(PROMPTS) for pair in pairs]
    for row in rows:
        row.annotator = "anyone"
    await leaderboard.upload_labels("d", rows, source="unknown")
    found = await leaderboard.leaderboard("d", "judge:good", RankingOptions(anchored_to="labels:anyone"))
    assert found.anchoring.assumed_random

    queued = [label(n, "able", "dull", 0, selection=outcome_pb2.SELECTION_QUEUE) for n in range(9)]
    for row in queued:
        row.annotator = "queued"
    await leaderboard.upload_labels("d", queued, source="queue")
    with pytest.raises(JudgeClientError, match="9 of 9 labeled comparisons"):
        await leaderboard.leaderboard("d", "judge:good", RankingOptions(anchored_to="labels:queued"))


async def test_a_jury_is_split_by_what_varies_and_ranked_without_each_judge(leaderboard: JudgeClient) -> None:
    options = RankingOptions(variance=True, leave_one_out=True)
    found = await leaderboard.leaderboard("d", "jury:good+poor>=1", options)

    split = {one.level: one for one in found.variance}
    assert list(split) == ["prompt", "judge", "order", "repeat"]
    assert sum(one.share for one in split.values()) == pytest.approx(1, abs=1e-6)
    assert split["repeat"].variance > split["order"].variance
    without = {out.judge: list(out.ranks) for out in found.left_out if out.judge}
    assert sorted(without) == ["good", "poor"]
    assert all(sorted(names) == sorted(NAMES) for names in without.values())


async def test_repeats_of_a_judge_are_compared(leaderboard: JudgeClient) -> None:
    """Two repeats of each showing: the one that echoes people says the same twice more often."""
    good, poor = [await leaderboard.agreement("d", f"judge:{judge}", "people") for judge in ("good", "poor")]

    assert good.repeats_agree.n == 60 * 6 * 2
    assert good.repeats_agree.value > poor.repeats_agree.value > 0.5
    assert not (await leaderboard.agreement("d", "people")).HasField("repeats_agree")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (RankingOptions(intervals="guess"), "unknown intervals 'guess'; use one of sandwich, bootstrap"),
        (RankingOptions(intervals="bootstrap", replicates=1), "replicates must be from 2 to 10,000, but it is 1"),
        (RankingOptions(intervals="bootstrap", strata=True), "leave out strata"),
        (
            RankingOptions(intervals="percentile", anchor=Anchor(contestant="able", rating=1)),
            "cannot be combined with an anchor",
        ),
        (RankingOptions(intervals="bootstrap", method="elo"), "method elo has no intervals"),
        (RankingOptions(anchored_to="judge:poor"), "anchored to people or labels:PATTERN"),
        (RankingOptions(anchored_to="labels:nobody"), "matches no label"),
        (RankingOptions(anchored_to="people", style=True), "need the default style"),
        (RankingOptions(decisive_weight=0.5), "decisive_weight must be 1 or more, but it is 0.5"),
    ],
)
async def test_what_cannot_be_ranked_so_is_refused_by_name(
    leaderboard: JudgeClient, options: RankingOptions, sentence: str
) -> None:
    with pytest.raises(JudgeClientError, match=sentence):
        await leaderboard.leaderboard("d", "judge:good", options)
