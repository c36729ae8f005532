"""Deletion: an answer lives while some dataset of its tenant holds its prompt and both outputs."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, select

from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.imports import recorded_definition
from judge.store.revisions import Row, chunks, found

_OF_RUNS = (s.run_item, s.run_judge, s.run_shard, s.run_round, s.provider_batch)
_OF_DATASETS = (s.prompt, s.output, s.label, s.recorded, s.comparison)


class Deletion:
    """The part of DatasetStore that deletes."""

    _db: Connections

    async def delete_dataset(self, tenant: str, name: str) -> None:
        """Remove it with its runs, and what no other dataset of the tenant holds. Costs stay in call_attempt."""
        await self._db.write(lambda c: _delete(c, found(c, tenant, name)))


def _delete(c: Connection, dataset: Row) -> None:
    mine, owner = dataset["id"], dataset["tenant_id"]
    gone = _contents(c, s.prompt.c.dataset_id == mine, s.output.c.dataset_id == mine)
    answers = _recorded(c, dataset)
    runs = select(s.run.c.id).where(s.run.c.dataset_id == mine)
    for table in _OF_RUNS:
        c.execute(delete(table).where(table.c.run_id.in_(runs)))
    c.execute(delete(s.run).where(s.run.c.dataset_id == mine))
    for table in _OF_DATASETS:
        c.execute(delete(table).where(table.c.dataset_id == mine))
    c.execute(delete(s.dataset).where(s.dataset.c.id == mine))
    gone -= _contents(c, s.prompt.c.tenant_id == owner, s.output.c.tenant_id == owner)
    a = s.answer.c
    if gone:
        every = c.execute(select(a.id, a.prompt, a.first, a.second).where(a.tenant_id == owner))
        answers |= {row.id for row in every if row.prompt in gone or row.first in gone or row.second in gone}
    for chunk in chunks(sorted(answers)):
        c.execute(delete(s.reading).where(s.reading.c.answer_id.in_(chunk)))
        c.execute(delete(s.answer).where(a.id.in_(chunk)))
    for chunk in chunks(sorted(gone)):
        c.execute(delete(s.content).where(s.content.c.id.in_(chunk)))


def _recorded(c: Connection, dataset: Row) -> set[int]:
    """The answers uploaded to the dataset; their judges are forgotten."""
    r, v = s.recorded.c, s.judge_version.c
    rows = c.execute(select(r.answer_id, r.judge).where(r.dataset_id == dataset["id"])).all()
    judges = sorted({recorded_definition(row.judge, dataset["name"]).fingerprint for row in rows})
    for chunk in chunks(judges):
        c.execute(delete(s.judge_version).where(v.tenant_id == dataset["tenant_id"], v.fingerprint.in_(chunk)))
    return {row.answer_id for row in rows}


def _contents(c: Connection, prompts: ColumnElement[bool], outputs: ColumnElement[bool]) -> set[int]:
    """The interned ids of the texts that these prompts and outputs show."""
    p, o = s.prompt.c, s.output.c
    shown = {i for row in c.execute(select(p.plain, p.referenced).where(prompts)) for ids in row for i in ids}
    shown.update(i for row in c.execute(select(o.shown).where(outputs)) for i in row.shown)
    return shown
