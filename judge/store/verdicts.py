"""Verdicts in SQL: in pages by position, by revision, or all verdicts of one judge over a dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, func, or_, select

from judge.domain.errors import NotFound
from judge.domain.outcome import ItemState, Order
from judge.domain.verdict import ParsedVerdict, PresentationNames, Verdict
from judge.ports.parsed_verdicts import without_texts
from judge.ports.records import VerdictQuery
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.imports import recorded_definition
from judge.store.revisions import dataset_row
from judge.store.rows import CHUNK, READ_CHARS, by_id, characters_in, parsed_verdicts_of, reply_of, rows_that_fit

PAGE = 1000
"""Verdicts of a judge that are read together."""
T = TypeVar("T", int, tuple[int, int])


class Verdicts:
    """The part of RunStore about verdicts."""

    _db: Connections

    async def verdicts(self, row: int, query: VerdictQuery, *, after: int, limit: int) -> list[Verdict]:
        """Return a page of verdicts by position."""
        return await self._db.read(lambda c: _by_position(c, row, query, after, limit))

    async def verdicts_by_revision(
        self, row: int, query: VerdictQuery, *, after: tuple[int, int], limit: int
    ) -> list[Verdict]:
        """Return a page of verdicts by revision and position."""
        i = s.run_item.c

        def following(after: tuple[int, int]) -> Select[Any]:
            revision, position = after
            later = (i.revision >= revision) & or_(i.revision > revision, i.position > position)
            return select(s.run_item).where(later).order_by(i.revision, i.position)

        key = attrgetter("revision", "position")
        return await self._db.read(lambda c: _page(c, row, query, following, after, limit, key=key))

    async def judge_verdicts(
        self, tenant: str, dataset: str, judge: str, *, prompt_ids: Collection[str] | None = None
    ) -> list[Verdict]:
        """Return all verdicts of the newest version of a judge over a dataset, without texts.

        With *prompt_ids*, return only those on these prompts, with texts. Otherwise, raises NotFound if there are none.
        """

        def work(c: Connection) -> list[Verdict]:
            mine = dataset_row(c, tenant, dataset)["id"]
            recorded = recorded_definition(judge, dataset).fingerprint
            rows = [
                *_imported_verdicts(c, mine, judge, prompt_ids),
                *_verdicts_of_runs(c, mine, judge, recorded, prompt_ids),
            ]
            if not rows and prompt_ids is None:
                message = f"judge {judge!r} has no verdicts over dataset {dataset!r}"
                raise NotFound(message, reason="EMPTY_SOURCE", judge=judge)
            return rows

        return await self._db.read(work)


def _by_position(c: Connection, row: int, query: VerdictQuery, after: int, limit: int) -> list[Verdict]:
    i = s.run_item.c

    def following(after: int) -> Select[Any]:
        return select(s.run_item).where(i.position > after).order_by(i.position)

    return _page(c, row, query, following, after, limit, key=attrgetter("position"))


def _page(
    c: Connection,
    row: int,
    query: VerdictQuery,
    following: Callable[[T], Select[Any]],
    after: T,
    limit: int,
    *,
    key: Callable[[Any], T],
) -> list[Verdict]:
    """Return at most *limit* verdicts of the presentations that *following* selects after the place *after*.

    *key* returns the place of a row in that order. The page is empty only if there are no more.
    """
    judges = c.execute(select(s.run.c.judges).where(s.run.c.id == row)).scalar_one_or_none() or []
    names = [judge["name"] for judge in judges]
    verdicts: list[Verdict] = []
    # The outcome is known only once a presentation has been read, so then there may be many to read for a page.
    n_read = max(limit, CHUNK) if query.outcomes else limit
    while len(verdicts) < limit:
        rows = list(c.execute(_with_filter(following(after), row, query, names).limit(n_read)))
        fitting = _that_fit(c, rows)
        page = _with_names(c, fitting, judges)
        verdicts.extend(v for v in page if not query.outcomes or v.outcome in query.outcomes)
        if len(rows) < n_read or (verdicts and len(fitting) < len(rows)):
            break
        after = key(fitting[-1])
    return verdicts[:limit]


def _that_fit(c: Connection, rows: Sequence[Any]) -> Sequence[Any]:
    """Return the first of *rows* whose replies have at most READ_CHARS characters together, and at least one."""
    ids = sorted({row.answer_id for row in rows if row.answer_id is not None})
    a = s.answer.c
    length = {
        id_: n
        for begin in range(0, len(ids), CHUNK)
        for id_, n in c.execute(select(a.id, func.length(a.raw)).where(a.id.in_(ids[begin : begin + CHUNK])))
    }
    total = 0
    for n_rows, row in enumerate(rows):
        total += length.get(row.answer_id, 0)
        if n_rows and total > READ_CHARS:
            return rows[:n_rows]
    return rows


def _with_filter(wanted: Select[Any], row: int, query: VerdictQuery, names: Sequence[str]) -> Select[Any]:
    """Return *wanted*, which selects presentations, only for those of a run that *query* asks for."""
    i, p, o = s.run_item.c, s.prompt.c, s.output.c
    wanted = wanted.where(i.run_id == row)
    dataset = select(s.run.c.dataset_id).where(s.run.c.id == row).scalar_subquery()
    if query.judges:
        wanted = wanted.where(i.judge.in_([n for n, name in enumerate(names) if name in query.judges]))
    if query.statuses or query.states:
        statuses = {status.name.lower() for status in (*query.statuses, *query.states)}
        wanted = wanted.where(i.status.in_(statuses))
    if query.prompt_ids:
        wanted = wanted.where(
            i.prompt.in_(select(p.id).where(p.dataset_id == dataset, p.prompt_id.in_(list(query.prompt_ids))))
        )
    if query.categories:
        wanted = wanted.where(
            i.prompt.in_(select(p.id).where(p.dataset_id == dataset, p.category.in_(list(query.categories))))
        )
    if query.contestants:
        outputs = select(o.id).where(o.dataset_id == dataset, o.contestant.in_(list(query.contestants)))
        wanted = wanted.where(or_(i.left.in_(outputs), i.right.in_(outputs)))
    return wanted


def _with_names(c: Connection, rows: Sequence[Any], judges: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    prompts = by_id(c, [s.prompt.c.id, s.prompt.c.prompt_id, s.prompt.c.category], {r.prompt for r in rows})
    outputs = by_id(
        c, [s.output.c.id, s.output.c.contestant, s.output.c.sample], {end for r in rows for end in (r.left, r.right)}
    )
    ids = [r.answer_id for r in rows if r.answer_id is not None]
    answers = by_id(c, [s.answer], set(ids))
    parsed_verdicts: dict[tuple[int, str], tuple[ParsedVerdict, ...]] = {}
    for parser in sorted({judges[r.judge]["parser"] for r in rows}):
        mine = [r.answer_id for r in rows if r.answer_id is not None and judges[r.judge]["parser"] == parser]
        by_answer = parsed_verdicts_of(c, mine, parser)
        parsed_verdicts.update({(answer, parser): ordered for answer, ordered in by_answer.items()})
    return [
        _verdict(
            row,
            judge=judges[row.judge],
            names=_presentation_names(row, prompts[row.prompt], outputs[row.left], outputs[row.right]),
            category=prompts[row.prompt].category,
            answer=answers.get(row.answer_id),
            parsed_verdicts=parsed_verdicts.get((row.answer_id, judges[row.judge]["parser"]), ()),
        )
        for row in rows
    ]


def _presentation_names(row: Any, prompt: Any, left: Any, right: Any) -> PresentationNames:  # noqa: ANN401  # rows
    return PresentationNames(
        prompt_id=prompt.prompt_id,
        turn=row.turn,
        left=left.contestant,
        right=right.contestant,
        order=Order(row.order),
        left_sample=left.sample,
        right_sample=right.sample,
    )


def _verdict(
    row: Any,  # noqa: ANN401  # a row
    *,
    judge: Mapping[str, Any],
    names: PresentationNames,
    category: str,
    answer: Any,  # noqa: ANN401  # a row, or None
    parsed_verdicts: tuple[ParsedVerdict, ...],
) -> Verdict:
    return Verdict(
        judge=judge["name"],
        presentation=names,
        category=category,
        position=row.position,
        comparison_id=row.comparison_id,
        reply=reply_of(answer) if answer else None,
        parsed_verdicts=parsed_verdicts,
        state=ItemState(row.state) if row.state else None,
        reason=row.reason,
        cache_tag=answer.cache_tag if answer else "",
        repeat=row.repeat,
        reused=row.reused,
        create_time=answer.create_time if answer else 0.0,
        revision=row.revision,
        answer=answer.id if answer else 0,
    )


def _verdicts_of_runs(
    c: Connection, dataset: int, judge: str, recorded: str, prompt_ids: Collection[str] | None
) -> list[Verdict]:
    """Return verdicts that runs made, by the judge's newest version, one for each presentation.

    If a text was replaced, the newer verdict counts. A run of the *recorded* judge makes no verdicts of its own; it
    only repeats uploaded ones.
    """
    j = s.run_judge.c
    runs = c.execute(select(s.run_judge).where(j.dataset_id == dataset, j.name == judge).order_by(j.run_id)).all()
    newest = runs[-1].fingerprint if runs else recorded
    verdicts: dict[tuple[Any, ...], Verdict] = {}
    for run in runs:
        if run.fingerprint != newest or newest == recorded:
            continue
        cache_tag = c.execute(select(s.run.c.spec).where(s.run.c.id == run.run_id)).scalar_one()["pairing"]["cache_tag"]
        after = -1
        query = VerdictQuery(judges=(judge,), prompt_ids=prompt_ids or ())
        while (prompt_ids is None or prompt_ids) and (page := _by_position(c, run.run_id, query, after, PAGE)):
            after = page[-1].position
            for verdict in page if prompt_ids else map(without_texts, page):
                key = (verdict.presentation, cache_tag, verdict.repeat)
                if key not in verdicts or verdict.reply is not None:
                    verdicts[key] = verdict
    return list(verdicts.values())


def _imported_verdicts(c: Connection, dataset: int, judge: str, prompt_ids: Collection[str] | None) -> list[Verdict]:
    """Return uploaded verdicts, on *prompt_ids* or all of them without texts, in pages that fit into memory."""
    r, p = s.recorded.c, s.prompt.c
    known = select(p.prompt_id, p.category).where(p.dataset_id == dataset, p.removed.is_(None))
    categories = {row.prompt_id: row.category for row in c.execute(known)}
    query = select(s.recorded).where(r.dataset_id == dataset, r.judge == judge, r.removed.is_(None)).order_by(r.id)
    if prompt_ids is not None:
        query = query.where(r.prompt_id.in_(list(prompt_ids)))
    verdicts: list[Verdict] = []
    after = 0
    while rows := rows_that_fit(c, query.where(r.id > after).limit(PAGE), lambda row: sum(map(characters_in, row))):
        after = rows[-1].id
        page = _imported_page(c, judge, rows, categories, len(verdicts))
        verdicts.extend(page if prompt_ids is not None else map(without_texts, page))
    return verdicts


def _imported_page(
    c: Connection, judge: str, rows: Sequence[Any], categories: Mapping[str, str], first: int
) -> list[Verdict]:
    """Return the uploaded verdicts in *rows*, whose positions begin with *first*."""
    ids = [row.answer_id for row in rows]
    answers = by_id(c, [s.answer], set(ids))
    parsed_verdicts = parsed_verdicts_of(c, ids)
    return [
        Verdict(
            judge=judge,
            presentation=PresentationNames(
                prompt_id=row.prompt_id,
                turn=row.turn,
                left=row.body["left"],
                right=row.body["right"],
                order=Order(row.body["order"]),
                # Verdicts that were stored before samples were have none.
                left_sample=row.body.get("left_sample", 0),
                right_sample=row.body.get("right_sample", 0),
            ),
            category=categories.get(row.prompt_id, ""),
            position=position,
            reply=reply_of(answers[row.answer_id]),
            parsed_verdicts=parsed_verdicts.get(row.answer_id, ()),
            repeat=row.repeat,
            create_time=answers[row.answer_id].create_time,
            answer=row.answer_id,
        )
        for position, row in enumerate(rows, first)
    ]
