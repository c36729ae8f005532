"""Runs in SQL: their rows, states, rounds and settled positions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, replace
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from judge.domain.errors import AlreadyExists, JudgeError, NotFound, RequestIdReused, StoreFull
from judge.domain.judge import JudgeDefinition
from judge.domain.outcome import ItemState
from judge.domain.run import ENDED, INTERRUPTED, TRANSITIONS, Budget, NewRun, Run, RunCounts, RunSpec, RunState
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.run_rows import RunQuery, StatusCount
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.definitions import from_definition, from_spec, to_definition, to_spec
from judge.store.dialects import insert_or_skip
from judge.store.interning import tenant_id
from judge.store.open_calls import open_calls
from judge.store.recent_costs import recent_costs
from judge.store.revisions import DELETED, GONE, dataset_row
from judge.store.rows import spent_from
from judge.store.shards import reopen_shards

log = logger("runs")
_ROUND = (
    select(func.count())
    .where(s.run_round.c.run_id == s.run.c.id, s.run_round.c.plan >= b"\1")
    .scalar_subquery()
    .label("at_round")
)
"""The number of a run's rounds. A plan that begins with a zero byte is not a round."""
_EXISTING_RUNS = (
    select(s.run, _ROUND, s.dataset.c.name.label("dataset"))
    .join(s.tenant, s.tenant.c.id == s.run.c.tenant_id)
    .join(s.dataset, s.dataset.c.id == s.run.c.dataset_id)
    .where(s.dataset.c.revision != GONE, s.run.c.reason != DELETED)
)
_RUN_BY_ID = _EXISTING_RUNS.where(s.tenant.c.name == bindparam("of"), s.run.c.run_id == bindparam("called"))
_i = s.run_item.c
_SETTLED = select(_i.position).where(
    _i.run_id == bindparam("run"), _i.position >= bindparam("first"), _i.position < bindparam("last")
)


class SqlRuns:
    """The part of RunStore about runs and their rounds."""

    _db: Connections
    _clock: Clock

    async def create_run(self, tenant: str, run: NewRun) -> Run:
        """Store a run as QUEUED, or return the one that has its request id and body hash."""

        def work(c: Connection) -> str:
            owner = tenant_id(c, tenant)
            if (old := _requested_run_id(c, tenant, run.request_id, run.body_hash)) is not None:
                return old
            taken = select(s.run.c.id).where(s.run.c.tenant_id == owner, s.run.c.run_id == run.run_id)
            if c.scalar(taken) is not None:
                raise AlreadyExists(f"run {run.run_id!r} already exists", run=f"runs/{run.run_id}")
            mine = dataset_row(c, tenant, run.spec.dataset, "shared")["id"]
            made = c.execute(insert(s.run).values(self._row(run, owner, mine)))
            number = made.inserted_primary_key[0]  # type: ignore[index]
            c.execute(insert(s.run_judge), _judge_rows(run, owner=owner, number=number, dataset=mine))
            c.execute(insert_or_skip(c, s.judge_version), _version_rows(run, owner))
            return run.run_id

        return await self.run(tenant, await self._db.write(work))

    async def requested_run(self, tenant: str, request_id: str, body_hash: str) -> Run | None:
        """Return the run that was created with *request_id* and this body hash, if there is one."""
        run_id = await self._db.read(lambda c: _requested_run_id(c, tenant, request_id, body_hash))
        return None if run_id is None else await self.run(tenant, run_id)

    def _row(self, run: NewRun, owner: int, dataset: int) -> dict[str, Any]:
        return {
            "tenant_id": owner,
            "run_id": run.run_id,
            "request_id": run.request_id or None,
            "body_hash": run.body_hash,
            "dataset_id": dataset,
            "dataset_revision": run.dataset_revision,
            "spec": from_spec(run.spec),
            "metadata": dict(run.spec.metadata),
            "judges": [from_definition(judge) for judge in run.judges],
            "plan_hash": run.plan_hash,
            "state": RunState.QUEUED.value,
            "revision": 1,
            "planned": run.planned,
            "by_status": {},
            "budget_micros": run.spec.budget.cost_micros,
            "budget_calls": run.spec.budget.calls,
            "create_time": self._clock.now(),
        }

    async def run(self, tenant: str, run_id: str) -> Run:
        """Return the run as it is now."""

        def work(c: Connection) -> Run:
            row = c.execute(_RUN_BY_ID, {"of": tenant, "called": run_id}).first()
            if row is None:
                raise NotFound(f"there is no run {run_id!r}", reason="UNKNOWN_RUN", run=run_id)
            return replace(_run(row), open=open_calls(c, [row])[row.id])

        run = await self._db.read(work)
        if self._db.full and run.state is RunState.RUNNING:
            # The disk is full, so this state cannot be stored. The run continues when the disk has space again.
            return replace(run, state=RunState.PAUSED, reason=StoreFull.reason, message="the store's disk is full")
        return run

    async def runs(self, tenant: str, query: RunQuery, before: int, limit: int) -> list[Run]:
        """Return at most *limit* runs, newest first."""

        def work(c: Connection) -> list[Run]:
            rows = _EXISTING_RUNS.where(s.tenant.c.name == tenant).order_by(s.run.c.id.desc()).limit(limit)
            if before:
                rows = rows.where(s.run.c.id < before)
            if query.dataset:
                rows = rows.where(s.dataset.c.name == query.dataset)
            if query.states:
                rows = rows.where(s.run.c.state.in_([state.value for state in query.states]))
            for name, value in query.metadata.items():
                rows = rows.where(s.run.c.metadata[name].as_string() == value)
            page = c.execute(rows).all()
            unsettled = open_calls(c, page)
            return [replace(_run_or_stub(row), open=unsettled[row.id]) for row in page]

        return await self._db.read(work)

    async def unfinished(self) -> list[tuple[str, str]]:
        """Return the tenant and run id of every run that has not ended and was not interrupted, oldest first."""

        def work(c: Connection) -> list[tuple[str, str]]:
            query = (
                select(s.tenant.c.name, s.run.c.run_id)
                .join(s.tenant, s.tenant.c.id == s.run.c.tenant_id)
                .where(s.run.c.state.not_in([state.value for state in ENDED]))
                .where((s.run.c.state != RunState.PAUSED.value) | (s.run.c.reason != INTERRUPTED))
                .order_by(s.run.c.id)
            )
            return [(row.name, row.run_id) for row in c.execute(query)]

        return await self._db.read(work)

    async def move_run(
        self, row: int, state: RunState, *, reason: str = "", message: str = "", never_started: ItemState | None = None
    ) -> bool:
        """Change a run's state, if TRANSITIONS allows it. Return whether it changed."""
        before = [old.value for old, new in TRANSITIONS.items() if state in new]
        values: dict[str, Any] = {
            "state": state.value,
            "reason": reason,
            "message": message,
            "end_time": self._clock.now() if state in ENDED else None,
            "never_started": never_started.value if never_started and state in ENDED else None,
        }

        def work(c: Connection) -> bool:
            change = update(s.run).where(s.run.c.id == row, s.run.c.state.in_(before))
            return c.execute(change.values(**values, revision=s.run.c.revision + 1)).rowcount == 1

        return await self._db.write(work)

    async def explain_run(self, row: int, state: RunState, reason: str, message: str) -> bool:
        """Store why a run is in *state*, if it still is. Return whether it is."""
        change = update(s.run).where(s.run.c.id == row, s.run.c.state == state.value)
        change = change.values(reason=reason, message=message, revision=s.run.c.revision + 1)
        return await self._db.write(lambda c: c.execute(change).rowcount == 1)

    async def reopen_run(self, row: int, budget: Budget | None) -> bool:
        """Queue a run again and remove its presentations without a verdict. Return whether it was possible.

        A run that is being executed gets the new *budget* only.
        """
        before = {state.value for state in (*ENDED, RunState.PAUSED, RunState.WAITING)}

        def work(c: Connection) -> bool:
            run = c.execute(select(s.run).where(s.run.c.id == row).with_for_update()).first()
            if run is None or run.state not in before:
                if run is not None and budget is not None:
                    changed = {**_values_of_budget(run, budget), "revision": run.revision + 1}
                    c.execute(update(s.run).where(s.run.c.id == row).values(changed))
                return False
            c.execute(delete(s.run_item).where(_i.run_id == row, _i.answer_id.is_(None)))
            reopen_shards(c, row)
            c.execute(update(s.run).where(s.run.c.id == row).values(_values_when_queued_again(run, budget)))
            return True

        return await self._db.write(work)

    async def done_positions(self, row: int, first: int, last: int) -> set[int]:
        """Return the positions in [first, last) that have a verdict or a final state."""
        parameters = {"run": row, "first": first, "last": last}
        return await self._db.read(lambda c: set(c.scalars(_SETTLED, parameters)))

    async def status_counts(self, row: int) -> list[StatusCount]:
        """Count the settled presentations of a run by judge and status."""
        query = select(_i.judge, _i.status, func.count(), func.min(_i.position)).where(_i.run_id == row)
        query = query.group_by(_i.judge, _i.status).order_by(_i.judge, _i.status)
        return await self._db.read(lambda c: [StatusCount(*counted) for counted in c.execute(query)])

    async def add_round(self, row: int, number: int, plan: bytes, planned: int) -> bytes:
        """Store round *number*, unless it is already stored, and return the stored plan."""

        def work(c: Connection) -> bytes:
            run = s.run.c
            owner = c.scalar(select(run.tenant_id).where(run.id == row))
            if owner is None:
                raise NotFound("the run was deleted with its dataset", reason="UNKNOWN_RUN")
            r = s.run_round.c
            values = {"run_id": row, "round": number, "tenant_id": owner, "plan": plan}
            if c.execute(insert_or_skip(c, s.run_round).values(values).returning(r.round)).first() is not None:
                change = update(s.run).where(run.id == row)
                c.execute(change.values(planned=planned, revision=run.revision + 1))
            stored = select(r.plan).where(r.run_id == row, r.round == number)
            return bytes(c.execute(stored).scalar_one())

        return await self._db.write(work)

    async def rounds(self, row: int, first: int) -> list[bytes]:
        """Return the plans of round *first* and the rounds after it, in order."""
        r = s.run_round.c
        query = select(r.plan).where(r.run_id == row, r.round >= first).order_by(r.round)
        return await self._db.read(lambda c: [bytes(plan) for plan in c.scalars(query)])

    async def judge_definitions(self, tenant: str) -> list[JudgeDefinition]:
        """Return the recorded judges of the tenant, newest first."""

        def work(c: Connection) -> list[JudgeDefinition]:
            query = (
                select(s.judge_version.c.definition)
                .join(s.tenant, s.tenant.c.id == s.judge_version.c.tenant_id)
                .where(s.tenant.c.name == tenant)
                .order_by(s.judge_version.c.id.desc())
            )
            definitions = [to_definition(body) for body in c.scalars(query)]
            return [definition for definition in definitions if definition.scope]

        return await self._db.read(work)

    async def changes(self, rows: Collection[int]) -> dict[int, int]:
        """Return the present revision of each run, by row."""
        query = select(s.run.c.id, s.run.c.revision).where(s.run.c.id.in_(list(rows)))
        return await self._db.read(lambda c: {row.id: row.revision for row in c.execute(query)})


def _requested_run_id(c: Connection, tenant: str, request_id: str, body_hash: str) -> str | None:
    if not request_id:
        return None
    query = (
        select(s.run.c.run_id, s.run.c.body_hash)
        .join(s.tenant, s.tenant.c.id == s.run.c.tenant_id)
        .where(s.tenant.c.name == tenant, s.run.c.request_id == request_id)
    )
    old = c.execute(query).first()
    if old is not None and old.body_hash != body_hash:
        message = f"request id {request_id!r} was already used for run {old.run_id} with different settings"
        raise RequestIdReused(message, run=f"runs/{old.run_id}")
    return None if old is None else str(old.run_id)


def _judge_rows(run: NewRun, *, owner: int, number: int, dataset: int) -> list[dict[str, Any]]:
    """Return the judges of a run, each with its place in the run."""
    return [
        {
            "run_id": number,
            "number": place,
            "tenant_id": owner,
            "dataset_id": dataset,
            "name": judge.name,
            "fingerprint": judge.fingerprint,
        }
        for place, judge in enumerate(run.judges)
    ]


def _version_rows(run: NewRun, owner: int) -> list[dict[str, Any]]:
    """Return the versions of the judges of a run."""
    return [
        {
            "tenant_id": owner,
            "name": judge.name,
            "fingerprint": judge.fingerprint,
            "definition": from_definition(judge),
        }
        for judge in run.judges
    ]


def _values_when_queued_again(run: Any, budget: Budget | None) -> dict[str, Any]:  # noqa: ANN401  # a row
    """Return what changes in a run's row when the run is queued again, perhaps with another budget."""
    states = {state.name.lower() for state in ItemState}
    values: dict[str, Any] = {
        "state": RunState.QUEUED.value,
        "reason": "",
        "message": "",
        "never_started": None,
        "end_time": None,
        "spent": {judge: astuple(replace(spent_from(used), failed=0)) for judge, used in run.spent.items()},
        "by_status": {name: n for name, n in run.by_status.items() if name not in states},
        "revision": run.revision + 1,
    }
    return values if budget is None else values | _values_of_budget(run, budget)


def _values_of_budget(run: Any, budget: Budget) -> dict[str, Any]:  # noqa: ANN401  # a row
    return {
        "budget_micros": budget.cost_micros,
        "budget_calls": budget.calls,
        "spec": from_spec(replace(to_spec(run.spec, {}), budget=budget)),
    }


def _run_or_stub(row: Any) -> Run:  # noqa: ANN401  # a row
    """Return a run, or what can be said of one whose stored settings are not valid, so that it breaks no list."""
    try:
        return _run(row)
    except (JudgeError, ValueError, LookupError, TypeError, AttributeError) as error:
        log.warning("run.unreadable", run=row.run_id, error=repr(error))
    return Run(
        row=row.id,
        run_id=row.run_id,
        request_id=row.request_id or "",
        spec=RunSpec(dataset=row.dataset, judges=()),
        dataset_revision=row.dataset_revision,
        judges=(),
        plan_hash=row.plan_hash,
        state=RunState(row.state),
        reason="UNREADABLE",
        message="the run's stored settings cannot be read; the server's log says why",
        revision=row.revision,
        counts=RunCounts(planned=row.planned, reused=row.reused, calls=row.calls, repeated=row.repeated),
        cost_micros=row.cost_micros,
        create_time=row.create_time,
        end_time=row.end_time,
    )


def _run(row: Any) -> Run:  # noqa: ANN401  # a row
    return Run(
        row=row.id,
        run_id=row.run_id,
        request_id=row.request_id or "",
        spec=to_spec(row.spec, row.metadata),
        dataset_revision=row.dataset_revision,
        judges=tuple(to_definition(body) for body in row.judges),
        plan_hash=row.plan_hash,
        state=RunState(row.state),
        reason=row.reason,
        message=row.message,
        revision=row.revision,
        counts=RunCounts(
            planned=row.planned,
            reused=row.reused,
            calls=row.calls,
            repeated=row.repeated,
            by_status=dict(row.by_status),
        ),
        cost_micros=row.cost_micros,
        create_time=row.create_time,
        end_time=row.end_time,
        never_started=ItemState(row.never_started) if row.never_started else None,
        round=row.at_round,
        spent=tuple(spent_from(row.spent.get(str(number), ())) for number in range(len(row.judges))),
        overruns=tuple(recent_costs(row, number).largest_overrun for number in range(len(row.judges))),
    )
