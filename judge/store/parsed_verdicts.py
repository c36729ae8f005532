"""Parsed verdicts of stored answers. Replies can be parsed again by another parser without a call."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from judge.domain.usage import Usage
from judge.domain.verdict import ParsedVerdict
from judge.ports.records import StoredAnswer
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.interning import tenant_id
from judge.store.many_rows import insert_rows
from judge.store.rows import PARSED_VERDICT, parsed_verdict_row, parsed_verdicts_of, reply_of, rows_that_fit


class ParsedVerdicts:
    """The part of RunStore about parsed verdicts."""

    _db: Connections

    async def run_answers(self, row: int, after: int, limit: int) -> list[tuple[int, int, StoredAnswer]]:
        """Return a page of a run's replies after position *after*: position, place of the judge, and answer."""
        i = s.run_item.c

        def work(c: Connection) -> list[tuple[int, int, StoredAnswer]]:
            query = (
                select(i.position, i.judge, s.answer)
                .join(s.answer, s.answer.c.id == i.answer_id)
                .where(i.run_id == row, i.position > after)
                .order_by(i.position)
                .limit(limit)
            )
            rows = rows_that_fit(c, query, lambda row: len(row.raw))
            parsed_verdicts = parsed_verdicts_of(c, [answer.id for answer in rows])
            return [
                (
                    answer.position,
                    answer.judge,
                    StoredAnswer(answer.id, reply_of(answer), parsed_verdicts.get(answer.id, ())),
                )
                for answer in rows
            ]

        return await self._db.read(work)

    async def add_parsed_verdicts(self, tenant: str, parsed_verdicts: Sequence[tuple[int, ParsedVerdict]]) -> None:
        """Add pairs of an answer's id and a parsed verdict of it. Those that exist stay as they are."""

        def work(c: Connection) -> None:
            owner = tenant_id(c, tenant)
            insert_rows(
                c,
                s.parsed_verdict,
                PARSED_VERDICT,
                [parsed_verdict_row(owner, answer, parsed_verdict) for answer, parsed_verdict in parsed_verdicts],
            )

        if parsed_verdicts:
            await self._db.write(work)

    async def usages(self, tenant: str, fingerprints: Collection[int], limit: int) -> list[Usage]:
        """Return the usage of at most *limit* stored calls of judges with these *fingerprints*."""
        a = s.answer.c
        owner = select(s.tenant.c.id).where(s.tenant.c.name == tenant).scalar_subquery()
        query = select(s.answer).where(a.tenant_id == owner, a.fingerprint.in_(sorted(fingerprints))).limit(limit)
        return await self._db.read(lambda c: [reply_of(row).usage for row in c.execute(query)])
