"""The store's ledger of runs, permits and answers, against a model in plain Python: 10,000 steps in any order."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Connection

from judge.domain.dataset import Output, Prompt
from judge.domain.judge import JudgeDefinition, Rubric
from judge.domain.outcome import ItemState, Order, Preference
from judge.domain.run import Budget, NewRun, RunSpec, RunState
from judge.domain.verdict import CallKey, ParsedVerdict, Reply, Usage
from judge.ports.records import Fence, ItemRef, Permit, PermitRequest, Settled
from judge.store.clock import JUMP, TICK
from judge.store.sql_store import SqlStore
from judge.store.sqlite import SqliteConnections
from support.clocks import StillClock, passed
from support.fault_reports import Say
from support.ledger_model import Attempt, Ledger, RunRow

T = TypeVar("T")
STEPS = 10_000
STEPS_EACH = 200
TENANT = "default"
JUDGE = JudgeDefinition("far", "openai", Rubric("brackets", ()), "brackets", model="m")
RUNS, KEYS, WORST, COST = 3, 12, 10, 7
LEASE = 60.0
HOUR = 3600.0
SHARDS = 3
BUDGETS = (Budget(), Budget(calls=8), Budget(cost_micros=10 * WORST))
"""What the three runs may spend at first: anything, so many calls, so much money."""

runs = st.integers(0, RUNS - 1)
shards = st.integers(0, SHARDS - 1)
some_keys = st.lists(st.integers(0, KEYS - 1), min_size=1, max_size=KEYS)


class AtOnce(SqliteConnections):
    """A database in memory that does what it is asked in the thread that asks: nobody else is there to be kept."""

    async def write(self, work: Callable[[Connection], T]) -> T:
        return self._transact(work, "BEGIN IMMEDIATE")

    async def read(self, work: Callable[[Connection], T]) -> T:
        return self._transact(work, "BEGIN")


class LedgerMachine(RuleBasedStateMachine):
    """Three runs want the same twelve keys, on a store in memory, on a clock that moves when it is told to."""

    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = StillClock()
        self.store = SqlStore(AtOnce("sqlite://"), self.clock)
        self.model = Ledger([RunRow(budget) for budget in BUDGETS])
        self.does(self._fill())

    def does(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of *work* on the store."""
        return self.loop.run_until_complete(work)

    async def _fill(self) -> None:
        await self.store.create_dataset(TENANT, "d")
        await self.store.add_prompts(TENANT, "d", [Prompt("p", ("question",))], replace=False)
        outputs = [Output("p", who, (who,)) for who in "ab"]
        revision = (await self.store.add_outputs(TENANT, "d", outputs, replace=False)).revision
        leaderboard = await self.store.dataset_index(TENANT, "d", revision)
        self.prompt, (self.left, self.right) = (
            leaderboard.prompts[0].row,
            (output.row for output in leaderboard.outputs),
        )
        told = [bytes.fromhex(JUDGE.fingerprint), *(bytes([n]) * 32 for n in range(KEYS))]
        fingerprint, *shown = await self.store.intern(TENANT, told)
        self.keys = [CallKey(fingerprint, prompt=shown[0], turn=1, first=n, second=n) for n in shown]
        self.numbers = {key: n for n, key in enumerate(self.keys)}
        self.rows = [await self._run(number, budget, revision) for number, budget in enumerate(BUDGETS)]

    async def _run(self, number: int, budget: Budget, revision: int) -> int:
        spec = RunSpec("d", ("far",), budget=budget)
        new = NewRun(
            f"run-{number}", f"request-{number}", "body", spec, revision, (JUDGE,), planned=KEYS, plan_hash="p"
        )
        made = await self.store.create_run(TENANT, new)
        await self.store.move_run(made.row, RunState.RUNNING)
        return made.row

    def item(self, key: int) -> ItemRef:
        """The showing of *key*, whose place in every run's plan is its number."""
        return ItemRef(key, 0, self.prompt, 1, self.left, self.right, Order.LEFT_FIRST, 0, f"c{key}")

    @rule(seconds=st.sampled_from([1.0, LEASE / 2, LEASE + JUMP + 1]))
    def time_goes_on(self, seconds: float) -> None:
        """Some live attempts may be past their time now."""
        self.does(passed(self.store, self.clock, seconds))

    @rule(seconds=st.sampled_from([HOUR, -HOUR]))
    def the_clock_jumps(self, seconds: float) -> None:
        """By an hour each way; the store's own clock takes little of it for real, and never goes back."""
        before = self.does(self.store._time.now())

        self.clock.time += seconds

        assert 0 <= self.does(self.store._time.now()) - before <= JUMP + TICK

    @rule(run=runs, shard=shards)
    def a_shard_is_begun(self, run: int, shard: int) -> None:
        """A new attempt at a shard takes it from the one before."""
        assert self.model.begin(run, shard) == self.does(self.store.begin_shard(self.rows[run], shard))

    @rule(run=runs, shard=shards, behind=st.integers(0, 1))
    def a_shard_is_done(self, run: int, shard: int, behind: int) -> None:
        """If the newest attempt at it says so; not if the one before does."""
        attempt = self.model.runs[run].shards[shard] - behind

        self.does(self.store.end_shard(self.rows[run], Fence(shard, attempt)))

        self.model.finish(run, shard, attempt)

    @rule(run=runs, keys=some_keys, shard=shards, behind=st.sampled_from([0, 0, 0, 1]))
    def permit(self, run: int, keys: list[int], shard: int, behind: int) -> None:
        """What exists, what is being called, and an attempt for the rest, as far as the budget goes.

        At the first attempt at a shard it is begun; now and then one asks that is no longer the newest.
        """
        if not self.model.runs[run].shards[shard]:
            self.a_shard_is_begun(run, shard)
        attempt = self.model.runs[run].shards[shard] - behind
        refused = self.model.refused(run, shard, attempt)
        now, known = self.does(self.store._time.now()), set(keys) & self.model.answered
        granted, busy = ([], set[int]()) if refused else self.model.permitted(run, keys, WORST, now)
        wanted = [self.keys[key] for key in keys]
        request = PermitRequest(wanted, self.rows[run], WORST, LEASE, fence=Fence(shard, attempt))

        permit = self.does(self.store.permit(TENANT, request))

        if refused:
            assert Permit(refused=refused) == permit
            return
        assert [self.keys[key] for key in granted] == list(permit.granted)
        assert {self.keys[key] for key in busy} == permit.busy
        assert {self.keys[key] for key in known} == permit.answered.keys()
        dear = len(set(keys) - known - busy) > len(granted)
        assert permit.refused == ("BUDGET_STOPPED" if dear else "")
        made, until = permit.granted.items(), now + LEASE + JUMP
        self.model.grant(Attempt(number, self.numbers[key], run, shard, WORST, until) for key, number in made)

    @precondition(lambda self: self.model.attempts)
    @rule(data=st.data(), times=st.integers(1, 2))
    def calls_come_back(self, data: st.DataObject, times: int) -> None:
        """With an answer or failed, in time or long after, told once or twice."""
        some = st.sampled_from(sorted(self.model.attempts))
        first = self.model.attempts[data.draw(some)]
        drawn = data.draw(st.lists(some, max_size=3, unique=True))
        mine = {one.id: one for one in (first, *map(self.model.attempts.__getitem__, drawn)) if one.run == first.run}
        done = [(one, data.draw(st.booleans())) for one in mine.values()]
        settled = [self.settled(one, replied=replied) for one, replied in done]

        for _ in range(times):
            self.does(self.store.commit(TENANT, self.rows[first.run], settled))

        self.model.settle(first.run, done, COST)

    def settled(self, one: Attempt, *, replied: bool) -> Settled:
        """What became of a call."""
        key, item = self.keys[one.key], self.item(one.key)
        if not replied:
            return Settled(key, item, one.id, state=ItemState.TRANSPORT_ERROR, calls=1, lost_micros=COST)
        reply = Reply("[[A]]", usage=Usage(cost_micros=COST))
        return Settled(
            key, item, one.id, reply=reply, parsed_verdict=ParsedVerdict("brackets", Preference.FIRST), calls=1
        )

    @precondition(lambda self: self.model.answered)
    @rule(run=runs, keys=some_keys)
    def answers_are_reused(self, run: int, keys: list[int]) -> None:
        """A run takes what is there, and pays nothing."""
        wanted = [key for key in dict.fromkeys(keys) if key in self.model.answered]
        found = self.does(self.store.answers(TENANT, [self.keys[key] for key in wanted]))
        settled = [
            Settled(self.keys[key], self.item(key), answer=one.answer, reply=one.reply)
            for key in wanted
            for one in [found[self.keys[key]]]
        ]

        self.does(self.store.commit(TENANT, self.rows[run], settled))

        self.model.reuse(run, wanted)

    @rule(run=runs, state=st.sampled_from(RunState))
    def a_run_moves(self, run: int, state: RunState) -> None:
        """Only where the table lets it: cancelled, paused, done."""
        assert self.model.move(run, state) == self.does(self.store.move_run(self.rows[run], state))

    @rule(run=runs, more=st.integers(0, 3))
    def a_run_is_reopened(self, run: int, more: int) -> None:
        """Under a budget with room for so many calls more than it has spent and reserved."""
        row, live = self.model.runs[run], len(self.model.live(run))
        calls = row.calls + live + more if row.budget.calls else 0
        micros = row.cost + (live + more) * WORST if row.budget.cost_micros else 0
        budget = Budget(cost_micros=micros, calls=calls)

        reopened = self.does(self.store.reopen_run(self.rows[run], budget))

        assert self.model.reopen(run, budget) == reopened

    @rule()
    def the_process_is_started_again(self) -> None:
        """Whatever was live is orphaned."""
        orphaned = self.does(self.store.orphan_attempts())

        live = [one for one in self.model.attempts.values() if one.state == "live"]
        assert self.model.orphan(live) == orphaned

    @invariant()
    def the_store_and_the_model_agree(self) -> None:
        """Every attempt, every count, every answer; and what may never be, whatever the model says."""
        type(self).steps += 1
        attempts, answers, items, found = self.does(self.store._db.read(_everything))

        mine = sorted(self.model.attempts.values(), key=lambda one: one.id)
        assert [(one.id, one.state, one.cost) for one in mine] == attempts
        assert sorted(self.keys[key].first for key in self.model.answered) == answers
        for number, (row, run) in enumerate(zip(self.model.runs, found, strict=True)):
            assert (row.state, row.calls, row.cost) == (run.state, run.calls, run.cost_micros)
            assert (row.repeated, row.reused) == (run.repeated, run.reused)
            assert row.by_status == Counter(json.loads(run.by_status)) == items.get(run.id, Counter())
            self._within_budget(number)
        live = [one.key for one in self.model.attempts.values() if one.state == "live"]
        assert len(set(live)) == len(live)
        assert len(set(answers)) == len(answers)

    def _within_budget(self, run: int) -> None:
        """What is spent and what is reserved, together, are never more than the run may spend."""
        row, live = self.model.runs[run], self.model.live(run)
        spent = row.cost + sum(one.worst for one in live)
        assert not row.budget.calls or row.calls + len(live) <= row.budget.calls
        assert not row.budget.cost_micros or spent <= row.budget.cost_micros

    def teardown(self) -> None:
        """Let go of the store."""
        self.does(self.store.close())
        self.loop.close()


def _everything(c: Connection) -> tuple[list[tuple[int, str, int]], list[int], dict[int, Counter[str]], list[Any]]:
    """Attempts, a part of every answer's key that tells it from others, each run's showings by status, and the runs."""
    attempts = [tuple(row) for row in c.exec_driver_sql("SELECT id, state, cost_micros FROM call_attempt ORDER BY id")]
    items: dict[int, Counter[str]] = {}
    for run, status in c.exec_driver_sql("SELECT run_id, status FROM run_item"):
        items.setdefault(run, Counter())[status] += 1
    answers = [row.first for row in c.exec_driver_sql("SELECT first FROM answer ORDER BY first")]
    rows = c.exec_driver_sql("SELECT id, state, calls, cost_micros, repeated, reused, by_status FROM run ORDER BY id")
    return attempts, answers, items, list(rows)


def test_the_ledger_is_the_model_at_every_step(say: Say) -> None:
    """Permits, commits, reuse, cancellation, expiry, restarts and reopening in any order: 10,000 steps."""
    LedgerMachine.steps = 0
    run_state_machine_as_test(
        LedgerMachine,
        settings=settings(
            # A machine may stop before its last step, so half as many again are made as are needed.
            max_examples=STEPS // STEPS_EACH * 3 // 2,
            stateful_step_count=STEPS_EACH,
            derandomize=True,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )

    say(f"lost 0 repeated 0, {LedgerMachine.steps} steps")
    assert LedgerMachine.steps >= STEPS
