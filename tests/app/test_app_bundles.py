"""A run as one file: ranked again to the same bytes with no service, and whatever does not match is named."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import outcome_pb2 as words
from judge.api.v1 import ranking_service_pb2 as ranking
from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1.leaderboard_pb2 import RANKING_METHOD_DAVIDSON, RANKING_METHOD_ELO_PERMUTED
from judge.api.v1.outcome_pb2 import INTERVAL_METHOD_BOOTSTRAP
from judge.app.local import running
from judge.app.replay import replay
from judge.app.verify import verify
from judge.bundles.archive import MANIFEST, SEAL
from judge.config.settings import JudgeSettings
from judge.domain.errors import InvalidInput
from judge.rpc import bundle_json as spelling
from judge_client import JudgeClient
from support.bundle_files import LARGEST, export_bundle, forge_bundle, in_json, in_row, members, write_bundle
from support.demo_data import settings, upload_demo
from support.example_prompts import right_answer
from support.provider import KEY, Provider, ProviderCall
from support.provider_server import serving_provider

FEW = pb.Pairing(prompts=12, seed=1)
BOTH = pb.RunSpec(dataset="datasets/demo", judges=["judges/longest", "judges/random"], pairing=FEW)
PLANNED = 12 * 10 * 2
Options = ranking.RankingOptions


shared_loop = pytest.mark.asyncio(loop_scope="module")
shared_fixture = pytest_asyncio.fixture(scope="module", loop_scope="module")


@shared_fixture
async def service() -> AsyncIterator[JudgeClient]:
    """A client of one service, for the tests that change nothing in it."""
    async with running(settings(), store_url="sqlite://", listen=None) as address, JudgeClient(address) as connected:
        yield connected


async def run_both_judges(client: JudgeClient) -> pb.Run:
    """A run of two yardsticks over the bundled answers, ended."""
    await upload_demo(client)
    return await client.wait_run((await client.create_run(BOTH)).name)


@shared_fixture
async def run(service: JudgeClient) -> pb.Run:
    """Such a run in the one service."""
    return await run_both_judges(service)


@shared_fixture
async def bundle(service: JudgeClient, run: pb.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run's bundle, which nobody changes."""
    await export_bundle(service, run.name, path := tmp_path_factory.mktemp("bundle") / "b.zip")
    return path


@shared_fixture
async def small(service: JudgeClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with every kind of member, of a run over six prompts, which nobody changes."""
    await upload_demo(service, "six", prompts=6)
    spec = pb.RunSpec(dataset="datasets/six", judges=BOTH.judges, pairing=pb.Pairing())
    made = await service.wait_run((await service.create_run(spec)).name)
    options = Options(style=True, anchored_to="", degenerate=ranking.DEGENERATE_LARGEST)
    await export_bundle(service, made.name, path := tmp_path_factory.mktemp("small") / "b.zip", options)
    return path


def told(path: Path) -> list[str]:
    return [str(one) for one in verify(path).mismatches]


@pytest.mark.parametrize(
    "options",
    [
        LARGEST,
        Options(reference_contestant="subtle", by_category=True, degenerate=ranking.DEGENERATE_REFUSE),
        Options(
            intervals=INTERVAL_METHOD_BOOTSTRAP,
            replicates=50,
            seed=3,
            degenerate=ranking.DEGENERATE_LARGEST,
            pairs=True,
        ),
        Options(style=True, degenerate=ranking.DEGENERATE_LARGEST, variance=True),
        Options(anchored_to="labels:*", degenerate=ranking.DEGENERATE_LARGEST),
        Options(method=RANKING_METHOD_ELO_PERMUTED, permutations=10, seed=5, reconcile=words.RECONCILE_EACH),
        Options(method=RANKING_METHOD_DAVIDSON, reconcile=words.RECONCILE_SOFT, leave_one_out=True, ridge=0.1),
        Options(slice=words.Slice(category="code"), degenerate=ranking.DEGENERATE_LARGEST, parser="brackets"),
    ],
    ids=["default", "refused", "bootstrap", "style", "anchored", "permuted", "soft", "part"],
)
@shared_loop
async def test_a_bundle_is_ranked_again_to_the_services_bytes(
    service: JudgeClient, run: pb.Run, tmp_path: Path, options: Options
) -> None:
    """For each of two judges the replay is what the service says, and what the bundle holds; nothing does not match."""
    await export_bundle(service, run.name, path := tmp_path / "b.zip", options)

    found = replay(path)

    run_id = run.name.removeprefix("runs/")
    assert [f"run:{run_id}/longest", f"run:{run_id}/random"] == [one.source for one in found]
    for one in found:
        assert one.told == one.now
        if "refused" not in json.loads(one.now):
            assert spelling.leaderboard_json(await service.leaderboard("", one.source, options)) == one.now
    assert (verify(path).mismatches, verify(path).notes) == ((), ())


@shared_loop
async def test_who_cannot_be_ranked_is_refused_again(service: JudgeClient, run: pb.Run, tmp_path: Path) -> None:
    """A judge whose board falls apart has its refusal in the bundle, in the service's own words."""
    await export_bundle(service, run.name, path := tmp_path / "b.zip", Options())

    first, second = (json.loads(one.now) for one in replay(path))

    assert first["refused"]["reason"] == "NOT_COMPARABLE"
    assert "concise lost every battle" in first["refused"]["message"]
    assert second["coverage"] == {"by_status": {"ok": PLANNED}, "planned": PLANNED, "usable": PLANNED}


@shared_loop
async def test_the_same_run_gives_the_same_file(service: JudgeClient, run: pb.Run, tmp_path: Path) -> None:
    """Byte for byte, and under the same name."""
    first = await export_bundle(service, run.name, tmp_path / "a.zip")
    second = await export_bundle(service, run.name, tmp_path / "b.zip")

    assert first == second == verify(tmp_path / "a.zip").digest
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_manifest_says_what_was_done(run: pb.Run, bundle: Path) -> None:
    """Plan, judges with their rubrics' text, the dataset's hashes, seeds, versions, and a hash of each member."""
    content = members(bundle)
    manifest = json.loads(content[MANIFEST])

    assert manifest["plan"] == {"hash": run.plan_hash, "member": "plan.jsonl", "presentations": PLANNED}
    assert [one["fingerprint"] for one in manifest["run"]["definitions"]] == list(run.fingerprints)
    assert all("{{ question }}" in one["variants"][0]["user"] for one in manifest["run"]["definitions"])
    assert manifest["seeds"] == {"judges": {}, "plan": 1, "ranking": 0}
    assert {"judge", "numpy", "python", "scipy"} == manifest["versions"].keys()
    assert {"prompts": 48, "outputs": 240, "labels": 480} == {
        part: manifest["dataset"]["planned"][part]["rows"] for part in ("prompts", "outputs", "labels")
    }
    assert set(content) - {MANIFEST, SEAL} == manifest["members"].keys()
    assert content["answers.jsonl"].count(b"\n") == 2 * PLANNED


def test_any_changed_byte_is_named_by_its_member(small: Path, tmp_path: Path) -> None:
    """Whichever member another byte stands in, verify names it and replay refuses; so where it is missing or new."""
    content = members(small)

    for name, data in content.items():
        at = data.index(b"a")
        changed = content | {name: data[:at] + b"e" + data[at + 1 :]}
        found = told(write_bundle(tmp_path / "changed.zip", changed))
        named = MANIFEST if name == SEAL else name
        assert any(one.startswith(f"{named}: its SHA-256 is") for one in found), (name, found)
        with pytest.raises(InvalidInput, match=named):
            replay(tmp_path / "changed.zip")
        if name == MANIFEST:
            continue
        without = {one: data for one, data in content.items() if one != name}
        assert f"{name}: it is missing" in told(write_bundle(tmp_path / "without.zip", without))
    more = content | {"more.txt": b"x"}
    assert told(write_bundle(tmp_path / "more.zip", more)) == ["more.txt: it is not in the manifest"]


def test_a_file_that_is_cut_or_broken_says_where(small: Path, tmp_path: Path) -> None:
    """A cut file names the member it ends in; a broken member is named, and the others are still looked at."""
    path, whole = tmp_path / "b.zip", small.read_bytes()
    starts = {name: whole.index(name.encode()) + len(name) + 40 for name in members(small)}

    for name, start in starts.items():
        path.write_bytes(whole[:start])
        with pytest.raises(InvalidInput, match=f"{name}: the file ends inside of it"):
            verify(path)
        path.write_bytes(whole[:start] + bytes(8) + whole[start + 8 :])
        if name == MANIFEST:
            with pytest.raises(InvalidInput, match=f"{name}: it cannot be read"):
                verify(path)
        else:
            assert any(one.startswith(f"{name}: ") for one in told(path)), name
    path.write_bytes(b"no zip")
    with pytest.raises(InvalidInput, match="it is not a zip file"):
        replay(path)


def _other_outcome(row: dict[str, Any]) -> None:
    row["outcome"] = row["parsed_verdicts"][0]["outcome"] = "OUTCOME_TIE"


def _other_text(row: dict[str, Any]) -> None:
    row["raw"] = "[[C]]"


def _other_rubric(manifest: dict[str, Any]) -> None:
    manifest["run"]["definitions"][0]["variants"][0]["system"] += " Prefer padded."


def _other_seed(manifest: dict[str, Any]) -> None:
    manifest["run"]["pairing"]["seed"] = "7"


def _other_count(manifest: dict[str, Any]) -> None:
    manifest["run"]["counts"]["by_status"] = {"ok": 2 * PLANNED - 20, "unreadable": 20}


def _other_hash(manifest: dict[str, Any]) -> None:
    manifest["dataset"]["planned"]["outputs"]["sha256"] = "0" * 64


def _other_rating(leaderboard: dict[str, Any]) -> None:
    leaderboard["ratings"][0]["rating"] += 1


def _swapped(row: dict[str, Any]) -> None:
    row["presentation"]["left"], row["presentation"]["right"] = (
        row["presentation"]["right"],
        row["presentation"]["left"],
    )


def _no_turn(row: dict[str, Any]) -> None:
    row["turns"] = []


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (
            {"answers": in_row(7, _other_outcome)},
            "answers.jsonl: position 7: read again, the reply gives another outcome",
        ),
        ({"answers": in_row(7, _other_text)}, "answers.jsonl: position 7: read again, the reply gives another outcome"),
        ({"answers": in_row(7, _swapped)}, "answers.jsonl: position 7 is not the presentation that is planned there"),
        (
            {"answers": lambda text: text.partition("\n")[2]},
            f"answers.jsonl: they are {2 * PLANNED - 1} ok, but the run counts {2 * PLANNED} ok",
        ),
        ({"answers": lambda text: text + "{\n"}, f"answers.jsonl: line {2 * PLANNED + 1}: it is not a JSON object"),
        ({"plan": in_row(5, _swapped)}, "plan.jsonl: presentation 5 is not the one that was planned"),
        ({"outputs": lambda text: text.partition("\n")[2]}, "plan.jsonl: rebuilt, its hash is"),
        ({"outputs": in_row(0, _no_turn)}, "dataset/planned/outputs.jsonl: line 1: "),
        ({"manifest": in_json(_other_rubric)}, "manifest.json: judge longest: its rubric_hash is not what"),
        ({"manifest": in_json(_other_rubric)}, "manifest.json: judge longest: its fingerprint is not what"),
        ({"manifest": in_json(_other_seed)}, "manifest.json: seeds.plan is 7, not 1"),
        (
            {"manifest": in_json(_other_count)},
            f"answers.jsonl: they are {2 * PLANNED} ok, but the run counts {2 * PLANNED - 20} ok",
        ),
        ({"manifest": in_json(_other_hash)}, "manifest.json: dataset.planned.outputs has not the SHA-256 of dataset/"),
        ({"longest": in_json(_other_rating)}, "leaderboards/longest.json: ranked again, ratings[0].rating is 1"),
    ],
)
def test_who_makes_the_hashes_anew_is_found_out_by_what_follows(
    bundle: Path, tmp_path: Path, changed: dict[str, Callable[[str], str]], named: str
) -> None:
    """A change under right hashes contradicts the rest of the bundle, and is named there."""
    found = told(forge_bundle(tmp_path / "forged.zip", members(bundle), **changed))

    assert any(one.startswith(named) for one in found), found


def test_other_versions_are_a_note_and_no_mismatch(bundle: Path, tmp_path: Path) -> None:
    def older(manifest: dict[str, Any]) -> None:
        manifest["versions"]["numpy"] = "1.0"

    found = verify(forge_bundle(tmp_path / "older.zip", members(bundle), manifest=in_json(older)))

    assert found.mismatches == ()
    assert [note.partition(" when")[0] for note in found.notes] == ["numpy was 1.0"]


def test_a_parsed_verdict_of_a_parser_that_is_gone_is_taken_as_it_is(bundle: Path, tmp_path: Path) -> None:
    """It cannot be read again, which is a note; the leaderboard follows from what was read then."""

    def gone(text: str) -> str:
        return text.replace('"brackets/1"', '"brackets/99"')

    found = verify(forge_bundle(tmp_path / "gone.zip", members(bundle), answers=gone))

    assert found.mismatches == ()
    assert found.notes == (
        f"{2 * PLANNED} readings of brackets/99, a parser that this release has not, were taken as they are",
    )


@shared_loop
async def test_a_bundle_without_texts_is_ranked_and_planned_alike(
    service: JudgeClient, run: pb.Run, tmp_path: Path
) -> None:
    """No text of a prompt or an output is in it; its dataset has the hashes of the one with texts."""
    await export_bundle(service, run.name, tmp_path / "with.zip")
    await export_bundle(service, run.name, tmp_path / "without.zip", texts=False)

    having, lacking = members(tmp_path / "with.zip"), members(tmp_path / "without.zip")
    found = verify(tmp_path / "without.zip")

    assert replay(tmp_path / "with.zip") == replay(tmp_path / "without.zip")
    assert found.mismatches == ()
    assert found.notes == ("prompts and outputs are there as hashes, without their texts",)
    asked = json.loads(having["dataset/planned/prompts.jsonl"].splitlines()[0])["turns"][0].encode()
    assert [asked in data for data in having.values()].count(True) == 1
    assert not any(asked in data for data in lacking.values())
    assert json.loads(having[MANIFEST])["dataset"]["planned"] == json.loads(lacking[MANIFEST])["dataset"]["planned"]


async def test_a_dataset_that_grew_is_there_as_planned_and_as_ranked(client: JudgeClient, tmp_path: Path) -> None:
    """Categories that changed after the run are those of the leaderboard; the plan is still that of its revision."""
    run = await run_both_judges(client)
    prompt = json.loads((Path("judge/demo") / "prompts.jsonl").read_text("utf-8").splitlines()[0])
    await client.upload_prompts("demo", [ds.Prompt(**{**prompt, "category": "other"})], replace=True)
    late = Options(degenerate=ranking.DEGENERATE_LARGEST, by_category=True, style=True)
    await export_bundle(client, run.name, path := tmp_path / "b.zip", late)

    found, names = replay(path), set(members(path))

    assert verify(path).mismatches == ()
    assert all(one.same for one in found)
    assert "other" in [part["slice"].get("category") for part in json.loads(found[1].now)["slices"]]
    assert {"dataset/planned/prompts.jsonl", "dataset/ranked/prompts.jsonl"} <= names
    assert "dataset/ranked/outputs.jsonl" not in names


@pytest.mark.parametrize(
    "pairing",
    [
        pb.Pairing(policy=pb.PAIR_POLICY_LABELLED, prompts=9, orders=pb.ORDER_POLICY_RANDOM, seed=4),
        pb.Pairing(policy=pb.PAIR_POLICY_LISTED, prompts=9, repeats=3),
        pb.Pairing(policy=pb.PAIR_POLICY_RANDOM, count=60, seed=11, repeats=2, cache_tag="again"),
        pb.Pairing(policy=pb.PAIR_POLICY_AGAINST, reference_contestant="concise", prompts=9, turns=pb.TURN_POLICY_EACH),
    ],
    ids=["labelled", "listed", "random", "against"],
)
async def test_every_plan_is_rebuilt(client: JudgeClient, tmp_path: Path, pairing: pb.Pairing) -> None:
    """Whatever it was made from is in the bundle."""
    await upload_demo(client)
    prompts = [json.loads(line) for line in (Path("judge/demo") / "prompts.jsonl").read_text("utf-8").splitlines()]
    pairs = [
        ds.ListedComparison(comparison_id=f"c{n}", prompt_id=row["prompt_id"], left="subtle", right="padded")
        for n, row in enumerate(prompts)
    ]
    await client.upload_comparisons("demo", pairs)
    spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/random", "judges/first"], pairing=pairing)
    run = await client.wait_run((await client.create_run(spec)).name)

    await export_bundle(client, run.name, path := tmp_path / "b.zip")

    assert verify(path).mismatches == ()
    assert run.counts.planned == members(path)["answers.jsonl"].count(b"\n")


async def test_a_recorded_judge_is_ranked_again(client: JudgeClient, tmp_path: Path) -> None:
    """What its source said counts before what we read; the other reading can be asked for."""
    await upload_demo(client)
    prompts = [json.loads(line) for line in (Path("judge/demo") / "prompts.jsonl").read_text("utf-8").splitlines()]
    pair = {"judge": "old", "left": "padded", "right": "concise"}
    rows = [
        ds.ImportedVerdict(
            **pair, prompt_id=row["prompt_id"], order=order, raw=f"[[{'AB'[order - 1]}]]", outcome=1 + n % 3
        )
        for n, row in enumerate(prompts)
        for order in (1, 2)
    ]
    await client.upload_verdicts("demo", rows)
    both = pb.Pairing(contestants=["padded", "concise"])
    spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/old"], pairing=both)
    run = await client.wait_run((await client.create_run(spec)).name)

    await export_bundle(client, run.name, path := tmp_path / "b.zip")
    [by_source] = replay(path)
    await export_bundle(client, run.name, path, Options(parser="brackets", degenerate=ranking.DEGENERATE_LARGEST))
    [by_text] = replay(path)

    assert verify(path).mismatches == ()
    assert json.loads(by_source.now)["coverage"] == {"by_status": {"ok": 96}, "planned": 96, "usable": 96}
    assert by_source.now != by_text.now


FAULTS = ("refusal", "filtered", "truncated", "overflow", "rejected")


@pytest.mark.parametrize("rubric", ["choice", "likert-5", "reasoned"])
async def test_failures_and_unreadable_replies_keep_their_coverage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rubric: str
) -> None:
    """Refused, filtered, cut off, unreadable, too long, rejected: all are counted as the run counts them."""

    def answer(asked: ProviderCall) -> str:
        return "I would rather not say." if asked.drawn > 0.9 else right_answer(asked)

    def fault(asked: ProviderCall, _: int) -> str:
        return FAULTS[int(asked.drawn * 20)] if asked.drawn < 0.25 else ""

    monkeypatch.setenv("FAR_KEY", KEY)
    provider = Provider(answer, fault, models=("gpt-4o-mini",))
    async with serving_provider(provider) as url:
        far = {"backend": "openai", "model": "gpt-4o-mini", "base_url": url, "key_env": "FAR_KEY", "rubric": rubric}
        judges = settings(far=JudgeSettings.model_validate({**far, "max_failed_share": 1.0}))
        async with running(judges, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            await upload_demo(client)
            few = pb.Pairing(prompts=8, seed=2)
            spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/far", "judges/longest"], pairing=few)
            async with asyncio.timeout(60):
                run = await client.wait_run((await client.create_run(spec)).name)
            soft = Options(degenerate=ranking.DEGENERATE_LARGEST, reconcile=words.RECONCILE_SOFT, decisive_weight=3.0)
            await export_bundle(client, run.name, path := tmp_path / "b.zip", soft)
            await client.reparse_run(run.name, "brackets")
            await export_bundle(client, run.name, tmp_path / "reparsed.zip", soft)

    far_leaderboard, longest = (json.loads(one.now) for one in replay(path))
    assert (verify(path).mismatches, verify(tmp_path / "reparsed.zip").mismatches) == ((), ())
    counted = Counter(far_leaderboard["coverage"]["by_status"]) + Counter(longest["coverage"]["by_status"])
    assert dict(run.counts.by_status) == counted
    states = {"refused", "filtered", "truncated", "unreadable", "too_long", "rejected", "ok"}
    assert states == far_leaderboard["coverage"]["by_status"].keys()
    assert far_leaderboard["coverage"]["planned"] == 160
    assert replay(path)[0].now == replay(tmp_path / "reparsed.zip")[0].now


async def test_a_run_that_was_stopped_keeps_what_was_never_begun(client: JudgeClient, tmp_path: Path) -> None:
    """A budget's end is in the coverage, and in the replay's."""
    await upload_demo(client)
    spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/random"], pairing=FEW, budget=pb.Budget(calls=100))
    run = await client.wait_run((await client.create_run(spec)).name)

    await export_bundle(client, run.name, path := tmp_path / "b.zip")

    [one] = replay(path)
    assert verify(path).mismatches == ()
    assert json.loads(one.now)["coverage"]["by_status"] == dict(run.counts.by_status)
    assert run.counts.by_status["budget_stopped"] == PLANNED - 100


async def test_a_run_that_failed_keeps_what_was_left_pending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge with a wrong key has no leaderboard; the other judge's is ranked again."""
    monkeypatch.setenv("FAR_KEY", "wrong")
    async with serving_provider(Provider(right_answer)) as url:
        far = {"backend": "openai", "model": "m", "base_url": url, "key_env": "FAR_KEY", "rubric": "brackets"}
        judges = settings(far=JudgeSettings.model_validate(far))
        async with running(judges, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            await upload_demo(client)
            spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/far", "judges/random"], pairing=FEW)
            run = await client.wait_run((await client.create_run(spec)).name)
            await export_bundle(client, run.name, path := tmp_path / "b.zip")

    refused, leaderboard = (json.loads(one.now) for one in replay(path))
    assert run.state == pb.RUN_STATE_FAILED
    assert verify(path).mismatches == ()
    assert refused["refused"]["reason"] == "NO_OUTCOMES"
    assert leaderboard["coverage"]["by_status"] == {"ok": PLANNED}
