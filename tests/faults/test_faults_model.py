"""The store's ledger of runs, permits and answers matches a model in plain Python over 10,000 random steps."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Connection

from judge.domain.dataset import Output, Prompt
from judge.domain.judge import JudgeDefinition, Rubric
from judge.domain.outcome import ItemState, Order, Preference
from judge.domain.run import Budget, NewRun, RunSpec, RunState, StopReason
from judge.domain.usage import Usage
from judge.domain.verdict import CallKey, ParsedVerdict, Reply
from judge.ports.records import Fence, ItemRef, Permit, PermitRequest, Settled
from judge.store.clock import JUMP, TICK
from judge.store.recent_costs import FEWEST
from judge.store.sql_store import SqlStore
from judge.store.sqlite import SqliteConnections
from support.clocks import StillClock, pass_time
from support.fault_reports import Say
from support.ledger_model import Attempt, Ledger, RunRow

T = TypeVar("T")
STEPS = 10_000
STEPS_EACH = 200
TENANT = "default"
JUDGE = JudgeDefinition(name="far", backend="openai", rubric=Rubric("brackets", ()), parser="brackets", model="m")
RUNS, KEYS, WORST = 4, 12, 10
COSTS = (1, 2, 2, 2, 10)
"""What a call may cost."""
LEASE = 60.0
HOUR = 3600.0
SHARDS = 3
BUDGETS = (Budget(), Budget(calls=8), Budget(cost_micros=10 * WORST, hard=True), Budget(cost_micros=9 * WORST))
"""The initial budgets of the runs: unlimited, limited in calls, limited in micro-USD. Calls of the last one were
answered before, so that it reserves what recent calls cost."""

runs = st.integers(0, RUNS - 1)
shards = st.integers(0, SHARDS - 1)
some_keys = st.lists(st.integers(0, KEYS - 1), min_size=1, max_size=KEYS)


class AtOnce(SqliteConnections):
    """A database in memory that works in the calling thread, because no other task has to go on meanwhile."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        return self._transact(work, "BEGIN IMMEDIATE")

    async def read(self, work: Callable[[Connection], T]) -> T:
        return self._transact(work, "BEGIN")


class LedgerMachine(RuleBasedStateMachine):
    """Four runs need the same twelve keys, on a store in memory and a clock that the test moves."""

    steps: ClassVar[int] = 0
    cheap: ClassVar[int] = 0
    """Calls that reserved less than their worst cost."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = StillClock()
        self.store = SqlStore(AtOnce("sqlite://"), self.clock)
        self.model = Ledger([RunRow(budget) for budget in BUDGETS])
        self.await_on_store(self._fill())

    def await_on_store(self, work: Coroutine[Any, Any, T]) -> T:
        """Run *work* on the store to its end and return its result."""
        return self.loop.run_until_complete(work)

    async def _fill(self) -> None:
        await self.store.create_dataset(TENANT, "d")
        await self.store.add_prompts(TENANT, "d", [Prompt("p", ("question",))], replace=False)
        outputs = [Output("p", who, (who,)) for who in "ab"]
        revision = (await self.store.add_outputs(TENANT, "d", outputs, replace=False)).revision
        index = await self.store.dataset_index(TENANT, "d", revision)
        self.prompt, (self.left, self.right) = (
            index.prompts[0].row,
            (output.row for output in index.outputs),
        )
        texts = [bytes.fromhex(JUDGE.fingerprint), *(bytes([n]) * 32 for n in range(KEYS + FEWEST))]
        fingerprint, *shown = await self.store.intern(TENANT, texts)
        self.keys = [CallKey(fingerprint, prompt=shown[0], turn=1, first=n, second=n) for n in shown]
        self.numbers = {key: n for n, key in enumerate(self.keys)}
        self.rows = [await self._run(number, budget, revision) for number, budget in enumerate(BUDGETS)]
        await self._answer_earlier_calls(RUNS - 1)

    async def _answer_earlier_calls(self, run: int) -> None:
        """Answer calls of *run* to keys that no step uses."""
        request = PermitRequest(keys=self.keys[KEYS:], run=self.rows[run], worst_micros=1, seconds=LEASE)
        granted = (await self.store.permit(TENANT, request)).granted
        made = [
            Attempt(id=number, key=self.numbers[key], run=run, shard=0, worst=1, until=math.inf)
            for key, number in granted.items()
        ]
        settled = [self.settled_call(attempt, replied=True, cost=1) for attempt in made]
        await self.store.commit(TENANT, self.rows[run], settled)
        self.model.grant(made)
        self.model.settle(run, [(attempt, True) for attempt in made], 1)

    async def _run(self, number: int, budget: Budget, revision: int) -> int:
        spec = RunSpec("d", ("far",), budget=budget)
        new = NewRun(
            run_id=f"run-{number}",
            request_id=f"request-{number}",
            body_hash="body",
            spec=spec,
            dataset_revision=revision,
            judges=(JUDGE,),
            planned=KEYS,
            plan_hash="p",
        )
        made = await self.store.create_run(TENANT, new)
        await self.store.move_run(made.row, RunState.RUNNING)
        return made.row

    def item(self, key: int) -> ItemRef:
        """Return the presentation of *key*, whose position in every run's plan is its number."""
        return ItemRef(
            position=key,
            judge=0,
            prompt=self.prompt,
            turn=1,
            left=self.left,
            right=self.right,
            order=Order.LEFT_FIRST,
            repeat=0,
            comparison_id=f"c{key}",
        )

    @rule(seconds=st.sampled_from([1.0, LEASE / 2, LEASE + JUMP + 1]))
    def time_goes_on(self, seconds: float) -> None:
        """Time passes, and some live attempts may expire."""
        self.await_on_store(pass_time(self.store, self.clock, seconds))

    @rule(seconds=st.sampled_from([HOUR, -HOUR]))
    def the_clock_jumps(self, seconds: float) -> None:
        """The clock jumps by an hour; the store's clock follows by at most JUMP and never goes back."""
        before = self.await_on_store(self.store._time.now())

        self.clock.time += seconds

        assert 0 <= self.await_on_store(self.store._time.now()) - before <= JUMP + TICK

    @rule(run=runs, shard=shards)
    def a_shard_is_begun(self, run: int, shard: int) -> None:
        """A new attempt at a shard replaces the previous one."""
        assert self.model.begin(run, shard) == self.await_on_store(self.store.begin_shard(self.rows[run], shard))

    @rule(run=runs, shard=shards, behind=st.integers(0, 1))
    def a_shard_is_done(self, run: int, shard: int, behind: int) -> None:
        """The newest attempt can end the shard; the one before cannot."""
        attempt = self.model.runs[run].shards[shard] - behind

        self.await_on_store(self.store.end_shard(self.rows[run], Fence(shard, attempt)))

        self.model.finish(run, shard, attempt)

    @rule(run=runs, keys=some_keys, shard=shards, behind=st.sampled_from([0, 0, 0, 1]))
    def permit(self, run: int, keys: list[int], shard: int, behind: int) -> None:
        """A permit names the known answers and the keys in flight, and grants the rest as far as the budget allows.

        The shard is begun if it was not. Sometimes the attempt that asks is no longer the newest.
        """
        if not self.model.runs[run].shards[shard]:
            self.a_shard_is_begun(run, shard)
        attempt = self.model.runs[run].shards[shard] - behind
        refused = self.model.refusal(run, shard, attempt)
        now, known = self.await_on_store(self.store._time.now()), set(keys) & self.model.answered
        granted, busy = ([], set[int]()) if refused else self.model.permit(run, keys, WORST, now)
        wanted = [self.keys[key] for key in keys]
        request = PermitRequest(
            keys=wanted, run=self.rows[run], worst_micros=WORST, seconds=LEASE, fence=Fence(shard, attempt)
        )

        permit = self.await_on_store(self.store.permit(TENANT, request))

        if refused:
            assert Permit(refused=refused) == permit
            return
        assert [self.keys[key] for key in granted] == list(permit.granted)
        assert {self.keys[key] for key in busy} == permit.busy
        assert {self.keys[key] for key in known} == permit.answered.keys()
        dear = len(set(keys) - known - busy) > len(granted)
        waits = bool(granted or self.model.live(run))
        assert (permit.refused, permit.over_budget) == (
            StopReason.BUDGET_STOPPED if dear and not waits else None,
            dear and waits,
        )
        type(self).cheap += len(granted) * (self.model.runs[run].reserves(WORST) < WORST)
        made, until = permit.granted.items(), now + LEASE + JUMP
        self.model.grant(
            Attempt(id=number, key=self.numbers[key], run=run, shard=shard, worst=WORST, until=until)
            for key, number in made
        )

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data(), times=st.integers(1, 2), unsent=st.booleans())
    def calls_come_back(self, data: st.DataObject, times: int, *, unsent: bool) -> None:
        """Calls end with an answer or fail, in time or late, and are committed once or twice.

        Those that fail may turn out not to be sent.
        """
        some = st.sampled_from(sorted(self.model.attempts))
        first = self.model.attempts[data.draw(some)]
        drawn = data.draw(st.lists(some, max_size=3, unique=True))
        mine = {
            attempt.id: attempt
            for attempt in (first, *map(self.model.attempts.__getitem__, drawn))
            if attempt.run == first.run
        }
        replies, cost = st.sampled_from([True, True, True, False]), data.draw(st.sampled_from(COSTS))
        done = [(attempt, data.draw(replies)) for attempt in mine.values()]
        settled = [self.settled_call(attempt, replied=replied, cost=cost, unsent=unsent) for attempt, replied in done]

        for _ in range(times):
            self.await_on_store(self.store.commit(TENANT, self.rows[first.run], settled))

        self.model.settle(first.run, done, cost, unsent=unsent)

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data(), micros=st.integers(0, WORST), calls=st.integers(0, 1))
    def a_retry_reserves_again(self, data: st.DataObject, micros: int, calls: int) -> None:
        """A call in flight may reserve more only as far as the budget allows. One that was not sent takes no call."""
        attempt = self.model.attempts[data.draw(st.sampled_from(sorted(self.model.attempts)))]

        allowed = self.await_on_store(self.store.reserve_again(attempt.id, micros, calls))

        assert self.model.reserve_again(attempt, micros, calls) == allowed

    def settled_call(self, attempt: Attempt, *, replied: bool, cost: int, unsent: bool = False) -> Settled:
        """Return the record of a call that has ended. If it failed *unsent*, it counts as none and costs nothing."""
        key, item = self.keys[attempt.key], self.item(attempt.key)
        if not replied:
            failed = Settled(key, item, attempt.id, state=ItemState.TRANSPORT_ERROR, calls=1, lost_micros=cost)
            return failed._replace(calls=0, lost_micros=0) if unsent else failed
        reply = Reply("[[A]]", usage=Usage(cost_micros=cost))
        return Settled(
            key, item, attempt.id, reply=reply, parsed_verdict=ParsedVerdict("brackets", Preference.FIRST), calls=1
        )

    @precondition(lambda self: self.model.answered)
    @rule(run=runs, keys=some_keys)
    def answers_are_reused(self, run: int, keys: list[int]) -> None:
        """A run reuses stored answers and pays nothing."""
        wanted = [key for key in dict.fromkeys(keys) if key in self.model.answered]
        answers = self.await_on_store(self.store.answers(TENANT, [self.keys[key] for key in wanted]))
        settled = [
            Settled(self.keys[key], self.item(key), answer=answer.answer, reply=answer.reply)
            for key in wanted
            for answer in [answers[self.keys[key]]]
        ]

        self.await_on_store(self.store.commit(TENANT, self.rows[run], settled))

        self.model.reuse(run, wanted)

    @rule(run=runs, state=st.sampled_from(RunState))
    def a_run_moves(self, run: int, state: RunState) -> None:
        """A run changes its state only as the table of transitions allows."""
        assert self.model.move(run, state) == self.await_on_store(self.store.move_run(self.rows[run], state))

    @rule(run=runs, more=st.integers(0, 3))
    def a_run_is_reopened(self, run: int, more: int) -> None:
        """A run is reopened with a budget for *more* calls than it has spent and reserved."""
        row, live = self.model.runs[run], self.model.live_calls(run)
        calls = row.calls + live + more if row.budget.calls else 0
        reserved = sum(attempt.cost + attempt.worst for attempt in self.model.live(run))
        micros = row.cost + reserved + more * WORST if row.budget.cost_micros else 0
        budget = replace(row.budget, cost_micros=micros, calls=calls)

        reopened = self.await_on_store(self.store.reopen_run(self.rows[run], budget))

        assert self.model.reopen(run, budget) == reopened

    @rule()
    def the_process_is_started_again(self) -> None:
        """A restart orphans all live attempts."""
        orphaned = self.await_on_store(self.store.orphan_attempts())

        live = [attempt for attempt in self.model.attempts.values() if attempt.state == "live"]
        assert self.model.orphan(live) == orphaned

    @invariant()
    def the_store_and_the_model_agree(self) -> None:
        """The store and the model have the same attempts, counts and answers; no key is called or answered twice."""
        type(self).steps += 1
        attempts, answers, items, run_rows = self.await_on_store(self.store._db.read(_everything))

        mine = sorted(self.model.attempts.values(), key=lambda attempt: attempt.id)
        assert [(attempt.id, attempt.state, attempt.cost) for attempt in mine] == attempts
        assert sorted(self.keys[key].first for key in self.model.answered) == answers
        for number, (row, run) in enumerate(zip(self.model.runs, run_rows, strict=True)):
            assert (row.state, row.calls, row.cost) == (run.state, run.calls, run.cost_micros)
            assert (row.repeated, row.reused) == (run.repeated, run.reused)
            assert row.lost == json.loads(run.spent).get("0", [0] * 7)[6]
            assert row.by_status == Counter(json.loads(run.by_status)) == items.get(run.id, Counter())
            self._within_budget(number)
        live = [attempt.key for attempt in self.model.attempts.values() if attempt.state == "live"]
        assert len(set(live)) == len(live)
        assert len(set(answers)) == len(answers)

    def _within_budget(self, run: int) -> None:
        """Check that spending stays within the budget, but for what calls cost beyond what they were counted as.

        One of them may cost its worst, or a tenth of the budget if that is less.
        """
        row = self.model.runs[run]
        assert not row.budget.calls or row.calls + self.model.live_calls(run) <= row.budget.calls
        if row.budget.cost_micros:
            assert row.cost <= row.budget.cost_micros + max(row.overrun, 0)
            if row.budget.hard or len(row.answered) < FEWEST:
                assert row.cost + self.model.reserved(run) <= row.budget.cost_micros

    def teardown(self) -> None:
        """Close the store."""
        self.await_on_store(self.store.close())
        self.loop.close()


def _everything(c: Connection) -> tuple[list[tuple[int, str, int]], list[int], dict[int, Counter[str]], list[Any]]:
    """Return all attempts, a unique part of each answer's key, each run's presentations by status, and the runs."""
    attempts = [tuple(row) for row in c.exec_driver_sql("SELECT id, state, cost_micros FROM call_attempt ORDER BY id")]
    items: dict[int, Counter[str]] = {}
    for run, status in c.exec_driver_sql("SELECT run_id, status FROM run_item"):
        items.setdefault(run, Counter())[status] += 1
    answers = [row.first for row in c.exec_driver_sql("SELECT first FROM answer ORDER BY first")]
    rows = c.exec_driver_sql(
        "SELECT id, state, calls, cost_micros, repeated, reused, by_status, spent FROM run ORDER BY id"
    )
    return attempts, answers, items, list(rows)


def test_the_ledger_is_the_model_at_every_step(say: Say) -> None:
    """The store matches the model after each of 10,000 permits, commits, cancellations, restarts and other steps."""
    LedgerMachine.steps = LedgerMachine.cheap = 0
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            # A machine may stop before its last step, so half as many machines again are run as are needed.
            max_examples=STEPS // STEPS_EACH * 3 // 2,
            stateful_step_count=STEPS_EACH,
            derandomize=True,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )

    say(f"lost 0 repeated 0, {LedgerMachine.steps} steps, {LedgerMachine.cheap} calls reserved below their worst")
    assert LedgerMachine.steps >= STEPS
    assert LedgerMachine.cheap >= FEWEST
