"""Scores of single outputs through the service: their means, and the pairs that rankings and agreement make of them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import run_service_pb2 as runs
from judge.api.v1.outcome_pb2 import ANNOTATOR_KIND_HUMAN, OUTCOME_LEFT, OUTCOME_RIGHT
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.domain.scores import Score, ScoreScale, with_scored_pairs
from judge.rpc import rows
from judge_client import JudgeClient, JudgeClientError

MODELS = ("able", "base", "calm")
PROMPTS = 20


def drawn() -> list[Score]:
    """Scores of three models on two turns of 20 prompts, a few of them twice."""
    rng = np.random.default_rng(2)
    return [
        Score(
            prompt_id=f"q{prompt}",
            contestant=model,
            value=float(np.clip(round(7 + rng.normal() * 2 - number), 1, 10)),
            annotator="gpt-4_single",
            kind=AnnotatorKind.MODEL,
            scale=ScoreScale(),
            turn=turn,
        )
        for prompt in range(PROMPTS)
        for turn in (1, 2)
        for number, model in enumerate(MODELS)
        for _ in range(1 + (prompt == 3))
    ]


SCORES = drawn()


@pytest.fixture
async def service(client: JudgeClient) -> JudgeClient:
    await client.create_dataset("d")
    prompts = [
        ds.Prompt(prompt_id=f"q{n}", turns=["a", "b"], category="code" if n % 2 else "prose") for n in range(PROMPTS)
    ]
    await client.upload_prompts("d", prompts)
    await client.upload_outputs(
        "d",
        [ds.Output(prompt_id=f"q{n}", contestant=name, turns=["x", "y"]) for n in range(PROMPTS) for name in MODELS],
    )
    labels = [rows.label(score.label(str(number))) for number, score in enumerate(SCORES)]
    await client.upload_labels("d", labels, source="single")
    return client


async def test_service_mean_scores_are_those_of_a_loop(service: JudgeClient) -> None:
    """The mean of all scores, by turn and by category; the best contestant first, intervals around the mean."""
    reply = await service.mean_scores("d", "labels:gpt-4_single", by_turn=True, by_category=True)

    values: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    for score in SCORES:
        category = "code" if int(score.prompt_id[1:]) % 2 else "prose"
        for turn, name in ((0, ""), (score.turn, ""), (0, category)):
            values[turn, name, score.contestant].append(score.value)
    means = {(row.slice.turn, row.slice.category, row.contestant): row for row in reply.means}
    assert means.keys() == values.keys()
    for key, row in means.items():
        assert row.mean == pytest.approx(np.mean(values[key]), abs=1e-8)
        assert row.n == len(values[key])
        assert row.interval.low < row.mean < row.interval.high
        assert (row.lowest, row.highest) == (0, 10)
    assert [row.contestant for row in reply.means[:3]] == list(MODELS)
    assert {row.prompts for row in reply.means[:3]} == {PROMPTS}


async def test_service_mean_scores_rank_as_the_pairs_that_they_make(service: JudgeClient) -> None:
    """A ranking by scores is the one by labels of the higher score, and agreement compares the same pairs."""
    pairs = with_scored_pairs(score.label(str(number)) for number, score in enumerate(SCORES))
    people = [rows.label(pair) for pair in pairs]
    for label in people:
        label.annotator, label.kind = "ann", ANNOTATOR_KIND_HUMAN
    await service.upload_labels("d", people, source="people")

    by_scores = await service.leaderboard("d", "labels:gpt-4_single")
    by_people = await service.leaderboard("d", "people")
    report = await service.agreement("d", "labels:gpt-4_single", "people")

    assert [row.contestant for row in by_scores.ratings] == list(MODELS)
    assert list(by_scores.ratings) == list(by_people.ratings)
    assert (report.figures[0].n, report.figures[0].rate) == (len(pairs), 1.0)


async def test_service_mean_scores_are_no_comparisons_to_judge(service: JudgeClient) -> None:
    """A run over labeled pairs has those that somebody compared, and none for scores."""
    compared = ds.Label(
        label_id="1",
        prompt_id="q1",
        left="able",
        right="base",
        outcome=OUTCOME_LEFT,
        annotator="ann",
        kind=ANNOTATOR_KIND_HUMAN,
    )
    await service.upload_labels("d", [compared], source="people")
    spec = runs.RunSpec(
        dataset="datasets/d",
        judges=["judges/random"],
        pairing=runs.Pairing(policy=runs.PAIR_POLICY_LABELED),
    )

    estimate = await service.estimate_run(spec)

    assert estimate.judges[0].calls + estimate.judges[0].reused == 2


async def test_service_mean_scores_need_scores_on_one_scale(service: JudgeClient) -> None:
    other = Score(
        prompt_id="q1",
        contestant="able",
        value=4,
        annotator="gpt-4_stars",
        kind=AnnotatorKind.MODEL,
        scale=ScoreScale(lowest=1, highest=5),
    )
    await service.upload_labels("d", [rows.label(other.label("1"))], source="stars")

    stars = await service.mean_scores("d", "labels:gpt-4_stars")

    assert [(row.mean, row.n, row.interval_method) for row in stars.means] == [
        (4.0, 1, "none: 1 prompt, at least 5 are needed")
    ]
    with pytest.raises(JudgeClientError, match=r"several scales \(scale:0..10, scale:1..5\): name one annotator"):
        await service.mean_scores("d", "labels:gpt-4_*")
    with pytest.raises(JudgeClientError, match="matches no score"):
        await service.mean_scores("d", "people")
    with pytest.raises(JudgeClientError, match="not of judge:gpt-4"):
        await service.mean_scores("d", "judge:gpt-4")
    with pytest.raises(JudgeClientError, match="level must be between 0 and 1"):
        await service.mean_scores("d", "labels:gpt-4_stars", level=2)


async def test_service_mean_scores_are_read_where_people_disagree_with_them(service: JudgeClient) -> None:
    """A comparison on which a person contradicts two scores is listed with the label that they make."""
    pair = next(
        pair
        for pair in with_scored_pairs(score.label(str(number)) for number, score in enumerate(SCORES))
        if pair.outcome is Outcome.LEFT
    )
    other = rows.label(pair)
    other.annotator, other.kind, other.outcome = "ann", ANNOTATOR_KIND_HUMAN, OUTCOME_RIGHT
    await service.upload_labels("d", [other], source="people")

    (row,) = [row async for row in service.list_disagreements("d", "people", "labels:gpt-4_single")]

    assert (row.source_outcome, row.target_outcome) == (OUTCOME_RIGHT, OUTCOME_LEFT)
    assert [label.annotator for label in row.labels] == ["gpt-4_single"]
