"""A bundle is ranked again to the same bytes without a service, and verify names everything that does not match."""

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
    """A client of the service that is shared by the tests that do not change it."""
    async with running(settings(), store_url="sqlite://", listen=None) as address, JudgeClient(address) as connected:
        yield connected


async def run_both_judges(client: JudgeClient) -> pb.Run:
    """Run two baseline judges over the demo dataset, and return the run after its end."""
    await upload_demo(client)
    return await client.wait_run((await client.create_run(BOTH)).name)


@shared_fixture
async def run(service: JudgeClient) -> pb.Run:
    """Such a run in the shared service."""
    return await run_both_judges(service)


@shared_fixture
async def bundle(service: JudgeClient, run: pb.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that run. No test changes it."""
    await export_bundle(service, run.name, path := tmp_path_factory.mktemp("bundle") / "b.zip")
    return path


@shared_fixture
async def small(service: JudgeClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a run over six prompts, with every kind of member. No test changes it."""
    await upload_demo(service, "six", prompts=6)
    spec = pb.RunSpec(dataset="datasets/six", judges=BOTH.judges, pairing=pb.Pairing())
    ended = await service.wait_run((await service.create_run(spec)).name)
    options = Options(style=True, anchored_to="", degenerate=ranking.DEGENERATE_LARGEST)
    await export_bundle(service, ended.name, path := tmp_path_factory.mktemp("small") / "b.zip", options)
    return path


def mismatches(path: Path) -> list[str]:
    return [str(mismatch) for mismatch in verify(path).mismatches]


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
    """For both judges, the replay equals the service's leaderboard and the stored one, and everything matches."""
    await export_bundle(service, run.name, path := tmp_path / "b.zip", options)

    replays = replay(path)

    run_id = run.name.removeprefix("runs/")
    assert [f"run:{run_id}/longest", f"run:{run_id}/random"] == [replayed.source for replayed in replays]
    for replayed in replays:
        assert replayed.stored == replayed.now
        if "refused" not in json.loads(replayed.now):
            leaderboard = await service.leaderboard("", replayed.source, options)
            assert spelling.leaderboard_json(leaderboard) == replayed.now
    assert (verify(path).mismatches, verify(path).notes) == ((), ())


@shared_loop
async def test_a_judge_that_cannot_be_ranked_is_refused_again(
    service: JudgeClient, run: pb.Run, tmp_path: Path
) -> None:
    """If a judge's contestants are not comparable, the bundle has the refusal in the service's words."""
    await export_bundle(service, run.name, path := tmp_path / "b.zip", Options())

    first, second = (json.loads(replayed.now) for replayed in replay(path))

    assert first["refused"]["reason"] == "NOT_COMPARABLE"
    assert "concise lost every battle" in first["refused"]["message"]
    assert second["coverage"] == {"by_status": {"ok": PLANNED}, "planned": PLANNED, "usable": PLANNED}


@shared_loop
async def test_the_same_run_gives_the_same_file(service: JudgeClient, run: pb.Run, tmp_path: Path) -> None:
    """Two exports of a run are equal byte for byte and have the same digest."""
    first = await export_bundle(service, run.name, tmp_path / "a.zip")
    second = await export_bundle(service, run.name, tmp_path / "b.zip")

    assert first == second == verify(tmp_path / "a.zip").digest
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_manifest_describes_the_run(run: pb.Run, bundle: Path) -> None:
    """It has the plan, the judges with their rubrics, the dataset's hashes, seeds, versions, and each member's hash."""
    content = members(bundle)
    manifest = json.loads(content[MANIFEST])

    assert manifest["plan"] == {"hash": run.plan_hash, "member": "plan.jsonl", "presentations": PLANNED}
    assert [definition["fingerprint"] for definition in manifest["run"]["definitions"]] == list(run.fingerprints)
    assert all("{{ question }}" in definition["variants"][0]["user"] for definition in manifest["run"]["definitions"])
    assert manifest["seeds"] == {"judges": {}, "plan": 1, "ranking": 0}
    assert {"judge", "numpy", "python", "scipy"} == manifest["versions"].keys()
    assert {"prompts": 48, "outputs": 240, "labels": 480} == {
        part: manifest["dataset"]["planned"][part]["rows"] for part in ("prompts", "outputs", "labels")
    }
    assert set(content) - {MANIFEST, SEAL} == manifest["members"].keys()
    assert content["answers.jsonl"].count(b"\n") == 2 * PLANNED


def test_any_changed_byte_is_named_by_its_member(small: Path, tmp_path: Path) -> None:
    """Verify names a member that was changed, removed or added, and replay refuses a bundle with a changed one."""
    content = members(small)

    for name, data in content.items():
        at = data.index(b"a")
        changed = content | {name: data[:at] + b"e" + data[at + 1 :]}
        messages = mismatches(write_bundle(tmp_path / "changed.zip", changed))
        named = MANIFEST if name == SEAL else name
        assert any(message.startswith(f"{named}: its SHA-256 is") for message in messages), (name, messages)
        with pytest.raises(InvalidInput, match=named):
            replay(tmp_path / "changed.zip")
        if name == MANIFEST:
            continue
        without = {other: other_data for other, other_data in content.items() if other != name}
        assert f"{name}: it is missing" in mismatches(write_bundle(tmp_path / "without.zip", without))
    more = content | {"more.txt": b"x"}
    assert mismatches(write_bundle(tmp_path / "more.zip", more)) == ["more.txt: it is not in the manifest"]


def test_errors_about_cut_or_broken_files_name_the_member(small: Path, tmp_path: Path) -> None:
    """The error about a cut file names the member in which it ends; a broken member does not hide the others."""
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
            assert any(message.startswith(f"{name}: ") for message in mismatches(path)), name
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


def _swap_sides(row: dict[str, Any]) -> None:
    row["presentation"]["left"], row["presentation"]["right"] = (
        row["presentation"]["right"],
        row["presentation"]["left"],
    )


def _no_turn(row: dict[str, Any]) -> None:
    row["turns"] = []


@pytest.mark.parametrize(
    ("changes", "mismatch"),
    [
        (
            {"answers": in_row(7, _other_outcome)},
            "answers.jsonl: position 7: parsed again, the reply gives another outcome",
        ),
        (
            {"answers": in_row(7, _other_text)},
            "answers.jsonl: position 7: parsed again, the reply gives another outcome",
        ),
        (
            {"answers": in_row(7, _swap_sides)},
            "answers.jsonl: position 7 is not the presentation that is planned there",
        ),
        (
            {"answers": lambda text: text.partition("\n")[2]},
            f"answers.jsonl: they are {2 * PLANNED - 1} ok, but the run counts {2 * PLANNED} ok",
        ),
        ({"answers": lambda text: text + "{\n"}, f"answers.jsonl: line {2 * PLANNED + 1}: it is not a JSON object"),
        ({"plan": in_row(5, _swap_sides)}, "plan.jsonl: presentation 5 is not the one that was planned"),
        ({"outputs": lambda text: text.partition("\n")[2]}, "plan.jsonl: rebuilt, its hash is"),
        ({"outputs": in_row(0, _no_turn)}, "dataset/planned/outputs.jsonl: line 1: "),
        ({"manifest": in_json(_other_rubric)}, "manifest.json: judge longest: its rubric_hash does not follow"),
        ({"manifest": in_json(_other_rubric)}, "manifest.json: judge longest: its fingerprint does not follow"),
        ({"manifest": in_json(_other_seed)}, "manifest.json: seeds.plan is 7, not 1"),
        (
            {"manifest": in_json(_other_count)},
            f"answers.jsonl: they are {2 * PLANNED} ok, but the run counts {2 * PLANNED - 20} ok",
        ),
        (
            {"manifest": in_json(_other_hash)},
            "manifest.json: the SHA-256 of dataset.planned.outputs is not that of dataset/",
        ),
        ({"longest": in_json(_other_rating)}, "leaderboards/longest.json: ranked again, ratings[0].rating is 1"),
    ],
)
def test_a_change_is_detected_under_recomputed_hashes(
    bundle: Path, tmp_path: Path, changes: dict[str, Callable[[str], str]], mismatch: str
) -> None:
    """The change contradicts another part of the bundle, and the mismatch names that part."""
    messages = mismatches(forge_bundle(tmp_path / "forged.zip", members(bundle), **changes))

    assert any(message.startswith(mismatch) for message in messages), messages


def test_other_versions_are_a_note_and_no_mismatch(bundle: Path, tmp_path: Path) -> None:
    """Different versions of the software do not make a bundle wrong."""

    def older(manifest: dict[str, Any]) -> None:
        manifest["versions"]["numpy"] = "1.0"

    verification = verify(forge_bundle(tmp_path / "older.zip", members(bundle), manifest=in_json(older)))

    assert verification.mismatches == ()
    assert [note.partition(";")[0] for note in verification.notes] == ["the run was ranked with numpy 1.0"]


def test_verdicts_of_a_removed_parser_are_not_checked(bundle: Path, tmp_path: Path) -> None:
    """A note says so, and the leaderboard follows from the stored parsed verdicts."""

    def rename_parser(text: str) -> str:
        return text.replace('"brackets/4"', '"brackets/99"')

    verification = verify(forge_bundle(tmp_path / "gone.zip", members(bundle), answers=rename_parser))

    assert verification.mismatches == ()
    assert verification.notes == (
        f"{2 * PLANNED:,} verdicts parsed by brackets/99 were not checked: this release does not have that parser",
    )


@shared_loop
async def test_a_bundle_without_texts_is_ranked_and_planned_alike(
    service: JudgeClient, run: pb.Run, tmp_path: Path
) -> None:
    """The bundle has no text of a prompt or an output, but the same dataset hashes as the bundle with texts."""
    await export_bundle(service, run.name, tmp_path / "with.zip")
    await export_bundle(service, run.name, tmp_path / "without.zip", texts=False)

    with_texts, without_texts = members(tmp_path / "with.zip"), members(tmp_path / "without.zip")
    verification = verify(tmp_path / "without.zip")

    assert replay(tmp_path / "with.zip") == replay(tmp_path / "without.zip")
    assert verification.mismatches == ()
    assert verification.notes == ("the bundle has the hashes of prompts and outputs, not their texts",)
    question = json.loads(with_texts["dataset/planned/prompts.jsonl"].splitlines()[0])["turns"][0].encode()
    assert [question in data for data in with_texts.values()].count(True) == 1
    assert not any(question in data for data in without_texts.values())
    assert (
        json.loads(with_texts[MANIFEST])["dataset"]["planned"]
        == json.loads(without_texts[MANIFEST])["dataset"]["planned"]
    )


async def test_a_changed_dataset_is_stored_as_planned_and_as_ranked(client: JudgeClient, tmp_path: Path) -> None:
    """The leaderboard uses categories that changed after the run; the plan still follows from its own revision."""
    run = await run_both_judges(client)
    prompt = json.loads((Path("judge/demo") / "prompts.jsonl").read_text("utf-8").splitlines()[0])
    await client.upload_prompts("demo", [ds.Prompt(**{**prompt, "category": "other"})], replace=True)
    late = Options(degenerate=ranking.DEGENERATE_LARGEST, by_category=True, style=True)
    await export_bundle(client, run.name, path := tmp_path / "b.zip", late)

    replays, names = replay(path), set(members(path))

    assert verify(path).mismatches == ()
    assert all(replayed.same for replayed in replays)
    assert "other" in [part["slice"].get("category") for part in json.loads(replays[1].now)["slices"]]
    assert {"dataset/planned/prompts.jsonl", "dataset/ranked/prompts.jsonl"} <= names
    assert "dataset/ranked/outputs.jsonl" not in names


@pytest.mark.parametrize(
    "pairing",
    [
        pb.Pairing(policy=pb.PAIR_POLICY_LABELED, prompts=9, orders=pb.ORDER_POLICY_RANDOM, seed=4),
        pb.Pairing(policy=pb.PAIR_POLICY_LISTED, prompts=9, repeats=3),
        pb.Pairing(policy=pb.PAIR_POLICY_RANDOM, count=60, seed=11, repeats=2, cache_tag="again"),
        pb.Pairing(policy=pb.PAIR_POLICY_AGAINST, reference_contestant="concise", prompts=9, turns=pb.TURN_POLICY_EACH),
    ],
    ids=["labeled", "listed", "random", "against"],
)
async def test_every_plan_is_rebuilt(client: JudgeClient, tmp_path: Path, pairing: pb.Pairing) -> None:
    """The bundle has everything that the plan was made from."""
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
    """The imported outcome counts by default; the outcome parsed from the reply can be requested."""
    await upload_demo(client)
    prompts = [json.loads(line) for line in (Path("judge/demo") / "prompts.jsonl").read_text("utf-8").splitlines()]
    outcomes = (words.OUTCOME_LEFT, words.OUTCOME_RIGHT, words.OUTCOME_TIE)
    rows = [
        ds.ImportedVerdict(
            judge="old",
            left="padded",
            right="concise",
            prompt_id=row["prompt_id"],
            order=order,
            raw=f"[[{'AB'[order - 1]}]]",
            outcome=outcomes[n % 3],
        )
        for n, row in enumerate(prompts)
        for order in (words.ORDER_LEFT_FIRST, words.ORDER_RIGHT_FIRST)
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
    """Replies of every status are counted in the coverage as the run counts them."""

    def answer(call: ProviderCall) -> str:
        return "I would rather not say." if call.drawn > 0.9 else right_answer(call)

    def fault(call: ProviderCall, _: int) -> str:
        return FAULTS[int(call.drawn * 20)] if call.drawn < 0.25 else ""

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

    far_leaderboard, longest = (json.loads(replayed.now) for replayed in replay(path))
    assert (verify(path).mismatches, verify(tmp_path / "reparsed.zip").mismatches) == ((), ())
    counted = Counter(far_leaderboard["coverage"]["by_status"]) + Counter(longest["coverage"]["by_status"])
    assert dict(run.counts.by_status) == counted
    states = {"refused", "filtered", "truncated", "unreadable", "too_long", "rejected", "ok"}
    assert states == far_leaderboard["coverage"]["by_status"].keys()
    assert far_leaderboard["coverage"]["planned"] == 160
    assert replay(path)[0].now == replay(tmp_path / "reparsed.zip")[0].now


async def test_a_stopped_run_keeps_the_calls_that_were_never_started(client: JudgeClient, tmp_path: Path) -> None:
    """Presentations that the budget stopped are counted in the coverage of the run and of the replay."""
    await upload_demo(client)
    spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/random"], pairing=FEW, budget=pb.Budget(calls=100))
    run = await client.wait_run((await client.create_run(spec)).name)

    await export_bundle(client, run.name, path := tmp_path / "b.zip")

    [replayed] = replay(path)
    assert verify(path).mismatches == ()
    assert json.loads(replayed.now)["coverage"]["by_status"] == dict(run.counts.by_status)
    assert run.counts.by_status["budget_stopped"] == PLANNED - 100


async def test_a_failed_run_keeps_its_pending_presentations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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

    refused, leaderboard = (json.loads(replayed.now) for replayed in replay(path))
    assert run.state == pb.RUN_STATE_FAILED
    assert verify(path).mismatches == ()
    assert refused["refused"]["reason"] == "NO_OUTCOMES"
    assert leaderboard["coverage"]["by_status"] == {"ok": PLANNED}
