"""Streams and lists: pages of at most 1,000 rows, each read in its own transaction, with no open cursor in between."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import run_service_pb2 as pb
from judge.api.v1 import verdict_pb2
from judge.app.judges import ConfiguredJudges
from judge.app.local import running
from judge.engines.local import LocalEngine
from judge.ports.clock import SystemClock
from judge.rpc.server import Server
from judge.store.sql_store import SqlStore
from judge_client import JudgeClient
from support.clocks import QuickClock
from support.demo_data import settings

PROMPTS, CHARACTERS = 1300, 20_000
"""Enough rows, long enough, that no flow-control window of a stream holds them all."""
PLANNED = PROMPTS * 2
MOST = 1000


class PageCountingStore(SqlStore):
    """A store that records how many rows each of its pages had."""

    pages: dict[str, list[int]]

    async def _count_rows(self, name: str, read_page: Callable[..., Any], *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  # whatever a page is
        page = await read_page(*arguments, **options)
        self.pages.setdefault(name, []).append(len(page))
        return page

    async def read_prompts(self, *args: Any) -> Any:  # noqa: ANN401  # as above
        return await self._count_rows("prompts", super().read_prompts, *args)

    async def read_outputs(self, *args: Any) -> Any:  # noqa: ANN401  # as above
        return await self._count_rows("outputs", super().read_outputs, *args)

    async def verdicts(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401  # as above
        return await self._count_rows("verdicts", super().verdicts, *arguments, **options)


async def fill_and_run(client: JudgeClient, characters: int) -> str:
    """Upload PROMPTS prompts of *characters* characters with two outputs each, and return the name of an ended run."""
    await client.create_dataset("d")
    text = "x" * characters
    await client.upload_prompts("d", [ds.Prompt(prompt_id=f"p{n}", turns=[f"{n} {text}"]) for n in range(PROMPTS)])
    outputs = [ds.Output(prompt_id=f"p{n}", contestant=who, turns=[who]) for n in range(PROMPTS) for who in "ab"]
    await client.upload_outputs("d", outputs)
    spec = pb.RunSpec(dataset="datasets/d", judges=["judges/first"])
    return (await client.wait_run((await client.create_run(spec)).name)).name


@pytest.fixture
async def counting_server(tmp_path: Path) -> AsyncIterator[tuple[JudgeClient, PageCountingStore]]:
    """A client of a server over a store that counts the rows of its pages, and that store."""
    clock = SystemClock()
    store = PageCountingStore.open(f"sqlite:///{tmp_path / 'judge.db'}", clock=clock)
    assert isinstance(store, PageCountingStore)
    store.pages = {}
    judges = ConfiguredJudges(settings(), clock)
    engine = LocalEngine(store, judges, QuickClock())
    server = Server(store=store, engine=engine, judges=judges, clock=clock, families={})
    address = await server.start(f"unix:{tmp_path / 'socket'}")
    async with JudgeClient(address) as client:
        yield client, store
    await server.drain()
    await engine.close()
    await server.stop()
    await judges.close()
    await store.close()


async def test_pages_have_at_most_1000_rows(counting_server: tuple[JudgeClient, PageCountingStore]) -> None:
    """Pages of streams and lists have at most 1,000 rows and together contain everything once."""
    client, store = counting_server
    run = await fill_and_run(client, 10)
    store.pages.clear()

    read = [message async for message in client.datasets.ReadDataset(ds.ReadDatasetRequest(name="datasets/d"))]
    streamed = [batch async for batch in client.stream_verdicts(run)]
    first = await client.runs.ListVerdicts(pb.ListVerdictsRequest(parent=run, page_size=5000))

    assert set(store.pages) == {"prompts", "outputs", "verdicts"}
    assert max(store.pages["prompts"] + store.pages["outputs"]) <= MOST
    # A list reads one more row than its page has, to know whether there is another page.
    assert MOST / 2 < max(store.pages["verdicts"]) <= MOST + 1
    assert sum(len(message.prompts) for message in read) == PROMPTS
    assert sum(len(batch.verdicts) for batch in streamed) == PLANNED
    assert len(first.verdicts) == MOST


STREAMS: Mapping[str, Callable[[JudgeClient, str], Any]] = {
    "dataset": lambda client, _: client.datasets.ReadDataset(ds.ReadDatasetRequest(name="datasets/d")),
    "verdicts": lambda client, run: client.runs.StreamVerdicts(
        pb.StreamVerdictsRequest(parent=run, view=verdict_pb2.VERDICT_VIEW_FULL)
    ),
}


async def test_no_cursor_is_open_while_a_stream_waits_for_its_reader(tmp_path: Path) -> None:
    """A reader that stops in the middle of a stream does not keep SQLite from truncating its journal."""
    file = tmp_path / "judge.db"
    checkpoints = {}
    async with (
        running(settings(), store_url=f"sqlite:///{file}", listen=None) as address,
        JudgeClient(address) as client,
    ):
        run = await fill_and_run(client, CHARACTERS)
        for name, begin in STREAMS.items():
            stream = begin(client, run)
            await anext(aiter(stream))
            await client.create_dataset(f"written-{name}")
            with closing(sqlite3.connect(file, timeout=30)) as other:
                checkpoints[name] = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            stream.cancel()

    assert checkpoints == {"dataset": (0, 0, 0), "verdicts": (0, 0, 0)}
