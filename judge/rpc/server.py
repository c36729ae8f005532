"""The gRPC server: services, health, reflection, interceptors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from judge.access.tokens import AcceptedTokens
from judge.api.v1 import (
    agreement_service_pb2,
    agreement_service_pb2_grpc,
    dataset_service_pb2,
    dataset_service_pb2_grpc,
    judge_service_pb2,
    judge_service_pb2_grpc,
    ranking_service_pb2,
    ranking_service_pb2_grpc,
    run_service_pb2,
    run_service_pb2_grpc,
)
from judge.execution.judges import Judges
from judge.execution.single import Single
from judge.ports.clock import Clock
from judge.ports.engine import Engine
from judge.ports.store import Store
from judge.ranking.compute import Fits
from judge.rpc.admission import AdmissionInterceptor
from judge.rpc.agreements import AgreementServicer
from judge.rpc.datasets import DatasetServicer
from judge.rpc.errors import ErrorInterceptor
from judge.rpc.health import Health
from judge.rpc.judges import JudgeServicer
from judge.rpc.limits import LimitInterceptor
from judge.rpc.rankings import RankingServicer
from judge.rpc.runs import RunServicer
from judge.runs.lifecycle import RunLifecycle
from judge.runs.watch import Watcher

MESSAGE_BYTES = 16 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
]
DRAIN_SECONDS = 5.0
SERVICES = [
    module.DESCRIPTOR.services_by_name[name].full_name
    for module, name in (
        (dataset_service_pb2, "DatasetService"),
        (run_service_pb2, "RunService"),
        (judge_service_pb2, "JudgeService"),
        (ranking_service_pb2, "RankingService"),
        (agreement_service_pb2, "AgreementService"),
    )
]
"""The full names of the services, for health checks and reflection."""


@dataclass(frozen=True, kw_only=True)
class ListenOptions:
    """How a server listens: with TLS, and where and whether it answers health checks and describes its API."""

    credentials: grpc.ServerCredentials | None = None
    """None means plaintext."""
    health_listen: str = ""
    """A further address, for health checks alone and in plaintext."""
    reflection: bool = True
    tokens: bool | None = False
    """Whether calls need an access token; None means as soon as the store has any."""


class Server:
    """One gRPC server over a store, an engine and the configured judges, with the contestants of their families.

    *patience* multiplies the time that calls may take.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        judges: Judges,
        clock: Clock,
        families: Mapping[str, Sequence[str]],
        *,
        patience: float = 1.0,
        options: ListenOptions = ListenOptions(),
    ) -> None:
        self._options = options
        self._limits = LimitInterceptor(patience)
        self._tokens = None if options.tokens is False else AcceptedTokens(store, clock, required=options.tokens)
        admission = [] if self._tokens is None else [AdmissionInterceptor(self._tokens)]
        self._server = grpc.aio.server(interceptors=[*admission, ErrorInterceptor(), self._limits], options=OPTIONS)
        self._health_server = grpc.aio.server(options=OPTIONS) if options.health_listen else None
        self._fits = Fits()
        self._watcher = Watcher(store, clock)
        runs = RunLifecycle(store, engine, judges)
        self._single = single = Single(store, judges, clock)
        self._datasets = DatasetServicer(store)
        add = self._server
        dataset_service_pb2_grpc.add_DatasetServiceServicer_to_server(self._datasets, add)
        run_servicer = RunServicer(store=store, runs=runs, watcher=self._watcher, fits=self._fits, clock=clock)
        run_service_pb2_grpc.add_RunServiceServicer_to_server(run_servicer, add)
        judge_service_pb2_grpc.add_JudgeServiceServicer_to_server(
            JudgeServicer(store=store, judges=judges, runs=runs, single=single), add
        )
        ranking_service_pb2_grpc.add_RankingServiceServicer_to_server(RankingServicer(store, self._fits), add)
        agreement = AgreementServicer(store, self._fits, families)
        agreement_service_pb2_grpc.add_AgreementServiceServicer_to_server(agreement, add)
        self._health = Health(store, clock, SERVICES)
        health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, add)
        if self._health_server is not None:
            health_pb2_grpc.add_HealthServicer_to_server(self._health.servicer, self._health_server)
        if options.reflection:
            reflection.enable_server_reflection([*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME], add)

    async def start(self, listen: str) -> str:
        """Listen on HOST:PORT or unix:PATH. Returns the address, with the actual port in place of port 0."""
        if (tokens := self._tokens) is not None:
            await tokens.start(lambda: self._limits.end_streams(tokens.problem))
        credentials = self._options.credentials
        if credentials is None:
            port = self._server.add_insecure_port(listen)
        else:
            port = self._server.add_secure_port(listen, credentials)
        if self._health_server is not None:
            self._health_server.add_insecure_port(self._options.health_listen)
            await self._health_server.start()
        starting = asyncio.ensure_future(self._server.start())
        try:
            await asyncio.shield(starting)
        except asyncio.CancelledError:
            # A start that is cancelled midway would make `stop` fail with an InvalidStateError of gRPC's.
            await starting
            raise
        await self._health.start()
        return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"

    async def drain(self) -> None:
        """Report NOT_SERVING, refuse new calls, and end all streams with a request to try again."""
        await self._health.drain()
        self._limits.drain()
        await self._watcher.close()

    async def stop(self) -> None:
        """Wait a few seconds for calls in flight, and stop."""
        await self._server.stop(DRAIN_SECONDS)
        if self._health_server is not None:
            await self._health_server.stop(None)
        if self._tokens is not None:
            await self._tokens.close()
        await self._single.close()
        await self._datasets.close()
        self._fits.close()
