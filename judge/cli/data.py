"""`judge import` and `judge export`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from judge.cli.connect import Where, connected, run
from judge.cli.main import FAILED, cli

if TYPE_CHECKING:
    from judge.api.v1.dataset_service_pb2 import UploadSummary
    from judge.formats.lines import Import
    from judge_client import JudgeClient

SHOWN = 5


def _tell(what: str, summary: UploadSummary) -> int:
    """Say what became of an upload, on stderr; the number of rows rejected."""
    same = f", {summary.duplicates} there already" if summary.duplicates else ""
    click.echo(f"{what}: {summary.accepted} added{same}, {summary.rejected} rejected", err=True)
    for reason, count in sorted(summary.rejected_by_reason.items()):
        click.echo(f"  {reason}: {count}", err=True)
    for row in list(summary.rejections)[:SHOWN]:
        click.echo(f"  batch {row.batch} row {row.row} {row.field}: {row.message}", err=True)
    return summary.rejected


async def upload(client: JudgeClient, dataset: str, found: Import) -> int:
    """Put everything *found* into *dataset*, made if it is missing; the number of rows rejected."""
    import grpc  # noqa: PLC0415  # when needed

    from judge.rpc import encode  # noqa: PLC0415  # the nouns to the wire
    from judge_client import JudgeClientError  # noqa: PLC0415

    try:
        await client.create_dataset(dataset)
    except JudgeClientError as error:
        if error.code != grpc.StatusCode.ALREADY_EXISTS:
            raise
    rejected = _tell("prompts", await client.upload_prompts(dataset, map(encode.prompt, found.prompts())))
    rejected += _tell("outputs", await client.upload_outputs(dataset, map(encode.output, found.outputs())))
    for source, labels in found.labels.items():
        summary = await client.upload_labels(dataset, map(encode.label, labels()), source=source)
        rejected += _tell(f"labels of {source}", summary)
    verdicts = map(encode.imported_verdict, found.verdicts())
    return rejected + _tell("verdicts", await client.upload_verdicts(dataset, verdicts))


@cli.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, help="The dataset to add to; it is made if it is missing.")
@click.option("--format", "name", help="jsonl or fastchat; found out by itself.")
@click.pass_obj
def import_command(where: Where, path: Path, dataset: str, name: str | None) -> int:
    """Add the files at PATH to a dataset."""
    from judge.formats import detect  # noqa: PLC0415

    found = detect.read(path, name)

    async def work() -> int:
        async with connected(where) as client:
            return FAILED if await upload(client, dataset, found) else 0

    return run(work())


@cli.command("export")
@click.argument("kind", type=click.Choice(["prompts", "outputs", "labels", "verdicts", "comparisons"]))
@click.option("--dataset", help="The dataset to read.")
@click.option("--run", "run_name", help="A run's verdicts instead.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="A file; default is standard output.")
@click.pass_obj
def export_command(where: Where, kind: str, dataset: str | None, run_name: str | None, output: Path | None) -> None:
    """Write rows as JSON lines with the names of the wire."""
    if (dataset is None) == (run_name is None) or (run_name and kind != "verdicts"):
        raise click.UsageError("name a --dataset, or a --run to export its verdicts")

    async def rows(client: JudgeClient) -> list[Any]:
        from judge.api.v1 import dataset_service_pb2, verdict_pb2  # noqa: PLC0415

        if run_name:
            full = verdict_pb2.VERDICT_VIEW_FULL
            return [v async for v in client.list_verdicts(run_name, view=full)]
        part = dataset_service_pb2.DatasetPart.Value(f"DATASET_PART_{kind.upper()}")
        return [row async for batch in client.read_dataset(dataset or "", [part]) for row in getattr(batch, kind)]

    async def work() -> None:
        from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

        async with connected(where) as client:
            lines = [
                json.dumps(MessageToDict(row, preserving_proto_field_name=True), ensure_ascii=False)
                for row in await rows(client)
            ]
        text = "".join(f"{line}\n" for line in lines)
        if output is None:
            click.echo(text, nl=False)
        else:
            output.write_text(text, "utf-8")
            click.echo(f"{output}: {len(lines)} {kind}", err=True)

    run(work())
