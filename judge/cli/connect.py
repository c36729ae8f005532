"""To a server, or to a service made in this process; and proto messages as JSON."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
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
    """Which server, or which configuration for the service in this process."""

    server: str | None
    config: Path | None


@contextlib.asynccontextmanager
async def connected(where: ServiceTarget) -> AsyncIterator[JudgeClient]:
    """A client of the server named, or of a service in this process on the embedded store."""
    from judge_client import JudgeClient  # noqa: PLC0415  # grpc is imported when it is needed

    async with contextlib.AsyncExitStack() as stack:
        address = where.server
        if address is None:
            try:
                from judge.app.local import local_server  # noqa: PLC0415  # the whole house, only without a server
            except ModuleNotFoundError as missing:
                message = f"without --server HOST:PORT this needs the extra [server]: {missing.name} is not installed"
                raise click.UsageError(message) from None
            address = await stack.enter_async_context(local_server(where.config))
        yield await stack.enter_async_context(JudgeClient(address))


def run(work: Coroutine[object, object, T]) -> T:
    """The result of *work*."""
    return asyncio.run(work)


def echo_json(message: Message) -> None:
    """Print *message* as proto JSON with proto field names, zeros shown."""
    from google.protobuf.json_format import MessageToJson  # noqa: PLC0415  # only with --json

    click.echo(MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
