"""Verdicts in SQL as columns. A page is one row of texts, one for each column, so that no row becomes an object.

Only verdicts by their judge's own parser can be read like this. If others count, or verdicts were imported, verdicts
are read as rows and then turned into columns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from judge.columns.names import encode_names, first_occurrences
from judge.domain.judge import RECORDED
from judge.domain.outcome import ItemState, VerdictStatus
from judge.domain.verdict import Verdict
from judge.ports.parsed_verdicts import as_columns, without_texts
from judge.ports.records import VerdictQuery
from judge.ports.verdict_columns import VerdictColumns, state_code
from judge.store import schema as s
from judge.store.revisions import dataset_row
from judge.store.rows import by_id
from judge.store.text_columns import as_numbers, as_texts
from judge.store.verdicts import Verdicts

PAGE = 20_000
"""The number of positions that are read in one transaction."""
ROWS = 1_000
"""The number of verdicts that are read as rows in one transaction."""
_TURN = 1 << 20
"""A turn and a repeat are read as one number: turn * _TURN + repeat. So no repeat may reach this."""
_BASE = 16
"""Order, state, status and preference are read as one number in this base. So none of them may reach it."""
_UNREADABLE = 9
"""Stands for the missing preference of an unreadable reply."""
_OWN = (VerdictStatus.REFUSED, VerdictStatus.FILTERED, VerdictStatus.TRUNCATED)
"""The statuses that belong to the reply itself, so that no parser is needed."""

Columns = NDArray[np.int64]
Measures = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Partition:
    """The verdicts of one judge in one run. *judge* is its place, *end* the position after its run's last one."""

    run: int
    judge: int
    parser: str
    end: int
    cache_tag: str = ""

    def page(self, c: Connection, *, begin: int, cache_tag: int) -> tuple[Columns, Measures] | None:
        """Return PAGE positions from *begin* on, or None if a verdict of another parser counts.

        *cache_tag* is the code of the partition's cache tag.
        """
        i, r = s.run_item.c, s.parsed_verdict.c
        rows = s.run_item.outerjoin(s.parsed_verdict, and_(r.answer_id == i.answer_id, r.parser == self.parser))
        here = and_(i.run_id == self.run, i.judge == self.judge, i.position >= begin, i.position < begin + PAGE)
        unread = and_(i.answer_id.is_not(None), r.answer_id.is_(None), i.status.not_in(_names(_OWN)))
        measured = or_(r.probability_first.is_not(None), r.strength.is_not(None))
        counts = (func.count(case((unread, 1))), func.count(case((measured, 1))))
        *texts, n_unread, n_measured = c.execute(
            select(*as_texts(_numbers()), *counts).select_from(rows).where(here)
        ).one()
        if n_unread:
            return None
        parts = as_numbers(texts)
        columns = np.stack([*parts, np.full(parts[0].size, cache_tag)])
        columns = columns[:, np.argsort(columns[0], kind="stable")]
        measures = np.full((2, columns.shape[1]), np.nan)
        if n_measured:
            measured_rows = c.execute(
                select(i.position, r.probability_first, r.strength).select_from(rows).where(here, measured)
            )
            positions, *both = zip(*measured_rows, strict=True)
            measures[:, np.searchsorted(columns[0], np.array(positions))] = np.array(both, dtype=np.float64)
        return columns, measures


def _names(statuses: Sequence[VerdictStatus]) -> list[str]:
    return [status.name.lower() for status in statuses]


def _numbers() -> tuple[ColumnElement[int], ...]:
    """Return what is read of a verdict, as integers: position, prompt, turn and repeat, left, right, answer, codes."""
    i, r = s.run_item.c, s.parsed_verdict.c
    own = case(*((i.status == status.name.lower(), status.value) for status in _OWN), else_=0)
    codes = ((i.order * _BASE + func.coalesce(i.state, 0)) * _BASE + own) * _BASE + func.coalesce(
        r.preference, _UNREADABLE
    )
    return (i.position, i.prompt, i.turn * _TURN + i.repeat, i.left, i.right, func.coalesce(i.answer_id, 0), codes)


class VerdictTables(Verdicts):
    """The part of RunStore about verdicts, as rows and as columns."""

    async def run_columns(self, row: int, judge: int) -> VerdictColumns:
        """Return the verdicts of a run's judge, by its place, in the order of the plan."""
        columns = await self._columns(await self._db.read(lambda c: _partitions(c, [(row, judge)])))
        if columns is None:
            columns = await asyncio.to_thread(as_columns, await self._run_verdicts(row, judge))
        return columns

    async def judge_columns(self, tenant: str, dataset: str, judge: str) -> VerdictColumns:
        """Return the verdicts of `judge_verdicts` as columns. Raises NotFound if there is no verdict."""

        def work(c: Connection) -> list[_Partition]:
            return _partitions(c, _runs_of(c, dataset_row(c, tenant, dataset)["id"], judge))

        columns = await self._columns(await self._db.read(work), distinct=True)
        if columns is None:
            columns = await asyncio.to_thread(as_columns, await self.judge_verdicts(tenant, dataset, judge))
        return columns

    async def _run_verdicts(self, row: int, judge: int) -> list[Verdict]:
        """Read all verdicts of a run's judge as rows, without texts."""
        judges = await self._db.read(lambda c: c.scalar(select(s.run.c.judges).where(s.run.c.id == row)))
        if judges is None:
            return []
        query = VerdictQuery(judges=(judges[judge]["name"],))
        verdicts: list[Verdict] = []
        while page := await self.verdicts(row, query, after=verdicts[-1].position if verdicts else -1, limit=ROWS):
            verdicts.extend(map(without_texts, page))
        return verdicts

    async def _columns(self, partitions: Sequence[_Partition], *, distinct: bool = False) -> VerdictColumns | None:
        """Return the verdicts of some partitions, or None if they must be read as rows."""
        pages: list[tuple[Columns, Measures]] = []
        cache_tags = sorted({partition.cache_tag for partition in partitions})
        for partition in partitions:
            for begin in range(0, partition.end, PAGE):
                page = await self._db.read(
                    partial(partition.page, begin=begin, cache_tag=cache_tags.index(partition.cache_tag))
                )
                if page is None:
                    return None
                pages.append(page)
        if not pages:
            return None
        columns, measures = (np.concatenate(parts, axis=1) for parts in zip(*pages, strict=True))
        return await self._db.read(lambda c: _with_names(c, columns, measures, distinct=distinct))


def _partitions(c: Connection, judges: Sequence[tuple[int, int]]) -> list[_Partition]:
    """Return the partitions of *judges*, given as a run's row and the judge's place in it.

    Return none if one of them is a recorded judge.
    """
    partitions = []
    for row, judge in judges:
        run = c.execute(select(s.run.c.judges, s.run.c.spec).where(s.run.c.id == row)).one_or_none()
        if run is None or run.judges[judge]["backend"] == RECORDED:
            return []
        last = c.execute(select(func.max(s.run_item.c.position)).where(s.run_item.c.run_id == row)).scalar_one()
        end = 0 if last is None else last + 1
        partitions.append(
            _Partition(
                run=row,
                judge=judge,
                parser=run.judges[judge]["parser"],
                end=end,
                cache_tag=run.spec["pairing"]["cache_tag"],
            )
        )
    return partitions


def _runs_of(c: Connection, dataset: int, judge: str) -> list[tuple[int, int]]:
    """Return the runs over a dataset with the newest version of a judge, each with the judge's place in it.

    Return none if verdicts of the judge were uploaded too.
    """
    j, r = s.run_judge.c, s.recorded.c
    if c.execute(select(r.id).where(r.dataset_id == dataset, r.judge == judge, r.removed.is_(None)).limit(1)).first():
        return []
    runs = c.execute(select(s.run_judge).where(j.dataset_id == dataset, j.name == judge).order_by(j.run_id)).all()
    return [(run.run_id, run.number) for run in runs if run.fingerprint == runs[-1].fingerprint]


def _with_names(c: Connection, numbers: Columns, measures: Measures, *, distinct: bool) -> VerdictColumns:
    """Return verdicts as columns, with names instead of rows.

    If *distinct*, each presentation has one verdict. If one of its texts was replaced, the newer verdict counts.
    """
    _, prompts, turns, lefts, rights, answer, codes, cache_tag = numbers
    p, o = s.prompt.c, s.output.c
    asked, which = np.unique(prompts, return_inverse=True)
    prompt_ids, (code,) = encode_names(
        [row.prompt_id for row in by_id(c, (p.id, p.prompt_id), asked.tolist()).values()]
    )
    shown, ends = np.unique(np.concatenate((lefts, rights)), return_inverse=True)
    outputs = by_id(c, (o.id, o.contestant, o.sample), shown.tolist()).values()
    contestants, (who,) = encode_names([row.contestant for row in outputs])
    samples = np.array([row.sample for row in outputs], dtype=np.int32)
    left, right = ends[: lefts.size], ends[lefts.size :]
    rest, preference = np.divmod(codes, _BASE)
    rest, own = np.divmod(rest, _BASE)
    order, state = np.divmod(rest, _BASE)
    read = np.where(preference == _UNREADABLE, VerdictStatus.UNREADABLE, VerdictStatus.OK)
    status = np.where(answer > 0, np.where(own > 0, own, read), state_code(0) + np.maximum(state, ItemState.PENDING))
    columns = (
        code[which],
        (turns // _TURN).astype(np.int32),
        who[left],
        who[right],
        samples[left],
        samples[right],
        order.astype(np.int8),
        (turns % _TURN).astype(np.int32),
        status.astype(np.int8),
        np.where((preference == _UNREADABLE) | (answer == 0), 0, preference).astype(np.int8),
        *measures,
        answer,
    )
    if distinct:
        kept = _newest([*columns[:8], cache_tag], answer)
        columns = tuple(column[kept] for column in columns)
    return VerdictColumns(prompt_ids, contestants, *columns)


def _newest(presentation: Sequence[NDArray[Any]], answer: Columns) -> NDArray[np.int64]:
    """Return the row of each distinct *presentation*, in the order of first rows: its last answer, or its first row."""
    first, which = first_occurrences(presentation)
    last = np.full(first.size, -1, dtype=np.int64)
    np.maximum.at(last, which, np.where(answer > 0, np.arange(answer.size), -1))
    return np.where(last < 0, first, last)
