"""An adaptive run as one file: ranked again to the same bytes, planned again row by row."""

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
ROUNDS_THERE = 3
HEAD = 20
"""The bytes of a row before its comparisons."""
Options = ranking.RankingOptions


def spec(*judges: str, budget: pb.Budget | None = None, **said: Any) -> pb.RunSpec:  # noqa: ANN401  # a pairing's fields
    told = {"policy": pb.PAIR_POLICY_ADAPTIVE, "count": COUNT, "round_size": ROUND, "seed": 3, **said}
    names = [f"judges/{name}" for name in judges]
    return pb.RunSpec(dataset="datasets/demo", judges=names, pairing=pb.Pairing(**told), budget=budget)


async def ran(client: JudgeClient, asked: pb.RunSpec) -> pb.Run:
    """A run over the bundled answers, ended."""
    await upload_demo(client)
    return await client.wait_run((await client.create_run(asked)).name)


@pytest.fixture
async def run(client: JudgeClient) -> pb.Run:
    """An adaptive run of two yardsticks."""
    return await ran(client, spec("longest", "random"))


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The members of such a run's bundle, made once."""
    path = tmp_path_factory.mktemp("bundle") / "b.zip"

    async def made() -> None:
        async with running(settings(), store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            await export_bundle(client, (await ran(client, spec("longest", "random"))).name, path)

    asyncio.run(made())
    return members(path)


def told(path: Path) -> list[str]:
    return [str(one) for one in verify(path).mismatches]


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
    """With how many rounds there were, and with the board over what fell by lot; nothing does not match."""
    await export_bundle(client, run.name, path := tmp_path / "b.zip", options)

    found = replay(path)

    leaderboards = [json.loads(one.now) for one in found]
    assert [one.told for one in found] == [one.now for one in found]
    assert [spelling.leaderboard_json(await client.leaderboard("", one.source, options)) for one in found] == [
        one.now for one in found
    ]
    assert all(
        f"in {ROUNDS_THERE} rounds: as many comparisons as were asked for" in leaderboard["notes"][0]
        for leaderboard in leaderboards
    )
    assert [True, True] == [
        leaderboard["adaptive"] and leaderboard["uniform_sample"]["battles"] < leaderboard["battles"]
        for leaderboard in leaderboards
    ]
    assert (verify(path).mismatches, verify(path).notes) == ((), ())


async def test_the_rounds_have_a_member_of_their_own(client: JudgeClient, run: pb.Run, tmp_path: Path) -> None:
    """One line a round and one for the end, which the manifest counts; the same run gives the same file."""
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
        "rounds": {"member": ROUNDS, "rows": ROUNDS_THERE + 1},
    }
    assert (first, path.read_bytes()) == (second, (tmp_path / "b.zip").read_bytes())


def test_a_changed_byte_of_the_rounds_is_named(content: dict[str, bytes], tmp_path: Path) -> None:
    """By its member, which replay refuses; so where the member is missing."""
    rounds = content[ROUNDS]

    path = write_bundle(tmp_path / "changed.zip", content | {ROUNDS: rounds.replace(b"A", b"B", 1)})

    assert told(path)[0].startswith(f"{ROUNDS}: its SHA-256 is")
    with pytest.raises(InvalidInput, match=ROUNDS):
        replay(path)
    without = write_bundle(tmp_path / "without.zip", {name: data for name, data in content.items() if name != ROUNDS})
    assert f"{ROUNDS}: it is missing" in told(without)


def of_row(change: Callable[[bytearray], object]) -> Callable[[dict[str, Any]], None]:
    """A change of the bytes of a row."""

    def changed(line: dict[str, Any]) -> None:
        body = bytearray(base64.b64decode(line["row"]))
        change(body)
        line["row"] = base64.b64encode(body).decode()

    return changed


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


def _too_much_said(body: bytearray) -> None:
    body[HEAD + 13 * ROUND] = 5


def _other_presentations(line: dict[str, Any]) -> None:
    line["presentations"] += 1


def _other_seed(manifest: dict[str, Any]) -> None:
    manifest["run"]["pairing"]["seed"] = manifest["seeds"]["plan"] = "7"


def _fewer_rounds(manifest: dict[str, Any]) -> None:
    manifest["run"]["round"] -= 1


def _swapped(line: dict[str, Any]) -> None:
    line["presentation"]["left"], line["presentation"]["right"] = (
        line["presentation"]["right"],
        line["presentation"]["left"],
    )


def _exchanged(text: str) -> str:
    """The first answer of the second round has the place of one of the third, and the other way round."""
    lines = [json.loads(line) for line in text.splitlines()]
    one, other = 4 * ROUND, 8 * ROUND
    lines[one], lines[other] = {**lines[other], "position": str(one)}, {**lines[one], "position": str(other)}
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (
            {"rounds": in_row(0, of_row(_other_sample))},
            "rounds.jsonl: line 1 is not the round that follows from the seed",
        ),
        (
            {"rounds": in_row(1, of_row(_other_sample))},
            "rounds.jsonl: line 2 is not the round that follows from the seed",
        ),
        (
            {"rounds": in_row(1, of_row(_other_sample))},
            "leaderboards/random.json: ranked again, uniform_sample.battles is",
        ),
        ({"rounds": in_row(2, of_row(_other_pair))}, "plan.jsonl: presentation 80 is not the one that was planned"),
        (
            {"rounds": in_row(1, of_row(_nobody))},
            "rounds.jsonl: line 2: it compares prompts or contestants that",
        ),
        ({"rounds": in_row(1, of_row(_longer))}, "rounds.jsonl: line 2: its bytes are not the bytes that a row has"),
        ({"rounds": in_row(1, of_row(_shorter))}, "rounds.jsonl: line 2: it is not the row of a round over these"),
        (
            {"rounds": in_row(1, of_row(_too_much_said))},
            "rounds.jsonl: line 2: its result of the round before",
        ),
        (
            {"rounds": in_row(1, _other_presentations)},
            "rounds.jsonl: line 2: its presentations is not what its row makes",
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
        ({"plan": in_row(45, _swapped)}, "plan.jsonl: presentation 45 is not the one that was planned"),
        ({"answers": _exchanged}, "answers.jsonl: position 80 is not the presentation that is planned there"),
        ({"answers": _exchanged}, "answers.jsonl: position 160 is not the presentation that is planned there"),
    ],
)
def test_who_makes_the_hashes_anew_is_found_out_by_what_rounds_follow_from(
    content: dict[str, bytes], tmp_path: Path, changed: dict[str, Callable[[str], str]], named: str
) -> None:
    """A change under right hashes contradicts the seed, the rows before it, the plan, the answers or a leaderboard."""
    found = told(forge_bundle(tmp_path / "forged.zip", content, **changed))

    assert any(one.startswith(named) for one in found), found


@pytest.mark.parametrize(
    "pairing",
    [
        {"orders": pb.ORDER_POLICY_RANDOM, "repeats": 2, "top": 2},
        {"turns": pb.TURN_POLICY_EACH, "contestants": ["concise", "padded", "subtle"], "prompts": 20},
    ],
    ids=["one-order", "each-turn"],
)
async def test_every_adaptive_plan_is_rebuilt(client: JudgeClient, tmp_path: Path, pairing: dict[str, Any]) -> None:
    """One order and repeats, or both at each turn: each answer is in its place, also without any texts."""
    run = await ran(client, spec("random", "first", **pairing))

    await export_bundle(client, run.name, path := tmp_path / "b.zip", texts=False)

    assert verify(path).mismatches == ()
    assert all(one.same for one in replay(path))
    assert run.counts.planned == members(path)["answers.jsonl"].count(b"\n")


async def test_an_adaptive_run_that_was_stopped_has_the_rounds_it_came_to(client: JudgeClient, tmp_path: Path) -> None:
    """A budget's end in the second round leaves two rounds and no row of an end; the replay says so too."""
    run = await ran(client, spec("random", budget=pb.Budget(calls=50)))

    await export_bundle(client, run.name, path := tmp_path / "b.zip")

    [one] = replay(path)
    assert (verify(path).mismatches, verify(path).notes) == ((), ())
    assert members(path)[ROUNDS].count(b"\n") == run.round == 2
    assert one.same
    assert "in 2 rounds;" in json.loads(one.now)["notes"][0]
    assert run.counts.by_status["budget_stopped"] == 2 * 2 * ROUND - 50


async def test_what_a_resumed_run_was_told_later_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its plan stays what it was, and its leaderboard has what the plan did not know: nothing of it does not match."""
    away = [True]

    def fault(asked: ProviderCall, _: int) -> str:
        return "rejected" if away[0] and asked.drawn < 0.25 else ""

    monkeypatch.setenv("FAR_KEY", KEY)
    async with serving_provider(Provider(right_answer, fault, models=("gpt-4o-mini",))) as url:
        far = {"backend": "openai", "model": "gpt-4o-mini", "base_url": url, "key_env": "FAR_KEY", "rubric": "brackets"}
        judges = settings(far=JudgeSettings.model_validate({**far, "max_failed_share": 1.0}))
        async with running(judges, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            async with asyncio.timeout(120):
                run = await ran(client, spec("far"))
                await export_bundle(client, run.name, before := tmp_path / "before.zip")
                away[0] = False
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
