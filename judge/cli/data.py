"""`judge import`."""

from __future__ import annotations

import contextlib
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from judge.cli.connect import ServiceTarget, connected, run
from judge.cli.group import FAILED, cli

if TYPE_CHECKING:
    from judge.api.v1.dataset_service_pb2 import Dataset, UploadSummary
    from judge.formats.lines import Import, RowCounts
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
    """Put everything *found* into *dataset*, made if it is missing; the number of rows rejected.

    All of it is read once before anything is made or sent, so that a wrong line leaves nothing behind; nor does an
    import of which no row was taken.
    """
    from judge.domain.errors import InvalidInput  # noqa: PLC0415  # when needed
    from judge_client import JudgeClientError  # noqa: PLC0415

    counts = found.counts()
    if not counts.total:
        raise InvalidInput("path", "there is no row to import", reason="NO_ROWS")
    made = await _made(client, dataset)
    try:
        return await _sent(client, dataset, found, counts)
    finally:
        if made:
            with contextlib.suppress(JudgeClientError):
                if (await client.get_dataset(dataset)).revision == made.revision:
                    await client.delete_dataset(dataset)


async def _made(client: JudgeClient, dataset: str) -> Dataset | None:
    """The dataset, new and empty; None if it is there already."""
    import grpc  # noqa: PLC0415  # when needed

    from judge_client import JudgeClientError  # noqa: PLC0415

    try:
        return await client.create_dataset(dataset)
    except JudgeClientError as error:
        if error.code != grpc.StatusCode.ALREADY_EXISTS:
            raise
    return None


async def _sent(client: JudgeClient, dataset: str, found: Import, counts: RowCounts) -> int:
    """The number of rows rejected of all that is *found*, prompts first and what is about them after."""
    from judge.rpc import rows  # noqa: PLC0415  # the nouns to the wire

    rejected = 0
    if counts.prompts:
        rejected += _tell("prompts", await client.upload_prompts(dataset, map(rows.prompt, found.prompts())))
    if counts.outputs:
        rejected += _tell("outputs", await client.upload_outputs(dataset, map(rows.output, found.outputs())))
    for source, group in groupby(found.labels(), itemgetter(0)):
        labels = (rows.label(label) for _, label in group)
        rejected += _tell(f"labels of {source}", await client.upload_labels(dataset, labels, source=source))
    if counts.verdicts:
        verdicts = map(rows.imported_verdict, found.verdicts())
        rejected += _tell("verdicts", await client.upload_verdicts(dataset, verdicts))
    if counts.comparisons:
        listed = map(rows.listed, found.comparisons())
        rejected += _tell("comparisons", await client.upload_comparisons(dataset, listed))
    for path in found.battles:
        click.echo(f"{path} was left out; rank it with: judge rank {path}", err=True)
    return rejected


@cli.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, help="The dataset to add to; it is made if it is missing.")
@click.option("--format", "name", help="jsonl or fastchat; found out by itself.")
@click.pass_obj
def import_command(where: ServiceTarget, path: Path, dataset: str, name: str | None) -> int:
    """Add the files at PATH to a dataset."""
    from judge.formats import detect  # noqa: PLC0415

    found = detect.read(path, name)

    async def work() -> int:
        async with connected(where) as client:
            return FAILED if await upload(client, dataset, found) else 0

    return run(work())
