"""Readings beside answers: what is there is read again by another parser, and nothing is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select

from judge.domain.verdict import ParsedVerdict, Usage
from judge.ports.records import StoredAnswer
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.interning import tenant_id
from judge.store.many_rows import insert_rows
from judge.store.rows import PARSED_VERDICT, parsed_verdict_row, parsed_verdicts_of, reply_of


class ParsedVerdicts:
    """The part of RunStore about readings."""

    _db: Connections

    async def run_answers(self, row: int, after: int, limit: int) -> list[tuple[int, int, StoredAnswer]]:
        """A page of a run's replies after position *after*: position, judge's place, answer."""
        i = s.run_item.c

        def work(c: Connection) -> list[tuple[int, int, StoredAnswer]]:
            query = (
                select(i.position, i.judge, s.answer)
                .join(s.answer, s.answer.c.id == i.answer_id)
                .where(i.run_id == row, i.position > after)
                .order_by(i.position)
                .limit(limit)
            )
            rows = c.execute(query).all()
            parsed_verdicts = parsed_verdicts_of(c, [found.id for found in rows])
            return [
                (
                    found.position,
                    found.judge,
                    StoredAnswer(found.id, reply_of(found), parsed_verdicts.get(found.id, ())),
                )
                for found in rows
            ]

        return await self._db.read(work)

    async def add_parsed_verdicts(self, tenant: str, parsed_verdicts: Sequence[tuple[int, ParsedVerdict]]) -> None:
        """Add readings of answers; one that is there stays as it is."""

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
        """What at most *limit* stored calls of these fingerprints used."""
        a = s.answer.c
        owner = select(s.tenant.c.id).where(s.tenant.c.name == tenant).scalar_subquery()
        query = select(s.answer).where(a.tenant_id == owner, a.fingerprint.in_(sorted(fingerprints))).limit(limit)
        return await self._db.read(lambda c: [reply_of(row).usage for row in c.execute(query)])
