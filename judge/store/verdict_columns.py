"""Verdicts in SQL as columns: a page is one row of texts, each a column's numbers, so that no row becomes an object.

Only verdicts by their judge's own parser are read so; where others count, None says that they are to be read as rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ColumnElement, Connection, and_, case, func, or_, select

from judge.columns.names import coded, first_comers
from judge.domain.judge import RECORDED
from judge.domain.outcome import ItemState, VerdictStatus
from judge.ports.verdict_columns import VerdictColumns, state_code
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.revisions import found
from judge.store.rows import by_id
from judge.store.text_columns import as_numbers, as_texts

PAGE = 20_000
"""Places of a plan read in one transaction."""
_TURN = 1 << 20
"""More than a showing's repeats: a turn and a repeat are one number."""
_BASE = 16
"""More than any order, state, status or preference: they are one number."""
_UNREADABLE = 9
"""Stands for the preference that a reading does not have."""
_OWN = (VerdictStatus.REFUSED, VerdictStatus.FILTERED, VerdictStatus.TRUNCATED)
"""The statuses that are a reply's own."""

Columns = NDArray[np.int64]
Measures = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Partition:
    """A judge of a run: its place, its parser, and where what was said ends."""

    run: int
    judge: int
    parser: str
    end: int
    cache_tag: str = ""

    def page(self, c: Connection, *, begin: int, cache_tag: int) -> tuple[Columns, Measures] | None:
        """The PAGE positions from *begin* on under *cache_tag*; None where another parser's verdict counts."""
        i, r = s.run_item.c, s.parsed_verdict.c
        told = s.run_item.outerjoin(s.parsed_verdict, and_(r.answer_id == i.answer_id, r.parser == self.parser))
        here = and_(i.run_id == self.run, i.judge == self.judge, i.position >= begin, i.position < begin + PAGE)
        unread = and_(i.answer_id.is_not(None), r.answer_id.is_(None), i.status.not_in(_names(_OWN)))
        measured = or_(r.probability_first.is_not(None), r.strength.is_not(None))
        counts = (func.count(case((unread, 1))), func.count(case((measured, 1))))
        *columns, many_unread, many_measured = c.execute(
            select(*as_texts(_numbers()), *counts).select_from(told).where(here)
        ).one()
        if many_unread:
            return None
        parts = as_numbers(columns)
        found = np.stack([*parts, np.full(parts[0].size, cache_tag)])
        found = found[:, np.argsort(found[0], kind="stable")]
        measures = np.full((2, found.shape[1]), np.nan)
        if many_measured:
            rows = c.execute(
                select(i.position, r.probability_first, r.strength).select_from(told).where(here, measured)
            )
            at, *both = zip(*rows, strict=True)
            measures[:, np.searchsorted(found[0], np.array(at))] = np.array(both, dtype=np.float64)
        return found, measures


def _names(statuses: Sequence[VerdictStatus]) -> list[str]:
    return [status.name.lower() for status in statuses]


def _numbers() -> tuple[ColumnElement[int], ...]:
    """What is read of a verdict, as whole numbers: its place, its prompt, turn and repeat, ends, call, and the rest."""
    i, r = s.run_item.c, s.parsed_verdict.c
    own = case(*((i.status == status.name.lower(), status.value) for status in _OWN), else_=0)
    said = ((i.order * _BASE + func.coalesce(i.state, 0)) * _BASE + own) * _BASE + func.coalesce(
        r.preference, _UNREADABLE
    )
    return (i.position, i.prompt, i.turn * _TURN + i.repeat, i.left, i.right, func.coalesce(i.answer_id, 0), said)


class VerdictTables:
    """The part of RunStore about verdicts as columns."""

    _db: Connections

    async def run_columns(self, row: int, judge: int) -> VerdictColumns | None:
        """The verdicts of a run's judge, in the order of the plan; None if they are to be read as rows."""
        return await self._columns(await self._db.read(lambda c: _partitions(c, [(row, judge)])))

    async def judge_columns(self, tenant: str, dataset: str, judge: str) -> VerdictColumns | None:
        """The verdicts of `judge_verdicts`; None if they are to be read as rows, or there are none."""
        partitions = await self._db.read(lambda c: _partitions(c, _runs_of(c, found(c, tenant, dataset)["id"], judge)))
        return await self._columns(partitions, distinct=True)

    async def _columns(self, partitions: Sequence[_Partition], *, distinct: bool = False) -> VerdictColumns | None:
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
        told, measures = (np.concatenate(parts, axis=1) for parts in zip(*pages, strict=True))
        return await self._db.read(lambda c: _named(c, told, measures, distinct=distinct))


def _partitions(c: Connection, judges: Sequence[tuple[int, int]]) -> list[_Partition]:
    """These judges of runs, each by its run's row and its place in it; none where one shows what was uploaded."""
    found = []
    for row, judge in judges:
        run = c.execute(select(s.run.c.judges, s.run.c.spec).where(s.run.c.id == row)).one_or_none()
        if run is None or run.judges[judge]["backend"] == RECORDED:
            return []
        last = c.execute(select(func.max(s.run_item.c.position)).where(s.run_item.c.run_id == row)).scalar_one()
        end = 0 if last is None else last + 1
        found.append(_Partition(row, judge, run.judges[judge]["parser"], end, run.spec["pairing"]["cache_tag"]))
    return found


def _runs_of(c: Connection, dataset: int, judge: str) -> list[tuple[int, int]]:
    """The runs over a dataset that hold the newest version of a judge; none where verdicts of it were uploaded too."""
    j, r = s.run_judge.c, s.recorded.c
    if c.execute(select(r.id).where(r.dataset_id == dataset, r.judge == judge, r.removed.is_(None)).limit(1)).first():
        return []
    runs = c.execute(select(s.run_judge).where(j.dataset_id == dataset, j.name == judge).order_by(j.run_id)).all()
    return [(run.run_id, run.number) for run in runs if run.fingerprint == runs[-1].fingerprint]


def _named(c: Connection, told: Columns, measures: Measures, *, distinct: bool) -> VerdictColumns:
    """The columns with names for rows; if *distinct*, one verdict a showing: where a text was replaced, the newer."""
    _, prompts, turns, lefts, rights, answer, said, cache_tag = told
    p, o = s.prompt.c, s.output.c
    asked, which = np.unique(prompts, return_inverse=True)
    prompt_ids, (code,) = coded([row.prompt_id for row in by_id(c, (p.id, p.prompt_id), asked.tolist()).values()])
    shown, ends = np.unique(np.concatenate((lefts, rights)), return_inverse=True)
    outputs = by_id(c, (o.id, o.contestant, o.sample), shown.tolist()).values()
    contestants, (who,) = coded([row.contestant for row in outputs])
    samples = np.array([row.sample for row in outputs], dtype=np.int32)
    left, right = ends[: lefts.size], ends[lefts.size :]
    rest, preference = np.divmod(said, _BASE)
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
    """The row of each distinct *presentation* in order of arrival: its last answer, or else its first row."""
    first, which = first_comers(presentation)
    last = np.full(first.size, -1, dtype=np.int64)
    np.maximum.at(last, which, np.where(answer > 0, np.arange(answer.size), -1))
    return np.where(last < 0, first, last)
