"""Connect to a server, or to a service in this process, and print proto messages as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from judge_client import JudgeClient

T = TypeVar("T")
SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
"""The exit code of a process that was interrupted a second time."""


@dataclass(frozen=True)
class ServiceTarget:
    """The address of a server, or the configuration of a service in this process."""

    server: str | None
    config: Path | None


@contextlib.asynccontextmanager
async def connected(service: ServiceTarget, *, executes: bool = False) -> AsyncIterator[JudgeClient]:
    """Yield a client of the server, or, if none is named, of a service in this process on the embedded store.

    *executes* says whether a service in this process may execute runs. Only one process at a time may.
    """
    from judge_client import JudgeClient  # noqa: PLC0415  # grpc is imported when it is needed

    async with contextlib.AsyncExitStack() as stack:
        address = service.server
        if address is None:
            try:
                from judge.app.local import local_server  # noqa: PLC0415  # only without a server
            except ModuleNotFoundError as missing:
                missing_package = f"{missing.name} is not installed"
                message = f"{missing_package}: install judge with the extra [server], or use --server HOST:PORT"
                raise click.UsageError(message) from None
            address = await stack.enter_async_context(local_server(service.config, executes=executes))
        yield await stack.enter_async_context(JudgeClient(address))


def run(work: Coroutine[object, object, T]) -> T:
    """Run *work* to its end and return its result.

    Ctrl-C, or a SIGTERM, cancels it, and it may finish what is in progress. A second one ends the process at once.
    What fails while it ends is not shown.

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
