"""Commits: the one way an answer comes in. Whole or not at all, safe to repeat, counted once.

An attempt is settled only while it is live, and a showing counts only when its row goes in: so a list of settled
showings may be committed again. Under a key that has an answer already, that answer stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, select, update

from judge.domain.outcome import FAILED, ItemState, VerdictStatus
from judge.domain.run import Spent
from judge.domain.verdict import SOURCE_PARSER, CallKey, Reading, Usage, status_of
from judge.ports.clock import Clock
from judge.ports.store import Settled, StoredAnswer
from judge.store import schema as s
from judge.store.attempts import settle
from judge.store.connections import Connections
from judge.store.dialects import alone
from judge.store.interning import tenant_id
from judge.store.many_rows import added
from judge.store.permits import stored_answers
from judge.store.revisions import GONE
from judge.store.rows import ANSWER, READING, added_keyed, answer_row, reading_row, readings_of, spent_with, storable

CHUNK = 500
ITEM = tuple(s.run_item.c.keys())


@dataclass(frozen=True, slots=True)
class _Answers:
    """The answers' ids by key, and what brought in those that are new."""

    ids: Mapping[CallKey, int]
    new: Mapping[CallKey, Settled]


class Commits:
    """The part of RunStore that takes answers in."""

    _db: Connections
    _clock: Clock

    async def commit(self, tenant: str, run: int | None, settled: Sequence[Settled]) -> None:
        """Answers, readings, showings, attempts, and the run's counts, cost and revision, in one transaction."""
        now = self._clock.now()
        await self._db.write(lambda c: _commit(c, tenant_id(c, tenant), run, settled, now))


def _commit(c: Connection, owner: int, run: int | None, settled: Sequence[Settled], now: float) -> None:
    kept = select(s.run).join(s.dataset, s.dataset.c.id == s.run.c.dataset_id).where(s.dataset.c.revision != GONE)
    mine = kept.where(s.run.c.id == run)
    row = None if run is None else c.execute(mine.with_for_update(read=True, of=s.dataset)).first()
    if run is not None and row is None:
        # Its dataset is being deleted: what was spent is booked, and no text comes in.
        _settle(c, settled, set())
        return
    answers = _store_answers(c, owner, settled, now)
    spent, repeated = _settle(c, settled, answers.new.keys())
    if row is None:
        return
    if not alone(c):
        # Held from here to the end: everything before went on beside other commits of the run.
        row = c.execute(mine.with_for_update(of=s.run)).one()
    items = _items(c, owner, row, settled, answers)
    inserted = _inserted(c, items)
    for judge, failed in Counter(one.judge for one in inserted if one.state in FAILED).items():
        spent[judge] = spent.get(judge, Spent()) + Spent(failed=failed)
    whole = sum(spent.values(), Spent())
    r = s.run.c
    values = {
        "calls": r.calls + whole.calls,
        "cost_micros": r.cost_micros + whole.cost_micros,
        "spent": spent_with(row.spent, spent),
        "repeated": r.repeated + repeated,
        "reused": r.reused + sum(one.reused for one in inserted),
        "by_status": dict(Counter(row.by_status) + Counter(one.status for one in inserted)),
        "revision": row.revision + 1,
    }
    if inserted or whole != Spent() or repeated:
        c.execute(update(s.run).where(r.id == row.id).values(values))


def _store_answers(c: Connection, owner: int, settled: Sequence[Settled], now: float) -> _Answers:
    called: dict[CallKey, Settled] = {}
    for done in settled:
        if done.reply is not None and done.answer is None:
            called.setdefault(done.key, done)
    ids = {done.key: done.answer for done in settled if done.answer is not None}
    rows = [
        answer_row(owner, key, done.reply, now) for key, done in sorted(called.items(), key=itemgetter(0)) if done.reply
    ]
    made = added_keyed(c, s.answer, ANSWER, rows)
    ids |= made
    new = {key: called[key] for key in made}
    present = stored_answers(c, owner, [key for key in called if key not in new])
    ids |= {key: stored.answer for key, stored in present.items()}
    readings = [
        reading_row(owner, ids[done.key], done.reading)
        for done in settled
        if done.reading is not None and done.key in ids and _is_of(done, new, present)
    ]
    added(c, s.reading, READING, readings)
    return _Answers(ids, new)


def _is_of(done: Settled, new: Mapping[CallKey, Settled], present: Mapping[CallKey, StoredAnswer]) -> bool:
    """Whether *done*'s reading is one of the answer that stays under its key."""
    if done.answer is not None:
        return True
    mine = done.reply
    kept = new[done.key].reply if done.key in new else present[done.key].reply
    if mine is None or kept is None:
        return False
    return mine is kept or (storable(mine.raw), mine.status) == (storable(kept.raw), kept.status)


def _settle(c: Connection, settled: Sequence[Settled], new: Any) -> tuple[dict[int, Spent], int]:  # noqa: ANN401  # a set view
    """Close the attempts that are still live; what this adds to the run, by judge, and its repeated calls."""
    mine = {done.attempt: (_closed(done, new), done) for done in settled if done.attempt is not None}
    spent: dict[int, Spent] = {}
    repeated = 0
    for row in settle(c, [(attempt, *closed) for attempt, (closed, _) in mine.items()]):
        (state, cost), done = mine[row.id]
        usage = done.reply.usage if done.reply else Usage()
        used = Spent(done.calls, cost, usage.input_tokens, usage.cached_input_tokens, usage.output_tokens)
        spent[row.judge] = spent.get(row.judge, Spent()) + used
        repeated += state == "repeated"
    return spent, repeated


def _closed(done: Settled, new: Any) -> tuple[str, int]:  # noqa: ANN401  # a set view
    """The state that an attempt ends in, and its cost in micro-USD."""
    state = "failed" if done.reply is None else "settled" if done.key in new else "repeated"
    return state, done.lost_micros + (done.reply.usage.cost_micros if done.reply else 0)


def _items(
    c: Connection,
    owner: int,
    run: Any,  # noqa: ANN401  # a row
    settled: Sequence[Settled],
    answers: _Answers,
) -> list[tuple[Any, ...]]:
    """The showings' rows: of those with an answer or a final state."""
    parsers = [judge["parser"] for judge in run.judges]
    older = [answers.ids[done.key] for done in settled if done.key in answers.ids and done.key not in answers.new]
    statuses = _Statuses(c, older)
    rows = []
    for done in settled:
        item, answer = done.item, answers.ids.get(done.key)
        if item is None or (answer is None and done.state in (None, ItemState.PENDING)):
            continue
        state = done.state if answer is None else None
        came = answers.new.get(done.key)
        if state is not None:
            status = state.name.lower()
        elif came is not None and came.reply is not None:
            status = status_of(came.reply.status, came.reading).name.lower()
        else:
            status = statuses.of(answer or 0, parsers[item.judge])
        rows.append(
            (
                run.id,
                item.position,
                owner,
                item.judge,
                item.prompt,
                item.turn,
                item.left,
                item.right,
                item.order.value,
                item.repeat,
                item.comparison_id,
                state,
                answer,
                status,
                done.answer is not None,
                run.revision + 1,
            )
        )
    return rows


class _Statuses:
    """The status of each answer as a judge with some parser sees it: the same that its verdict will have."""

    def __init__(self, c: Connection, answers: Sequence[int]) -> None:
        ids = sorted(set(answers))
        a = s.answer.c
        self._replies: dict[int, int] = {}
        for begin in range(0, len(ids), CHUNK):
            query = select(a.id, a.status).where(a.id.in_(ids[begin : begin + CHUNK]))
            self._replies.update({row.id: row.status for row in c.execute(query)})
        self._readings = readings_of(c, ids)

    def of(self, answer: int, parser: str) -> str:
        """The name of its status."""
        replied = VerdictStatus(self._replies.get(answer, VerdictStatus.OK))
        return status_of(replied, self._counted(self._readings.get(answer, ()), parser)).name.lower()

    @staticmethod
    def _counted(readings: Sequence[Reading], parser: str) -> Reading | None:
        by_parser = {reading.parser: reading for reading in readings}
        last = readings[-1] if readings else None
        return by_parser.get(SOURCE_PARSER) or by_parser.get(parser) or last


def _inserted(c: Connection, items: Sequence[tuple[Any, ...]]) -> Sequence[Any]:
    """The judge, status and state of each row that was not there yet, and whether its answer was reused."""
    i = s.run_item.c
    return added(c, s.run_item, ITEM, items, (i.judge, i.status, i.state, i.reused))
