"""Running a shard: request permits, make only the calls they grant, and free a slot only after its answer committed.

A call without a permit is never made. A permit is void LEASE seconds after it was requested: calls that have not
started by then need a new one. Every call that was made commits, even while the run is being cancelled, and waits in
memory while the store is full.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from functools import partial

from judge.domain.errors import JudgeUnusable, StoreFailed
from judge.domain.outcome import ItemState
from judge.domain.run import StopReason, WaitReason
from judge.domain.verdict import CallKey
from judge.execution.call_tally import CallTally
from judge.execution.committer import Committer
from judge.execution.cost import characters, held_characters, likely_tokens, worst_call
from judge.execution.judge_call import Work, judge_comparison, settle_by_rule, settle_from_store
from judge.execution.judges import JudgeAtWork, Rule
from judge.execution.progress import Failures, Settlements, Waits, explain_outage, explain_rest
from judge.execution.slots import LargeReply
from judge.execution.stops import LEFT_OUT, Unanswered
from judge.ports.clock import Clock
from judge.ports.records import Fence, Permit, PermitRequest, Setback, Settled
from judge.ports.reply_memory import limit_replies
from judge.ports.store import RunStore

LEASE = 10.0
"""Seconds after the permit was requested within which a call must start."""
SHORT = 0.5
"""Seconds of waiting after which the run's state is not checked: the next permit does that."""
BUDGET_WAIT = 0.1
"""Seconds between two checks while only calls of other shards or processes, if any, can allow the next one."""
LONG = 10.0
"""Seconds of waiting for an account that are worth reporting."""
BUSY_WAIT = 0.05
"""Seconds between two checks of a key that another run is calling."""
ROUNDS = 3
"""Times that a presentation is called, each time with all its attempts, before it fails."""
WIDEST = 1024
"""Calls that are requested at once, at most."""
AT_A_TIME = 50
"""Presentations that a rule judges before other tasks get the event loop."""


class ShardRunner:
    """Judges presentations of one judge in one run, under the *fence* of a shard.

    A presentation whose call got no answer is called again after the others, in up to ROUNDS rounds. A round does not
    count while the provider is down, unless it has been down for too long.
    """

    def __init__(
        self,
        store: RunStore,
        tenant: str,
        run: int,
        judge: JudgeAtWork,
        clock: Clock,
        *,
        fence: Fence,
        failures: Failures,
        settlements: Settlements | None = None,
    ) -> None:
        self._store, self._tenant, self._run, self._judge, self._clock = store, tenant, run, judge, clock
        self._fence, self._failures = fence, failures
        self._settlements = settlements or Settlements()
        self._committer = Committer(store=store, tenant=tenant, run=run, clock=clock)
        self._in_flight: set[asyncio.Task[Sequence[Work]]] = set()
        self._stopping = False
        self._waits = Waits(store, run)
        self._limited_until = -math.inf
        """Until when the rate limit that processes share allows no more calls."""
        self._rounds: Counter[CallKey] = Counter()
        self._unanswered: dict[CallKey, Unanswered] = {}
        """What is known of the presentations whose calls got no answer so far."""
        self._over_budget: int | None = None
        """The number of settlements after which the budget may allow more calls; None if it may at any time."""
        self._width = WIDEST
        """How many calls to request at once: few while the budget allows few."""

    def stop(self, *, patient: bool = True) -> None:
        """Request no more permits. Calls in flight finish and commit; if *patient*, they wait for a full store."""
        self._stopping, self._committer.patient = True, patient

    async def run(self, work: Sequence[Work]) -> StopReason | None:
        """Judge *work*.

        Returns:
            None if all of it is settled, else why not: STOPPED, BUDGET_STOPPED, CANCELLED, NOT_RUNNING, SUPERSEDED,
            TOO_MANY_FAILED, TOO_SLOW or NO_VERDICTS.

        Raises:
            JudgeUnusable: No call of this judge can succeed.
        """
        todo = deque(work)
        refused = await self._judge_all(todo)
        if refused in LEFT_OUT:
            await self._leave_out(todo, LEFT_OUT[refused])
        return refused

    async def _judge_all(self, todo: deque[Work]) -> StopReason | None:
        """Judge *todo*, and leave there what was not. Returns what `run` returns."""
        refused: StopReason | None = None
        try:
            while (todo or self._in_flight) and not refused:
                if self._stopping:
                    refused = StopReason.STOPPED
                elif self._failures.stop:
                    refused = self._failures.stop
                elif not todo:
                    await self._wait_for_calls(todo, asyncio.FIRST_COMPLETED)
                elif self._first_calls_left(todo) == 0:
                    refused = await self._wait_for_first_calls(todo)
                elif self._over_budget is not None:
                    await self._wait_for_budget(todo, self._over_budget)
                elif (wait := self._seconds_to_wait()) > 0:
                    refused = await self._pause(todo, wait)
                else:
                    await self._waits.over()
                    refused = await self._start_some(todo)
                    self._collect_ended(todo)
        finally:
            while self._in_flight:
                await self._wait_for_calls(todo, asyncio.ALL_COMPLETED)
        return refused

    async def _leave_out(self, todo: Sequence[Work], state: ItemState) -> None:
        """Settle what was called without an answer, so that the run says how often, and why the last call failed."""
        group = [
            Settled(work.key, work.item, state=state, reason=self._unanswered[work.key].reason)
            for work in todo
            if work.key in self._unanswered
        ]
        if group:
            await self._committer.commit(*group)

    def _seconds_to_wait(self) -> float:
        """Seconds until the account may be called again."""
        return max(self._judge.account.wait(), self._limited_until - self._clock.monotonic())

    def _first_calls_left(self, todo: deque[Work]) -> int | None:
        """How many calls may start until one has ended within the deadline; None if any number may.

        A slow presentation is not called again before the others have been: it comes last in *todo* from then on.
        """
        left = self._failures.first_calls_left
        if left is None or self._judge.rule is not None:
            return None
        todo_again = [work for work in todo if self._failures.was_slow(work.key)]
        fresh = [work for work in todo if not self._failures.was_slow(work.key)]
        todo.clear()
        todo.extend((*fresh, *todo_again))
        return min(left, len(fresh))

    async def _wait_for_first_calls(self, todo: deque[Work]) -> StopReason | None:
        """Wait for the first calls, of which none may start now. Returns why not to continue if all were slow."""
        if self._in_flight:
            await self._wait_for_calls(todo, asyncio.FIRST_COMPLETED)
            return None
        if self._failures.in_flight:
            # Another shard of the judge is making them.
            await self._clock.sleep(BUDGET_WAIT)
            return await self._store.refusal(self._run, self._fence)
        return StopReason.TOO_SLOW

    async def _pause(self, todo: deque[Work], wait: float) -> StopReason | None:
        """Wait *wait* seconds, at most one, or until a call ends. Returns why not to continue, if the run says so."""
        if (outage := self._judge.account.outage) is not None:
            await self._waits.report(WaitReason.PROVIDER_DOWN, explain_outage(self._judge, outage, self._clock))
        elif wait > LONG:
            await self._waits.report(WaitReason.RATE_LIMITED, explain_rest(self._judge, wait, self._clock))
        timer = asyncio.ensure_future(self._clock.sleep(min(wait, 1.0)))
        try:
            await asyncio.wait({timer, *self._in_flight}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        self._collect_ended(todo)
        if wait < SHORT:
            return None
        return await self._store.refusal(self._run, self._fence)

    async def _wait_for_budget(self, todo: deque[Work], number: int) -> None:
        """Wait until the run has more than *number* settlements, but not long: other processes settle calls, too."""
        timer = asyncio.ensure_future(self._clock.sleep(1.0 if self._in_flight else BUDGET_WAIT))
        settled = asyncio.ensure_future(self._settlements.after(number))
        try:
            await asyncio.wait({timer, settled, *self._in_flight}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
            settled.cancel()
        self._collect_ended(todo)
        self._over_budget = None

    async def _start_some(self, todo: deque[Work]) -> StopReason | None:
        """Take slots, lease calls, request a permit for them and start what it grants. Returns why not to continue."""
        slots, account = self._judge.slots, self._judge.account
        self._width = min(self._width, WIDEST)
        taken = await slots.take(min(len(todo), self._width), self._run, self._tenant)
        try:
            # A call that ended in the meantime may have shown that no call of this judge can succeed.
            self._collect_ended(todo)
            if self._failures.unusable is not None:
                raise self._failures.unusable
        except BaseException:
            slots.give_back(taken, self._run, self._tenant)
            raise
        first_calls = self._first_calls_left(todo)
        if self._stopping or self._failures.stop or first_calls == 0 or self._seconds_to_wait() > 0:
            # This has changed while other calls held the slots.
            slots.give_back(taken, self._run, self._tenant)
            return StopReason.STOPPED if self._stopping else None
        tokens = likely_tokens(self._judge, todo[0].shown)
        leased = account.lease(taken if first_calls is None else min(taken, first_calls), tokens)
        slots.give_back(taken - leased, self._run, self._tenant)
        requested = [todo.popleft() for _ in range(leased)]
        started = 0
        self._failures.in_flight += leased
        try:
            requested_at, settlements = self._clock.monotonic(), self._settlements.number
            permit = await self._store.permit(self._tenant, self._request(requested))
            started = self._start(requested, permit, requested_at, todo)
        finally:
            self._failures.in_flight -= leased - started
            slots.give_back(leased - started, self._run, self._tenant)
            account.give_back(leased - started, (leased - started) * tokens)
        self._limited_until = self._clock.monotonic() + permit.wait
        self._over_budget = settlements if permit.over_budget else None
        self._width = max(1, started) if permit.over_budget else 2 * self._width
        await self._commit_stored(requested, permit)
        if not started and permit.busy and not self._in_flight and not permit.refused:
            await self._clock.sleep(BUSY_WAIT)
        return permit.refused

    def _request(self, requested: Sequence[Work]) -> PermitRequest:
        return PermitRequest(
            keys=[work.key for work in requested],
            run=self._run,
            worst_micros=worst_call(self._judge, max(characters(work.shown) for work in requested)),
            seconds=LEASE + self._judge.card.limits.deadline_seconds,
            judge=requested[0].item.judge if requested[0].item else 0,
            fence=self._fence,
            rate_limit=self._judge.account.shared_rate_limit(likely_tokens(self._judge, requested[0].shown)),
        )

    def _start(self, requested: list[Work], permit: Permit, requested_at: float, todo: deque[Work]) -> int:
        """Start the calls that *permit* grants and put the others back into *todo*. Returns how many it started."""
        granted: dict[int, Work] = {}
        for work in requested:
            attempt = permit.granted.get(work.key)
            if attempt is not None and attempt not in granted:
                granted[attempt] = work
            elif work.key not in permit.answered:
                # Another run calls it, or this one does for an equal presentation, or it was refused: request it again.
                todo.append(work)
        if self._judge.rule is not None and granted:
            self._in_flight.add(asyncio.create_task(self._apply_rule(self._judge.rule, granted, requested_at)))
        else:
            self._in_flight |= {
                asyncio.create_task(self._call(work, attempt, requested_at)) for attempt, work in granted.items()
            }
        return len(granted)

    async def _apply_rule(self, rule: Rule, granted: Mapping[int, Work], requested_at: float) -> Sequence[Work]:
        """Judge *granted* (work by attempt) by *rule* and commit it as a group. Returns what to request again."""
        void = self._clock.monotonic() - requested_at > LEASE
        group: list[Settled] = []
        first_error: Exception | None = None
        try:
            for number, (attempt, work) in enumerate(granted.items(), 1):
                try:
                    settled = (
                        Settled(work.key, work.item, attempt)
                        if void
                        else settle_by_rule(self._judge, rule, work, attempt)
                    )
                except Exception as error:  # noqa: BLE001  # raised once the others are stored
                    first_error = first_error or error
                else:
                    group.append(settled)
                if not number % AT_A_TIME:
                    await asyncio.sleep(0)
            await self._committer.commit(*group)
        finally:
            self._failures.in_flight -= len(granted)
            self._judge.slots.give(len(granted))
        for settled in group:
            self._failures.count(settled.state, settled.reason)
        if first_error is not None:
            raise first_error
        return list(granted.values()) if void else ()

    async def _call(self, work: Work, attempt: int, requested_at: float) -> Sequence[Work]:
        """Judge *work* as the *attempt* that its permit granted. Returns *work* if it must be requested again."""
        again: Sequence[Work] = ()
        tally = CallTally()
        large = LargeReply(self._judge.reply_limit)
        limit_replies(large.reserve)
        try:
            held = await self._judge.memory_limit.take(held_characters(work.shown))
            try:
                if self._clock.monotonic() - requested_at > LEASE:
                    settled, again = Settled(work.key, work.item, attempt), (work,)
                else:
                    settled = await self._judge_presentation(work, attempt, tally)
                    self._failures.note_end(work.key, settled)
                    if settled.state is ItemState.TRANSPORT_ERROR and self._calls_again(work, settled.setback):
                        settled, again = settled._replace(state=None), (work,)
            finally:
                self._judge.memory_limit.give(held)
            await self._committer.commit(settled)
            self._settlements.note()
        except JudgeUnusable as unusable:
            tolerated = self._failures.tolerates_denial()
            if not tolerated:
                self._failures.unusable = unusable
            state = ItemState.REJECTED if tolerated else unusable.state
            denied = Settled(work.key, work.item, attempt, state=state, reason=unusable.message)
            settled = tally.added_to(denied)
            await self._committer.commit(settled)
            self._settlements.note()
            if not tolerated:
                raise
        finally:
            large.give_back()
            self._failures.in_flight -= 1
            self._judge.slots.give(1)
        if settled.reply is not None:
            self._failures.note_answer()
            self._failures.first_replies.note(settled.reply, settled.parsed_verdict)
        self._failures.count(settled.state, settled.reason)
        if again and settled.reason:
            before = self._unanswered.get(work.key, Unanswered())
            self._unanswered[work.key] = Unanswered(before.calls + settled.calls, settled.reason)
        if not again:
            self._rounds.pop(work.key, None)
            self._unanswered.pop(work.key, None)
        return again

    async def _judge_presentation(self, work: Work, attempt: int, tally: CallTally) -> Settled:
        """Judge *work*. Whatever else than a denial ends it, book what was called until then, and leave it open."""
        reserve = partial(self._store.reserve_again, attempt)
        try:
            return await judge_comparison(self._judge, work, attempt, self._clock, reserve=reserve, tally=tally)
        except JudgeUnusable:
            raise
        except BaseException:
            # Without waiting for the store, as the process may be ending: a call that stays open is booked later.
            with contextlib.suppress(StoreFailed):
                open_still = tally.added_to(Settled(work.key, work.item, attempt))
                await self._store.commit(self._tenant, self._run, [open_still])
            raise

    def _calls_again(self, work: Work, setback: Setback | None) -> bool:
        """Count a round in which *work* got no answer. Returns whether there is another round for it."""
        account = self._judge.account
        self._rounds[work.key] += setback is not Setback.THROTTLED
        return (self._rounds[work.key] < ROUNDS or account.down) and not account.exhausted

    async def _commit_stored(self, requested: list[Work], permit: Permit) -> None:
        """Commit the work whose answers were in the store already."""
        definition = self._judge.definition
        group = [
            settle_from_store(definition, work, permit.answered[work.key])
            for work in requested
            if work.key in permit.answered
        ]
        if group:
            self._failures.mixed = True
            await self._store.commit(self._tenant, self._run, group)

    async def _wait_for_calls(self, todo: deque[Work], until: str) -> None:
        await asyncio.wait(self._in_flight, return_when=until)
        self._collect_ended(todo)

    def _collect_ended(self, todo: deque[Work]) -> None:
        """Add to *todo* what ended calls want to be requested again. Raises their errors, JudgeUnusable first."""
        ended = {task for task in self._in_flight if task.done()}
        self._in_flight -= ended
        errors = []
        for task in ended:
            error = task.exception()
            if error is not None:
                errors.append(error)
            else:
                todo.extend(task.result())
        if errors:
            raise next((error for error in errors if isinstance(error, JudgeUnusable)), errors[0])
