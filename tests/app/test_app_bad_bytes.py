"""Drawn request bodies over the wire: documented codes only, and a refusal stores nothing and calls nobody."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor import MethodDescriptor

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import outcome_pb2 as outcome
from judge.rpc.server import SERVICES
from support.fuzzed_service import FuzzedService, fuzzed_service
from support.postgres import Postgres
from support.request_bodies import methods

BODIES, ROWS, SEED = 300, 100, 1


@pytest.fixture(params=["sqlite", "postgresql"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[FuzzedService]:
    """A filled service on each kind of store."""
    if request.param == "sqlite":
        async with fuzzed_service(f"sqlite:///{tmp_path / 'judge.db'}") as running:
            yield running
        return
    server: Postgres = request.getfixturevalue("server")
    with server.fresh() as url:
        async with fuzzed_service(url) as running:
            yield running


@pytest.mark.parametrize("name", SERVICES, ids=lambda name: str(name).rpartition(".")[2])
async def test_bad_bodies_are_refused_and_change_nothing(service: FuzzedService, name: str) -> None:
    """Whatever a body holds, the call succeeds, or it is refused with a documented code and changes nothing."""
    wrong: list[str] = []
    codes: Counter[str] = Counter()
    for method in (method for method in methods() if method.containing_service.full_name == name):
        async for answer in service.answers(method, bodies=BODIES, seed=SEED):
            codes[answer.code] += 1
            wrong += [] if answer.documented else [str(answer)]
        assert await service.healthy()

    assert [] == wrong
    assert codes["OK"] > BODIES / 10
    assert codes["INVALID_ARGUMENT"] > BODIES / 10


PROMPT = pb.Prompt(prompt_id="good", turns=["?"])
OUTPUTS = [pb.Output(prompt_id="good", contestant=who, turns=["!"]) for who in "ab"]
PAIR: dict[str, Any] = {"prompt_id": "good", "left": "a", "right": "b"}
LABEL = pb.Label(label_id="good", annotator="x", kind=outcome.ANNOTATOR_KIND_HUMAN, outcome=outcome.OUTCOME_TIE, **PAIR)
VERDICT = pb.ImportedVerdict(judge="other", order=outcome.ORDER_LEFT_FIRST, outcome=outcome.OUTCOME_TIE, **PAIR)
GOOD: dict[str, Any] = {
    "UploadPrompts": pb.UploadPromptsRequest(prompts=[PROMPT]),
    "UploadOutputs": pb.UploadOutputsRequest(outputs=OUTPUTS[:1]),
    "UploadLabels": pb.UploadLabelsRequest(source="s", labels=[LABEL]),
    "UploadVerdicts": pb.UploadVerdictsRequest(rubric="brackets", verdicts=[VERDICT]),
    "UploadComparisons": pb.UploadComparisonsRequest(comparisons=[pb.ListedComparison(comparison_id="good", **PAIR)]),
}
UPLOADS = [method for method in methods() if method.name.startswith("Upload")]


@pytest.mark.parametrize("method", UPLOADS, ids=lambda method: str(method.name))
async def test_bad_rows_do_not_lose_a_good_one(service: FuzzedService, method: MethodDescriptor) -> None:
    """Each row of a batch is accepted, there already, or rejected on its own; a good row after drawn ones is stored."""
    good = GOOD[method.name]
    good.dataset = "datasets/demo"
    await service.fill()
    await service.client.upload_prompts("demo", [PROMPT])
    await service.client.upload_outputs("demo", OUTPUTS)

    summaries = [summary async for summary in service.uploads(method, good, bodies=ROWS, seed=SEED)]

    assert len(summaries) > ROWS / 5
    assert sum(summary.rejected for _, summary in summaries) > 0
    for rows, summary in summaries:
        assert rows == summary.accepted + summary.duplicates + summary.replaced + summary.rejected
        assert summary.accepted + summary.duplicates + summary.replaced > 0
