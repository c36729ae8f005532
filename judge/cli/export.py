"""`judge export`: write rows as `judge import` reads them."""

from __future__ import annotations

import contextlib
import gzip
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from judge.cli.connect import ServiceTarget, connected, run
from judge.cli.group import CONFIG, SERVER, Commands, cli

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from judge_client import JudgeClient


def as_row(message: Message) -> dict[str, Any]:
    """Convert a message to a row of JSON lines: enums become words, and the fields of a presentation are inlined."""
    row: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name == "presentation":
            row |= as_row(value)
        elif field.name == "order":
            row["first"] = _word(field, value)
        else:
            row[field.name] = [_plain(field, each) for each in value] if field.is_repeated else _plain(field, value)
    return row


def _plain(field: Any, value: Any) -> Any:  # noqa: ANN401  # protobuf's descriptors are untyped
    if field.enum_type is not None:
        return _word(field, value)
    if field.message_type is None:
        return value
    return value.ToJsonString() if field.message_type.full_name.startswith("google.protobuf") else as_row(value)


def _word(field: Any, value: int) -> str:  # noqa: ANN401  # as above
    """Return the word that an import reads back as *value*. The API's enums have the names and numbers of ours."""
    from judge.domain import outcome  # noqa: PLC0415  # when needed
    from judge.formats import words  # noqa: PLC0415

    return words.word(getattr(outcome, field.enum_type.name)(value))


async def _run_rows(client: JudgeClient, name: str) -> AsyncIterator[dict[str, Any]]:
    from judge.api.v1 import verdict_pb2  # noqa: PLC0415  # grpc's messages when needed

    async for verdict in client.list_verdicts(name, view=verdict_pb2.VERDICT_VIEW_FULL, page_size=1000):
        row = as_row(verdict)
        yield row | {"judge": row["judge"].removeprefix("judges/")}


async def _dataset_rows(client: JudgeClient, name: str, kind: str) -> AsyncIterator[dict[str, Any]]:
    from judge.api.v1 import dataset_service_pb2  # noqa: PLC0415  # grpc's messages when needed

    part = dataset_service_pb2.DatasetPart.Value(f"DATASET_PART_{kind.upper()}")
    async for batch in client.read_dataset(name, [part]):
        for message in getattr(batch, kind):
            row = as_row(message)
            yield row | {"source": batch.label_source} if kind == "labels" else row


@contextlib.contextmanager
def _open_output(output: Path | None) -> Iterator[TextIO]:
    """Open standard output, or a file that appears under its name only once it is complete."""
    if output is None:
        yield sys.stdout
        return
    target = output.resolve()
    if target.exists() and not target.is_file():
        # A device or a pipe must not be replaced.
        with target.open("w", encoding="utf-8") as file:
            yield file
        return
    partial = target.with_name(f"{target.name}.part")
    try:
        opened = gzip.open if target.suffix == ".gz" else open
        with opened(partial, "wt", encoding="utf-8") as file:
            yield file
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


@cli.group("export", cls=Commands, params=[SERVER, CONFIG])
@click.pass_context
def export(context: click.Context, server: str | None, config: Path | None) -> None:
    """Write rows as JSON lines, or a run as a bundle."""
    context.obj = ServiceTarget(server or context.obj.server, config or context.obj.config)


OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write; .gz compresses it.  [default: standard output]",
)


def _rows(kind: str) -> None:
    """Register the command that exports rows of this *kind*."""

    @export.command(kind, help=f"Write {kind} as JSON lines that `judge import` reads.")
    @click.option("--dataset", required=True, help="The dataset to read.")
    @OUTPUT
    @click.pass_obj
    def command(service: ServiceTarget, dataset: str, output: Path | None) -> None:
        _write(service, kind, output, lambda client: _dataset_rows(client, dataset, kind))


for _kind in ("prompts", "outputs", "labels", "comparisons"):
    _rows(_kind)


@export.command("verdicts")
@click.option("--dataset", help="Write the verdicts that were imported into this dataset.")
@click.option("--run", "run_name", help="Write the verdicts of this run.")
@OUTPUT
@click.pass_obj
def verdicts_command(service: ServiceTarget, dataset: str | None, run_name: str | None, output: Path | None) -> None:
    """Write verdicts as JSON lines that `judge import` reads."""
    if (dataset is None) == (run_name is None):
        raise click.UsageError("name either a --dataset or a --run, whose verdicts are exported")
    _write(
        service,
        "verdicts",
        output,
        lambda client: _run_rows(client, run_name) if run_name else _dataset_rows(client, dataset or "", "verdicts"),
    )


def _write(
    service: ServiceTarget,
    kind: str,
    output: Path | None,
    rows_of: Callable[[JudgeClient], AsyncIterator[dict[str, Any]]],
) -> None:
    async def work() -> int:
        n_rows = 0
        async with connected(service) as client:
            with _open_output(output) as file:
                async for row in rows_of(client):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
                    n_rows += 1
        return n_rows

    n_rows = run(work())
    if output is not None:
        click.echo(f"Wrote {n_rows:,} {kind} to {output}.", err=True)
