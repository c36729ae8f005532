"""Access tokens before every method of the API, by the descriptors: who is refused, and that nothing is revealed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from sqlalchemy import select
from sqlalchemy.engine import Connection

from judge.access.scopes import SCOPES
from judge.api.v1 import judge_service_pb2, run_service_pb2
from judge.app.local import running
from judge.app.tokens import create_token
from judge.domain.token import AccessScope, hash_token, new_token
from judge.ports.clock import SystemClock
from judge.rpc.server import ListenOptions
from judge.store.schema import metadata
from judge.store.sql_store import SqlStore
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import settings, upload_demo
from support.methods import METHODS, call, path_of, request_of

TENANT = "default"
HIDDEN = "undisclosed"
OPTIONS = ListenOptions(tokens=True)
REASONS = {
    "no": "TOKEN_MISSING",
    "malformed": "TOKEN_MALFORMED",
    "unknown": "TOKEN_UNKNOWN",
    "expired": "TOKEN_EXPIRED",
    "revoked": "TOKEN_REVOKED",
    "under-scoped": "SCOPE_MISSING",
}


@dataclass
class Guarded:
    """A server that requires tokens, with a dataset and a run, its store, and tokens by their names."""

    address: str
    store: SqlStore
    tokens: dict[str, str]
    run: str
    logged: list[str] = field(default_factory=list)

    def authorization(self, kind: str, method: MethodDescriptor) -> tuple[tuple[str, str], ...]:
        """Return the metadata of a call of *method* with a token of a *kind*."""
        token = self.tokens.get(kind, "")
        if kind == "no":
            return ()
        if kind in {"under-scoped", "right"}:
            scope = SCOPES[path_of(method)]
            token = self.tokens[scope if kind == "right" else f"all but {scope}"]
        return (("authorization", f"Bearer {token}"),)

    async def rows(self) -> dict[str, list[Any]]:
        """Return everything that is stored, but for when tokens were used."""

        def work(c: Connection) -> dict[str, list[Any]]:
            tables = [table for table in metadata.sorted_tables if table.name != "token"]
            return {table.name: [tuple(row) for row in c.execute(select(table))] for table in tables}

        return await self.store._db.read(work)


async def _make_tokens(store: SqlStore) -> dict[str, str]:
    """Create a token of each kind. Names say nothing that a refusal must not."""
    clock, every = SystemClock(), frozenset(AccessScope)
    made: dict[str, frozenset[AccessScope]] = {"expired": every, "revoked": every}
    made |= {scope.value: frozenset({scope}) for scope in AccessScope}
    made |= {f"all but {scope}": every - {scope} for scope in AccessScope}
    tokens = {}
    for kind, scopes in made.items():
        seconds = -1.0 if kind == "expired" else None
        tokens[kind] = await create_token(store, clock, kind.replace(" ", "-"), scopes=scopes, seconds=seconds)
    await store.revoke_token(TENANT, "revoked")
    return {**tokens, "malformed": tokens["admin"][:-1], "unknown": new_token()}


@asynccontextmanager
async def guarded(folder: Path) -> AsyncIterator[Guarded]:
    """Fill a store without tokens, create them, and serve it."""
    url = f"sqlite:///{folder}/judge.db"
    async with running(settings(), store_url=url, listen=None) as address, JudgeClient(address) as client:
        await upload_demo(client, HIDDEN, prompts=2)
        spec = run_service_pb2.RunSpec(dataset=f"datasets/{HIDDEN}", judges=["judges/longest"])
        run = (await client.wait_run((await client.create_run(spec)).name)).name
    store = SqlStore.open(url, clock=SystemClock())
    try:
        tokens = await _make_tokens(store)
        async with running(settings(), store_url=url, listen=None, options=OPTIONS) as address:
            yield Guarded(address, store, tokens, run)
    finally:
        await store.close()


def capture_logs(lines: list[str]) -> None:
    """Write every event of the log, down to debug, to *lines*."""

    def write(_: object, __: str, event: MutableMapping[str, Any]) -> str:
        lines.append(repr(event))
        raise structlog.DropEvent

    structlog.configure(processors=[structlog.contextvars.merge_contextvars, write])


def shown(error: grpc.aio.AioRpcError) -> str:
    """Return all that an error shows: its words, its trailers, and its details."""
    trailers = list(error.trailing_metadata() or ())
    details = [str(status_pb2.Status.FromString(value)) for key, value in trailers if key == "grpc-status-details-bin"]
    return f"{error.details()} {trailers} {details}"


async def test_every_method_refuses_every_wrong_token_and_reveals_nothing(tmp_path: Path) -> None:
    """Nothing is stored, no name of a dataset or run is in an answer, and no token is in an answer or the log."""
    refused = 0
    async with guarded(tmp_path) as service, grpc.aio.insecure_channel(service.address) as channel:
        capture_logs(service.logged)
        names = {"name": service.run, "parent": service.run, "dataset": f"datasets/{HIDDEN}", "dataset_id": HIDDEN}
        before = await service.rows()
        for method in METHODS:
            for kind, reason in REASONS.items():
                metadata = service.authorization(kind, method)
                error = await call(channel, method, request_of(method, names), metadata)
                assert error is not None, (method.full_name, kind)
                code = grpc.StatusCode.PERMISSION_DENIED if kind == "under-scoped" else grpc.StatusCode.UNAUTHENTICATED
                assert (code, True) == (error.code(), reason in shown(error)), (method.full_name, kind)
                assert not any(name in shown(error) for name in (HIDDEN, service.run.removeprefix("runs/")))
                assert not any(token in shown(error) for token in service.tokens.values())
                refused += 1

        assert before == await service.rows()

    assert refused == len(METHODS) * len(REASONS)
    assert len(service.logged) >= refused
    assert not [line for line in service.logged if any(token in line for token in service.tokens.values())]


async def test_every_method_admits_a_token_with_its_scope_alone(tmp_path: Path) -> None:
    """What it answers then is its own business: an empty request is often invalid."""
    async with guarded(tmp_path) as service, grpc.aio.insecure_channel(service.address) as channel:
        for method in METHODS:
            error = await call(channel, method, request_of(method, {}), service.authorization("right", method))

            codes = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
            assert error is None or error.code() not in codes, method.full_name


async def test_a_method_that_does_not_exist_is_no_way_around(tmp_path: Path) -> None:
    """Without a token it is refused like all others, and with one it is not implemented."""
    async with guarded(tmp_path) as service, grpc.aio.insecure_channel(service.address) as channel:
        codes = []
        forgotten: Any = channel.unary_unary("/judge.api.v1.RunService/Forgotten")
        for metadata in ((), (("authorization", f"Bearer {service.tokens['admin']}"),)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await forgotten(b"", metadata=metadata)
            codes.append(caught.value.code())

    assert codes == [grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED]


async def code_of(stream: grpc.aio.StreamStreamCall[Any, Any]) -> grpc.StatusCode:
    """Return how a stream ends. Its code may not come before its messages have been read."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        async for _ in stream:
            pass
    code: grpc.StatusCode = await stream.code()
    return code


async def test_reflection_needs_a_token_and_health_does_not(tmp_path: Path) -> None:
    """Any token will do for reflection. Probes cannot have one."""
    requests = [reflection_pb2.ServerReflectionRequest(list_services="")]
    async with guarded(tmp_path) as service, grpc.aio.insecure_channel(service.address) as channel:
        reflect = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        refused = await code_of(reflect(iter(requests)))
        admitted = await code_of(reflect(iter(requests), metadata=service.authorization("right", METHODS[0])))
        health = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())

    assert (refused, admitted) == (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.OK)
    assert health.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("metadata", [("admin", "admin"), ("expired", "admin"), ("admin", "expired")])
async def test_two_tokens_are_none(tmp_path: Path, metadata: tuple[str, ...]) -> None:
    """A proxy that adds a header cannot make the server choose."""
    async with guarded(tmp_path) as service, grpc.aio.insecure_channel(service.address) as channel:
        headers = tuple(("authorization", f"Bearer {service.tokens[kind]}") for kind in metadata)
        error = await call(channel, METHODS[0], request_of(METHODS[0], {}), headers)

    assert error is not None
    assert "TOKEN_MALFORMED" in shown(error)


async def test_the_log_names_the_caller_and_no_reply_repeats_a_token(tmp_path: Path) -> None:
    """A token in the place of a request id is not returned as one, and no page token holds it."""
    async with guarded(tmp_path) as service:
        capture_logs(service.logged)
        token = service.tokens["read"]
        async with JudgeClient(service.address, token=token) as client:
            request = run_service_pb2.ListVerdictsRequest(parent=service.run, page_size=1)
            listing = client.runs.ListVerdicts(request, metadata=(("x-request-id", token),))
            reply, trailers = await listing, dict(await listing.trailing_metadata() or ())
        async with JudgeClient(service.address, token=service.tokens["all but admin"]) as client:
            spec = run_service_pb2.RunSpec(dataset=f"datasets/{HIDDEN}", judges=["judges/first"])
            await client.wait_run((await client.create_run(spec)).name)
        [ended] = [line for line in service.logged if "run.ended" in line]

    assert "'caller': 'all-but-admin'" in ended
    assert token not in str(trailers)
    assert len(str(trailers["x-request-id"])) == 32
    assert reply.next_page_token
    assert token not in reply.next_page_token


async def until(condition: Callable[[], Any], seconds: float) -> float:
    """Ask *condition* again and again until it holds, and return how many seconds that took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110  # what a server reads from its store tells no event of ours
            await asyncio.sleep(0.05)
    return time.monotonic() - began


async def test_tokens_take_effect_and_are_revoked_while_the_server_runs(tmp_path: Path) -> None:
    """From another process, both within about a second; a live stream of the token ends too."""
    async with guarded(tmp_path) as service:
        token = await create_token(
            service.store, SystemClock(), "late", scopes={AccessScope.READ, AccessScope.RUN}, seconds=None
        )
        async with JudgeClient(service.address, token=token) as client:

            async def accepted() -> bool:
                try:
                    await client.get_run(service.run)
                except JudgeClientError as error:
                    return error.code is not grpc.StatusCode.UNAUTHENTICATED
                return True

            async def refused() -> bool:
                return not await accepted()

            started = await until(accepted, 10)
            stream = client.judges.JudgeComparisons()
            nobody = judge_service_pb2.JudgeComparisonRequest(judge="judges/nobody")
            await stream.write(judge_service_pb2.JudgeComparisonsRequest(id="1", comparison=nobody))
            await stream.read()
            await service.store.revoke_token(TENANT, "late")
            revoked = await until(refused, 10)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await asyncio.wait_for(stream.read(), 10)
        [used] = [each for each in await service.store.tokens(TENANT) if each.hash == hash_token(token)]

    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert max(started, revoked) < 3
    assert used.last_use_time is not None
