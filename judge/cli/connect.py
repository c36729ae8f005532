"""Connect to a server, or to a service in this process, and print proto messages as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from judge_client import JudgeClient

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = 130
"""The exit code of a process that was interrupted a second time."""


@dataclass(frozen=True)
class TlsOptions:
    """Whether to use TLS, and the files for it, as options name them."""

    tls: bool = False
    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


@dataclass(frozen=True)
class ServiceTarget:
    """The address of a server and how to reach it, or the configuration of a service in this process."""

    server: str | None = None
    config: Path | None = None
    tls: TlsOptions = TlsOptions()

    def with_options(self, params: dict[str, Any]) -> ServiceTarget:
        """Take the options that every command has out of *params*. What they do not name stays as it is."""
        server, config = params.pop("server"), params.pop("config")
        tls = TlsOptions(**{option.name: params.pop(option.name) for option in fields(TlsOptions)})
        return ServiceTarget(server or self.server, config or self.config, self.tls if tls == TlsOptions() else tls)

    def client(self, server: str) -> JudgeClient:
        """Return a client of *server*, by the options, the environment, and the section `[client]`, in this order."""
        from judge.config.client import client_settings  # noqa: PLC0415  # only with a server
        from judge_client import JudgeClient  # noqa: PLC0415  # grpc is imported when it is needed
        from judge_client.security import Security, security_of_environment  # noqa: PLC0415  # as above

        settings = client_settings(self.config, tls=not server.startswith("unix"))
        options = Security(tls=self.tls.tls or None, ca=self.tls.ca, cert=self.tls.cert, key=self.tls.key)
        security = options.or_else(security_of_environment(os.environ, server)).or_else(Security(**settings))
        return JudgeClient(server, **vars(security))


@contextlib.asynccontextmanager
async def connected(service: ServiceTarget, *, executes: bool = False) -> AsyncIterator[JudgeClient]:
    """Yield a client of the server, or, if none is named, of a service in this process on the embedded store.

    *executes* says whether a service in this process may execute runs. Only one process at a time may.
    """
    if service.server is not None:
        async with service.client(service.server) as client:
            yield client
        return
    try:
        from judge.app.local import local_server  # noqa: PLC0415  # only without a server
    except ModuleNotFoundError as missing:
        missing_package = f"{missing.name} is not installed"
        message = f"{missing_package}: install judge with the extra [server], or use --server HOST:PORT"
        raise click.UsageError(message) from None
    from judge_client import JudgeClient  # noqa: PLC0415  # grpc is imported when it is needed

    async with (
        local_server(service.config, executes=executes) as address,
        JudgeClient(address, tls=False, token="") as client,
    ):
        yield client


def run(work: Coroutine[object, object, T]) -> T:
    """Run *work* to its end and return its result.

    Ctrl-C, a SIGTERM, or the end of the terminal cancels it, and it may finish what is in progress. A second one
    ends the process at once. What fails while it ends is not shown.

    Raises:
        KeyboardInterrupt: It was interrupted.

    """
    interrupted = False

    def interrupt(task: asyncio.Task[object] | None) -> None:
        nonlocal interrupted
        if interrupted:
            os._exit(INTERRUPTED)
        interrupted = True
        if task is not None:
            task.cancel()

    async def interruptible() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        loop.set_exception_handler(
            lambda loop, context: None if interrupted else loop.default_exception_handler(context)
        )
        # Python delivers signals to its main thread only.
        for number in SIGNALS if threading.current_thread() is threading.main_thread() else ():
            # Under nohup, the end of the terminal does not count.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                loop.add_signal_handler(number, interrupt, task)
        return await work

    try:
        return asyncio.run(interruptible())
    except (Exception, asyncio.CancelledError):
        if interrupted:
            raise KeyboardInterrupt from None
        raise


def echo_rows(messages: Iterable[Message]) -> None:
    """Print each message as a line of proto JSON, with the field names of the proto files and with zeros."""
    from google.protobuf.json_format import MessageToJson  # noqa: PLC0415  # only with --json

    for message in messages:
        click.echo(
            MessageToJson(
                message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=None
            )
        )


def echo_json(message: Message) -> None:
    """Print *message* as proto JSON, with the field names of the proto files and with zeros."""
    from google.protobuf.json_format import MessageToJson  # noqa: PLC0415  # only with --json

    click.echo(MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
