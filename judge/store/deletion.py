"""Deletion of datasets. An answer is kept as long as some dataset of its tenant has its prompt and both outputs.

A dataset that is being deleted has the revision GONE: nobody can read it, its runs are cancelled, and its name is
still taken. A run that is being deleted by itself has the reason DELETED. Then the rows are deleted in batches, each in
a transaction. If the process ends in between, the next process that opens the store for work deletes the rest.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sqlalchemy import ColumnElement, Connection, Table, delete, select, tuple_, update

from judge.domain.dataset import DeletedRuns
from judge.domain.errors import NotFound, Precondition
from judge.domain.run import ENDED, RunState
from judge.ports.clock import Clock
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.imports import recorded_definition
from judge.store.revisions import DELETED, GONE, Row, chunks, dataset_row
from judge.store.rows import spent_from

BATCH = 20_000
"""Rows that are checked or deleted in one transaction."""
_OF_RUNS = (s.run_item, s.run_judge, s.run_shard, s.run_round, s.provider_batch)
_OF_DATASETS = (s.label, s.comparison)
_TEXTS = (s.prompt, s.output)


class Deletion:
    """The part of DatasetStore that deletes datasets."""

    _db: Connections
    _clock: Clock

    async def delete_dataset(self, tenant: str, name: str) -> DeletedRuns:
        """Delete a dataset, its runs, and what no other dataset of the tenant has. Costs stay in call_attempt.

        Returns what its runs and replies were.
        """
        now = self._clock.now()
        deleted = await self.count_deletion(tenant, name)
        dataset = await self._db.write(lambda c: _begin(c, dataset_row(c, tenant, name, "alone"), now))
        await self._finish(dataset)
        return deleted

    async def count_deletion(self, tenant: str, name: str) -> DeletedRuns:
        """Return what delete_dataset would delete: the dataset's runs, and the replies that only it reaches."""

        def work(c: Connection) -> DeletedRuns:
            dataset = dataset_row(c, tenant, name)
            return replace(_count_runs(c, dataset["id"]), replies=_count_replies(c, dataset))

        return await self._db.read(work)

    async def finish_deletions(self) -> int:
        """Delete what is left of datasets whose deletion was interrupted, and return how many there were."""
        query = select(s.dataset).where(s.dataset.c.revision == GONE)
        rows = await self._db.read(lambda c: [dict(row) for row in c.execute(query).mappings()])
        for row in rows:
            await self._finish(row)
        runs = select(s.run.c.id).where(s.run.c.reason == DELETED)
        for run in await self._db.read(lambda c: list(c.scalars(runs))):
            await self._finish_run(run)
        return len(rows)

    async def delete_run(self, tenant: str, run_id: str) -> None:
        """Delete a run that has ended. Its answers stay, and its costs stay in call_attempt."""
        await self._finish_run(await self._db.write(lambda c: _begin_run(c, tenant, run_id)))

    async def _finish_run(self, run: int) -> None:
        while await self._db.write(lambda c: any(_batch(c, table, table.c.run_id == run) for table in _OF_RUNS)):
            pass
        await self._db.write(lambda c: c.execute(delete(s.run).where(s.run.c.id == run)))

    async def _finish(self, dataset: Row) -> None:
        while await self._db.write(lambda c: _some_rows(c, dataset["id"])):
            pass
        after = 0
        while (last := await self._db.write(partial(_some_answers, dataset=dataset, after=after))) is not None:
            after = last
        while await self._db.write(lambda c: _some_texts(c, dataset)):
            pass
        await self._db.write(lambda c: _end(c, dataset["id"]))


def _count_runs(c: Connection, mine: int) -> DeletedRuns:
    """Count the runs of a dataset that are not deleted, their calls, and what they cost."""
    r = s.run.c
    rows = c.execute(select(r.calls, r.cost_micros, r.spent).where(r.dataset_id == mine, r.reason != DELETED)).all()
    return DeletedRuns(
        runs=len(rows),
        calls=sum(row.calls for row in rows),
        cost_micros=sum(row.cost_micros for row in rows),
        uncounted=sum(spent_from(used).uncounted for row in rows for used in row.spent.values()),
    )


def _count_replies(c: Connection, dataset: Row) -> int:
    """Count the answers to calls that only this dataset reaches, whichever run made them. No upload is one."""
    gone = _own_contents(c, dataset)
    a = s.answer.c
    uploaded = select(s.recorded.c.answer_id).where(s.recorded.c.answer_id == a.id).exists()
    query = select(a.prompt, a.first, a.second).where(a.tenant_id == dataset["tenant_id"], ~uploaded)
    return sum(not gone.isdisjoint(row) for row in c.execute(query)) if gone else 0


def _begin(c: Connection, dataset: Row, now: float) -> Row:
    """Make the dataset unreadable, cancel its runs, and delete the judges that are recorded on it."""
    mine = dataset["id"]
    c.execute(update(s.dataset).where(s.dataset.c.id == mine).values(revision=GONE))
    r, v = s.run.c, s.judge_version.c
    working = r.state.not_in([state.value for state in ENDED])
    ended = {"state": RunState.CANCELLED.value, "reason": DELETED, "end_time": now, "revision": r.revision + 1}
    c.execute(update(s.run).where(r.dataset_id == mine, working).values(ended))
    names = c.scalars(select(s.recorded.c.judge).where(s.recorded.c.dataset_id == mine).distinct())
    prints = sorted({recorded_definition(name, dataset["name"]).fingerprint for name in names})
    for chunk in chunks(prints):
        c.execute(delete(s.judge_version).where(v.tenant_id == dataset["tenant_id"], v.fingerprint.in_(chunk)))
    return dataset


def _begin_run(c: Connection, tenant: str, run_id: str) -> int:
    """Make a run that has ended unreadable, and return its row. Raises NotFound, or Precondition if it has not."""
    r = s.run.c
    query = select(r.id, r.state).join(s.tenant, s.tenant.c.id == r.tenant_id)
    query = query.where(s.tenant.c.name == tenant, r.run_id == run_id, r.reason != DELETED)
    row = c.execute(query.with_for_update(of=s.run)).first()
    if row is None:
        raise NotFound(f"there is no run {run_id!r}", reason="UNKNOWN_RUN", run=run_id)
    state = RunState(row.state)
    if not state.ended:
        message = f"run {run_id} is {state.name}; cancel it before you delete it: `judge cancel {run_id}`"
        raise Precondition(message, reason="RUN_NOT_ENDED", run=run_id)
    # The request id is free again at once.
    c.execute(update(s.run).where(r.id == row.id).values(reason=DELETED, request_id=None, revision=r.revision + 1))
    return int(row.id)


def _some_rows(c: Connection, mine: int) -> bool:
    """Delete a batch of rows of the dataset and its runs, but no texts. Return False if there are no more."""
    runs = select(s.run.c.id).where(s.run.c.dataset_id == mine)
    parts: list[tuple[Table, ColumnElement[bool]]] = [(table, table.c.run_id.in_(runs)) for table in _OF_RUNS]
    parts += [(table, table.c.dataset_id == mine) for table in _OF_DATASETS]
    return _some_recorded(c, mine) or any(_batch(c, table, which) for table, which in parts)


def _batch(c: Connection, table: Table, which: ColumnElement[bool]) -> bool:
    key = tuple(table.primary_key.columns)
    return c.execute(delete(table).where(tuple_(*key).in_(select(*key).where(which).limit(BATCH)))).rowcount > 0


def _some_recorded(c: Connection, mine: int) -> bool:
    """Delete a batch of uploaded verdicts with their answers, which only this dataset's judges use."""
    r = s.recorded.c
    rows = c.execute(select(r.id, r.answer_id).where(r.dataset_id == mine).limit(BATCH)).all()
    _delete_answers(c, {row.answer_id for row in rows})
    for chunk in chunks([row.id for row in rows]):
        c.execute(delete(s.recorded).where(r.id.in_(chunk)))
    return bool(rows)


def _some_answers(c: Connection, dataset: Row, after: int) -> int | None:
    """Delete those of a batch of the tenant's answers that no other dataset uses.

    Return the id of the last answer that was checked, or None at the end.
    """
    gone = _own_contents(c, dataset)
    a = s.answer.c
    query = select(a.id, a.prompt, a.first, a.second).where(a.tenant_id == dataset["tenant_id"], a.id > after)
    rows = c.execute(query.order_by(a.id).limit(BATCH)).all() if gone else []
    _delete_answers(c, {row.id for row in rows if row.prompt in gone or row.first in gone or row.second in gone})
    return rows[-1].id if rows else None


def _some_texts(c: Connection, dataset: Row) -> bool:
    """Delete a batch of prompts and outputs, and the ids of contents that no row has any more."""
    doomed = [
        table.c.id.in_(select(table.c.id).where(table.c.dataset_id == dataset["id"]).order_by(table.c.id).limit(BATCH))
        for table in _TEXTS
    ]
    mine = _contents(c, *doomed)
    if not sum(c.execute(delete(table).where(which)).rowcount for table, which in zip(_TEXTS, doomed, strict=True)):
        return False
    left = _contents(c, *(table.c.tenant_id == dataset["tenant_id"] for table in _TEXTS))
    for chunk in chunks(sorted(mine - left)):
        c.execute(delete(s.content).where(s.content.c.id.in_(chunk)))
    return True


def _end(c: Connection, mine: int) -> None:
    c.execute(delete(s.run).where(s.run.c.dataset_id == mine))
    c.execute(delete(s.dataset).where(s.dataset.c.id == mine))


def _delete_answers(c: Connection, answers: set[int]) -> None:
    for chunk in chunks(sorted(answers)):
        c.execute(delete(s.parsed_verdict).where(s.parsed_verdict.c.answer_id.in_(chunk)))
        c.execute(delete(s.answer).where(s.answer.c.id.in_(chunk)))


def _own_contents(c: Connection, dataset: Row) -> set[int]:
    """Return the interned ids of the texts that no other dataset of the tenant has."""
    others = select(s.dataset.c.id).where(
        s.dataset.c.tenant_id == dataset["tenant_id"], s.dataset.c.revision != GONE, s.dataset.c.id != dataset["id"]
    )
    held = _contents(c, *(table.c.dataset_id.in_(others) for table in _TEXTS))
    return _contents(c, *(table.c.dataset_id == dataset["id"] for table in _TEXTS)) - held


def _contents(c: Connection, prompts: ColumnElement[bool], outputs: ColumnElement[bool]) -> set[int]:
    """Return the interned ids of the texts of these prompts and outputs."""
    p, o = s.prompt.c, s.output.c
    shown = {i for row in c.execute(select(p.plain, p.referenced).where(prompts)) for ids in row for i in ids}
    shown.update(i for row in c.execute(select(o.shown).where(outputs)) for i in row.shown)
    return shown
