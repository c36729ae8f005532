"""Commits: the only way to store an answer. A commit is complete or absent, safe to repeat, and counted once.

An attempt is settled only while it is live, and a presentation is counted only when its row is inserted. So the same
settled presentations may be committed again. If a key already has an answer, that answer stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from judge.domain.outcome import FAILED, ItemState, VerdictStatus
from judge.domain.spending import Overrun, Spent
from judge.domain.verdict import SOURCE_PARSER, CallKey, ParsedVerdict, Reply, status_of
from judge.ports.clock import Clock
from judge.ports.records import Settled, StoredAnswer
from judge.store import schema as s
from judge.store.attempts import settle
from judge.store.connections import Connections
from judge.store.dialects import alone
from judge.store.interning import tenant_id
from judge.store.many_rows import insert_rows
from judge.store.permits import stored_answers
from judge.store.recent_costs import recent_with
from judge.store.revisions import GONE
from judge.store.rows import (
    ANSWER,
    PARSED_VERDICT,
    answer_row,
    insert_keyed_rows,
    parsed_verdict_row,
    parsed_verdicts_of,
    spent_with,
    storable,
)

CHUNK = 500
ITEM = tuple(s.run_item.c.keys())
REASON_CHARS = 500
"""How much of the reason for a missing verdict is kept."""
POSITION, JUDGE, STATE, STATUS, REUSED = map(ITEM.index, ("position", "judge", "state", "status", "reused"))
_NAMES = {status: status.name.lower() for status in VerdictStatus}
_NOTHING = Reply("")
_RUN = (
    select(s.run.c.id, s.run.c.revision, s.run.c.spent, s.run.c.recent, s.run.c.by_status)
    .join(s.dataset, s.dataset.c.id == s.run.c.dataset_id)
    .where(s.run.c.id == bindparam("run"), s.dataset.c.revision != GONE)
)
_OF_DATASET_THAT_EXISTS = _RUN.with_for_update(read=True, of=s.dataset)
_LOCKED = _RUN.with_for_update(of=s.run)
_JUDGES = select(s.run.c.judges).where(s.run.c.id == bindparam("run"))
_ADD_COUNTS = (
    update(s.run)
    .where(s.run.c.id == bindparam("this"))
    .values(
        calls=s.run.c.calls + bindparam("more_calls"),
        cost_micros=s.run.c.cost_micros + bindparam("more_micros"),
        repeated=s.run.c.repeated + bindparam("more_repeated"),
        reused=s.run.c.reused + bindparam("more_reused"),
        spent=bindparam("spent"),
        recent=bindparam("recent"),
        by_status=bindparam("by_status"),
        revision=bindparam("revision"),
    )
)


class _StoredResult(NamedTuple):
    """A settled presentation, the id of the answer under its key, and, if that is new, the one that brought it."""

    done: Settled
    answer: int | None = None
    by: Settled | None = None


@dataclass(slots=True)
class _Used:
    """What a run used for settled calls: by judge in total, the cost of each answered call, and repeated calls."""

    spent: dict[int, Spent] = field(default_factory=dict)
    answered: dict[int, list[int]] = field(default_factory=dict)
    """In micro-USD, by judge."""
    overruns: dict[int, Overrun] = field(default_factory=dict)
    """The largest by judge."""
    repeated: int = 0


class Commits:
    """The part of RunStore that stores answers."""

    _db: Connections
    _clock: Clock

    async def commit(self, tenant: str, run: int | None, settled: Sequence[Settled]) -> None:
        """Store answers and presentations, and update the run's counts, cost and revision, in one transaction."""
        now = self._clock.now()
        await self._db.write(lambda c: _commit(c, tenant_id(c, tenant), run, settled, now))


def _commit(c: Connection, owner: int, run: int | None, settled: Sequence[Settled], now: float) -> None:
    row = None if run is None else c.execute(_OF_DATASET_THAT_EXISTS, {"run": run}).first()
    if run is not None and row is None:
        # Its dataset is being deleted: book what was spent, and store no text.
        _settle(c, list(map(_StoredResult, settled)))
        return
    results = _store_answers(c, owner, settled, now)
    used = _settle(c, results)
    spent = used.spent
    if row is None:
        return
    if not alone(c):
        # Locked from here to the end. Until here, other commits of the run could go on at the same time.
        row = c.execute(_LOCKED, {"run": run}).one()
    inserted = _insert_items(c, _items(c, owner, row.id, row.revision + 1, results))
    for judge, failed in Counter(item[JUDGE] for item in inserted if item[STATE] in FAILED).items():
        spent[judge] = spent.get(judge, Spent()) + Spent(failed=failed)
    whole = sum(spent.values(), Spent())
    counted = {
        "this": row.id,
        "more_calls": whole.calls,
        "more_micros": whole.cost_micros,
        "more_repeated": used.repeated,
        "more_reused": sum(map(itemgetter(REUSED), inserted)),
        "spent": spent_with(row.spent, spent),
        "recent": recent_with(row.recent, used.answered, used.overruns),
        "by_status": dict(Counter(row.by_status) + Counter(map(itemgetter(STATUS), inserted))),
        "revision": row.revision + 1,
    }
    if inserted or whole != Spent() or used.repeated:
        c.execute(_ADD_COUNTS, counted)


def _store_answers(c: Connection, owner: int, settled: Sequence[Settled], now: float) -> list[_StoredResult]:
    called: dict[CallKey, Settled] = {}
    for done in settled:
        if done.reply is not None and done.answer is None:
            called.setdefault(done.key, done)
    rows = [answer_row(owner, key, called[key].reply or _NOTHING, now) for key in sorted(called)]
    made = insert_keyed_rows(c, s.answer, ANSWER, rows)
    present = stored_answers(c, owner, [key for key in called if key not in made])
    results = []
    parsed_verdicts = []
    for done in settled:
        id_, by = made.get(done.key), None
        if id_ is not None:
            by = called[done.key]
        elif done.key in present:
            id_ = present[done.key].answer
        else:
            id_ = done.answer
        results.append(_StoredResult(done, id_, by))
        if done.parsed_verdict is not None and id_ is not None and _is_from(done, by, present):
            parsed_verdicts.append(parsed_verdict_row(owner, id_, done.parsed_verdict))
    insert_rows(c, s.parsed_verdict, PARSED_VERDICT, parsed_verdicts)
    return results


def _is_from(done: Settled, by: Settled | None, present: Mapping[CallKey, StoredAnswer]) -> bool:
    """Whether the parsed verdict in *done* was made from the answer that stays under its key."""
    if done.answer is not None or done is by:
        return True
    kept = by.reply if by is not None else present[done.key].reply
    if done.reply is None or kept is None:
        return False
    return (storable(done.reply.raw), done.reply.status) == (storable(kept.raw), kept.status)


def _settle(c: Connection, results: Sequence[_StoredResult]) -> _Used:
    """Close the attempts that are still live. Return what the run used for them."""
    by_attempt = {result.done.attempt: result for result in results if result.done.attempt is not None}
    closed = {attempt: _closing(result) for attempt, result in by_attempt.items()}
    used = _Used()
    for attempt, judge, batch in settle(c, [(attempt, *how) for attempt, how in closed.items()]):
        (state, cost), done = closed[attempt], by_attempt[attempt].done
        usage = (done.reply or _NOTHING).usage
        spent = Spent(
            calls=done.calls,
            cost_micros=cost,
            input_tokens=usage.input_tokens,
            cached_input_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens,
            uncounted=done.uncounted,
        )
        used.spent[judge] = used.spent.get(judge, Spent()) + spent
        if done.overrun is not None and done.overrun.exceeds(used.overruns.get(judge)):
            used.overruns[judge] = done.overrun
        if done.reply is not None and batch is None:
            # A batch reserves as a whole, so its calls always reserve their worst cost.
            used.answered.setdefault(judge, []).append(usage.cost_micros)
        used.repeated += (state == "repeated") + done.unanswered
    return used


def _closing(result: _StoredResult) -> tuple[str, int]:
    """Return the state that an attempt ends in, and its cost in micro-USD."""
    done = result.done
    if done.reply is None:
        return "failed", done.lost_micros
    return "repeated" if result.by is None else "settled", done.lost_micros + done.reply.usage.cost_micros


def _items(
    c: Connection, owner: int, run: int, revision: int, results: Sequence[_StoredResult]
) -> list[tuple[Any, ...]]:
    """Return the rows of the presentations that have an answer or a final state."""
    statuses = _Statuses(c, run, [answer for _, answer, by in results if answer is not None and by is None])
    rows = []
    for done, answer, by in results:
        item = done.item
        if item is None or (answer is None and done.state in (None, ItemState.PENDING)):
            continue
        state = None
        if by is not None and by.reply is not None:
            status = _NAMES[status_of(by.reply.status, by.parsed_verdict)]
        elif answer is not None:
            status = statuses.of(answer, item.judge)
        else:
            state = int(done.state or 0)
            status = ItemState(state).name.lower()
        rows.append(
            (
                run,
                item.position,
                owner,
                item.judge,
                item.prompt,
                item.turn,
                item.left,
                item.right,
                int(item.order),
                item.repeat,
                item.comparison_id,
                state,
                answer,
                status,
                done.answer is not None,
                revision,
                storable(done.reason)[:REASON_CHARS] if state is not None else "",
            )
        )
    return rows


class _Statuses:
    """The status of each answer by the parser of a judge of a run: the same status that its verdict will have."""

    def __init__(self, c: Connection, run: int, answers: Sequence[int]) -> None:
        ids = sorted(set(answers))
        a = s.answer.c
        self._replies: dict[int, int] = {}
        for begin in range(0, len(ids), CHUNK):
            query = select(a.id, a.status).where(a.id.in_(ids[begin : begin + CHUNK]))
            self._replies.update({row.id: row.status for row in c.execute(query)})
        self._parsed_verdicts = parsed_verdicts_of(c, ids)
        self._parsers = [judge["parser"] for judge in c.scalar(_JUDGES, {"run": run}) or ()] if ids else []

    def of(self, answer: int, judge: int) -> str:
        """Return the name of the status of an *answer* by a *judge*, given by its place in the run."""
        replied = VerdictStatus(self._replies.get(answer, VerdictStatus.OK))
        parsed_verdicts = self._parsed_verdicts.get(answer, ())
        return _NAMES[status_of(replied, self._parsed_verdict_that_counts(parsed_verdicts, self._parsers[judge]))]

    @staticmethod
    def _parsed_verdict_that_counts(parsed_verdicts: Sequence[ParsedVerdict], parser: str) -> ParsedVerdict | None:
        by_parser = {parsed_verdict.parser: parsed_verdict for parsed_verdict in parsed_verdicts}
        last = parsed_verdicts[-1] if parsed_verdicts else None
        return by_parser.get(SOURCE_PARSER) or by_parser.get(parser) or last


def _insert_items(c: Connection, items: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """Insert presentations and return those that were not stored yet."""
    first = {item[POSITION]: item for item in reversed(items)}
    return [first[position] for (position,) in insert_rows(c, s.run_item, ITEM, items, [s.run_item.c.position])]
