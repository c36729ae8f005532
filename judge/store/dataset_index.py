"""Dataset indexes in SQL, read in blocks into columns, without texts and without an object for each row."""

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
from judge.store.revisions import CHUNK, Row, dataset_row, valid_at, valid_now

BLOCK = 2_000
"""Rows that are turned into columns at once."""


class DatasetIndexes:
    """The part of DatasetStore that reads dataset indexes."""

    _db: Connections

    async def revision(self, tenant: str, name: str) -> int:
        """Return the present revision of the dataset, without counting its rows."""
        return await self._db.read(lambda c: int(dataset_row(c, tenant, name)["revision"]))

    async def dataset_index(
        self, tenant: str, name: str, revision: int, *, prompt_ids: Collection[str] | None = None
    ) -> DatasetIndex:
        """Return the index of the dataset at *revision*, with all prompts or only those in *prompt_ids*."""

        def work(c: Connection) -> DatasetIndex:
            dataset = dataset_row(c, tenant, name)
            prompts = _prompts(c, dataset, revision, prompt_ids)
            return DatasetIndex(revision, prompts, _outputs(c, dataset, revision, prompts, prompt_ids))

        return await self._db.read(work)

    async def prompt_index(self, tenant: str, name: str, revision: int) -> PromptIndex:
        """Return the prompts of the dataset at *revision*, without outputs."""
        return await self._db.read(lambda c: _prompts(c, dataset_row(c, tenant, name), revision, None))

    async def rows_with_images(self, tenant: str, name: str, revision: int) -> tuple[Rows, Rows]:
        """Return the rows of the prompts, and of the outputs, that have images at *revision*."""

        def rows(c: Connection, table: Table, dataset: int) -> Rows:
            query = select(table.c.id).where(valid_at(table, dataset, revision), s.SOME_IMAGES)
            return np.array(c.scalars(query).all(), dtype=np.int64)

        def work(c: Connection) -> tuple[Rows, Rows]:
            dataset = dataset_row(c, tenant, name)["id"]
            return rows(c, s.prompt, dataset), rows(c, s.output, dataset)

        return await self._db.read(work)


def _prompts(c: Connection, dataset: Row, revision: int, wanted: Collection[str] | None) -> PromptIndex:
    p = s.prompt.c
    query = select(p.id, p.prompt_id, p.category, cast(p.tags, Text), func.json_array_length(p.plain)).order_by(p.id)
    ids, turns = array("q"), array("i")
    names, categories, tags = list[str](), list[str](), list[tuple[str, ...]]()
    parsed: dict[str, tuple[str, ...]] = {}
    shared: dict[str, str] = {}
    for row, name, category, text, given in chain.from_iterable(_blocks(c, query, s.prompt, dataset, revision, wanted)):
        if wanted is None or name in wanted:
            ids.append(row)
            names.append(name)
            # Thousands of prompts have the same category, so its text is kept once.
            categories.append(shared.setdefault(category, category))
            tags.append(parsed[text] if text in parsed else parsed.setdefault(text, tuple(json.loads(text))))
            turns.append(given)
    return PromptIndex(row=np.array(ids), prompt_id=names, category=categories, tags=tags, turns=np.array(turns))


def _outputs(
    c: Connection, dataset: Row, revision: int, prompts: PromptIndex, wanted: Collection[str] | None
) -> OutputIndex:
    o = s.output.c
    # If every prompt has one turn, every output has one turn too, and its turns need not be counted.
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
        row=row,
        prompt=prompts.row[prompt],
        contestant=number[contestant],
        sample=sample.astype(np.int32),
        # If a prompt was replaced by a shorter one, the extra turns of its outputs cannot be judged.
        turns=np.minimum(given, prompts.turns[prompt]).astype(np.int32),
        contestants=contestants,
    )


def _upload_order(columns: Rows) -> Rows:
    """Return *columns* sorted by the first of them, without outputs whose prompt is missing."""
    there = columns[:, columns[1] >= 0]
    return there[:, np.argsort(there[0])]


def _blocks(
    c: Connection, query: Select[Any], table: Table, dataset: Row, revision: int, wanted: Collection[str] | None
) -> Iterator[Sequence[tuple[Any, ...]]]:
    """Yield the rows of *query* in blocks. If only a few prompts are *wanted*, only rows of these are read.

    The rows are the driver's own tuples, because SQLAlchemy's rows take longer to make than to read.
    """
    valid = (
        valid_now(table, dataset["id"]) if revision >= dataset["revision"] else valid_at(table, dataset["id"], revision)
    )
    if wanted is not None and len(wanted) <= CHUNK:
        valid &= table.c.prompt_id.in_(wanted)
    cursor = c.execute(query.where(valid)).cursor
    while cursor is not None and (block := cursor.fetchmany(BLOCK)):
        yield block
