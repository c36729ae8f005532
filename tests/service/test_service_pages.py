"""Streams and lists: pages of at most 1,000 rows, each a transaction of its own, and nothing open in between."""

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
"""So many rows, each so long, that no window of a stream holds them all."""
PLANNED = PROMPTS * 2
MOST = 1000


class Remembering(SqlStore):
    """A store that remembers how many rows each of its pages had."""

    pages: dict[str, list[int]]

    async def _remembered(self, name: str, asked: Callable[..., Any], *args: Any, **said: Any) -> Any:  # noqa: ANN401  # whatever a page is
        page = await asked(*args, **said)
        self.pages.setdefault(name, []).append(len(page))
        return page

    async def read_prompts(self, *args: Any) -> Any:  # noqa: ANN401  # as above
        return await self._remembered("prompts", super().read_prompts, *args)

    async def read_outputs(self, *args: Any) -> Any:  # noqa: ANN401  # as above
        return await self._remembered("outputs", super().read_outputs, *args)

    async def verdicts(self, *args: Any, **said: Any) -> Any:  # noqa: ANN401  # as above
        return await self._remembered("verdicts", super().verdicts, *args, **said)


async def filled(client: JudgeClient, characters: int) -> str:
    """Upload PROMPTS prompts of so many *characters*, answered by two; a run over them, ended."""
    await client.create_dataset("d")
    text = "x" * characters
    await client.upload_prompts("d", [ds.Prompt(prompt_id=f"p{n}", turns=[f"{n} {text}"]) for n in range(PROMPTS)])
    outputs = [ds.Output(prompt_id=f"p{n}", contestant=who, turns=[who]) for n in range(PROMPTS) for who in "ab"]
    await client.upload_outputs("d", outputs)
    spec = pb.RunSpec(dataset="datasets/d", judges=["judges/first"])
    return (await client.wait_run((await client.create_run(spec)).name)).name


@pytest.fixture
async def remembered(tmp_path: Path) -> AsyncIterator[tuple[JudgeClient, Remembering]]:
    """A client of a server over a store that remembers."""
    clock = SystemClock()
    store = Remembering.open(f"sqlite:///{tmp_path / 'judge.db'}", clock=clock)
    assert isinstance(store, Remembering)
    store.pages = {}
    judges = ConfiguredJudges(settings(), clock)
    engine = LocalEngine(store, judges, QuickClock())
    server = Server(store, engine, judges, clock, {})
    address = await server.start(f"unix:{tmp_path / 'socket'}")
    async with JudgeClient(address) as client:
        yield client, store
    await server.drain()
    await engine.close()
    await server.stop()
    await judges.close()
    await store.close()


async def test_pages_have_at_most_1000_rows(remembered: tuple[JudgeClient, Remembering]) -> None:
    """Of whatever is streamed or listed; together they are everything, once."""
    client, store = remembered
    run = await filled(client, 10)
    store.pages.clear()

    read = [message async for message in client.datasets.ReadDataset(ds.ReadDatasetRequest(name="datasets/d"))]
    streamed = [batch async for batch in client.stream_verdicts(run)]
    first = await client.runs.ListVerdicts(pb.ListVerdictsRequest(parent=run, page_size=5000))

    assert set(store.pages) == {"prompts", "outputs", "verdicts"}
    assert max(store.pages["prompts"] + store.pages["outputs"]) <= MOST
    # One more row than a list's page tells whether there is another page.
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
    """A reader that stops in the middle keeps no journal from being folded away, however much is written meanwhile."""
    file = tmp_path / "judge.db"
    emptied = {}
    async with (
        running(settings(), store_url=f"sqlite:///{file}", listen=None) as address,
        JudgeClient(address) as client,
    ):
        run = await filled(client, CHARACTERS)
        for name, begin in STREAMS.items():
            stream = begin(client, run)
            await anext(aiter(stream))
            await client.create_dataset(f"written-{name}")
            with closing(sqlite3.connect(file, timeout=30)) as other:
                emptied[name] = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            stream.cancel()

    assert emptied == {"dataset": (0, 0, 0), "verdicts": (0, 0, 0)}
