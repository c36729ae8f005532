"""The bundle of an adaptive run is ranked again to the same bytes and planned again row by row."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from judge.api.v1 import outcome_pb2 as words
from judge.api.v1 import ranking_service_pb2 as ranking
from judge.api.v1 import run_service_pb2 as pb
from judge.app.local import running
from judge.app.replay import replay
from judge.app.verify import verify
from judge.bundles.archive import MANIFEST, ROUNDS
from judge.config.settings import JudgeSettings
from judge.domain.errors import InvalidInput
from judge.rpc import bundle_json as spelling
from judge_client import JudgeClient
from support.bundle_files import LARGEST, export_bundle, forge_bundle, in_json, in_row, members, write_bundle
from support.demo_data import settings, upload_demo
from support.example_prompts import right_answer
from support.provider import KEY, Provider, ProviderCall
from support.provider_server import serving_provider

COUNT, ROUND = 60, 20
N_ROUNDS = 3
HEAD = 20
"""How many bytes a row has before its comparisons."""
Options = ranking.RankingOptions


def spec(*judges: str, budget: pb.Budget | None = None, **fields: Any) -> pb.RunSpec:  # noqa: ANN401  # a pairing's fields
    pairing = {"policy": pb.PAIR_POLICY_ADAPTIVE, "count": COUNT, "round_size": ROUND, "seed": 3, **fields}
    names = [f"judges/{name}" for name in judges]
    return pb.RunSpec(dataset="datasets/demo", judges=names, pairing=pb.Pairing(**pairing), budget=budget)


async def run_to_its_end(client: JudgeClient, run_spec: pb.RunSpec) -> pb.Run:
    """Run over the demo dataset, and return the run after its end."""
    await upload_demo(client)
    return await client.wait_run((await client.create_run(run_spec)).name)


@pytest.fixture
async def run(client: JudgeClient) -> pb.Run:
    """An adaptive run of two baseline judges."""
    return await run_to_its_end(client, spec("longest", "random"))


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The members of the bundle of such a run, which is made once."""
    path = tmp_path_factory.mktemp("bundle") / "b.zip"

    async def make_bundle() -> None:
        async with running(settings(), store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            await export_bundle(client, (await run_to_its_end(client, spec("longest", "random"))).name, path)

    asyncio.run(make_bundle())
    return members(path)


def mismatches(path: Path) -> list[str]:
    return [str(mismatch) for mismatch in verify(path).mismatches]


@pytest.mark.parametrize(
    "options",
    [
        LARGEST,
        Options(reconcile=words.RECONCILE_SOFT, degenerate=ranking.DEGENERATE_LARGEST, by_category=True, pairs=True),
    ],
    ids=["default", "soft"],
)
async def test_an_adaptive_run_is_ranked_again_to_the_services_bytes(
    client: JudgeClient, run: pb.Run, tmp_path: Path, options: Options
) -> None:
    """Each leaderboard has the number of rounds and the ratings over the uniform sample, and everything matches."""
    await export_bundle(client, run.name, path := tmp_path / "b.zip", options)

    replays = replay(path)

    leaderboards = [json.loads(replayed.now) for replayed in replays]
    assert [replayed.stored for replayed in replays] == [replayed.now for replayed in replays]
    assert [
        spelling.leaderboard_json(await client.leaderboard("", replayed.source, options)) for replayed in replays
    ] == [replayed.now for replayed in replays]
    assert all(
        f"in {N_ROUNDS} rounds: as many comparisons as were asked for" in leaderboard["notes"][0]
        for leaderboard in leaderboards
    )
    assert [True, True] == [
        leaderboard["adaptive"] and leaderboard["uniform_sample"]["battles"] < leaderboard["battles"]
        for leaderboard in leaderboards
    ]
    assert (verify(path).mismatches, verify(path).notes) == ((), ())


async def test_the_rounds_have_a_member_of_their_own(client: JudgeClient, run: pb.Run, tmp_path: Path) -> None:
    """The member has one line for each round and one for the end, and the same run always gives the same file."""
    first = await export_bundle(client, run.name, path := tmp_path / "a.zip")
    second = await export_bundle(client, run.name, tmp_path / "b.zip")

    content = members(path)
    rows = [json.loads(line) for line in content[ROUNDS].splitlines()]
    plan = json.loads(content[MANIFEST])["plan"]
    presentations = 2 * ROUND
    assert [(1, "0", presentations), (2, "80", presentations), (3, "160", presentations), (4, "240", 0)] == [
        (row["number"], row.get("offset", "0"), row.get("presentations", 0)) for row in rows
    ]
    assert plan == {
        "hash": run.plan_hash,
        "member": "plan.jsonl",
        "presentations": 2 * COUNT,
        "rounds": {"member": ROUNDS, "rows": N_ROUNDS + 1},
    }
    assert (first, path.read_bytes()) == (second, (tmp_path / "b.zip").read_bytes())


def test_a_changed_byte_of_the_rounds_is_named(content: dict[str, bytes], tmp_path: Path) -> None:
    """Verify names the member with the rounds if it was changed or is missing, and replay refuses a changed one."""
    rounds = content[ROUNDS]

    path = write_bundle(tmp_path / "changed.zip", content | {ROUNDS: rounds.replace(b"A", b"B", 1)})

    assert mismatches(path)[0].startswith(f"{ROUNDS}: its SHA-256 is")
    with pytest.raises(InvalidInput, match=ROUNDS):
        replay(path)
    without = write_bundle(tmp_path / "without.zip", {name: data for name, data in content.items() if name != ROUNDS})
    assert f"{ROUNDS}: it is missing" in mismatches(without)


def in_body(change: Callable[[bytearray], object]) -> Callable[[dict[str, Any]], None]:
    """Return a function that changes the bytes of a row."""

    def edit(line: dict[str, Any]) -> None:
        body = bytearray(base64.b64decode(line["row"]))
        change(body)
        line["row"] = base64.b64encode(body).decode()

    return edit


def _other_sample(body: bytearray) -> None:
    body[HEAD + 12 * ROUND] ^= 1


def _other_pair(body: bytearray) -> None:
    body[HEAD : HEAD + 4] = body[HEAD + 8 : HEAD + 12]


def _nobody(body: bytearray) -> None:
    body[HEAD + 4 * ROUND] = 99


def _longer(body: bytearray) -> None:
    body.append(0)


def _shorter(body: bytearray) -> None:
    del body[30:]


def _unknown_outcome(body: bytearray) -> None:
    body[HEAD + 13 * ROUND] = 5


def _other_presentations(line: dict[str, Any]) -> None:
    line["presentations"] += 1


def _other_seed(manifest: dict[str, Any]) -> None:
    manifest["run"]["pairing"]["seed"] = manifest["seeds"]["plan"] = "7"


def _fewer_rounds(manifest: dict[str, Any]) -> None:
    manifest["run"]["round"] -= 1


def _swap_sides(line: dict[str, Any]) -> None:
    line["presentation"]["left"], line["presentation"]["right"] = (
        line["presentation"]["right"],
        line["presentation"]["left"],
    )


def _exchange_answers(text: str) -> str:
    """Exchange the positions of the first answer of the second round and the first one of the third."""
    lines = [json.loads(line) for line in text.splitlines()]
    second, third = 4 * ROUND, 8 * ROUND
    lines[second], lines[third] = (
        {**lines[third], "position": str(second)},
        {**lines[second], "position": str(third)},
    )
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    ("changes", "mismatch"),
    [
        (
            {"rounds": in_row(0, in_body(_other_sample))},
            "rounds.jsonl: line 1 is not the round that follows from the seed",
        ),
        (
            {"rounds": in_row(1, in_body(_other_sample))},
            "rounds.jsonl: line 2 is not the round that follows from the seed",
        ),
        (
            {"rounds": in_row(1, in_body(_other_sample))},
            "leaderboards/random.json: ranked again, uniform_sample.battles is",
        ),
        ({"rounds": in_row(2, in_body(_other_pair))}, "plan.jsonl: presentation 80 is not the one that was planned"),
        (
            {"rounds": in_row(1, in_body(_nobody))},
            "rounds.jsonl: line 2: it compares prompts or contestants that",
        ),
        ({"rounds": in_row(1, in_body(_longer))}, "rounds.jsonl: line 2: its bytes are not the bytes that a row has"),
        ({"rounds": in_row(1, in_body(_shorter))}, "rounds.jsonl: line 2: it is not the row of a round over these"),
        (
            {"rounds": in_row(1, in_body(_unknown_outcome))},
            "rounds.jsonl: line 2: its result of the round before",
        ),
        (
            {"rounds": in_row(1, _other_presentations)},
            "rounds.jsonl: line 2: its presentations does not follow from its row",
        ),
        ({"rounds": lambda text: text + text.splitlines()[-1] + "\n"}, "rounds.jsonl: line 5: it does not follow from"),
        (
            {"rounds": lambda text: "".join(text.splitlines(keepends=True)[:-1])},
            "manifest.json: plan.rounds.rows is 3, not 4",
        ),
        (
            {"rounds": lambda text: "".join(text.splitlines(keepends=True)[:-1])},
            "leaderboards/longest.json: ranked again, notes[0] is",
        ),
        (
            {"rounds": lambda text: "".join(text.splitlines(keepends=True)[:-2])},
            "rounds.jsonl: there are 2 rounds, but the run counts 3",
        ),
        (
            {"rounds": lambda text: "".join(text.splitlines(keepends=True)[:-2])},
            "plan.jsonl: rebuilt, it has 160 positions, but the run has 240",
        ),
        ({"manifest": in_json(_other_seed)}, "rounds.jsonl: line 1 is not the round that follows from the seed"),
        ({"manifest": in_json(_other_seed)}, "plan.jsonl: rebuilt, its hash is"),
        ({"manifest": in_json(_fewer_rounds)}, "rounds.jsonl: there are 3 rounds, but the run counts 2"),
        ({"plan": in_row(45, _swap_sides)}, "plan.jsonl: presentation 45 is not the one that was planned"),
        ({"answers": _exchange_answers}, "answers.jsonl: position 80 is not the presentation that is planned there"),
        ({"answers": _exchange_answers}, "answers.jsonl: position 160 is not the presentation that is planned there"),
    ],
)
def test_a_change_of_the_rounds_is_detected_under_recomputed_hashes(
    content: dict[str, bytes], tmp_path: Path, changes: dict[str, Callable[[str], str]], mismatch: str
) -> None:
    """The change contradicts the seed, the rows before it, the plan, the answers or a leaderboard."""
    messages = mismatches(forge_bundle(tmp_path / "forged.zip", content, **changes))

    assert any(message.startswith(mismatch) for message in messages), messages


@pytest.mark.parametrize(
    "pairing",
    [
        {"orders": pb.ORDER_POLICY_RANDOM, "repeats": 2, "top": 2},
        {"turns": pb.TURN_POLICY_EACH, "contestants": ["concise", "padded", "subtle"], "prompts": 20},
    ],
    ids=["one-order", "each-turn"],
)
async def test_every_adaptive_plan_is_rebuilt(client: JudgeClient, tmp_path: Path, pairing: dict[str, Any]) -> None:
    """With one order and repeats, or both orders at each turn, each answer is in its place, even without texts."""
    run = await run_to_its_end(client, spec("random", "first", **pairing))

    await export_bundle(client, run.name, path := tmp_path / "b.zip", texts=False)

    assert verify(path).mismatches == ()
    assert all(replayed.same for replayed in replay(path))
    assert run.counts.planned == members(path)["answers.jsonl"].count(b"\n")


async def test_a_stopped_adaptive_run_has_the_rounds_that_it_began(client: JudgeClient, tmp_path: Path) -> None:
    """A budget used up in the second round leaves two rounds and no row for the end, and the replay says so."""
    run = await run_to_its_end(client, spec("random", budget=pb.Budget(calls=50)))

    await export_bundle(client, run.name, path := tmp_path / "b.zip")

    [replayed] = replay(path)
    assert (verify(path).mismatches, verify(path).notes) == ((), ())
    assert members(path)[ROUNDS].count(b"\n") == run.round == 2
    assert replayed.same
    assert "in 2 rounds;" in json.loads(replayed.now)["notes"][0]
    assert run.counts.by_status["budget_stopped"] == 2 * 2 * ROUND - 50


async def test_verdicts_that_a_resumed_run_gets_later_are_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan stays the same, the leaderboard uses the later verdicts too, and everything still matches."""
    failing = [True]

    def fault(call: ProviderCall, _: int) -> str:
        return "rejected" if failing[0] and call.drawn < 0.25 else ""

    monkeypatch.setenv("FAR_KEY", KEY)
    async with serving_provider(Provider(right_answer, fault, models=("gpt-4o-mini",))) as url:
        far = {"backend": "openai", "model": "gpt-4o-mini", "base_url": url, "key_env": "FAR_KEY", "rubric": "brackets"}
        judges = settings(far=JudgeSettings.model_validate({**far, "max_failed_share": 1.0}))
        async with running(judges, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            async with asyncio.timeout(120):
                run = await run_to_its_end(client, spec("far"))
                await export_bundle(client, run.name, before := tmp_path / "before.zip")
                failing[0] = False
                await client.resume_run(run.name)
                later = await client.wait_run(run.name)
            await export_bundle(client, run.name, after := tmp_path / "after.zip")

    [note] = verify(after).notes
    assert (verify(before).mismatches, verify(after).mismatches) == ((), ())
    assert verify(before).notes == ()
    assert note.endswith("they were given, or parsed again, after that")
    assert run.counts.by_status["rejected"] > 0
    assert dict(later.counts.by_status) == {"ok": 2 * COUNT}
    assert members(before)[ROUNDS] == members(after)[ROUNDS]
    assert replay(before)[0].now != replay(after)[0].now
