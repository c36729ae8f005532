"""A judge compared with itself under another cache tag, and with a second source on the same votes."""

from __future__ import annotations

import numpy as np
import pytest

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import outcome_pb2, run_service_pb2
from judge_client import JudgeClient, JudgeClientError

NAMES, PROMPTS = ("able", "base", "calm"), 30
OUTCOMES = (outcome_pb2.OUTCOME_LEFT, outcome_pb2.OUTCOME_RIGHT)


@pytest.fixture
async def client(client: JudgeClient) -> JudgeClient:
    """Three contestants on 30 prompts; people mostly prefer the longer output."""
    rng = np.random.default_rng(3)
    await client.create_dataset("d")
    await client.upload_prompts("d", [ds.Prompt(prompt_id=f"p{n}", turns=[f"question {n}"]) for n in range(PROMPTS)])
    outputs, labels = [], []
    for n in range(PROMPTS):
        sizes = rng.permutation(3) + 1
        outputs += [
            ds.Output(prompt_id=f"p{n}", contestant=name, turns=[f"{name} says " + "more " * int(size)])
            for name, size in zip(NAMES, sizes, strict=True)
        ]
        for i in range(3):
            for j in range(i + 1, 3):
                shorter = int(sizes[i] < sizes[j])
                outcome = OUTCOMES[shorter if rng.random() < 0.9 else 1 - shorter]
                label = ds.Label(
                    label_id=f"{n}{i}{j}",
                    prompt_id=f"p{n}",
                    turn=1,
                    left=NAMES[i],
                    right=NAMES[j],
                    annotator="ann",
                    kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
                    outcome=outcome,
                )
                labels.append(label)
    await client.upload_outputs("d", outputs)
    await client.upload_labels("d", labels, source="people")
    return client


async def run_judge(client: JudgeClient, cache_tag: str, judge: str = "random") -> str:
    pairing = run_service_pb2.Pairing(repeats=2, cache_tag=cache_tag)
    spec = run_service_pb2.RunSpec(dataset="datasets/d", judges=[f"judges/{judge}"], pairing=pairing)
    run = await client.create_run(spec)
    async for seen in client.watch_run(run.name):
        last = seen
    assert last.state == run_service_pb2.RUN_STATE_DONE
    return f"{run.name.replace('runs/', 'run:')}/{judge}"


async def test_the_same_judge_under_another_cache_tag_differs_no_more_than_from_itself(
    client: JudgeClient,
) -> None:
    old, new, other = [await run_judge(client, *arguments) for arguments in (("may",), ("june",), ("june", "longest"))]

    wide = pb.AgreementOptions(drift_margin=0.25)
    same = (await client.agreement("d", new, old, wide)).drift
    changed = (await client.agreement("d", other, old)).drift

    assert (same.answer, same.presentations) == ("no more than noise", PROMPTS * 3 * 2)
    assert same.noise.value == pytest.approx(2 / 3, abs=0.12)
    assert same.changed.interval.low < same.noise.value < same.changed.interval.high
    assert changed.answer == "changed"
    assert changed.beyond.interval.low > 0
    assert changed.changed.value == pytest.approx(2 / 3, abs=0.1)


async def test_disagreements_of_two_judges_have_the_verdicts_of_both(client: JudgeClient) -> None:
    """Disagreements of two judges have the verdicts of both in both orders, and no labels."""
    old, new = [await run_judge(client, "may", judge) for judge in ("random", "longest")]
    rows = [row async for row in client.list_disagreements("d", new, old)]

    assert len(rows) > 20
    for row in rows:
        assert [verdict.judge for verdict in row.verdicts] == ["judges/longest"] * 4
        assert [verdict.judge for verdict in row.target_verdicts] == ["judges/random"] * 4
        assert row.source_outcome != row.target_outcome
        assert not row.labels


async def test_drift_between_runs_that_share_their_calls_is_not_reported(client: JudgeClient) -> None:
    old, again = [await run_judge(client, "may") for _ in range(2)]
    report = await client.agreement("d", again, old)

    assert not report.HasField("drift")
    assert report.notes[0].endswith(
        f"{PROMPTS * 3 * 2 * 2:,} verdicts are the same calls in both; use another cache tag."
    )
    assert not (await client.agreement("d", old, "people")).HasField("drift")


async def test_two_judges_are_compared_on_the_same_votes(client: JudgeClient) -> None:
    long, dice = await run_judge(client, "", "longest"), await run_judge(client, "")
    options = pb.AgreementOptions(second_source=dice, difference_to_detect=0.1)
    with_ties, without_ties = (await client.agreement("d", long, "people", options)).second_sources

    assert (with_ties.ties, without_ties.ties) == (pb.TIES_WITH, pb.TIES_WITHOUT)
    assert (with_ties.votes, with_ties.prompts, with_ties.comparisons) == (90, PROMPTS, 90)
    assert with_ties.source.value == pytest.approx(0.9, abs=0.07)
    assert with_ties.difference.value == pytest.approx(with_ties.source.value - with_ties.second_source.value, abs=1e-6)
    assert with_ties.difference.interval.low > 0
    assert with_ties.votes_needed == 3 * with_ties.prompts_needed > 0
    assert without_ties.votes < with_ties.votes


@pytest.mark.parametrize(
    ("source", "target", "second_source", "sentence"),
    [
        ("people", "", "judge:random", "a second source is compared with a target: name one"),
        ("people", "people", "nonsense", "source 'nonsense' is none of judge:NAME"),
    ],
)
async def test_an_invalid_second_source_is_rejected(
    client: JudgeClient, source: str, target: str, second_source: str, sentence: str
) -> None:
    with pytest.raises(JudgeClientError, match=sentence):
        await client.agreement("d", source, target, pb.AgreementOptions(second_source=second_source))
