"""A whole service in this process: store, engine, judges and a real gRPC server on loopback or a unix socket."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from judge.app.judges import ConfiguredJudges
from judge.app.lock import held
from judge.app.temporal import temporal_connection
from judge.config.settings import ConfigError, Settings, judge_home, load
from judge.engines.local import LocalEngine
from judge.log import events as log
from judge.ports.clock import Clock, SystemClock
from judge.ports.engine import Engine
from judge.rpc.server import Server
from judge.store.postgresql import executing, is_postgresql
from judge.store.sql_store import SqlStore

SQLITE = "sqlite:///"


@contextlib.asynccontextmanager
async def local_server(
    config_path: Path | None = None,
    *,
    store_url: str | None = None,
    listen: str | None = None,
    log_level: str = "warning",
) -> AsyncIterator[str]:
    """A running service; gives the address to call it at. Without *listen* that is a private unix socket."""
    settings = load(config_path)
    log.configure(log_level)
    async with running(settings, store_url=store_url, listen=listen) as address:
        yield address


@contextlib.asynccontextmanager
async def running(settings: Settings, *, store_url: str | None, listen: str | None) -> AsyncIterator[str]:
    """The service that *settings* describe, started and, at the end, drained."""
    url = store_url or _default_url(settings)
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        shared = settings.engine == "temporal"
        if not shared:
            stack.enter_context(_executing(url))
        if listen is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="judge-"))
            listen = f"unix:{folder}/socket"
        store = SqlStore.open(url, clock=clock)
        stack.push_async_callback(store.close)
        judges = ConfiguredJudges(settings, clock, shared=shared)
        stack.push_async_callback(judges.close)
        engine = _temporal(store, settings, clock) if shared else LocalEngine(store, judges, clock)
        server = Server(store, engine, judges, clock, settings.families)
        stack.push_async_callback(server.stop)
        stack.push_async_callback(engine.close)
        stack.push_async_callback(server.drain)
        address = await server.start(listen)
        await engine.start()
        yield address


def _executing(url: str) -> contextlib.AbstractContextManager[None]:
    """While this process executes the runs of the store, no other does."""
    if url.startswith(SQLITE):
        return held(Path(url.removeprefix(SQLITE)))
    return executing(url) if is_postgresql(url) else contextlib.nullcontext()


def _temporal(store: SqlStore, settings: Settings, clock: Clock) -> Engine:
    try:
        from judge.engines.temporal import TemporalEngine  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        raise ConfigError(f'engine "temporal" needs the extra [temporal]: {missing.name} is not installed') from None
    return TemporalEngine(store, temporal_connection(settings.temporal), clock)


def _default_url(settings: Settings) -> str:
    """As configured, else `$JUDGE_HOME/judge.db`."""
    return settings.store_url or f"{SQLITE}{judge_home() / 'judge.db'}"
