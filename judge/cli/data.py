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
"""How many rejected rows are printed."""


def _report(what: str, summary: UploadSummary) -> int:
    """Print on stderr how many rows an upload added and rejected, and why. Returns the number of rejected rows."""
    same = f", {summary.duplicates:,} already there" if summary.duplicates else ""
    click.echo(f"{what}: {summary.accepted:,} added{same}, {summary.rejected:,} rejected", err=True)
    for reason, count in sorted(summary.rejected_by_reason.items()):
        click.echo(f"  {reason}: {count:,}", err=True)
    for row in list(summary.rejections)[:SHOWN]:
        click.echo(f"  batch {row.batch}, row {row.row}, {row.field}: {row.message}", err=True)
    return summary.rejected


async def upload(client: JudgeClient, dataset: str, content: Import) -> int:
    """Upload all rows of *content* to *dataset*, and create it if it is missing. Returns the number of rejected rows.

    All files are read once before anything is created or sent, so a wrong line leaves nothing behind. A dataset that
    was created here is deleted again if no row was accepted.

    Raises:
        InvalidInput: a row cannot be read, or there is none.
        JudgeClientError: the service refused a call.

    """
    from judge.domain.errors import InvalidInput  # noqa: PLC0415  # when needed
    from judge_client import JudgeClientError  # noqa: PLC0415

    counts = content.counts()
    if not counts.total:
        raise InvalidInput("path", "there is no row to import: the files are empty", reason="NO_ROWS")
    created = await _create(client, dataset)
    try:
        return await _send(client, dataset, content, counts)
    finally:
        if created:
            with contextlib.suppress(JudgeClientError):
                if (await client.get_dataset(dataset)).revision == created.revision:
                    await client.delete_dataset(dataset)


async def _create(client: JudgeClient, dataset: str) -> Dataset | None:
    """Create the dataset; None if it exists already."""
    import grpc  # noqa: PLC0415  # when needed

    from judge_client import JudgeClientError  # noqa: PLC0415

    try:
        return await client.create_dataset(dataset)
    except JudgeClientError as error:
        if error.code != grpc.StatusCode.ALREADY_EXISTS:
            raise
    return None


async def _send(client: JudgeClient, dataset: str, content: Import, counts: RowCounts) -> int:
    """Upload all rows, prompts first because the others refer to them. Returns the number of rejected rows."""
    from judge.rpc import rows  # noqa: PLC0415  # when needed

    rejected = 0
    if counts.prompts:
        rejected += _report("prompts", await client.upload_prompts(dataset, map(rows.prompt, content.prompts())))
    if counts.outputs:
        rejected += _report("outputs", await client.upload_outputs(dataset, map(rows.output, content.outputs())))
    for source, group in groupby(content.labels(), itemgetter(0)):
        labels = (rows.label(label) for _, label in group)
        rejected += _report(f"labels of {source}", await client.upload_labels(dataset, labels, source=source))
    if counts.verdicts:
        verdicts = map(rows.imported_verdict, content.verdicts())
        rejected += _report("verdicts", await client.upload_verdicts(dataset, verdicts))
    if counts.comparisons:
        listed = map(rows.listed, content.comparisons())
        rejected += _report("comparisons", await client.upload_comparisons(dataset, listed))
    for path in content.battles:
        click.echo(f"{path} was not imported: it holds battles. Rank it with: judge rank {path}", err=True)
    return rejected


@cli.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, help="The dataset to add to. It is created if it is missing.")
@click.option("--format", "name", help="jsonl or fastchat. By default, the format is detected.")
@click.pass_obj
def import_command(service: ServiceTarget, path: Path, dataset: str, name: str | None) -> int:
    """Add the rows of PATH to a dataset.

    PATH is a folder with prompts.jsonl, outputs.jsonl, labels.jsonl, verdicts.jsonl or comparisons.jsonl, one such
    file, or a folder in FastChat's layout. Files may be gzipped.
    """
    from judge.formats import detect  # noqa: PLC0415

    content = detect.read(path, name)

    async def work() -> int:
        async with connected(service) as client:
            return FAILED if await upload(client, dataset, content) else 0

    return run(work())
