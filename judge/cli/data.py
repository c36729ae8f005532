"""`judge import`."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Mapping
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import TYPE_CHECKING

import click

from judge.cli.connect import ServiceTarget, connected, run
from judge.cli.group import FAILED, cli
from judge.cli.import_account import FileAccount, NameNotes, name_notes, print_preview
from judge.cli.import_rows import send_rows
from judge.cli.run_progress import PARTIAL

if TYPE_CHECKING:
    from judge.api.v1.dataset_service_pb2 import Dataset
    from judge.formats.importing import FileCounts, Import
    from judge_client import JudgeClient

MOST_LISTED = 20
"""How many problems a strict import prints."""


async def upload(
    client: JudgeClient, dataset: str, content: Import, *, replace: bool = False, strict: bool = False
) -> int:
    """Upload all rows of *content* to *dataset*, and create it if it is missing. Returns the exit code.

    All files are read once before anything is created or sent, so a damaged file leaves nothing behind. Wrong rows are
    named and left out; if *strict*, they are named and nothing is sent. A dataset that was created here is deleted
    again if no row was accepted.

    Raises:
        InvalidInput: a file cannot be read, there is no row, or, if *strict*, a row is wrong or has an unknown name.
        JudgeClientError: the service refused a call.

    """
    from judge.domain.errors import InvalidInput  # noqa: PLC0415  # when needed
    from judge.formats.importing import count  # noqa: PLC0415
    from judge_client import JudgeClientError  # noqa: PLC0415

    counts = {file.name: count(file) for file in content.files}
    if not any(each.items for each in counts.values()):
        problem = next((str(error.message) for each in counts.values() for error in each.wrong), "the files are empty")
        raise InvalidInput("path", f"there is no row to import: {problem}", reason="NO_ROWS")
    notes = await name_notes(client, await _unless("NOT_FOUND", client.get_dataset(dataset)), content, counts)
    if strict:
        _check(content, counts, notes)
    created = await _unless("ALREADY_EXISTS", client.create_dataset(dataset))
    try:
        accounts = await _send(client, dataset, content, counts, notes, replace=replace)
    finally:
        if created:
            with contextlib.suppress(JudgeClientError):
                if (await client.get_dataset(dataset)).revision == created.revision:
                    await client.delete_dataset(dataset)
    for account in accounts:
        account.print()
    for note in notes.overall:
        click.echo(f"Warning: {note}.", err=True)
    if not any(account.accepted for account in accounts):
        return FAILED
    return PARTIAL if any(account.rejected for account in accounts) else 0


def _check(content: Import, counts: Mapping[str, FileCounts], notes: NameNotes) -> None:
    """Raise InvalidInput if a row is wrong, names what is not there, or if a file is left out that holds something."""
    from judge.domain.errors import InvalidInput  # noqa: PLC0415  # when needed

    lost = [entry for entry in content.left_out if entry.loses]
    problems = [str(error.message) for each in counts.values() for error in each.wrong]
    problems += [f"{name}: {note}" for name, file_notes in notes.by_file.items() for note in file_notes]
    problems += [f"{entry.name} would be left out: {entry.why}" for entry in lost]
    if problems:
        n_more = sum(each.n_wrong - len(each.wrong) for each in counts.values())
        listed = "".join(f"\n  {problem}" for problem in problems[:MOST_LISTED])
        message = f"nothing was imported, because of {len(problems) + n_more:,} problems:{listed}"
        raise InvalidInput("path", message, reason="STRICT")


async def _unless(code: str, call: Awaitable[Dataset]) -> Dataset | None:
    """Return the dataset that *call* returns; None if the service answers with the status *code*."""
    from judge_client import JudgeClientError  # noqa: PLC0415  # when needed

    try:
        return await call
    except JudgeClientError as error:
        if error.code.name != code:
            raise
    return None


async def _send(
    client: JudgeClient,
    dataset: str,
    content: Import,
    counts: Mapping[str, FileCounts],
    notes: NameNotes,
    *,
    replace: bool,
) -> list[FileAccount]:
    """Upload all rows by kind and file, and return the account of each file."""
    from judge.formats.importing import KINDS  # noqa: PLC0415  # when needed

    accounts = {file.name: FileAccount.of(file, counts[file.name], notes.by_file[file.name]) for file in content.files}
    for kind in KINDS:
        for file in content.files:
            if counts[file.name].items[kind]:
                await send_rows(client, dataset, file, kind, accounts[file.name], replace=replace)
    return list(accounts.values())


def _pairs(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, str]]:
    """Split each value at its first equals sign. Raises BadParameter if a part is missing."""
    pairs = []
    for value in values:
        first, equals, second = value.partition("=")
        if not (first and equals and second):
            raise click.BadParameter(f"{value!r} is not {parameter.metavar}")
        pairs.append((first, second))
    return pairs


@cli.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dataset", default="", help="The dataset to add to. It is created if it is missing.")
@click.option("--format", "name", help="The format, if the one that is recognized is not it.")
@click.option(
    "--map",
    "columns",
    multiple=True,
    metavar="TARGET=COLUMN",
    callback=_pairs,
    help="Which column of any table is what, such as left=response1; annotator==gpt-5 is a constant. Repeatable.",
)
@click.option(
    "--word",
    "outcomes",
    multiple=True,
    metavar="WORD=OUTCOME",
    callback=_pairs,
    help="With --map: what a word of the outcome's column means, such as same=tie. Repeatable.",
)
@click.option(
    "--preview", is_flag=True, help="Print the first five rows of each file as they would be taken, and stop."
)
@click.option("--reference", help="The contestant that others were compared with, if the files do not name it.")
@click.option("--replace", is_flag=True, help="Let rows replace those that are there under the same id.")
@click.option("--strict", is_flag=True, help="Import nothing if a row is wrong or a file is left out.")
@click.option("--skip-unknown", is_flag=True, help="Exit with 0 even if files in no known format are left out.")
@click.pass_obj
def import_command(
    service: ServiceTarget,
    path: Path,
    dataset: str,
    name: str | None,
    columns: list[tuple[str, str]],
    outcomes: list[tuple[str, str]],
    reference: str | None,
    *,
    preview: bool,
    replace: bool,
    strict: bool,
    skip_unknown: bool,
) -> int:
    """Add the rows of PATH to a dataset.

    PATH is a file or a folder: prompts, outputs, labels, verdicts, or comparisons of ours, or files of other tools, as
    listed in docs/formats.md. They may be JSON lines, JSON arrays, CSV, TSV, or Parquet, also packed with gzip or zstd.
    A file is what its rows say.

    A line for each file says how many rows were added or rejected. The exit code is 3 if a row was rejected or a file
    was left out.
    """
    from judge.formats import detect  # noqa: PLC0415
    from judge.formats.mapped import mapping_of  # noqa: PLC0415

    if not (dataset or preview):
        raise click.UsageError("name the dataset with --dataset, or use --preview")
    if outcomes and not columns:
        raise click.UsageError("--word is for a table that --map describes")
    content = detect.read(path, name, mapping_of(columns, outcomes) if columns else None, reference)
    if preview:
        print_preview(content)
        return 0
    if skip_unknown:
        content = replace_fields(content, left_out=tuple(replace_fields(e, loses=False) for e in content.left_out))

    async def work() -> int:
        async with connected(service) as client:
            return await upload(client, dataset, content, replace=replace, strict=strict)

    code = run(work())
    for file in content.files:
        if file.format.note:
            click.echo(f"{file.name}: {file.format.note}", err=True)
    for entry in content.left_out:
        click.echo(f"{entry.name}: left out: {entry.why}", err=True)
    return code or (PARTIAL if any(entry.loses for entry in content.left_out) else 0)
