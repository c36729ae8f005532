"""What an import says: a line for each file, wrong rows, and names that are not known or look alike."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import TYPE_CHECKING

import click

from judge.cli.tables import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from judge.api.v1.dataset_service_pb2 import Dataset, UploadSummary
    from judge.formats.importing import FileCounts, Import, ImportedFile, Item
    from judge_client import JudgeClient

SHOWN = 5
"""How many rejected rows of a file are printed, and how many rows a preview shows."""
LONGEST_LINE = 240
"""The longest line of a preview."""


@dataclass
class FileAccount:
    """How many rows of a file were added or rejected."""

    name: str
    rejected: int
    problems: list[str]
    notes: list[str]
    row_notes: Mapping[str, int] = field(default_factory=dict)
    """What to say about rows that are not wrong, and about how many of them."""
    done: dict[str, Counter[str]] = field(default_factory=dict)
    """By kind of row, how many were added, replaced, and there already."""

    @staticmethod
    def of(file: ImportedFile, counts: FileCounts, notes: list[str]) -> FileAccount:
        """Begin the account of a file with the rows that are wrong in themselves."""
        problems = [str(error.message).removeprefix(f"{file.path} ") for error in counts.wrong]
        return FileAccount(
            name=file.name, rejected=counts.n_wrong, problems=problems, notes=notes, row_notes=counts.notes
        )

    def add(self, kind: str, summary: UploadSummary, places: Mapping[tuple[int, int], str]) -> None:
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
        """Print the file's line on stderr, the first rejected rows, and the notes."""
        parts = []
        for kind, counts in self.done.items():
            words = [f"{count:,} {word}" for word, count in counts.items() if count]
            parts.append(f"{kind}: {', '.join(words) or 'none added'}")
        if self.rejected:
            parts.append(f"{self.rejected:,} rejected")
        click.echo(f"{self.name}: {'; '.join(parts) or ('nothing to add' if self.row_notes else 'empty')}", err=True)
        for note, count in self.row_notes.items():
            click.echo(f"  {count:,} {'row' if count == 1 else 'rows'} {note}", err=True)
        for problem in self.problems:
            click.echo(f"  {problem}", err=True)
        if self.rejected > len(self.problems):
            click.echo(f"  and {self.rejected - len(self.problems):,} more", err=True)
        for note in self.notes:
            click.echo(f"  Warning: {note}.", err=True)


@dataclass(frozen=True)
class NameNotes:
    """Notes on names: by file, those that are not known; and other notes on all files together."""

    by_file: Mapping[str, list[str]]
    overall: list[str]


async def name_notes(
    client: JudgeClient, dataset: Dataset | None, content: Import, counts: Mapping[str, FileCounts]
) -> NameNotes:
    """Compare the names that labels and verdicts use with those of the prompts and outputs here and in the dataset."""
    from judge.formats.names import NamesUsed, alike, unknown  # noqa: PLC0415  # when needed

    names = NamesUsed()
    for each in counts.values():
        names.update(each.names)
    contestants = names.contestants | {each.contestant for each in (dataset.contestants if dataset else ())}
    prompts = names.prompts
    if dataset is not None and dataset.prompts and not names.named_prompts.keys() <= prompts:
        prompts = prompts | await _prompt_ids(client, dataset.name)
    by_file = {
        file.name: [
            note
            for note in (
                unknown(counts[file.name].names.named_prompts, prompts, "prompts") if prompts else "",
                unknown(counts[file.name].names.named_contestants, contestants, "contestants") if contestants else "",
            )
            if note
        ]
        for file in content.files
    }
    overall = list(alike({*contestants, *names.named_contestants}))
    if names.named_prompts and not (prompts or contestants):
        declared = " and ".join(
            (counted(len(names.named_prompts), "prompt"), counted(len(names.named_contestants), "contestant"))
        )
        overall.append(
            f"there are no prompts and no outputs: the labels and verdicts declare {declared}, which can be ranked, "
            "but not judged"
        )
    return NameNotes(by_file, overall)


async def _prompt_ids(client: JudgeClient, dataset: str) -> set[str]:
    from judge.api.v1 import dataset_service_pb2 as pb  # noqa: PLC0415  # grpc's messages when needed

    ids: set[str] = set()
    async for batch in client.read_dataset(dataset, [pb.DATASET_PART_PROMPTS]):
        ids.update(prompt.prompt_id for prompt in batch.prompts)
    return ids


def print_preview(content: Import) -> None:
    """Print the items of the first rows of each file, as `judge export` would write them, and what is left out."""
    for file in content.files:
        click.echo(f"{file.name}: {file.format.name}")
        _print_rows(file)
    for entry in content.left_out:
        click.echo(f"{entry.name}: left out: {entry.why}")


def _print_rows(file: ImportedFile) -> None:
    wrong: list[str] = []
    places: set[str] = set()
    for place, item in file.placed_items(lambda error: wrong.append(str(error.message))):
        places.add(place)
        if len(places) + len(wrong) > SHOWN:
            break
        line = f"  {place}: {json.dumps(_as_row(item), ensure_ascii=False)}"
        click.echo(line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}...")
    for problem in wrong[:SHOWN]:
        click.echo(f"  wrong: {problem.removeprefix(f'{file.path} ')}")


def _as_row(item: Item) -> dict[str, object]:
    """Return an item as a row with its kind, without what has its default."""
    from judge.domain.dataset import Output, Prompt  # noqa: PLC0415  # when needed
    from judge.formats.importing import KINDS, RowNote, SourcedLabel  # noqa: PLC0415
    from judge.formats.message_rows import turn_fields  # noqa: PLC0415
    from judge.formats.words import word  # noqa: PLC0415

    if isinstance(item, RowNote):
        return {"as": "note", "text": item.text}
    plain = item.label if isinstance(item, SourcedLabel) else item
    kind = next(name for name, type_ in KINDS.items() if isinstance(plain, type_))
    row: dict[str, object] = {"as": kind.removesuffix("s")}
    row |= {each.name: getattr(plain, each.name) for each in fields(plain) if getattr(plain, each.name) != each.default}
    if isinstance(plain, Prompt | Output):
        del row["turns"]
        row |= turn_fields(plain.turns)
    return {name: word(value) if isinstance(value, IntEnum) else value for name, value in row.items()}
