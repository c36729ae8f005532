# ruff: noqa: ANN401, N802  # a servicer's signature is the contract's
"""The client with a small real server on a Unix socket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import dataset_service_pb2_grpc, ranking_service_pb2_grpc, run_service_pb2_grpc
from judge.api.v1 import run_service_pb2 as rs
from judge.api.v1.leaderboard_pb2 import RANKING_METHOD_ELO, Leaderboard
from judge.api.v1.outcome_pb2 import OUTCOME_LEFT
from judge.api.v1.ranking_service_pb2 import Battle, RankBattlesResponse, RankingOptions
from judge_client import JudgeClient, JudgeClientError


class Datasets(dataset_service_pb2_grpc.DatasetServiceServicer):
    def __init__(self) -> None:
        self.messages: list[ds.UploadPromptsRequest] = []

    async def GetDataset(self, request: ds.GetDatasetRequest, context: Any) -> Any:
        info = error_details_pb2.ErrorInfo(reason="NOT_FOUND", domain="judge.api.v1", metadata={"name": request.name})
        packed = AnyMessage()
        packed.Pack(info)
        status = status_pb2.Status(code=5, message="there is no such dataset", details=[packed])
        trailers = (("grpc-status-details-bin", status.SerializeToString()),)
        await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such dataset", trailers)

    async def ListDatasets(self, request: ds.ListDatasetsRequest, context: Any) -> ds.ListDatasetsResponse:
        start = int(request.page_token or 0)
        names = [ds.Dataset(name=f"datasets/d{i}") for i in range(start, min(start + 2, 5))]
        return ds.ListDatasetsResponse(datasets=names, next_page_token=str(start + 2) if start + 2 < 5 else "")

    async def UploadPrompts(
        self, request_iterator: AsyncIterator[ds.UploadPromptsRequest], context: Any
    ) -> ds.UploadPromptsResponse:
        async for message in request_iterator:
            self.messages.append(message)
            if any(row.prompt_id == "bad" for row in message.prompts):
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a bad row")
        accepted = sum(len(message.prompts) for message in self.messages)
        return ds.UploadPromptsResponse(summary=ds.UploadSummary(accepted=accepted))


class Runs(run_service_pb2_grpc.RunServiceServicer):
    def __init__(self) -> None:
        self.seen: list[int] = []
        self.ids: list[str] = []
        self.dead = False

    async def CreateRun(self, request: rs.CreateRunRequest, context: Any) -> rs.CreateRunResponse:
        self.ids.append(request.request_id)
        return rs.CreateRunResponse(run=rs.Run(name="runs/r"))

    async def WatchRun(self, request: rs.WatchRunRequest, context: Any) -> AsyncIterator[rs.WatchRunResponse]:
        self.seen.append(request.after_revision)
        if self.dead:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        revision = request.after_revision + 1
        state = rs.RUN_STATE_DONE if revision == 3 else rs.RUN_STATE_RUNNING
        yield rs.WatchRunResponse(run=rs.Run(name=request.name, revision=revision, state=state))
        if revision < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "going down")


class Rankings(ranking_service_pb2_grpc.RankingServiceServicer):
    async def RankBattles(self, request_iterator: Any, context: Any) -> RankBattlesResponse:
        battles, method = 0, RANKING_METHOD_ELO
        async for message in request_iterator:
            method = message.options.method or method
            battles += len(message.battles)
        return RankBattlesResponse(leaderboard=Leaderboard(method=method, battles=battles))


class FakeServer:
    """The servicers of the server."""

    def __init__(self) -> None:
        self.datasets = Datasets()  # type: ignore[abstract]  # abstract in the stubs only; grpc answers UNIMPLEMENTED
        self.runs = Runs()  # type: ignore[abstract]  # as above


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[tuple[FakeServer, JudgeClient]]:
    made = FakeServer()
    rankings = Rankings()  # type: ignore[abstract]  # as above
    server = grpc.aio.server()
    dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(made.datasets, server)
    run_service_pb2_grpc.add_RunServiceServicer_to_server(made.runs, server)
    ranking_service_pb2_grpc.add_RankingServiceServicer_to_server(rankings, server)
    address = f"unix:{tmp_path}/s"
    server.add_insecure_port(address)
    await server.start()
    async with JudgeClient(address) as client:
        yield made, client
    await server.stop(None)


async def test_client_errors_carry_code_reason_and_fields(service: tuple[FakeServer, JudgeClient]) -> None:
    """The error is decoded from the google.rpc.Status in the trailers."""
    _, client = service

    with pytest.raises(JudgeClientError) as caught:
        await client.get_dataset("nope")

    error = caught.value
    assert error.code is grpc.StatusCode.NOT_FOUND
    assert (error.message, error.reason) == ("there is no such dataset", "NOT_FOUND")
    assert error.fields == {"name": "datasets/nope"}


async def test_client_lists_go_over_all_pages(service: tuple[FakeServer, JudgeClient]) -> None:
    """Five datasets in pages of two are yielded as five datasets."""
    _, client = service

    names = [dataset.name async for dataset in client.list_datasets()]

    assert names == [f"datasets/d{i}" for i in range(5)]


async def test_client_upload_names_its_dataset_once(service: tuple[FakeServer, JudgeClient]) -> None:
    """Only the first message has the dataset and `replace`."""
    made, client = service

    summary = await client.upload_prompts("d", (ds.Prompt(prompt_id=str(i)) for i in range(1500)), replace=True)

    assert summary.accepted == 1500
    assert [(m.dataset, m.replace, len(m.prompts)) for m in made.datasets.messages] == [
        ("datasets/d", True, 1000),
        ("", False, 500),
    ]


async def test_client_upload_of_nothing_still_names_its_dataset(service: tuple[FakeServer, JudgeClient]) -> None:
    made, client = service

    await client.upload_prompts("d", [])

    assert [m.dataset for m in made.datasets.messages] == ["datasets/d"]


async def test_client_upload_error_of_the_rows_comes_out_as_itself(service: tuple[FakeServer, JudgeClient]) -> None:
    """An error in reading the rows is raised as it is, not as a cancelled call."""
    _, client = service

    def rows() -> Iterator[ds.Prompt]:
        yield ds.Prompt(prompt_id="a")
        message = "broken file"
        raise ValueError(message)

    with pytest.raises(ValueError, match="broken file"):
        await client.upload_prompts("d", rows())


async def test_client_upload_refused_half_way_says_why(service: tuple[FakeServer, JudgeClient]) -> None:
    """If the service ends the stream early, its reply is the error."""
    _, client = service
    rows = (ds.Prompt(prompt_id="bad" if i == 3 else str(i)) for i in range(200_000))

    with pytest.raises(JudgeClientError, match="a bad row") as caught:
        await client.upload_prompts("d", rows)

    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT


async def test_client_watch_goes_on_from_the_last_revision(service: tuple[FakeServer, JudgeClient]) -> None:
    """A lost connection is resumed from the last revision, and the last snapshot ends the watch."""
    made, client = service

    revisions = [run.revision async for run in client.watch_run("r", pause=0)]

    assert revisions == [1, 2, 3]
    assert made.runs.seen == [0, 1, 2]


async def test_client_watch_gives_up_after_so_many_reconnects(service: tuple[FakeServer, JudgeClient]) -> None:
    made, client = service
    made.runs.dead = True

    with pytest.raises(JudgeClientError, match="gone"):
        [run async for run in client.watch_run("r", reconnects=2, pause=0)]

    assert len(made.runs.seen) == 3


async def test_client_runs_have_a_random_request_id_unless_given(service: tuple[FakeServer, JudgeClient]) -> None:
    made, client = service

    for request_id in (None, None, "mine"):
        await client.create_run(rs.RunSpec(dataset="datasets/d"), request_id)

    first, second, third = made.runs.ids
    assert first != second
    assert third == "mine"


async def test_client_battles_are_streamed_with_options_first(service: tuple[FakeServer, JudgeClient]) -> None:
    _, client = service
    battles = [Battle(left="a", right="b", outcome=OUTCOME_LEFT)] * 45_000

    leaderboard = await client.rank_battles(battles, RankingOptions(method=RANKING_METHOD_ELO))

    assert (leaderboard.method, leaderboard.battles) == (RANKING_METHOD_ELO, 45_000)


async def test_client_says_when_nobody_answers(tmp_path: Path) -> None:
    async with JudgeClient(f"unix:{tmp_path}/nobody") as client:
        with pytest.raises(JudgeClientError) as caught:
            await client.get_run("r")

    assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_client_outside_of_its_context_is_refused() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        _ = JudgeClient("127.0.0.1:1").channel
