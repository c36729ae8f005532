"""Datasets in SQL. Rows are append-only, and each is valid from one revision until before another."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

from sqlalchemy import Column, Connection, Table, Text, cast, func, insert, literal, select, update

from judge.domain.dataset import DatasetSummary, ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.errors import AlreadyExists
from judge.domain.messages import turn_of
from judge.domain.outcome import AnnotatorKind
from judge.ports.clock import Clock
from judge.ports.records import OutputText, PromptText
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.definitions import to_imported, to_label, to_listed
from judge.store.interning import intern, known_ids, tenant_id
from judge.store.revisions import GONE, Row, chunks, dataset_row, valid_at, valid_now
from judge.store.rows import characters_in, rows_that_fit


class Datasets:
    """The part of DatasetStore that creates datasets and reads them."""

    _db: Connections
    _clock: Clock

    async def create_dataset(self, tenant: str, name: str) -> DatasetSummary:
        """Create an empty dataset. Raises AlreadyExists if the name is taken."""

        def work(c: Connection) -> None:
            owner = tenant_id(c, tenant)
            taken = select(s.dataset.c.revision).where(s.dataset.c.tenant_id == owner, s.dataset.c.name == name)
            old = c.scalar(taken)
            if old is not None:
                status = "is still being deleted" if old == GONE else "already exists"
                raise AlreadyExists(f"dataset {name!r} {status}", dataset=name)
            row = {"tenant_id": owner, "name": name, "revision": 0, "create_time": self._clock.now()}
            c.execute(insert(s.dataset).values(row))

        await self._db.write(work)
        return await self.dataset(tenant, name)

    async def dataset(self, tenant: str, name: str) -> DatasetSummary:
        """Return the dataset with its contestants, categories and annotators."""
        return await self._db.read(lambda c: _summary(c, dataset_row(c, tenant, name), whole=True))

    async def datasets(self, tenant: str, after: str, limit: int) -> list[DatasetSummary]:
        """Return at most *limit* datasets whose names come after *after*, sorted by name."""

        def work(c: Connection) -> list[DatasetSummary]:
            owned = s.dataset.c.tenant_id == select(s.tenant.c.id).where(s.tenant.c.name == tenant).scalar_subquery()
            there = owned & (s.dataset.c.revision != GONE)
            query = select(s.dataset).where(there, s.dataset.c.name > after).order_by(s.dataset.c.name).limit(limit)
            return [_summary(c, dict(row._mapping), whole=False) for row in c.execute(query)]  # noqa: SLF001  # documented

        return await self._db.read(work)

    async def read_prompts(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, Prompt]]:
        """Return a page of prompts in upload order."""
        return [(r.id, _prompt(r)) for r in await self._page(s.prompt, tenant, name, revision, after, limit)]

    async def read_outputs(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, Output]]:
        """Return a page of outputs in upload order."""
        return [(r.id, _output(r)) for r in await self._page(s.output, tenant, name, revision, after, limit)]

    async def read_labels(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, str, Label]]:
        """Return a page of labels in upload order, each with its source."""
        page = await self._page(s.label, tenant, name, revision, after, limit)
        return [(r.id, r.source, to_label(r.body)) for r in page]

    async def delete_labels(self, tenant: str, name: str, annotators: str) -> int:
        """Remove the labels of *annotators* from the next revision on, and return how many there were."""
        annotator = s.label.c.annotator

        def work(c: Connection) -> int:
            dataset = dataset_row(c, tenant, name, "alone")
            there = valid_now(s.label, dataset["id"])
            names = c.scalars(select(annotator).where(there).distinct())
            chosen = [label_annotator for label_annotator in names if fnmatchcase(label_annotator, annotators)]
            revision = dataset["revision"] + 1
            gone = 0
            for chunk in chunks(chosen):
                gone += c.execute(update(s.label).where(there, annotator.in_(chunk)).values(removed=revision)).rowcount
            if gone:
                c.execute(update(s.dataset).where(s.dataset.c.id == dataset["id"]).values(revision=revision))
            return gone

        return await self._db.write(work)

    async def read_verdicts(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, ImportedVerdict]]:
        """Return a page of imported verdicts in upload order."""
        page = await self._page(s.recorded, tenant, name, revision, after, limit)
        return [(r.id, to_imported(r.body)) for r in page]

    async def read_comparisons(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, ListedComparison]]:
        """Return a page of listed comparisons in upload order."""
        page = await self._page(s.comparison, tenant, name, revision, after, limit)
        return [(r.id, to_listed(r.body)) for r in page]

    async def _page(self, table: Table, tenant: str, name: str, revision: int, after: int, limit: int) -> Sequence[Any]:
        def work(c: Connection) -> Sequence[Any]:
            there = valid_at(table, dataset_row(c, tenant, name)["id"], revision)
            query = select(table).where(there, table.c.id > after).order_by(table.c.id).limit(limit)
            return rows_that_fit(c, query, lambda row: sum(map(characters_in, row)))

        return await self._db.read(work)

    async def prompt_texts(self, rows: Collection[int]) -> dict[int, PromptText]:
        """Return the texts of prompts, by row."""
        p = s.prompt.c
        prompts = await self._by_id(
            rows, (p.id, p.prompt_id, p.category), (p.turns, p.tags, p.reference, p.plain, p.referenced)
        )
        return {
            row: PromptText(
                Prompt(
                    prompt_id=prompt_id,
                    turns=tuple(map(turn_of, turns)),
                    category=category,
                    tags=tuple(tags),
                    reference=tuple(reference),
                ),
                tuple(plain),
                tuple(referenced),
            )
            for row, prompt_id, category, turns, tags, reference, plain, referenced in prompts
        }

    async def output_texts(self, rows: Collection[int]) -> dict[int, OutputText]:
        """Return the texts of outputs, by row."""
        o = s.output.c
        outputs = await self._by_id(rows, (o.id, o.prompt_id, o.contestant, o.sample), (o.turns, o.shown))
        return {
            row: OutputText(
                Output(prompt_id, contestant, turns=tuple(map(turn_of, turns)), sample=sample), tuple(shown)
            )
            for row, prompt_id, contestant, sample, turns, shown in outputs
        }

    async def text_sizes(
        self, prompts: Collection[int], outputs: Collection[int]
    ) -> tuple[dict[int, int], dict[int, int]]:
        """Return about how many characters the texts of prompts and of outputs have, by row."""
        p, o = s.prompt.c, s.output.c

        def sizes(
            c: Connection, row: Column[int], texts: Sequence[Column[Any]], rows: Collection[int]
        ) -> dict[int, int]:
            query = select(row, sum((func.length(cast(text, Text)) for text in texts), literal(0)))
            read = (c.execute(query.where(row.in_(chunk))) for chunk in chunks(sorted(rows)))
            return {id_: size for some in read for id_, size in some}

        return await self._db.read(
            lambda c: (sizes(c, p.id, (p.turns, p.reference), prompts), sizes(c, o.id, (o.turns,), outputs))
        )

    async def _by_id(
        self, rows: Collection[int], columns: tuple[Column[Any], ...], lists: tuple[Column[Any], ...]
    ) -> list[tuple[Any, ...]]:
        """Return *columns*, the first of them an id, and *lists* of *rows*.

        All lists are parsed as one JSON text, which takes half the time.
        """
        query = select(*columns, *(cast(column, Text) for column in lists))

        def work(c: Connection) -> list[tuple[Any, ...]]:
            return [
                tuple(row) for chunk in chunks(sorted(rows)) for row in c.execute(query.where(columns[0].in_(chunk)))
            ]

        selected = await self._db.read(work)
        plain = len(columns)
        texts = ",".join([text for row in selected for text in row[plain:]])
        read = iter(json.loads(f"[{texts}]"))
        return [(*row[:plain], *islice(read, len(lists))) for row in selected]

    async def intern(self, tenant: str, digests: Sequence[bytes]) -> list[int]:
        """Return the id of each digest, which is stored if it is new."""
        present = await self._db.read(lambda c: known_ids(c, tenant, digests))
        if all(d in present for d in digests):
            return [present[d] for d in digests]

        def work(c: Connection) -> list[int]:
            ids = intern(c, tenant_id(c, tenant), digests)
            return [ids[d] for d in digests]

        return await self._db.write(work)


def _summary(c: Connection, row: Row, *, whole: bool) -> DatasetSummary:
    mine = row["id"]

    def counted(table: Table) -> int:
        return c.scalar(select(func.count()).select_from(table).where(valid_now(table, mine))) or 0

    def grouped(table: Table, *columns: str) -> dict[Any, int]:
        by = [table.c[name] for name in columns]
        query = select(*by, func.count()).where(valid_now(table, mine)).group_by(*by)
        return {tuple(r)[:-1] if len(by) > 1 else r[0]: r[-1] for r in c.execute(query)} if whole else {}

    annotators = {(n, AnnotatorKind(k)): count for (n, k), count in grouped(s.label, "annotator", "kind").items()}
    return DatasetSummary(
        name=row["name"],
        revision=row["revision"],
        create_time=row["create_time"],
        prompts=counted(s.prompt),
        outputs=counted(s.output),
        labels=counted(s.label),
        verdicts=counted(s.recorded),
        comparisons=counted(s.comparison),
        contestants=grouped(s.output, "contestant"),
        categories=grouped(s.prompt, "category"),
        annotators=annotators,
        recorded_judges=grouped(s.recorded, "judge"),
    )


def _prompt(row: Any) -> Prompt:  # noqa: ANN401  # a row
    return Prompt(
        prompt_id=row.prompt_id,
        turns=tuple(map(turn_of, row.turns)),
        category=row.category,
        tags=tuple(row.tags),
        reference=tuple(row.reference),
    )


def _output(row: Any) -> Output:  # noqa: ANN401
    return Output(row.prompt_id, row.contestant, turns=tuple(map(turn_of, row.turns)), sample=row.sample)
