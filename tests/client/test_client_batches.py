"""Batches of rows: their limits, and that rows are read lazily."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from judge.api.v1.dataset_service_pb2 import Prompt
from judge_client.batches import BATCH_BYTES, batches


async def test_client_batches_hold_at_most_a_thousand_rows() -> None:
    """2,500 small rows make three batches, in order."""
    rows = [Prompt(prompt_id=str(i)) for i in range(2500)]

    got = [batch async for batch in batches(rows)]

    assert [len(batch) for batch in got] == [1000, 1000, 500]
    assert [row for batch in got for row in batch] == rows


async def test_client_batches_stay_under_the_byte_limit() -> None:
    """A batch holds three rows of 1 MiB and stays below 3.5 MiB."""
    rows = [Prompt(prompt_id=str(i), turns=["x" * 1024 * 1024]) for i in range(7)]

    got = [batch async for batch in batches(rows)]

    assert [len(batch) for batch in got] == [3, 3, 1]
    assert all(sum(row.ByteSize() for row in batch) < BATCH_BYTES for batch in got)


async def test_client_batches_read_rows_only_as_they_go_out() -> None:
    """The first batch is complete before the rows of the second are read."""
    taken = []

    def rows() -> Iterator[Prompt]:
        for i in range(5000):
            taken.append(i)
            yield Prompt(prompt_id=str(i))

    first = await anext(batches(rows()))

    assert len(first) == 1000
    assert len(taken) == 1001


async def test_client_batches_take_async_rows_and_no_rows() -> None:
    """Async iterables are accepted, and no rows make no batches."""

    async def rows() -> AsyncIterator[Prompt]:
        yield Prompt(prompt_id="a")

    assert [[Prompt(prompt_id="a")]] == [batch async for batch in batches(rows())]
    no_rows: list[Prompt] = []
    assert [batch async for batch in batches(no_rows)] == []
