"""What can be uploaded or stored can be read, listed, exported and bundled: rows of the largest legal size."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import judge_service_pb2, outcome_pb2, run_service_pb2, verdict_pb2
from judge.api.v1.ranking_service_pb2 import RankingOptions
from judge.app.local import running
from judge.bundles.archive import BundleWriter
from judge.cli.bundle_export import BundleRequest, Bundling
from judge.domain.names import TEXT_BYTES
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import settings
from support.postgres import Postgres

TEXT = "ä" * (TEXT_BYTES // 2)
"""The largest legal text."""
TURNS = ["?", TEXT, TEXT, TEXT]
"""The largest legal number of them in a row."""
PROMPTS = 3
FULL = verdict_pb2.VERDICT_VIEW_FULL
CONTESTANTS = "ab"


@pytest.fixture(params=["file", "shared"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[JudgeClient]:
    """A client of a service on each kind of store."""
    if request.param == "file":
        async with (
            running(settings(), store_url=f"sqlite:///{tmp_path / 'judge.db'}", listen=None) as address,
            JudgeClient(address) as connected,
        ):
            yield connected
        return
    server: Postgres = request.getfixturevalue("server")
    with server.fresh() as url:
        async with running(settings(), store_url=url, listen=None) as address, JudgeClient(address) as connected:
            yield connected


async def fill(client: JudgeClient) -> None:
    """Upload prompts, outputs, labels and verdicts of the largest size to the dataset `d`."""
    await client.create_dataset("d")
    prompts = [pb.Prompt(prompt_id=f"p{n}", turns=TURNS) for n in range(PROMPTS)]
    outputs = [pb.Output(prompt_id=f"p{n}", contestant=who, turns=TURNS) for n in range(PROMPTS) for who in CONTESTANTS]
    names = [(f"p{n}", left, right) for n in range(PROMPTS) for left, right in ("ab",)]
    labels = [
        pb.Label(
            label_id=str(n),
            prompt_id=prompt,
            left=left,
            right=right,
            turn=4,
            outcome=outcome_pb2.OUTCOME_RIGHT,
            annotator="x",
            kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
            note=TEXT,
        )
        for n, (prompt, left, right) in enumerate(names)
    ]
    verdicts = [
        pb.ImportedVerdict(
            prompt_id=prompt,
            left=left,
            right=right,
            turn=4,
            order=order,
            judge="elsewhere",
            raw=TEXT[:-10] + " [[A]]",
            outcome=outcome_pb2.OUTCOME_LEFT,
            reason=TEXT,
        )
        for prompt, left, right in names
        for order in (outcome_pb2.ORDER_LEFT_FIRST, outcome_pb2.ORDER_RIGHT_FIRST)
    ]
    for summary in (
        await client.upload_prompts("d", prompts),
        await client.upload_outputs("d", outputs),
        await client.upload_labels("d", labels, source="s"),
        await client.upload_verdicts("d", verdicts),
    ):
        assert summary.rejected == 0, summary.rejections


async def run_of(client: JudgeClient, judge: str) -> str:
    spec = run_service_pb2.RunSpec(dataset="datasets/d", judges=[f"judges/{judge}"])
    return (await client.wait_run((await client.create_run(spec)).name)).name


async def test_rows_of_the_largest_size_are_read_listed_and_bundled(client: JudgeClient, tmp_path: Path) -> None:
    """Streams, pages, lists and bundles end by bytes, and together have every row once, with its whole text."""
    await fill(client)
    run = await run_of(client, "elsewhere")

    batches = [batch async for batch in client.read_dataset("d")]
    listed = [verdict async for verdict in client.list_verdicts(run, view=FULL, page_size=1000)]
    streamed = [verdict async for batch in client.stream_verdicts(run, view=FULL) for verdict in batch.verdicts]
    disagreements = [row async for row in client.list_disagreements("d", "judge:elsewhere", "people", page_size=1000)]
    path = tmp_path / "bundle.zip"
    with path.open("wb") as file, BundleWriter(file) as writer:
        await Bundling(client, writer, BundleRequest(run, RankingOptions())).write()

    assert [len(getattr(b, part)) for part in ("prompts",) for b in batches if getattr(b, part)] == [1] * PROMPTS
    assert sum(len(batch.outputs) for batch in batches) == PROMPTS * len(CONTESTANTS)
    assert sum(len(batch.labels) for batch in batches) == PROMPTS
    assert sum(len(batch.verdicts) for batch in batches) == PROMPTS * 2
    assert {tuple(row.turns) for batch in batches for row in batch.outputs} == {tuple(TURNS)}
    assert [verdict.position for verdict in listed] == list(range(PROMPTS * 2))
    assert sorted(verdict.position for verdict in streamed) == list(range(PROMPTS * 2))
    assert {verdict.raw for verdict in listed} == {TEXT[:-10] + " [[A]]"}
    assert len(disagreements) == PROMPTS
    assert max(row.ByteSize() for row in disagreements) <= 8 << 20
    with zipfile.ZipFile(path) as archive:
        rows = [json.loads(line) for line in archive.read("answers.jsonl").splitlines()]
    assert len(rows) == PROMPTS * 2


@pytest.mark.parametrize("turns", [[TEXT] * 4, [""] * (3 << 20)], ids=["texts", "turns"])
async def test_a_row_that_is_too_large_does_not_lose_its_batch(client: JudgeClient, turns: list[str]) -> None:
    """A row of more than 4 MiB is rejected by its number; the rows beside it are stored."""
    await client.create_dataset("d")
    small = [pb.Prompt(prompt_id=name, turns=["?"]) for name in "ab"]

    summary = await client.upload_prompts("d", [small[0], pb.Prompt(prompt_id="large", turns=turns), small[1]])

    assert (summary.accepted, dict(summary.rejected_by_reason)) == (2, {"ROW_TOO_LARGE": 1})


async def test_a_run_that_names_too_much_is_refused(client: JudgeClient) -> None:
    """Whatever a run names is part of every message about it, so it is bounded before the run is created."""
    await client.create_dataset("d")
    pairing = run_service_pb2.Pairing(contestants=["x" * 200] * 6000)

    with pytest.raises(JudgeClientError, match="1 MiB") as caught:
        await client.create_run(run_service_pb2.RunSpec(dataset="datasets/d", judges=["judges/first"], pairing=pairing))

    assert (caught.value.code.name, caught.value.reason) == ("INVALID_ARGUMENT", "RUN_TOO_LARGE")


async def test_an_inline_comparison_is_as_large_as_that_of_a_dataset(client: JudgeClient) -> None:
    """Its texts have the same limits, so that its preview fits into a message."""
    largest = judge_service_pb2.JudgeInput(
        texts=judge_service_pb2.InlineComparison(prompt=TURNS, left=TURNS, right=TURNS)
    )
    too_large = judge_service_pb2.JudgeInput(
        texts=judge_service_pb2.InlineComparison(prompt=["?"], left=[TEXT + "x"], right=["y"])
    )

    assert (await client.preview_prompt("first", largest)).ByteSize() > 6 << 20
    with pytest.raises(JudgeClientError, match="1 MiB"):
        await client.preview_prompt("first", too_large)
