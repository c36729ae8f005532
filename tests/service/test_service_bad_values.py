"""Values that no database can keep are INVALID_ARGUMENT on every store, and never lose the rows beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from judge.api.v1 import agreement_service_pb2, judge_service_pb2, outcome_pb2, run_service_pb2, verdict_pb2
from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1.ranking_service_pb2 import RankingOptions
from judge.app.local import running
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import settings
from support.postgres import Postgres

LEFT, HUMAN = outcome_pb2.OUTCOME_LEFT, outcome_pb2.ANNOTATOR_KIND_HUMAN
LONG = "ä" * 200
"""A name of more than 256 bytes."""


@pytest.fixture(params=["sqlite", "postgresql"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[JudgeClient]:
    """A client of a service on each kind of store, with a dataset `d`."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'judge.db'}"
        async with running(settings(), store_url=url, listen=None) as address, JudgeClient(address) as connected:
            await fill(connected)
            yield connected
        return
    server: Postgres = request.getfixturevalue("server")
    with server.fresh() as url:
        async with running(settings(), store_url=url, listen=None) as address, JudgeClient(address) as connected:
            await fill(connected)
            yield connected


async def fill(client: JudgeClient) -> None:
    """Create a dataset `d` with two outputs to one prompt."""
    await client.create_dataset("d")
    await client.upload_prompts("d", [prompt("p")])
    await client.upload_outputs("d", [output(who) for who in "ab"])


def prompt(prompt_id: str, /, **changes: Any) -> pb.Prompt:  # noqa: ANN401  # fields of a prompt
    return pb.Prompt(**{"prompt_id": prompt_id, "turns": ["?"], **changes})


def output(contestant: str, /, **changes: Any) -> pb.Output:  # noqa: ANN401  # fields of an output
    return pb.Output(**{"prompt_id": "p", "contestant": contestant, "turns": ["!"], **changes})


def label(label_id: str, /, **changes: Any) -> pb.Label:  # noqa: ANN401  # fields of a label
    names = {"label_id": label_id, "prompt_id": "p", "left": "a", "right": "b", "annotator": "x"}
    return pb.Label(**{**names, "outcome": LEFT, "kind": HUMAN, "turn": 1, **changes})


def verdict(judge: str, /, **changes: Any) -> pb.ImportedVerdict:  # noqa: ANN401  # fields of a verdict
    names = {"judge": judge, "prompt_id": "p", "left": "a", "right": "b", "outcome": LEFT, "order": 1, "turn": 1}
    return pb.ImportedVerdict(**{**names, **changes})


def listed(comparison_id: str, /, **changes: Any) -> pb.ListedComparison:  # noqa: ANN401  # fields of a comparison
    return pb.ListedComparison(
        **{"comparison_id": comparison_id, "prompt_id": "p", "left": "a", "right": "b", **changes}
    )


Send = Callable[[JudgeClient, list[Any]], Awaitable[pb.UploadSummary]]
UPLOADS: Mapping[str, tuple[Callable[..., Any], tuple[str, ...], Send]] = {
    "prompts": (prompt, ("prompt_id", "category", "tags"), lambda c, rows: c.upload_prompts("d", rows)),
    "outputs": (output, ("prompt_id", "contestant"), lambda c, rows: c.upload_outputs("d", rows)),
    "labels": (
        label,
        ("label_id", "prompt_id", "left", "right", "annotator"),
        lambda c, rows: c.upload_labels("d", rows, source="s"),
    ),
    "verdicts": (verdict, ("judge", "prompt_id", "left", "right"), lambda c, rows: c.upload_verdicts("d", rows)),
    "comparisons": (
        listed,
        ("comparison_id", "prompt_id", "left", "right"),
        lambda c, rows: c.upload_comparisons("d", rows),
    ),
}


@pytest.mark.parametrize("kind", UPLOADS)
async def test_a_bad_name_is_rejected_and_the_other_rows_are_stored(client: JudgeClient, kind: str) -> None:
    """A name with NUL or of more than 256 bytes is a rejection of its row, whichever field has it."""
    make, fields, send = UPLOADS[kind]
    bad = [
        make("bad", **{field: [value] if field == "tags" else value}) for field in fields for value in ("x\0y", LONG)
    ]

    summary = await send(client, [make("c"), *bad, make("d")])

    assert (summary.accepted, summary.rejected) == (2, len(bad))
    assert set(summary.rejected_by_reason) == {"INVALID_CHARACTER", "NAME_TOO_LONG"}


@pytest.mark.parametrize("kind", UPLOADS)
async def test_texts_may_have_any_character(client: JudgeClient, kind: str) -> None:
    """Texts that are not names may have NUL, and come back as they were."""
    text = "a\0b \U0001f600 \ufffe"
    rows = {
        "prompts": prompt("c", turns=[text], reference=[text]),
        "outputs": output("c", turns=[text]),
        "labels": label("c", note=text),
        "verdicts": verdict("c", raw=text, reason=text),
        "comparisons": listed("c"),
    }

    summary = await UPLOADS[kind][2](client, [rows[kind]])
    stored = [row for batch in [b async for b in client.read_dataset("d")] for row in getattr(batch, kind)]

    assert summary.accepted == 1
    assert rows[kind] in stored


Call = Callable[[JudgeClient], Awaitable[object]]
RUN = run_service_pb2.RunSpec(dataset="datasets/d", judges=["judges/first"])


def spec(**pairing: Any) -> run_service_pb2.RunSpec:  # noqa: ANN401  # fields of Pairing
    made = run_service_pb2.RunSpec()
    made.CopyFrom(RUN)
    made.pairing.CopyFrom(run_service_pb2.Pairing(**pairing))
    return made


async def verdicts_with(client: JudgeClient, **names: Any) -> object:  # noqa: ANN401  # fields of a filter
    run = await client.create_run(RUN)
    return [row async for row in client.list_verdicts(run.name, verdict_pb2.VerdictFilter(**names))]


def of_dataset(prompt_id: str = "p", left: str = "a") -> judge_service_pb2.JudgeInput:
    shown = outcome_pb2.Presentation(prompt_id=prompt_id, left=left, right="b", turn=1)
    return judge_service_pb2.JudgeInput(dataset="datasets/d", presentation=shown)


CALLS: Mapping[str, Call] = {
    "a dataset": lambda c: c.get_dataset("x\0y"),
    "a page token": lambda c: c.datasets.ListDatasets(pb.ListDatasetsRequest(page_token="x\0y")),
    "annotators": lambda c: c.delete_labels("d", "x\0y"),
    "a request id": lambda c: c.create_run(RUN, "x\0y"),
    "a cache tag": lambda c: c.create_run(spec(cache_tag="x\0y")),
    "a contestant": lambda c: c.create_run(spec(contestants=["a", "x\0y"])),
    "a category": lambda c: c.create_run(spec(categories=["x\0y"])),
    "a reference contestant": lambda c: c.create_run(spec(policy=2, reference_contestant="x\0y")),
    "a run": lambda c: c.get_run("x\0y"),
    "a filter by prompt": lambda c: verdicts_with(c, prompt_ids=["x\0y"]),
    "a filter by category": lambda c: verdicts_with(c, categories=["x\0y"]),
    "a filter by contestant": lambda c: verdicts_with(c, contestants=["x\0y"]),
    "a source": lambda c: c.leaderboard("d", "judge:x\0y"),
    "a slice": lambda c: c.leaderboard("d", "people", RankingOptions(slice=outcome_pb2.Slice(category="x\0y"))),
    "an agreement": lambda c: c.agreement("d", "labels:x\0y", "people"),
    "a parser": lambda c: c.agreement("d", "people", "", agreement_service_pb2.AgreementOptions(parser="x\0y")),
    "a judge": lambda c: c.get_judge("x\0y"),
    "a presentation": lambda c: c.judge_comparison("first", of_dataset(prompt_id="x\0y")),
    "a sample": lambda c: c.judge_comparison("first", of_dataset(left="x\0y")),
    "a tag of a single call": lambda c: c.judge_comparison("first", of_dataset(), cache_tag="x\0y"),
}


@pytest.mark.parametrize("case", CALLS)
async def test_a_request_with_nul_is_invalid(client: JudgeClient, case: str) -> None:
    """It is neither a failure of the store nor found on one store and refused on the other."""
    with pytest.raises(Exception) as caught:  # noqa: PT011  # gRPC's own, or the client's
        await CALLS[case](client)

    error: Any = caught.value
    code = error.code if isinstance(error, JudgeClientError) else error.code()
    assert code.name == "INVALID_ARGUMENT"
