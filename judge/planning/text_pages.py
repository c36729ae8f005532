"""Cut what needs the texts of a dataset into pages whose texts fit into memory together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Final, TypeVar

from judge.ports.store import DatasetStore

T = TypeVar("T")
TEXT_CHARS: Final = 16 * 1024 * 1024
"""The most characters that the texts of a page have, unless a single item has more."""
SIZES = 1000
"""Items whose sizes are read together."""


async def text_pages(
    store: DatasetStore,
    items: Sequence[T],
    prompts_of: Callable[[T], Iterable[int]],
    outputs_of: Callable[[T], Iterable[int]],
    *,
    rows: int = SIZES,
    chars: int = TEXT_CHARS,
) -> AsyncIterator[list[T]]:
    """Yield *items* in order, in pages of at most *rows* items and *chars* characters, but of one item at least.

    *prompts_of* and *outputs_of* return the rows of the texts that an item needs. A text that several items need counts
    for each of them.
    """
    page: list[T] = []
    total = 0
    for begin in range(0, len(items), SIZES):
        some = items[begin : begin + SIZES]
        prompts, outputs = await store.text_sizes(
            {row for item in some for row in prompts_of(item)}, {row for item in some for row in outputs_of(item)}
        )
        for item in some:
            size = sum(prompts[row] for row in prompts_of(item)) + sum(outputs[row] for row in outputs_of(item))
            if page and (len(page) == rows or total + size > chars):
                yield page
                page, total = [], 0
            page.append(item)
            total += size
    if page:
        yield page
