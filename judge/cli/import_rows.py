"""Upload the rows of a file in one pass, in batches that are kept apart by the source of their labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from judge.cli.import_account import FileAccount
    from judge.formats.importing import ImportedFile
    from judge_client import JudgeClient

MOST_HELD = 16 * 1024 * 1024
"""The most bytes of rows that are held while the batches of all sources fill."""


class _PlacedRow(NamedTuple):
    place: str
    source: str
    message: Message


@dataclass
class _Batch:
    """Rows of one source, with their places in the file."""

    source: str
    places: list[str] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    size: int = 0


async def send_rows(
    client: JudgeClient, dataset: str, file: ImportedFile, kind: str, account: FileAccount, *, replace: bool
) -> None:
    """Upload the rows of a file of one kind and add the results to its *account*.

    The file is read once, however many sources its labels name, and no more than MOST_HELD bytes are held.
    Raises JudgeClientError if the service refuses a call.
    """
    upload_rows = getattr(client, f"upload_{kind}")
    for batch in _batches(_placed(file, kind)):
        options: dict[str, Any] = {"source": batch.source} if kind == "labels" else {}
        summary = await upload_rows(dataset, batch.messages, replace=replace, **options)
        places = {(row.batch, row.row): batch.places[row.row] for row in summary.rejections}
        account.add(kind, summary, places)


def _batches(rows: Iterator[_PlacedRow]) -> Iterator[_Batch]:
    """Yield the rows in batches of one source, each of which is one message."""
    from judge_client.batches import BATCH_BYTES, BATCH_ROWS, FRAME  # noqa: PLC0415  # when needed

    held: dict[str, _Batch] = {}
    total = 0
    for place, source, message in rows:
        size = message.ByteSize() + FRAME
        batch = held.get(source)
        if batch and (len(batch.messages) == BATCH_ROWS or batch.size + size >= BATCH_BYTES):
            total -= batch.size
            yield held.pop(source)
            batch = None
        if total + size > MOST_HELD:
            yield from held.values()
            held, total, batch = {}, 0, None
        if batch is None:
            batch = held[source] = _Batch(source)
        batch.places.append(place)
        batch.messages.append(message)
        batch.size += size
        total += size
    yield from held.values()


def _placed(file: ImportedFile, kind: str) -> Iterator[_PlacedRow]:
    """Yield the rows of a file of one kind as messages. Wrong rows are counted already."""
    from judge.formats.importing import KINDS, SourcedLabel  # noqa: PLC0415  # when needed
    from judge.rpc import rows  # noqa: PLC0415

    encode: Any = {
        "prompts": rows.prompt,
        "outputs": rows.output,
        "labels": rows.label,
        "verdicts": rows.imported_verdict,
        "comparisons": rows.listed,
    }[kind]
    for place, item in file.placed_items(lambda _: None):
        source, plain = item if isinstance(item, SourcedLabel) else (file.name, item)
        if isinstance(plain, KINDS[kind]):
            yield _PlacedRow(place, source, encode(plain))
