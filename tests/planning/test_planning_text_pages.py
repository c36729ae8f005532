"""What needs texts is cut into pages by their size, so that rows of the largest legal size fit into memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator

import pytest

from judge.domain.dataset import Output, Prompt
from judge.domain.judge import JudgeDefinition, Rubric
from judge.domain.messages import turn_texts
from judge.domain.names import TEXT_BYTES
from judge.domain.run import Pairing, RunSpec
from judge.execution.work_items import Keys
from judge.planning.inputs import build_plan
from judge.planning.plan import Plan
from judge.planning.text_pages import TEXT_CHARS, text_pages
from judge.runs.plan_keys import plan_keys
from judge.store.sql_store import SqlStore
from support.clocks import StillClock
from support.scene import TENANT

PROMPTS, TURNS = 16, 3
JUDGE = JudgeDefinition(name="j", backend="openai", rubric=Rubric("brackets", ()), parser="brackets", model="m")
MOST = 6 * TEXT_CHARS
"""Bytes: a page is in memory as rows of the store, as JSON and as texts, and the page before it as texts."""


@pytest.fixture
async def large() -> AsyncIterator[tuple[SqlStore, Plan]]:
    """A dataset with 16 prompts and 32 outputs of the largest size, 144 MB together, and a plan over it."""
    store = SqlStore.open("sqlite://", clock=StillClock())
    await store.create_dataset(TENANT, "d")
    revision = 0
    for n in range(PROMPTS):
        texts = tuple(f"{n} {turn} ".ljust(TEXT_BYTES - 100, "x") for turn in range(TURNS))
        await store.add_prompts(TENANT, "d", [Prompt(f"p{n}", texts)], replace=False)
        for who in "ab":
            output = Output(f"p{n}", who, tuple(who + text for text in texts))
            result = await store.add_outputs(TENANT, "d", [output], replace=False)
            revision = result.revision
    yield store, await build_plan(store, TENANT, RunSpec("d", ("j",), Pairing()), revision)
    await store.close()


async def test_a_shard_of_the_largest_presentations_is_loaded_in_pages(large: tuple[SqlStore, Plan]) -> None:
    """All of them once, in the order of the plan, and never in memory together."""
    store, plan = large
    keys = Keys(store=store, tenant=TENANT, definition=JUDGE, cache_tag="")
    items = plan.items(range(plan.per_judge))
    positions: list[int] = []

    tracemalloc.start()
    async for page in keys.pages(items):
        positions += [work.item.position for work in page if work.item]
        assert sum(sum(map(len, turn_texts(work.shown.prompt))) for work in page) <= TEXT_CHARS
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert positions == list(range(plan.per_judge))
    assert peak < MOST


async def test_an_estimate_over_the_largest_texts_loads_them_in_pages(large: tuple[SqlStore, Plan]) -> None:
    store, plan = large

    tracemalloc.start()
    keys = await plan_keys(store, TENANT, JUDGE, plan)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(keys.characters) == plan.per_judge
    assert peak < MOST


async def test_a_page_holds_an_item_at_least_and_a_number_of_rows_at_most(large: tuple[SqlStore, Plan]) -> None:
    store, plan = large
    items = plan.items(range(5))

    alone = [page async for page in text_pages(store, items, lambda item: (item.prompt,), lambda _: (), chars=1)]
    pairs = [len(page) async for page in text_pages(store, items, lambda _: (), lambda _: (), rows=2)]

    assert alone == [[item] for item in items]
    assert pairs == [2, 2, 1]
