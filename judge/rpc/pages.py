"""Pages and batches of rows, which end by bytes as well as by rows, so that each fits into a message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar

from google.protobuf.message import Message

PAGE_BYTES: Final = 1024 * 1024
"""The most bytes in a page or a batch, unless a single row is larger."""
ROW_BYTES: Final = 8 * 1024 * 1024
"""The most bytes in a row that is put together from several stored texts, which may be cut."""
_CUT: Final = " [...]"
M = TypeVar("M", bound=Message)


def batches(rows: Iterable[M], most: int = PAGE_BYTES) -> Iterator[list[M]]:
    """Yield lists of at most *most* bytes. No list is empty, and *rows* are read lazily."""
    batch: list[M] = []
    total = 0
    for row in rows:
        size = row.ByteSize()
        if batch and total + size > most:
            yield batch
            batch, total = [], 0
        batch.append(row)
        total += size
    if batch:
        yield batch


def first_page(rows: Iterable[M]) -> list[M]:
    """Return the first of `batches`, without reading further *rows*."""
    return next(batches(rows), [])


def cut_texts(row: Message, most: int = ROW_BYTES) -> None:
    """Cut the longest texts in *row*, if it has more than *most* bytes, until it has not. Lists are not cut."""
    n_chars = most
    while row.ByteSize() > most and n_chars > len(_CUT):
        n_chars //= 2
        _cut(row, n_chars)


def _cut(row: Message, n_chars: int) -> None:
    """Cut each text in *row* that is longer than *n_chars* characters."""
    for field, value in row.ListFields():
        if field.message_type is not None:
            for each in value if field.is_repeated else (value,):
                _cut(each, n_chars)
        elif isinstance(value, str) and len(value) > n_chars:
            setattr(row, field.name, value[: n_chars - len(_CUT)] + _CUT)
        elif field.is_repeated and field.type == field.TYPE_STRING:
            texts: Any = value
            texts[:] = [text[: n_chars - len(_CUT)] + _CUT if len(text) > n_chars else text for text in texts]
