"""`judge import`."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from judge.cli.connect import ServiceTarget, connected, run
from judge.cli.group import FAILED, cli
from judge.cli.run_progress import PARTIAL

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from judge.api.v1.dataset_service_pb2 import Dataset, UploadSummary
    from judge.formats.importing import FileCounts, Import, ImportedFile
    from judge_client import JudgeClient

SHOWN = 5
"""How many rejected rows of a file are printed."""
KINDS = ("prompts", "outputs", "labels", "verdicts", "comparisons")
"""The kinds of rows, in the order in which they are uploaded: later ones refer to earlier ones."""


@dataclass
class FileAccount:
    """How many rows of a file were added or rejected."""

    name: str
    rejected: int
    problems: list[str]
    done: dict[str, Counter[str]] = field(default_factory=dict)
    """By kind of row, how many were added, replaced, and there already."""

    def add(self, kind: str, summary: UploadSummary, places: dict[tuple[int, int], str]) -> None:
        """Add what an upload of rows of this *kind* did; *places* are those of the rejected rows, by batch and row."""
        counts = {"added": summary.accepted, "replaced": summary.replaced, "already there": summary.duplicates}
        self.done.setdefault(kind, Counter()).update(counts)
        self.rejected += summary.rejected
        for row in summary.rejections[: max(SHOWN - len(self.problems), 0)]:
            self.problems.append(f"{places.get((row.batch, row.row), row.field)}: {row.message}")

    @property
    def accepted(self) -> int:
        """The number of rows that are in the dataset now."""
        return sum(counts.total() for counts in self.done.values())

    def print(self) -> None:
        """Print the file's line on stderr, and the first rejected rows."""
        parts = []
        for kind, counts in self.done.items():
            words = [f"{count:,} {word}" for word, count in counts.items() if count]
            parts.append(f"{kind}: {', '.join(words) or 'none added'}")
        if self.rejected:
            parts.append(f"{self.rejected:,} rejected")
        click.echo(f"{self.name}: {'; '.join(parts) or 'empty'}", err=True)
        for problem in self.problems:
            click.echo(f"  {problem}", err=True)
        if self.rejected > len(self.problems):
            click.echo(f"  and {self.rejected - len(self.problems):,} more", err=True)


async def upload(client: JudgeClient, dataset: str, content: Import, *, replace: bool = False) -> int:
    """Upload all rows of *content* to *dataset*, and create it if it is missing. Returns the exit code.

    All files are read once before anything is created or sent, so a damaged file leaves nothing behind. Wrong rows are
    named and left out. A dataset that was created here is deleted again if no row was accepted.

    Raises:
        InvalidInput: a file cannot be read, or there is no row.
        JudgeClientError: the service refused a call.

    """
    from judge.domain.errors import InvalidInput  # noqa: PLC0415  # when needed
    from judge.formats.importing import count  # noqa: PLC0415
    from judge_client import JudgeClientError  # noqa: PLC0415

    counts = {file.name: count(file) for file in content.files}
    if not any(each.items for each in counts.values()):
        problem = next((str(error.message) for each in counts.values() for error in each.wrong), "the files are empty")
        raise InvalidInput("path", f"there is no row to import: {problem}", reason="NO_ROWS")
    created = await _create(client, dataset)
    try:
        accounts = await _send(client, dataset, content, counts, replace=replace)
    finally:
        if created:
            with contextlib.suppress(JudgeClientError):
                if (await client.get_dataset(dataset)).revision == created.revision:
                    await client.delete_dataset(dataset)
    for account in accounts:
        account.print()
    if not any(account.accepted for account in accounts):
        return FAILED
    return PARTIAL if any(account.rejected for account in accounts) else 0


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


async def _send(
    client: JudgeClient, dataset: str, content: Import, counts: dict[str, FileCounts], *, replace: bool
) -> list[FileAccount]:
    """Upload all rows by kind and file, and return the account of each file."""
    accounts = {
        file.name: FileAccount(
            file.name,
            counts[file.name].n_wrong,
            [_problem(error).removeprefix(f"{file.path} ") for error in counts[file.name].wrong],
        )
        for file in content.files
    }
    for kind in KINDS:
        for file in content.files:
            if counts[file.name].items[kind]:
                for source in _sources(file) if kind == "labels" else ("",):
                    await _send_part(client, dataset, file, kind, source, accounts[file.name], replace=replace)
    return list(accounts.values())


def _problem(error: Exception) -> str:
    return str(getattr(error, "message", error))


def _sources(file: ImportedFile) -> list[str]:
    return list(dict.fromkeys(source for source, _ in file.labels(lambda _: None)))


async def _send_part(
    client: JudgeClient,
    dataset: str,
    file: ImportedFile,
    kind: str,
    source: str,
    account: FileAccount,
    *,
    replace: bool,
) -> None:
    """Upload the rows of a file of one kind and, of labels, of one source."""
    upload_rows = getattr(client, f"upload_{kind}")
    options: dict[str, Any] = {"source": source} if kind == "labels" else {}
    rows = (message for _, message in _placed(file, kind, source))
    summary = await upload_rows(dataset, rows, replace=replace, **options)
    places = await _places(file, kind, source, summary) if summary.rejections else {}
    account.add(kind, summary, places)


def _placed(file: ImportedFile, kind: str, source: str) -> Iterator[tuple[str, Message]]:
    """Yield the rows of a file of one kind as messages, each with its place. Wrong rows are counted already."""
    from judge.domain.dataset import Label  # noqa: PLC0415  # when needed
    from judge.formats.importing import KINDS as TYPES  # noqa: PLC0415
    from judge.formats.importing import SourcedLabel  # noqa: PLC0415
    from judge.rpc import rows  # noqa: PLC0415

    converted = {
        "prompts": rows.prompt,
        "outputs": rows.output,
        "labels": rows.label,
        "verdicts": rows.imported_verdict,
        "comparisons": rows.listed,
    }[kind]
    for place, item in file.placed_items(lambda _: None):
        if isinstance(item, SourcedLabel):
            if kind == "labels" and item.source == source:
                yield place, rows.label(item.label)
        elif isinstance(item, TYPES[kind]) and (not isinstance(item, Label) or source == file.name):
            yield place, converted(item)  # type: ignore[operator]  # the function of the item's type


async def _places(file: ImportedFile, kind: str, source: str, summary: UploadSummary) -> dict[tuple[int, int], str]:
    """Return the places of the first rejected rows, by batch and row: the file is read again in the same batches."""
    from judge_client.batches import batches  # noqa: PLC0415  # when needed

    wanted = [(row.batch, row.row) for row in summary.rejections[:SHOWN]]
    places: list[str] = []

    def messages() -> Iterator[Message]:
        for place, message in _placed(file, kind, source):
            places.append(place)
            yield message

    by_row, start, number = {}, 0, 0
    async for batch in batches(messages()):
        for key in (key for key in wanted if key[0] == number):
            by_row[key] = places[start + key[1]]
        start, number = start + len(batch), number + 1
        if number > wanted[-1][0]:
            break
    return by_row


@cli.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, help="The dataset to add to. It is created if it is missing.")
@click.option("--format", "name", help="The format, if the one that is recognized is not it.")
@click.option("--replace", is_flag=True, help="Let rows replace those that are there under the same id.")
@click.option("--strict", is_flag=True, help="Import nothing if a row is wrong or a file is left out.")
@click.option("--skip-unknown", is_flag=True, help="Exit with 0 even if files in no known format are left out.")
@click.pass_obj
def import_command(
    service: ServiceTarget,
    path: Path,
    dataset: str,
    name: str | None,
    *,
    replace: bool,
    strict: bool,
    skip_unknown: bool,
) -> int:
    """Add the rows of PATH to a dataset.

    PATH is a file or a folder: prompts, outputs, labels, verdicts, or comparisons of ours, or files of FastChat. They
    may be JSON lines, JSON arrays, CSV, TSV, or Parquet, also packed with gzip or zstd. A file is what its rows say.

    A line for each file says how many rows were added or rejected. The exit code is 3 if a row was rejected or a file
    was left out.
    """
    from judge.formats import detect  # noqa: PLC0415

    content = detect.read(path, name)
    lost = [entry for entry in content.left_out if entry.loses and not skip_unknown]
    if strict:
        _check(content, lost)

    async def work() -> int:
        async with connected(service) as client:
            return await upload(client, dataset, content, replace=replace)

    code = run(work())
    for entry in content.left_out:
        click.echo(f"{entry.name}: left out: {entry.why}", err=True)
    return code or (PARTIAL if lost else 0)


def _check(content: Import, lost: list[Any]) -> None:
    """Raise InvalidInput if a row of *content* is wrong, or if files are *lost*."""
    from judge.domain.errors import InvalidInput  # noqa: PLC0415  # when needed
    from judge.formats.importing import count  # noqa: PLC0415

    counts = [count(file) for file in content.files]
    problems = [_problem(error) for each in counts for error in each.wrong]
    problems += [f"{entry.name} would be left out: {entry.why}" for entry in lost]
    n_problems = sum(each.n_wrong for each in counts) + len(lost)
    if problems:
        listed = "".join(f"\n  {problem}" for problem in islice(problems, 20))
        message = f"nothing was imported, because of {n_problems:,} problems:{listed}"
        raise InvalidInput("path", message, reason="STRICT")
