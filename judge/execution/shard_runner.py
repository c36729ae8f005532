"""Running a shard: ask for a permit, make only the calls it grants, free a slot only when its answer has committed.

No permit, no call. A permit is void once its process has been away longer than LEASE seconds: what had not begun by
then is asked for again. Whatever was called commits, also while the run is being cancelled, and waits in memory while
the store has no room.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence

from judge.domain.errors import JudgeUnusable, StoreAway, StoreFull
from judge.domain.judge import RECORDED, JudgeDefinition
from judge.domain.outcome import FAILED, ItemState
from judge.domain.run import RunState, StopReason, WaitReason
from judge.domain.verdict import CallKey
from judge.execution.judge_call import Work, characters, computed, judge_comparison, likely_tokens, read, worst_cost
from judge.execution.judges import JudgeAtWork, Rule
from judge.log.events import logger
from judge.ports.clock import Clock
from judge.ports.records import Fence, Permit, PermitRequest, Settled, StoredAnswer
from judge.ports.store import RunStore

LEASE = 10.0
"""Seconds after its permit was asked for within which a call must begin."""
FULL_WAIT = 1.0
"""Seconds between two attempts to write to a store that is full."""
SHORT = 0.5
"""Seconds of waiting in which nobody looks whether the run goes on: its next permit will say."""
LONG = 10.0
"""Seconds of waiting for an account that are worth telling."""
BUSY_WAIT = 0.05
"""Seconds between two looks at a key that another run is calling."""
ROUNDS = 3
"""So often a showing is asked for, each time with all its tries, before it is left without a verdict."""
AT_A_TIME = 50
"""So many showings are judged by a rule before others have the loop."""
FEWEST_FAILED = 10
"""So many showings may always be left without a verdict, whatever share of the run they are."""
log = logger("runs")


class Committer:
    """Commits what is settled in groups: whatever came while the last group was being written is the next one."""

    def __init__(self, store: RunStore, tenant: str, run: int | None, clock: Clock) -> None:
        self._store, self._tenant, self._run, self._clock = store, tenant, run, clock
        self.patient = True
        """Whether to wait for room in a full store, and for one that does not answer."""
        self._waiting: list[tuple[Sequence[Settled], asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def commit(self, *settled: Settled) -> None:
        """Return once *settled* are stored."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((settled, done))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        await done

    async def _write(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting, []
            try:
                await self._commit([one for settled, _ in group for one in settled])
            except Exception as error:  # noqa: BLE001  # handed to whoever waits for this group
                for _, done in group:
                    if not done.cancelled():
                        done.set_exception(error)
            else:
                for _, done in group:
                    if not done.cancelled():
                        done.set_result(None)

    async def _commit(self, group: Sequence[Settled]) -> None:
        while True:
            try:
                return await self._store.commit(self._tenant, self._run, group)
            except (StoreFull, StoreAway):
                if not self.patient:
                    raise
            await self._clock.sleep(FULL_WAIT)


class Waits:
    """Says of a run what it waits for, and that it goes on."""

    def __init__(self, store: RunStore, run: int) -> None:
        self._store, self._run = store, run
        self._told: tuple[WaitReason | None, str] = (None, "")

    async def tell(self, reason: WaitReason, message: str) -> None:
        """It waits for *reason*; said once."""
        if self._told != (reason, message):
            before, self._told = self._told, (reason, message)
            await self._store.move_run(self._run, RunState.WAITING, reason=reason, message=message)
            if before[0] != reason:
                log.info("run.waiting", reason=reason)

    async def over(self) -> None:
        """It goes on."""
        if self._told[0]:
            self._told = (None, "")
            await self._store.move_run(self._run, RunState.RUNNING)
            log.info("run.going_on")


class Failures:
    """What all shards of one judge in one run know: how many of *planned* showings it left without a verdict by now."""

    def __init__(self, judge: JudgeAtWork, planned: int, failed: int = 0) -> None:
        self.failed = failed
        self.unusable: JudgeUnusable | None = None
        """Why no call of the judge can succeed, once one has told."""
        self._most = max(FEWEST_FAILED, int(judge.card.limits.max_failed_share * planned))

    def count(self, state: ItemState | None) -> None:
        """A showing was settled, with a verdict or in *state*."""
        self.failed += state in FAILED

    @property
    def too_many(self) -> bool:
        """Whether there are more than the judge may leave."""
        return self.failed > self._most


def reused(definition: JudgeDefinition, work: Work, stored: StoredAnswer) -> Settled:
    """*work* settled by an answer that is there, read by the judge's parser if it was not yet."""
    known = definition.backend == RECORDED or any(one.parser == definition.parser for one in stored.parsed_verdicts)
    parsed_verdict = None if known else read(definition, stored.reply)
    return Settled(work.key, work.item, answer=stored.answer, reply=stored.reply, parsed_verdict=parsed_verdict)


class ShardRunner:
    """Runs showings of one judge in one run, under the *fence* of a shard.

    A showing that transport failed is asked for again when the others have been, in ROUNDS rounds. One that found
    nobody at the provider is no failed showing: it is asked again when somebody is there, unless the provider has been
    given up.
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
    ) -> None:
        self._store, self._tenant, self._run, self._judge, self._clock = store, tenant, run, judge, clock
        self._fence, self._failures = fence, failures
        self._committer = Committer(store, tenant, run, clock)
        self._flying: set[asyncio.Task[Sequence[Work]]] = set()
        self._stopping = False
        self._waits = Waits(store, run)
        self._full_until = -math.inf
        """Until when the store has no room in the judge's account."""
        self._asked_first: dict[CallKey, int] = {}
        self._rounds: Counter[CallKey] = Counter()

    def stop(self, *, patient: bool = True) -> None:
        """Ask for no new permit; what is in flight finishes and commits, and if *patient* waits for room to do so."""
        self._stopping, self._committer.patient = True, patient

    async def run(self, work: Sequence[Work]) -> StopReason | None:
        """Judge *work*. Returns None when all of it is settled, else why not.

        STOPPED, BUDGET_STOPPED, CANCELLED, NOT_RUNNING, SUPERSEDED or TOO_MANY_FAILED. Raises JudgeUnusable.
        """
        todo = deque(work)
        refused: StopReason | None = None
        try:
            while (todo or self._flying) and not refused:
                if self._stopping:
                    refused = StopReason.STOPPED
                elif self._failures.too_many:
                    refused = StopReason.TOO_MANY_FAILED
                elif not todo:
                    await self._land(todo, asyncio.FIRST_COMPLETED)
                elif (wait := self._wait()) > 0:
                    refused = await self._pause(todo, wait)
                else:
                    await self._waits.over()
                    refused = await self._window(todo)
                    self._take_landed(todo)
        finally:
            while self._flying:
                await self._land(todo, asyncio.ALL_COMPLETED)
        return refused

    def _wait(self) -> float:
        """Seconds until the account may be asked again."""
        return max(self._judge.account.wait(), self._full_until - self._clock.monotonic())

    async def _pause(self, todo: deque[Work], wait: float) -> StopReason | None:
        """Let at most a second of *wait* pass, or until a call has landed; why not to go on, if the run says so."""
        name = self._judge.definition.name
        if self._judge.account.down:
            message = f"judge {name!r} has no answer from its provider; it is tried again every half minute"
            await self._waits.tell(WaitReason.PROVIDER_DOWN, message)
        elif wait > LONG:
            await self._waits.tell(
                WaitReason.RATE_LIMITED, f"the account of judge {name!r} is to be left alone for a while"
            )
        timer = asyncio.ensure_future(self._clock.sleep(min(wait, 1.0)))
        try:
            await asyncio.wait({timer, *self._flying}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        self._take_landed(todo)
        if wait < SHORT:
            return None
        return await self._store.refusal(self._run, self._fence)

    async def _window(self, todo: deque[Work]) -> StopReason | None:
        slots, account = self._judge.slots, self._judge.account
        taken = await slots.take(len(todo), self._run, self._tenant)
        try:
            # What has ended in the meantime may say that no call of this judge can succeed.
            self._take_landed(todo)
            if self._failures.unusable is not None:
                raise self._failures.unusable
        except BaseException:
            slots.give_back(taken, self._run, self._tenant)
            raise
        if self._stopping:
            slots.give(taken)
            return StopReason.STOPPED
        tokens = likely_tokens(self._judge, todo[0].shown)
        many = account.lease(taken, tokens)
        slots.give_back(taken - many, self._run, self._tenant)
        wanted = [todo.popleft() for _ in range(many)]
        begun = 0
        try:
            asked = self._clock.monotonic()
            permit = await self._store.permit(self._tenant, self._request(wanted))
            begun = self._begin(wanted, permit, asked, todo)
        finally:
            slots.give_back(many - begun, self._run, self._tenant)
            account.give_back(many - begun, (many - begun) * tokens)
        self._full_until = self._clock.monotonic() + permit.wait
        await self._take_stored(wanted, permit)
        if not begun and permit.busy and not self._flying and not permit.refused:
            await self._clock.sleep(BUSY_WAIT)
        return permit.refused

    def _request(self, wanted: Sequence[Work]) -> PermitRequest:
        return PermitRequest(
            keys=[work.key for work in wanted],
            run=self._run,
            worst_micros=worst_cost(self._judge, max(characters(work.shown) for work in wanted)),
            seconds=LEASE + self._judge.card.limits.deadline_seconds,
            judge=wanted[0].item.judge if wanted[0].item else 0,
            fence=self._fence,
            rate_limit=self._judge.account.shared_rate_limit(likely_tokens(self._judge, wanted[0].shown)),
        )

    def _begin(self, wanted: list[Work], permit: Permit, asked: float, todo: deque[Work]) -> int:
        begun: dict[int, Work] = {}
        for work in wanted:
            attempt = permit.granted.get(work.key)
            if attempt is not None and attempt not in begun:
                begun[attempt] = work
            elif work.key not in permit.answered:
                # Busy elsewhere, being called for an equal showing here, or refused: asked for again.
                todo.append(work)
        if self._judge.rule is not None and begun:
            self._flying.add(asyncio.create_task(self._compute(self._judge.rule, begun, asked)))
        else:
            self._flying |= {asyncio.create_task(self._call(work, to, asked)) for to, work in begun.items()}
        return len(begun)

    async def _compute(self, rule: Rule, begun: Mapping[int, Work], asked: float) -> Sequence[Work]:
        """Judge what *rule* judges, under its permit, and commit all of it at once; what is to be asked for again."""
        void = self._clock.monotonic() - asked > LEASE
        settled: list[Settled] = []
        broken: Exception | None = None
        try:
            for number, (attempt, work) in enumerate(begun.items(), 1):
                try:
                    one = Settled(work.key, work.item, attempt) if void else computed(self._judge, rule, work, attempt)
                except Exception as error:  # noqa: BLE001  # raised when the others are stored
                    broken = broken or error
                else:
                    settled.append(one)
                if not number % AT_A_TIME:
                    await asyncio.sleep(0)
            await self._committer.commit(*settled)
        finally:
            self._judge.slots.give(len(begun))
        for one in settled:
            self._failures.count(one.state)
        if broken is not None:
            raise broken
        return list(begun.values()) if void else ()

    async def _call(self, work: Work, attempt: int, asked: float) -> Sequence[Work]:
        """Judge *work* under its permit; what is to be asked for again."""
        account = self._judge.account
        self._asked_first.setdefault(work.key, account.replies)
        again: Sequence[Work] = ()
        try:
            held = await self._judge.memory_limit.take(characters(work.shown))
            try:
                if self._clock.monotonic() - asked > LEASE:
                    settled, again = Settled(work.key, work.item, attempt), (work,)
                else:
                    settled = await judge_comparison(self._judge, work, attempt, self._clock)
                    if settled.state is ItemState.TRANSPORT_ERROR and self._asks_again(work):
                        settled, again = settled._replace(state=None), (work,)
            finally:
                self._judge.memory_limit.give(held)
            await self._committer.commit(settled)
        except JudgeUnusable as unusable:
            self._failures.unusable = unusable
            await self._committer.commit(Settled(work.key, work.item, attempt, state=unusable.state, calls=1))
            raise
        finally:
            self._judge.slots.give(1)
        self._failures.count(settled.state)
        if not again:
            self._asked_first.pop(work.key, None)
            self._rounds.pop(work.key, None)
        return again

    def _asks_again(self, work: Work) -> bool:
        account = self._judge.account
        self._rounds[work.key] += 1
        nobody = account.down or account.replies == self._asked_first[work.key]
        return (self._rounds[work.key] < ROUNDS or nobody) and not account.exhausted

    async def _take_stored(self, wanted: list[Work], permit: Permit) -> None:
        definition = self._judge.definition
        settled = [reused(definition, one, permit.answered[one.key]) for one in wanted if one.key in permit.answered]
        if settled:
            await self._store.commit(self._tenant, self._run, settled)

    async def _land(self, todo: deque[Work], until: str) -> None:
        await asyncio.wait(self._flying, return_when=until)
        self._take_landed(todo)

    def _take_landed(self, todo: deque[Work]) -> None:
        """Take note of the calls that have ended; JudgeUnusable before any other error of theirs."""
        done = {task for task in self._flying if task.done()}
        self._flying -= done
        failures = []
        for task in done:
            error = task.exception()
            if error is not None:
                failures.append(error)
            else:
                todo.extend(task.result())
        if failures:
            unusable = next((e for e in failures if isinstance(e, JudgeUnusable)), failures[0])
            raise unusable
