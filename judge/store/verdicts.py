"""Verdicts in SQL: paged by place in the plan, followed by revision, or all of one judge over a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, func, or_, select

from judge.domain.errors import NotFound
from judge.domain.outcome import ItemState, Order
from judge.domain.verdict import ShowingNames, Verdict
from judge.ports.store import VerdictQuery
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.rows import readings_of, reply_of

CHUNK = 500


class Verdicts:
    """The part of RunStore about verdicts."""

    _db: Connections

    async def verdicts(
        self, row: int, query: VerdictQuery, *, after: int, limit: int, by_revision: bool = False
    ) -> list[Verdict]:
        """A page of verdicts by position, or whole revisions."""
        return await self._db.read(lambda c: _verdicts(c, row, query, after, limit, by_revision=by_revision))

    async def judge_verdicts(self, tenant: str, dataset: str, judge: str) -> list[Verdict]:
        """All verdicts of the newest version of a judge over a dataset."""

        def work(c: Connection) -> list[Verdict]:
            mine = c.scalar(
                select(s.dataset.c.id)
                .join(s.tenant, s.tenant.c.id == s.dataset.c.tenant_id)
                .where(s.tenant.c.name == tenant, s.dataset.c.name == dataset)
            )
            found = [*_imported(c, mine or 0, judge), *_made(c, mine or 0, judge)]
            if not found:
                message = f"judge {judge!r} has no verdict over dataset {dataset!r}"
                raise NotFound(message, reason="EMPTY_SOURCE", judge=judge)
            return found

        return await self._db.read(work)


def _verdicts(
    c: Connection, row: int, query: VerdictQuery, after: int, limit: int, *, by_revision: bool
) -> list[Verdict]:
    i = s.run_item.c
    order = i.revision if by_revision else i.position
    names = [
        r.name for r in c.execute(select(s.run_judge).where(s.run_judge.c.run_id == row).order_by(s.run_judge.c.number))
    ]
    wanted = _wanted(row, query, names)
    found: list[Verdict] = []
    while len(found) < limit:
        page = wanted.where(order > after).order_by(order, i.position).limit(limit)
        rows = c.execute(page).all()
        if by_revision and len(rows) == limit:
            # Whole revisions only: the last one may have more rows than fit.
            last = rows[-1].revision
            rows = [r for r in rows if r.revision < last] + list(
                c.execute(wanted.where(i.revision == last).order_by(i.position)).all()
            )
        if not rows:
            break
        after = rows[-1].revision if by_revision else rows[-1].position
        made = _named(c, rows, names)
        found.extend(v for v in made if not query.outcomes or v.outcome in query.outcomes)
        if len(rows) < limit:
            break
    return found if by_revision else found[:limit]


def _wanted(row: int, query: VerdictQuery, names: Sequence[str]) -> Select[Any]:
    i, p = s.run_item.c, s.prompt.c
    wanted = select(s.run_item).where(i.run_id == row)
    if query.judges:
        wanted = wanted.where(i.judge.in_([n for n, name in enumerate(names) if name in query.judges]))
    if query.statuses or query.states:
        told = {status.name.lower() for status in (*query.statuses, *query.states)}
        wanted = wanted.where(i.status.in_(told))
    if query.prompt_ids:
        wanted = wanted.where(i.prompt.in_(select(p.id).where(p.prompt_id.in_(list(query.prompt_ids)))))
    if query.categories:
        wanted = wanted.where(i.prompt.in_(select(p.id).where(p.category.in_(list(query.categories)))))
    if query.contestants:
        outputs = select(s.output.c.id).where(s.output.c.contestant.in_(list(query.contestants)))
        wanted = wanted.where(or_(i.left.in_(outputs), i.right.in_(outputs)))
    return wanted


def _named(c: Connection, rows: Sequence[Any], judges: Sequence[str]) -> list[Verdict]:
    prompts = _by_id(c, [s.prompt.c.id, s.prompt.c.prompt_id, s.prompt.c.category], {r.prompt for r in rows})
    outputs = _by_id(
        c, [s.output.c.id, s.output.c.contestant, s.output.c.sample], {end for r in rows for end in (r.left, r.right)}
    )
    ids = [r.answer_id for r in rows if r.answer_id is not None]
    answers = _by_id(c, [s.answer], set(ids))
    readings = readings_of(c, ids)
    made = []
    for r in rows:
        answer = answers.get(r.answer_id)
        left, right, prompt = outputs[r.left], outputs[r.right], prompts[r.prompt]
        names = ShowingNames(
            prompt.prompt_id, r.turn, left.contestant, right.contestant, Order(r.order), left.sample, right.sample
        )
        made.append(
            Verdict(
                judges[r.judge],
                names,
                prompt.category,
                r.position,
                r.comparison_id,
                reply_of(answer) if answer else None,
                readings.get(r.answer_id, ()),
                ItemState(r.state) if r.state else None,
                answer.epoch if answer else "",
                r.repeat,
                r.reused,
                answer.create_time if answer else 0.0,
                r.revision,
            )
        )
    return made


def _by_id(c: Connection, columns: Sequence[Any], ids: set[int]) -> dict[int, Any]:
    ordered = sorted(ids)
    found = {}
    for begin in range(0, len(ordered), CHUNK):
        query = select(*columns)
        query = query.where(query.selected_columns.id.in_(ordered[begin : begin + CHUNK]))
        found.update({row.id: row for row in c.execute(query)})
    return found


def _made(c: Connection, dataset: int, judge: str) -> list[Verdict]:
    """Verdicts made in runs, by the judge's newest version, one per answer and showing."""
    j = s.run_judge.c
    runs = c.execute(select(s.run_judge).where(j.dataset_id == dataset, j.name == judge).order_by(j.run_id)).all()
    if not runs:
        return []
    newest = runs[-1].fingerprint
    found: dict[tuple[Any, ...], Verdict] = {}
    for run in runs:
        if run.fingerprint != newest:
            continue
        after = -1
        while page := _verdicts(c, run.run_id, VerdictQuery(judges=(judge,)), after, 1000, by_revision=False):
            after = page[-1].position
            for verdict in page:
                key = (verdict.showing, verdict.epoch, verdict.repeat)
                if key not in found or found[key].reply is None:
                    found[key] = verdict
    return list(found.values())


def _imported(c: Connection, dataset: int, judge: str) -> list[Verdict]:
    r = s.recorded.c
    rows = c.execute(
        select(s.recorded).where(r.dataset_id == dataset, r.judge == judge, r.removed.is_(None)).order_by(r.id)
    ).all()
    ids = [row.answer_id for row in rows]
    answers = _by_id(c, [s.answer], set(ids))
    readings = readings_of(c, ids)
    p = s.prompt.c
    known = select(p.prompt_id, func.max(p.category).label("category")).where(p.dataset_id == dataset)
    categories = {row.prompt_id: row.category for row in c.execute(known.group_by(p.prompt_id))}
    return [
        Verdict(
            judge,
            ShowingNames(row.prompt_id, row.turn, row.left, row.right, Order(row.order)),
            categories.get(row.prompt_id, ""),
            position,
            reply=reply_of(answers[row.answer_id]),
            readings=readings.get(row.answer_id, ()),
            repeat=row.repeat,
            create_time=answers[row.answer_id].create_time,
        )
        for position, row in enumerate(rows)
    ]
