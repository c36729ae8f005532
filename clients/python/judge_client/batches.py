"""Split rows into batches of at most 1,000 rows and less than 3.5 MiB, unless a single row is larger."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import TypeVar

from google.protobuf.message import Message

BATCH_ROWS = 1000
BATCH_BYTES = 3 * 1024 * 1024 + 512 * 1024
FRAME = 8
"""The most bytes that a batch adds to the size of a row."""
M = TypeVar("M", bound=Message)
T = TypeVar("T")


async def each(rows: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Yield the rows of an iterable or an async iterable."""
    if isinstance(rows, AsyncIterable):
        async for row in rows:
            yield row
    else:
        for row in rows:
            yield row


async def batches(
    rows: Iterable[M] | AsyncIterable[M], *, most: int = BATCH_ROWS, size: int = BATCH_BYTES
) -> AsyncIterator[list[M]]:
    """Yield lists of at most *most* rows and less than *size* bytes. No list is empty, and rows are read lazily."""
    batch: list[M] = []
    total = 0
    async for row in each(rows):
        weight = row.ByteSize() + FRAME
        if batch and (len(batch) == most or total + weight >= size):
            yield batch
            batch, total = [], 0
        batch.append(row)
        total += weight
    if batch:
        yield batch
