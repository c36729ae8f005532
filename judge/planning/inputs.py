"""What plans are made from: the dataset index, labels and listed comparisons, read in pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from judge.domain.dataset import Label, ListedComparison
from judge.domain.run import PairPolicy, RunSpec
from judge.planning.plan import Plan, make_plan
from judge.planning.selection import Named
from judge.ports.store import DatasetStore, Store

PAGE = 1000
"""Rows read at once."""


async def build_plan(store: Store, tenant: str, spec: RunSpec, revision: int) -> Plan:
    """The plan of *spec* over *revision* of its dataset: the same whenever and wherever it is built."""
    index = await store.dataset_index(tenant, spec.dataset, revision)
    named = None
    if spec.pairing.policy is PairPolicy.LABELLED:
        named = Named(index)
        async for _, label in all_labels(store, tenant, spec.dataset, revision):
            named.add([label])
    if spec.pairing.policy is PairPolicy.LISTED:
        named = Named(index)
        async for row in all_comparisons(store, tenant, spec.dataset, revision):
            named.add([row])
    return await asyncio.to_thread(make_plan, index, spec.pairing, len(spec.judges), named)


async def all_labels(store: DatasetStore, tenant: str, dataset: str, revision: int) -> AsyncIterator[tuple[str, Label]]:
    """Every label with its source, in upload order, read in pages."""
    after = 0
    while page := await store.read_labels(tenant, dataset, revision, after, PAGE):
        for after, source, label in page:  # noqa: B007  # the last row read is where the next page starts
            yield source, label


async def all_comparisons(
    store: DatasetStore, tenant: str, dataset: str, revision: int
) -> AsyncIterator[ListedComparison]:
    """Every listed comparison, in upload order, read in pages."""
    after = 0
    while page := await store.read_comparisons(tenant, dataset, revision, after, PAGE):
        for after, row in page:  # noqa: B007  # the last row read is where the next page starts
            yield row
