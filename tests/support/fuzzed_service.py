"""A whole service that is sent drawn request bodies, and what it stores and calls while it refuses them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from sqlalchemy import Connection, create_engine, func, make_url, select

from judge.api.v1 import dataset_service_pb2 as pb
from judge.api.v1 import run_service_pb2
from judge.app.local import running
from judge.config.settings import JudgeSettings
from judge.store.postgresql import is_postgresql
from judge.store.schema import metadata
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import settings
from support.request_bodies import RequestBodies
from support.service_process import Endpoint, listening

REFUSALS = frozenset({"INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED"})
"""The codes of a request that is refused, as docs/operations.md lists them."""
SECONDS = 60.0
"""The deadline of a call. A stream that follows a run ends with it."""
NEEDED = (
    *("run", "input", "presentation", "texts", "prompt", "turns", "battles", "labels", "columns", "outcome", "kind"),
    *("order", "label_id", "annotators", "LabelColumns.prompt", "LabelColumns.annotator"),
)
"""Fields that most calls need."""
PROMPTS, CONTESTANTS = ("p", "q"), ("a", "b", "c")
SMALL = 100
"""The most presentations of a run that may be judged to its end."""
_COUNTS = select(*(select(func.count()).select_from(table).scalar_subquery() for table in metadata.sorted_tables))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The code and the details of one call, what it *took* in seconds, and whether it changed or called anything."""

    method: str
    body: bytes
    code: str
    details: str
    took: float
    changed: bool

    @property
    def documented(self) -> bool:
        """Whether the call succeeded, or was refused with a code that is documented, and changed nothing."""
        return self.code == "OK" or (self.code in REFUSALS and not self.changed)

    def __str__(self) -> str:
        change = "changed" if self.changed else "unchanged"
        return f"{self.method} {self.code} {self.took:.1f} s {change} {self.details[:200]} {self.body[:200]!r}"


class FuzzedService:
    """A service with a dataset `demo`, a judge `far` at *endpoint*, and a run of the judge `first`."""

    def __init__(
        self, client: JudgeClient, channel: grpc.aio.Channel, connection: Connection, endpoint: Endpoint
    ) -> None:
        self.client, self._channel, self._connection, self._endpoint = client, channel, connection, endpoint
        self._run = ""

    async def fill(self) -> None:
        """Make the dataset anew, and a run of it that has ended."""
        with contextlib.suppress(JudgeClientError):
            await self.client.delete_dataset("demo")
        await self.client.create_dataset("demo")
        await self.client.upload_prompts(
            "demo", [pb.Prompt(prompt_id=name, turns=["?"], category="math") for name in PROMPTS]
        )
        outputs = [pb.Output(prompt_id=name, contestant=who, turns=[who]) for name in PROMPTS for who in CONTESTANTS]
        await self.client.upload_outputs("demo", outputs)
        run = await self.client.create_run(run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/first"]))
        self._run = run.name
        await self.settle()

    async def settle(self) -> None:
        """Wait until no run is executed. A large one is cancelled."""
        states = [
            run_service_pb2.RUN_STATE_QUEUED,
            run_service_pb2.RUN_STATE_RUNNING,
            run_service_pb2.RUN_STATE_WAITING,
        ]
        states += [run_service_pb2.RUN_STATE_PAUSED, run_service_pb2.RUN_STATE_CANCELLING]
        request = run_service_pb2.ListRunsRequest(states=states)
        async with asyncio.timeout(60):
            while runs := (await self.client.runs.ListRuns(request)).runs:
                for run in runs:
                    if run.counts.planned > SMALL or run.state not in states[:2]:
                        with contextlib.suppress(JudgeClientError):
                            await self.client.cancel_run(run.name)
                await asyncio.sleep(0.01)

    async def answers(self, method: MethodDescriptor, *, bodies: int, seed: int) -> AsyncIterator[Answer]:
        """Send *bodies* drawn bodies to *method*, one after another."""
        await self.fill()
        drawn = iter(RequestBodies(method.input_type, seed=seed, names=names(self._run)))
        for body in islice(drawn, bodies):
            before = self._state()
            begun = asyncio.get_running_loop().time()
            code, details, _ = await self._call(method, body)
            took = asyncio.get_running_loop().time() - begun
            changed = self._state() != before
            yield Answer(method=method.name, body=body, code=code, details=details, took=took, changed=changed)
            if code == "OK" and changed:
                await self.settle()

    async def healthy(self) -> bool:
        """Whether the service answers a health check within a second."""
        stub: Any = health_pb2_grpc.HealthStub(self._channel)
        reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=1)
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    def _state(self) -> tuple[object, ...]:
        counts = tuple(self._connection.execute(_COUNTS).one())
        self._connection.rollback()
        return (*counts, self._endpoint.calls.total())

    async def uploads(
        self, method: MethodDescriptor, good: Message, *, bodies: int, seed: int
    ) -> AsyncIterator[tuple[int, pb.UploadSummary]]:
        """Send drawn bodies that end with *good*. Yield how many rows each that is accepted has, and its summary."""
        parse = GetMessageClass(method.input_type).FromString
        for body in islice(RequestBodies(method.input_type, seed=seed, names=names(self._run)), bodies):
            sent = body + good.SerializeToString()
            code, _, replies = await self._call(method, sent)
            if code == "OK":
                request: Any = parse(sent)
                rows = [value for field, value in request.ListFields() if field.is_repeated]
                columns = len(request.columns.outcome) if "columns" in request.DESCRIPTOR.fields_by_name else 0
                yield sum(map(len, rows)) + columns, replies[0].summary

    async def _call(self, method: MethodDescriptor, body: bytes) -> tuple[str, str, list[Any]]:
        """Return the code and details of a call, and its replies."""
        kind = f"{'stream' if method.client_streaming else 'unary'}_{'stream' if method.server_streaming else 'unary'}"
        path = f"/{method.containing_service.full_name}/{method.name}"
        sent: Any = iter([body]) if method.client_streaming else body
        parse = GetMessageClass(method.output_type).FromString
        call = getattr(self._channel, kind)(path, None, parse)(sent, timeout=SECONDS)
        try:
            replies = [reply async for reply in call] if method.server_streaming else [await call]
        except grpc.aio.AioRpcError as error:
            return error.code().name, error.details() or "", []
        return "OK", "", replies


def names(run: str) -> Mapping[str, Sequence[str]]:
    """Return texts that name what a filled service has, with the name of its *run*."""
    sources = ("people", "labels:*", "judge:first", f"{run.replace('runs/', 'run:')}/first", "jury:judge:first+people")
    runs = {
        f"{name}Request.name": (run,)
        for name in (
            "GetRun",
            "WatchRun",
            "CancelRun",
            "DeleteRun",
            "ResumeRun",
            "SetRunCost",
            "ReparseRun",
            "ReadPlan",
        )
    }
    return {
        "": ("a", "b", "p", "1", ""),
        "judges": ("judges/first", "judges/longest", "judges/random", "judges/far"),
        **dict.fromkeys(("dataset", "GetDatasetRequest.name", "ReadDatasetRequest.name"), ("datasets/demo",)),
        **dict.fromkeys(("judge", "GetJudgeRequest.name"), ("judges/first", "judges/far")),
        **dict.fromkeys(("source", "target", "second_source", "anchored_to"), sources),
        **dict.fromkeys(("contestant", "reference_contestant"), CONTESTANTS),
        "left": CONTESTANTS[:1],
        "right": CONTESTANTS[1:],
        **runs,
        "DeleteDatasetRequest.name": ("datasets/demo",),
        "UploadVerdictsRequest.rubric": ("brackets",),
        "UploadLabelsRequest.source": ("s",),
        "ImportedVerdict.judge": ("first", "other"),
        "parent": (run,),
        "page_token": ("", "1", "100"),
        "MetadataEntry.key": ("a", "b"),
        "dataset_id": ("e1", "e2", "demo"),
        "parser": ("", "brackets/2"),
        # What calls need, whatever it is: a field that is named here is nearly always there.
        **dict.fromkeys(NEEDED, ("x", "*")),
        "annotator": ("x", "y"),
        "names": CONTESTANTS,
        "prompt_id": PROMPTS,
        "category": ("", "math"),
    }


@contextlib.asynccontextmanager
async def fuzzed_service(url: str) -> AsyncIterator[FuzzedService]:
    """Run a service on the store at *url*."""
    endpoint = Endpoint()
    async with listening(endpoint) as base_url:
        values = {"backend": "openai", "model": "m", "base_url": base_url, "rubric": "brackets"}
        far = JudgeSettings.model_validate(values)
        async with (
            running(settings(far=far), store_url=url, listen="127.0.0.1:0") as address,
            JudgeClient(address) as client,
            grpc.aio.insecure_channel(address) as channel,
        ):
            with _counting(url) as connection:
                yield FuzzedService(client, channel, connection, endpoint)


@contextlib.contextmanager
def _counting(url: str) -> Iterator[Connection]:
    """Connect to the store at *url*, beside the service."""
    engine = create_engine(make_url(url).set(drivername="postgresql+psycopg") if is_postgresql(url) else url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()
