"""Boards in SQL: read in blocks into columns, without a text and without an object a row."""

from __future__ import annotations

import json
from array import array
from collections.abc import Collection, Iterator, Sequence
from itertools import chain, repeat
from typing import Any

import numpy as np
from sqlalchemy import Connection, Select, Table, Text, cast, func, literal, select

from judge.ports.dataset_index import DatasetIndex, OutputIndex, PromptIndex, Rows
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.revisions import CHUNK, Row, at, found, live

BLOCK = 2_000
"""Rows turned into columns at once."""


class DatasetIndexes:
    """The part of DatasetStore that says what can be compared."""

    _db: Connections

    async def revision(self, tenant: str, name: str) -> int:
        """The present revision of the dataset, without counting what it holds."""
        return await self._db.read(lambda c: int(found(c, tenant, name)["revision"]))

    async def dataset_index(
        self, tenant: str, name: str, revision: int, *, prompt_ids: Collection[str] | None = None
    ) -> DatasetIndex:
        """What *revision* of the dataset lets be compared, on all its prompts or on those of *prompt_ids*."""

        def work(c: Connection) -> DatasetIndex:
            dataset = found(c, tenant, name)
            prompts = _prompts(c, dataset, revision, prompt_ids)
            return DatasetIndex(revision, prompts, _outputs(c, dataset, revision, prompts, prompt_ids))

        return await self._db.read(work)

    async def prompt_index(self, tenant: str, name: str, revision: int) -> PromptIndex:
        """The prompts of *revision* alone."""
        return await self._db.read(lambda c: _prompts(c, found(c, tenant, name), revision, None))


def _prompts(c: Connection, dataset: Row, revision: int, wanted: Collection[str] | None) -> PromptIndex:
    p = s.prompt.c
    query = select(p.id, p.prompt_id, p.category, cast(p.tags, Text), func.json_array_length(p.plain)).order_by(p.id)
    ids, turns = array("q"), array("i")
    names, categories, tags = list[str](), list[str](), list[tuple[str, ...]]()
    read: dict[str, tuple[str, ...]] = {}
    one: dict[str, str] = {}
    for row, name, category, text, given in chain.from_iterable(_blocks(c, query, s.prompt, dataset, revision, wanted)):
        if wanted is None or name in wanted:
            ids.append(row)
            names.append(name)
            # A category is the same text for thousands of prompts: kept once.
            categories.append(one.setdefault(category, category))
            tags.append(read[text] if text in read else read.setdefault(text, tuple(json.loads(text))))
            turns.append(given)
    return PromptIndex(np.array(ids), names, categories, tags, np.array(turns))


def _outputs(
    c: Connection, dataset: Row, revision: int, prompts: PromptIndex, wanted: Collection[str] | None
) -> OutputIndex:
    o = s.output.c
    # Where every prompt has one turn, so has every output; how many it was given is not looked up then.
    several = prompts.turns.max(initial=1) > 1
    query = select(
        o.id, o.prompt_id, o.contestant, o.sample, func.json_array_length(o.shown) if several else literal(1)
    )
    place = {name: number for number, name in enumerate(prompts.prompt_id)}
    met: dict[str, int] = {}
    made = [np.empty((5, 0), dtype=np.int64)]
    for block in _blocks(c, query, s.output, dataset, revision, wanted):
        ids, asked, names, samples, turns = zip(*block, strict=True)
        for name in set(names).difference(met):
            met[name] = len(met)
        codes = (ids, map(place.get, asked, repeat(-1)), map(met.__getitem__, names), samples, turns)
        made.append(np.stack([np.fromiter(column, np.int64, len(block)) for column in codes]))
    row, prompt, contestant, sample, given = _upload_order(np.concatenate(made, axis=1))
    there = set(np.unique(contestant).tolist())
    contestants = sorted(name for name, code in met.items() if code in there)
    number = np.zeros(len(met), dtype=np.int32)
    number[[met[name] for name in contestants]] = np.arange(len(contestants), dtype=np.int32)
    return OutputIndex(
        row,
        prompts.row[prompt],
        number[contestant],
        sample.astype(np.int32),
        # A prompt that was replaced by a shorter one lets no more turns be judged than it has.
        np.minimum(given, prompts.turns[prompt]).astype(np.int32),
        contestants,
    )


def _upload_order(columns: Rows) -> Rows:
    """*columns* by the first of them, without what is on no prompt."""
    there = columns[:, columns[1] >= 0]
    return there[:, np.argsort(there[0])]


def _blocks(
    c: Connection, query: Select[Any], table: Table, dataset: Row, revision: int, wanted: Collection[str] | None
) -> Iterator[Sequence[tuple[Any, ...]]]:
    """The rows of *query* in blocks; if not many prompts are *wanted*, only those on them.

    They are the driver's own tuples: half a million rows dressed up take longer than to read.
    """
    valid = live(table, dataset["id"]) if revision >= dataset["revision"] else at(table, dataset["id"], revision)
    if wanted is not None and len(wanted) <= CHUNK:
        valid &= table.c.prompt_id.in_(wanted)
    cursor = c.execute(query.where(valid)).cursor
    while cursor is not None and (block := cursor.fetchmany(BLOCK)):
        yield block
