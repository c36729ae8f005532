"""Permits and commits: the one gate for calls, and the one way an answer comes in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, tuple_, update
from sqlalchemy.dialects.sqlite import insert as upsert

from judge.domain.outcome import VerdictStatus
from judge.domain.run import RunState
from judge.domain.verdict import SOURCE_PARSER, CallKey, Reading, Reply
from judge.ports.clock import Clock
from judge.ports.store import Permit, PermitRequest, Settled, StoredAnswer
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.imports import reading_row
from judge.store.interning import tenant_id
from judge.store.rows import readings_of, reply_of

CHUNK = 100
WORKING = (RunState.QUEUED, RunState.RUNNING, RunState.WAITING)
STOPPED = (RunState.CANCELLING, RunState.CANCELLED)
_PARTS = ("fingerprint", "prompt", "turn", "first", "second", "epoch", "repeat")


class Permits:
    """The part of RunStore about calls."""

    _db: Connections
    _clock: Clock

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        """What exists, what is being called, and an attempt for what may be called now."""
        return await self._db.write(lambda c: _permit(c, tenant_id(c, tenant), request))

    async def answers(self, tenant: str, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
        """Those of *keys* that have an answer."""
        owner = select(s.tenant.c.id).where(s.tenant.c.name == tenant)
        return await self._db.read(lambda c: _answers(c, c.scalar(owner) or 0, keys))

    async def commit(self, tenant: str, run: int | None, settled: Sequence[Settled]) -> None:
        """Answers, readings, showings, attempts, and the run's counts, cost and revision, in one transaction."""
        now = self._clock.now()
        await self._db.write(lambda c: _commit(c, tenant_id(c, tenant), run, settled, now))

    async def orphan_attempts(self) -> int:
        """Book every live attempt as spent."""

        def work(c: Connection) -> int:
            live = c.execute(select(s.call_attempt).where(s.call_attempt.c.state == "live")).all()
            _orphan(c, live)
            return len(live)

        return await self._db.write(work)


def _values(owner: int, key: CallKey) -> dict[str, Any]:
    return {"tenant_id": owner, **{name: getattr(key, name) for name in _PARTS}}


def _key(row: Any) -> CallKey:  # noqa: ANN401  # a row
    return CallKey(*(getattr(row, name) for name in _PARTS))


def _matching(table: Any, owner: int, keys: Sequence[CallKey]) -> Any:  # noqa: ANN401
    columns = [table.c[name] for name in _PARTS]
    wanted = [tuple(getattr(key, name) for name in _PARTS) for key in keys]
    return (table.c.tenant_id == owner) & tuple_(*columns).in_(wanted)


def _answers(c: Connection, owner: int, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
    found: dict[CallKey, StoredAnswer] = {}
    for begin in range(0, len(keys), CHUNK):
        rows = c.execute(select(s.answer).where(_matching(s.answer, owner, keys[begin : begin + CHUNK]))).all()
        readings = readings_of(c, [row.id for row in rows])
        found.update({_key(row): StoredAnswer(row.id, reply_of(row), readings.get(row.id, ())) for row in rows})
    return found


def _permit(c: Connection, owner: int, request: PermitRequest) -> Permit:
    run = None
    if request.run is not None:
        run = c.execute(select(s.run).where(s.run.c.id == request.run)).first()
        if run is None or RunState(run.state) in STOPPED:
            return Permit(refused="CANCELLED")
        if RunState(run.state) not in WORKING:
            return Permit(refused="NOT_RUNNING")
    keys = list(dict.fromkeys(request.keys))
    answered = _answers(c, owner, keys)
    missing = [key for key in keys if key not in answered]
    live = _live(c, owner, missing)
    stale = [row for row in live.values() if row.until < request.now]
    _orphan(c, stale)
    busy = frozenset(key for key, row in live.items() if row.until >= request.now)
    free = [key for key in missing if key not in busy]
    allowed = free if run is None else free[: _affordable(c, run, request)]
    rows = [
        {**_values(owner, key), "run_id": request.run, "worst_micros": request.worst_micros, "until": request.until}
        for key in allowed
    ]
    granted: dict[CallKey, int] = {}
    if rows:
        made = c.execute(insert(s.call_attempt).returning(s.call_attempt), [{**row, "state": "live"} for row in rows])
        granted = {_key(row): row.id for row in made}
    return Permit(granted, answered, busy, "" if len(allowed) == len(free) else "BUDGET_STOPPED")


def _live(c: Connection, owner: int, keys: Sequence[CallKey]) -> dict[CallKey, Any]:
    found = {}
    for begin in range(0, len(keys), CHUNK):
        matching = _matching(s.call_attempt, owner, keys[begin : begin + CHUNK])
        for row in c.execute(select(s.call_attempt).where(matching, s.call_attempt.c.state == "live")):
            found[_key(row)] = row
    return found


def _affordable(c: Connection, run: Any, request: PermitRequest) -> int:  # noqa: ANN401
    if not run.budget_calls and not run.budget_micros:
        return len(request.keys)
    a = s.call_attempt.c
    live, worst = c.execute(
        select(func.count(), func.coalesce(func.sum(a.worst_micros), 0)).where(a.run_id == run.id, a.state == "live")
    ).one()
    now = c.execute(select(s.run.c.calls, s.run.c.cost_micros).where(s.run.c.id == run.id)).one()
    many = len(request.keys)
    if run.budget_calls:
        many = min(many, run.budget_calls - now.calls - live)
    if run.budget_micros and request.worst_micros:
        many = min(many, (run.budget_micros - now.cost_micros - worst) // request.worst_micros)
    return max(many, 0)


def _orphan(c: Connection, rows: Sequence[Any]) -> None:
    """Book attempts that nobody will settle as spent at their worst cost."""
    if not rows:
        return
    change = update(s.call_attempt).where(s.call_attempt.c.id == bindparam("row"))
    values = [{"row": row.id, "cost": row.worst_micros} for row in rows]
    c.execute(change.values(state="orphaned", cost_micros=bindparam("cost")), values)
    by_run = Counter(row.run_id for row in rows if row.run_id is not None)
    for run, many in by_run.items():
        cost = sum(row.worst_micros for row in rows if row.run_id == run)
        r = s.run.c
        booked = {
            "repeated": r.repeated + many,
            "calls": r.calls + many,
            "cost_micros": r.cost_micros + cost,
            "revision": r.revision + 1,
        }
        c.execute(update(s.run).where(r.id == run).values(booked))


def _commit(c: Connection, owner: int, run: int | None, settled: Sequence[Settled], now: float) -> None:
    answers, first = _store_answers(c, owner, settled, now)
    readings = [
        reading_row(owner, answers[key], reading)
        for key, reading in ((done.key, done.reading) for done in settled)
        if reading is not None and key in answers
    ]
    if readings:
        c.execute(upsert(s.reading).on_conflict_do_nothing(), readings)
    calls, cost, repeated = _settle(c, settled, first)
    if run is None:
        return
    row = c.execute(select(s.run.c.revision, s.run.c.by_status).where(s.run.c.id == run)).one()
    statuses = _statuses(c, settled, answers)
    inserted = _store_items(c, owner, run, settled, answers, statuses, row.revision + 1)
    counts = Counter(row.by_status) + Counter(status for status, _ in inserted)
    r = s.run.c
    values = {
        "calls": r.calls + calls,
        "cost_micros": r.cost_micros + cost,
        "repeated": r.repeated + repeated,
        "reused": r.reused + sum(reused for _, reused in inserted),
        "by_status": dict(counts),
        "revision": row.revision + 1,
    }
    if inserted or calls or cost or repeated:
        c.execute(update(s.run).where(r.id == run).values(values))


def _store_answers(
    c: Connection, owner: int, settled: Sequence[Settled], now: float
) -> tuple[dict[CallKey, int], set[CallKey]]:
    """The answers' ids by key, and the keys whose answer came in just now."""
    answers = {done.key: done.answer for done in settled if done.answer is not None}
    fresh = {d.key: d.reply for d in settled if d.reply is not None and d.answer is None}
    if not fresh:
        return answers, set()
    rows = [{**_values(owner, key), **_answer_row(reply, now)} for key, reply in fresh.items()]
    made = c.execute(upsert(s.answer).on_conflict_do_nothing().returning(s.answer), rows)
    inserted = {_key(row): row.id for row in made}
    answers |= inserted
    others = [key for key in fresh if key not in inserted]
    answers |= {key: stored.answer for key, stored in _answers(c, owner, others).items()}
    return answers, set(inserted)


def _answer_row(reply: Reply, now: float) -> dict[str, Any]:
    usage = reply.usage
    return {
        "raw": reply.raw,
        "status": reply.status.value,
        "model": reply.model,
        "logprobs": [list(pair) for pair in reply.logprobs],
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_micros": usage.cost_micros,
        "latency_ms": usage.latency_ms,
        "tries": usage.tries,
        "create_time": now,
    }


def _settle(c: Connection, settled: Sequence[Settled], first: set[CallKey]) -> tuple[int, int, int]:
    """Close the attempts that are still live; the calls, the cost and the repeated calls this adds to the run."""
    mine = {done.attempt: done for done in settled if done.attempt is not None}
    a = s.call_attempt.c
    live = set(c.scalars(select(a.id).where(a.id.in_(list(mine)), a.state == "live"))) if mine else set()
    values = []
    calls = cost = repeated = 0
    for attempt in sorted(live):
        done = mine[attempt]
        spent = done.reply.usage.cost_micros if done.reply else 0
        state = "failed" if done.reply is None else "settled" if done.key in first else "repeated"
        values.append({"row": attempt, "now": state, "cost": spent})
        calls += done.calls
        cost += spent
        repeated += state == "repeated"
    if values:
        change = update(s.call_attempt).where(a.id == bindparam("row"))
        c.execute(change.values(state=bindparam("now"), cost_micros=bindparam("cost")), values)
    return calls, cost, repeated


def _statuses(c: Connection, settled: Sequence[Settled], answers: Mapping[CallKey, int]) -> dict[CallKey, str]:
    ids = [answers[done.key] for done in settled if done.key in answers and _asks_store(done)]
    readings = readings_of(c, ids)
    statuses = {}
    for done in settled:
        if done.key not in answers:
            statuses[done.key] = done.state.name.lower() if done.state else "given_up"
            continue
        stored = readings.get(answers[done.key], ())
        told = [done.reading] if done.reading and not _asks_store(done) else list(stored)
        statuses[done.key] = _status(done.reply, told)
    return statuses


def _asks_store(done: Settled) -> bool:
    return done.answer is not None


def _status(reply: Reply | None, readings: Sequence[Reading]) -> str:
    if reply is not None and reply.status is not VerdictStatus.OK:
        return reply.status.name.lower()
    source = [reading for reading in readings if reading.parser == SOURCE_PARSER]
    chosen = (source or list(readings))[-1:]
    return (chosen[0].status if chosen else VerdictStatus.UNREADABLE).name.lower()


def _store_items(
    c: Connection,
    owner: int,
    run: int,
    settled: Sequence[Settled],
    answers: Mapping[CallKey, int],
    statuses: Mapping[CallKey, str],
    revision: int,
) -> list[tuple[str, bool]]:
    rows = []
    for done in settled:
        if done.item is None:
            continue
        item = done.item
        answer = answers.get(done.key)
        rows.append(
            {
                "run_id": run,
                "position": item.position,
                "tenant_id": owner,
                "judge": item.judge,
                "prompt": item.prompt,
                "turn": item.turn,
                "left": item.left,
                "right": item.right,
                "order": item.order.value,
                "repeat": item.repeat,
                "comparison_id": item.comparison_id,
                "state": None if answer is not None or done.state is None else done.state.value,
                "answer_id": answer,
                "status": statuses[done.key],
                "reused": done.answer is not None,
                "revision": revision,
            }
        )
    if not rows:
        return []
    i = s.run_item.c
    made = c.execute(upsert(s.run_item).on_conflict_do_nothing().returning(i.status, i.reused), rows)
    return [(row.status, row.reused) for row in made]
