"""Additions to a judged dataset: only what is new is judged, and the old leaderboard's scale can be kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import leaderboard_pb2
from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1.leaderboard_pb2 import RANKING_METHOD_ELO
from judge.api.v1.ranking_service_pb2 import Anchor, RankingOptions
from judge.app.local import running
from judge.cli import main
from judge.cli.group import cli
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import settings

main._commands()
PROMPTS, NAMES = 24, ("able", "base", "calm")
ALL = pb.RunSpec(dataset="datasets/d", judges=["judges/longest"])


def prompts(begin: int, end: int) -> list[ds.Prompt]:
    return [ds.Prompt(prompt_id=f"p{n}", turns=[f"question {n}"]) for n in range(begin, end)]


def outputs(names: tuple[str, ...], begin: int, end: int) -> list[ds.Output]:
    """Return outputs whose lengths vary by prompt, so that every contestant sometimes wins."""
    places = {name: place for place, name in enumerate((*NAMES, "dear"))}

    def text(name: str, number: int) -> str:
        place = places[name]
        return f"{name} says " + "word " * (1 + (number * (2 + place) + place) % 7)

    return [
        ds.Output(prompt_id=f"p{n}", contestant=name, turns=[text(name, n)])
        for n in range(begin, end)
        for name in names
    ]


async def run_to_end(client: JudgeClient, spec: pb.RunSpec = ALL) -> pb.Run:
    return await client.wait_run((await client.create_run(spec)).name)


@pytest.fixture
async def old(client: JudgeClient) -> pb.Run:
    """A run over 24 prompts and three contestants."""
    await client.create_dataset("d")
    await client.upload_prompts("d", prompts(0, PROMPTS))
    await client.upload_outputs("d", outputs(NAMES, 0, PROMPTS))
    return await run_to_end(client)


def ratings_of(leaderboard: leaderboard_pb2.Leaderboard) -> dict[str, float]:
    return {rating.contestant: rating.rating for rating in leaderboard.ratings}


async def test_a_new_contestant_costs_its_own_presentations_and_no_other(client: JudgeClient, old: pb.Run) -> None:
    """The second run reuses every verdict of the first and judges only the new contestant's pairs."""
    await client.upload_outputs("d", outputs(("dear",), 0, PROMPTS))
    estimate = await client.estimate_run(ALL)

    new = await run_to_end(client)

    assert (old.counts.planned, old.counts.calls, old.counts.reused) == (PROMPTS * 3 * 2, PROMPTS * 3 * 2, 0)
    assert (new.counts.planned, new.counts.by_status["ok"]) == (PROMPTS * 6 * 2, PROMPTS * 6 * 2)
    assert (new.counts.calls, new.counts.reused) == (PROMPTS * 3 * 2, old.counts.planned)
    assert (estimate.calls, estimate.reused) == (new.counts.calls, new.counts.reused)


async def test_new_prompts_cost_their_own_presentations_and_no_other(client: JudgeClient, old: pb.Run) -> None:
    """Ten more prompts cost only their own calls, and an equal run after that makes none."""
    await client.upload_prompts("d", prompts(PROMPTS, PROMPTS + 10))
    await client.upload_outputs("d", outputs(NAMES, PROMPTS, PROMPTS + 10))

    new, again = await run_to_end(client), await run_to_end(client)

    assert (new.counts.calls, new.counts.reused) == (10 * 3 * 2, old.counts.planned)
    assert (again.counts.calls, again.counts.reused) == (0, new.counts.planned)


async def test_an_adaptive_run_after_another_reuses_what_is_stored(client: JudgeClient, old: pb.Run) -> None:
    """An adaptive run makes calls only for chosen pairs that are not judged yet."""
    await client.upload_outputs("d", outputs(("dear",), 0, PROMPTS))
    pairing = pb.Pairing(policy=pb.PAIR_POLICY_ADAPTIVE, count=60)

    new = await run_to_end(client, pb.RunSpec(dataset="datasets/d", judges=["judges/longest"], pairing=pairing))

    verdicts = [v async for v in client.list_verdicts(new.name)]
    with_new = [v for v in verdicts if "dear" in (v.presentation.left, v.presentation.right)]
    assert old.counts.calls == PROMPTS * 3 * 2
    assert (new.counts.calls, new.counts.reused) == (len(with_new), 120 - len(with_new))
    assert 0 < new.counts.calls < 120


async def test_the_old_leaderboards_scale_is_kept_on_request(client: JudgeClient, old: pb.Run) -> None:
    """With anchors, the mean of the old contestants stays where it was, and differences do not change."""
    source = f"run:{old.name.removeprefix('runs/')}"
    before = await client.leaderboard("d", source)
    await client.upload_outputs("d", outputs(("dear",), 0, PROMPTS))
    await run_to_end(client)
    anchors = [Anchor(contestant=rating.contestant, rating=rating.rating) for rating in before.ratings]

    free = await client.leaderboard("d", "judge:longest")
    kept = await client.leaderboard("d", "judge:longest", RankingOptions(anchors=anchors))
    anchored_to_one = await client.leaderboard("d", "judge:longest", RankingOptions(anchors=anchors[:1]))

    kept_ratings, free_ratings = ratings_of(kept), ratings_of(free)
    shift = sum(kept_ratings[name] - free_ratings[name] for name in kept_ratings) / 4
    assert list(kept.anchors) == [anchor.contestant for anchor in anchors]
    assert sum(ratings_of(before).values()) == pytest.approx(sum(kept_ratings[name] for name in NAMES), abs=1e-5)
    assert abs(shift) > 1
    assert {name: free_ratings[name] + shift for name in free_ratings} == pytest.approx(kept_ratings, abs=1e-5)
    fixed = next(row for row in anchored_to_one.ratings if row.contestant == anchors[0].contestant)
    assert (fixed.rating, fixed.interval.low, fixed.interval.high) == (anchors[0].rating,) * 3
    for row in kept.ratings:
        assert row.interval.low < row.rating < row.interval.high


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (RankingOptions(anchors=[Anchor(contestant="nobody", rating=1)]), "none of the anchors nobody"),
        (
            RankingOptions(anchors=[Anchor(contestant="able", rating=1)], anchor=Anchor(contestant="able", rating=1)),
            "give either one anchor or the anchors",
        ),
        (RankingOptions(anchors=[Anchor(contestant="able", rating=1)] * 2), "name a contestant twice"),
        (
            RankingOptions(anchors=[Anchor(contestant="able", rating=1)], method=RANKING_METHOD_ELO),
            "method elo has no anchors",
        ),
    ],
)
@pytest.mark.usefixtures("old")
async def test_invalid_anchors_are_rejected(client: JudgeClient, options: RankingOptions, sentence: str) -> None:
    with pytest.raises(JudgeClientError, match=sentence):
        await client.leaderboard("d", "judge:longest", options)


async def print_ranking(address: str, *arguments: str) -> Result:
    """Run `judge rank --json` with *arguments* against the server at *address*."""
    argv = ["rank", *arguments, "--dataset", "d", "--json", "--server", address]
    return await asyncio.to_thread(CliRunner().invoke, cli, argv)


async def test_rank_takes_the_scale_of_an_earlier_leaderboard_from_a_file_or_a_run(tmp_path: Path) -> None:
    """`--anchors-from` gives the same ratings from the output of `--json` and from the run itself."""
    async with running(settings(), store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
        await client.create_dataset("d")
        await client.upload_prompts("d", prompts(0, PROMPTS))
        await client.upload_outputs("d", outputs(NAMES, 0, PROMPTS))
        first = await run_to_end(client)
        source = f"run:{first.name.removeprefix('runs/')}"
        earlier = tmp_path / "earlier.json"
        earlier.write_text((await print_ranking(address, source)).output)
        await client.upload_outputs("d", outputs(("dear",), 0, PROMPTS))
        await run_to_end(client)

        by_file = await print_ranking(address, "judge:longest", "--anchors-from", str(earlier))
        by_run = await print_ranking(address, "judge:longest", "--anchors-from", source)
        other = await print_ranking(address, "judge:longest", "--anchors-from", source, "--anchor", "able=1000")

    assert by_file.output == by_run.output
    names = [rating["contestant"] for rating in json.loads(earlier.read_text())["ratings"]]
    assert names == json.loads(by_file.output)["anchors"]
    assert (other.exit_code, "exclude each other" in other.output) == (2, True)
