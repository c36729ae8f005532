"""The whole service in this process: store, engine, judges, and a gRPC server on loopback or a Unix socket."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

from judge.app.judges import ConfiguredJudges
from judge.app.lock import held
from judge.app.temporal import temporal_connection
from judge.config.files import ConfigError, judge_home
from judge.config.settings import Settings, load
from judge.domain.errors import StoreHeld
from judge.engines.idle import IdleEngine
from judge.engines.local import LocalEngine
from judge.log import events as log
from judge.ports.clock import Clock, SystemClock
from judge.ports.engine import Engine
from judge.rpc.server import ListenOptions, Server
from judge.store.postgresql import executing, is_postgresql, url_without_password
from judge.store.sql_store import SqlStore

SQLITE = "sqlite:///"
OWN_PATIENCE = 20.0
"""How much longer calls may take if this process is their only client: no other caller waits, and it may be slow."""


@contextlib.asynccontextmanager
async def local_server(
    config_path: Path | None = None,
    *,
    store_url: str | None = None,
    listen: str | None = None,
    log_level: str = "warning",
    executes: bool = True,
) -> AsyncIterator[str]:
    """Run a service, and yield its address. Without *listen*, that is a private Unix socket.

    It executes only the runs that its clients create or resume. Those that have not ended are paused at the end. If it
    *executes* none at all, it makes no call, and other processes may use the store at the same time.
    """
    settings = load(config_path)
    log.configure(log_level)
    async with running(settings, store_url=store_url, listen=listen, continues=False, executes=executes) as address:
        yield address


@contextlib.asynccontextmanager
async def running(
    settings: Settings,
    *,
    store_url: str | None,
    listen: str | None,
    continues: bool = True,
    executes: bool = True,
    options: ListenOptions = ListenOptions(),  # noqa: B008  # frozen
) -> AsyncIterator[str]:
    """Run the service that *settings* describe, and yield its address. Calls in flight are finished at the end.

    *options* say how it listens, *continues* whether it executes runs that another process left unfinished, and
    *executes* whether it executes any.
    """
    url = store_url or configured_store(settings)
    clock = SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        shared = settings.engine == "temporal"
        if executes and not shared:
            stack.enter_context(_executing(url))
        private = listen is None
        if listen is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="judge-"))
            listen = f"unix:{folder}/socket"
        store = SqlStore.open(url, clock=clock)
        stack.push_async_callback(store.close)
        judges = ConfiguredJudges(settings, clock, shared=shared)
        stack.push_async_callback(judges.close)
        engine: Engine
        if shared:
            engine = _temporal(store, settings, clock)
        elif executes:
            engine = LocalEngine(store, judges, clock, continues=continues)
        else:
            engine = IdleEngine(store, partial(_executing, url))
        server = Server(
            store=store,
            engine=engine,
            judges=judges,
            clock=clock,
            families=settings.families,
            patience=OWN_PATIENCE if private else 1.0,
            options=options,
        )
        stack.push_async_callback(server.stop)
        stack.push_async_callback(engine.close)
        stack.push_async_callback(server.drain)
        address = await server.start(listen)
        await engine.start()
        yield address


def store_in_use(config_path: Path | None = None) -> str:
    """Return the store that the configuration names, without a password."""
    url = configured_store(load(config_path))
    return url.removeprefix(SQLITE) if url.startswith(SQLITE) else url_without_password(url)


def executing_process(config_path: Path | None = None) -> str | None:
    """Say which process executes the runs of the configured store, with the verb; None if none does."""
    settings = load(config_path)
    if settings.engine == "temporal":
        return "Temporal's workers execute"
    try:
        with _executing(configured_store(settings)):
            return None
    except StoreHeld as other:
        return f"process {other.fields['pid']} executes" if "pid" in other.fields else "another process executes"


def _executing(url: str) -> contextlib.AbstractContextManager[None]:
    """Keep other processes from executing the runs of the store inside the `with` block."""
    if url.startswith(SQLITE):
        return held(Path(url.removeprefix(SQLITE)))
    return executing(url) if is_postgresql(url) else contextlib.nullcontext()


def _temporal(store: SqlStore, settings: Settings, clock: Clock) -> Engine:
    try:
        from judge.engines.temporal import TemporalEngine  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        raise ConfigError(
            f'{settings.origin}: engine = "temporal" needs the package {missing.name}, which is not installed. '
            "Install judge-service[temporal]"
        ) from None
    return TemporalEngine(store, temporal_connection(settings.temporal), clock)


def configured_store(settings: Settings) -> str:
    """Return the configured URL, or else that of `$JUDGE_HOME/judge.db`."""
    return settings.store_url or f"{SQLITE}{judge_home() / 'judge.db'}"
