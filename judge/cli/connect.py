"""Connect to a server, or to a service in this process, and print proto messages as JSON."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from judge_client import JudgeClient

T = TypeVar("T")


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
    """Run *work* to its end and return its result."""
    return asyncio.run(work)


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
