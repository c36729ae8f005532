"""The inputs of plans, read from a store in pages: the dataset index, labels and listed comparisons."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from judge.domain.dataset import Label, ListedComparison
from judge.domain.run import PairPolicy, RunSpec
from judge.planning.plan import Plan, make_plan
from judge.planning.selection import NamedComparisons
from judge.ports.store import DatasetStore, Store

PAGE = 1000
"""The number of rows in a page."""


async def build_plan(store: Store, tenant: str, spec: RunSpec, revision: int) -> Plan:
    """Build the plan of *spec* over *revision* of its dataset. The same arguments always give the same plan."""
    index = await store.dataset_index(tenant, spec.dataset, revision)
    named = None
    if spec.pairing.policy is PairPolicy.LABELED:
        named = NamedComparisons(index)
        async for _, label in all_labels(store, tenant, spec.dataset, revision):
            named.add([label])
    if spec.pairing.policy is PairPolicy.LISTED:
        named = NamedComparisons(index)
        async for row in all_comparisons(store, tenant, spec.dataset, revision):
            named.add([row])
    return await asyncio.to_thread(make_plan, index, spec.pairing, len(spec.judges), named)


async def all_labels(store: DatasetStore, tenant: str, dataset: str, revision: int) -> AsyncIterator[tuple[str, Label]]:
    """Yield every label with its source, in upload order: comparisons, and scores of single outputs."""
    after = 0
    while page := await store.read_labels(tenant, dataset, revision, after, PAGE):
        for after, source, label in page:  # noqa: B007  # the next page starts after the last row read
            yield source, label


async def all_comparisons(
    store: DatasetStore, tenant: str, dataset: str, revision: int
) -> AsyncIterator[ListedComparison]:
    """Yield every listed comparison, in upload order."""
    after = 0
    while page := await store.read_comparisons(tenant, dataset, revision, after, PAGE):
        for after, row in page:  # noqa: B007  # the next page starts after the last row read
            yield row
