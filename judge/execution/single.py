"""Judging a single comparison at once. Its verdict is stored and reused like any other, but belongs to no run."""

from __future__ import annotations

from dataclasses import dataclass, replace

from judge.domain.errors import CallFailed, InvalidInput, JudgeUnusable, NotFound, TransportFailed
from judge.domain.judge import RECORDED, JudgeCard, RenderedPrompt
from judge.domain.outcome import Order
from judge.domain.verdict import (
    CallKey,
    Comparison,
    ParsedVerdict,
    PresentationNames,
    Reply,
    Shown,
    Verdict,
    prompt_digest,
    recorded_digest,
    shown_digest,
)
from judge.execution.call_tally import CallTally
from judge.execution.cost import characters, likely_tokens, worst_call
from judge.execution.detached import DetachedTasks
from judge.execution.judge_call import Work, judge_comparison, recorded_key, render_prompt, shows_reference, texts
from judge.execution.judges import JudgeAtWork, Judges
from judge.execution.shard_runner import BUSY_WAIT, LEASE
from judge.ports.clock import Clock
from judge.ports.records import PermitRequest, Settled
from judge.ports.store import Store


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """A comparison in one order: its texts, and its names if it comes from a dataset."""

    shown: Shown
    names: PresentationNames


class Single:
    """Judges single comparisons."""

    def __init__(self, store: Store, judges: Judges, clock: Clock) -> None:
        self._store, self._judges, self._clock = store, judges, clock
        self._calls = DetachedTasks()

    async def of_dataset(self, tenant: str, dataset: str, names: PresentationNames) -> SingleRequest:
        """Load the texts of a presentation in *dataset*.

        Raises:
            NotFound: There is no such prompt, or the contestant has no such output.
            InvalidInput: An output does not have that many turns.
        """
        revision = await self._store.revision(tenant, dataset)
        index = await self._store.dataset_index(tenant, dataset, revision, prompt_ids=[names.prompt_id])
        if not len(index.prompts):
            raise NotFound(f"dataset {dataset!r} has no prompt {names.prompt_id!r}", reason="UNKNOWN_PROMPT")
        prompt, named, rows = index.prompts[0], index.named(), []
        for contestant, sample in ((names.left, names.left_sample), (names.right, names.right_sample)):
            output = named.get((names.prompt_id, contestant, sample))
            if output is None:
                raise NotFound(
                    f"contestant {contestant!r} has no output {sample} to prompt {names.prompt_id!r} in {dataset!r}",
                    reason="UNKNOWN_CONTESTANT",
                )
            if output.turns < names.turn:
                raise InvalidInput(
                    "presentation.turn",
                    f"the output of {contestant!r} to prompt {names.prompt_id!r} has {output.turns} turns;"
                    f" there is no turn {names.turn}",
                    reason="MISSING_TURN",
                )
            rows.append(output.row)
        prompts = await self._store.prompt_texts([prompt.row])
        outputs = await self._store.output_texts(rows)
        left, right = (outputs[row] for row in rows)
        return SingleRequest(texts(prompts[prompt.row], left, right, names.turn, names.order), names)

    @staticmethod
    def of_texts(compared: Comparison, order: Order) -> SingleRequest:
        """Return the request for a comparison that is given by its texts."""
        return SingleRequest(
            Shown.of(compared, order),
            PresentationNames(prompt_id="", turn=compared.turn, left="left", right="right", order=order),
        )

    async def _work(self, tenant: str, card: JudgeCard, request: SingleRequest, cache_tag: str, repeat: int) -> Work:
        definition, shown, names = card.definition, request.shown, request.names
        if definition.backend == RECORDED:
            prompt, left = recorded_key(names.prompt_id, names.left, names.left_sample)
            ends = [left, recorded_digest(names.right, names.right_sample)]
            first, second = ends if names.order is Order.LEFT_FIRST else reversed(ends)
        else:
            prompt = prompt_digest(shown.prompt, shown.reference if shows_reference(definition, shown) else ())
            first, second = shown_digest(shown.first), shown_digest(shown.second)
        ids = await self._store.intern(
            tenant, [bytes.fromhex(definition.call_fingerprint(shown)), prompt, first, second]
        )
        key = CallKey(
            fingerprint=ids[0],
            prompt=ids[1],
            turn=shown.turn,
            first=ids[2],
            second=ids[3],
            cache_tag=cache_tag,
            repeat=repeat,
        )
        return Work(key, shown)

    async def _identified(self, card: JudgeCard) -> JudgeCard:
        return replace(card, definition=await self._judges.identified(card.definition))

    async def preview(self, card: JudgeCard, request: SingleRequest) -> RenderedPrompt:
        """Render what would be sent, without sending it."""
        work = Work(CallKey(fingerprint=0, prompt=0, turn=request.shown.turn, first=0, second=0), request.shown)
        return render_prompt((await self._identified(card)).definition, work)

    async def stored(self, tenant: str, card: JudgeCard, request: SingleRequest) -> bool:
        """Whether the verdict is already stored, so that judging costs nothing."""
        work = await self._work(tenant, await self._identified(card), request, "", 0)
        return work.key in await self._store.answers(tenant, [work.key])

    async def judge(self, tenant: str, card: JudgeCard, request: SingleRequest, cache_tag: str, repeat: int) -> Verdict:
        """Return the verdict, from the store if it is there.

        A call that has started finishes and is stored even if the caller goes away.

        Raises:
            InvalidInput: The judge is not available here.
            CallFailed: The judge gave no reply.
        """
        if card.unavailable_reason:
            raise InvalidInput("judge", f"judge {card.definition.name!r} is not available: {card.unavailable_reason}")
        card = await self._identified(card)
        at_work = self._judges.at_work(card.definition)
        # A single comparison never waits for a batch, so it has no batch discount.
        at_work = replace(at_work, card=replace(at_work.card, batch=False))
        work = await self._work(tenant, card, request, cache_tag, repeat)
        while True:
            permit_request = PermitRequest(
                keys=[work.key],
                run=None,
                worst_micros=worst_call(at_work, characters(request.shown)),
                seconds=LEASE + at_work.card.limits.deadline_seconds,
                rate_limit=at_work.account.shared_rate_limit(likely_tokens(at_work, request.shown), single=True),
            )
            permit = await self._store.permit(tenant, permit_request)
            if stored := permit.answered.get(work.key):
                return _verdict(card, request, work, stored.reply, stored.parsed_verdicts, reused=True)
            if work.key in permit.granted:
                break
            await self._clock.sleep(max(BUSY_WAIT, permit.wait))
        settled = await self._calls.run(self._call(tenant, at_work, work, permit.granted[work.key]))
        if settled.reply is None or settled.parsed_verdict is None:
            state = settled.state.name if settled.state else "FAILED"
            message = f"judge {card.definition.name!r} gave no reply: {state.lower()}"
            message += f": {settled.reason}" if settled.reason else ""
            raise TransportFailed(message) if state == TransportFailed.reason else CallFailed(message, reason=state)
        return _verdict(card, request, work, settled.reply, (settled.parsed_verdict,), reused=False)

    async def _call(self, tenant: str, judge: JudgeAtWork, work: Work, attempt: int) -> Settled:
        tally = CallTally()
        try:
            settled = await self._take_turn(judge, work, attempt, tally)
        except BaseException as error:
            # What was called until then may have to be paid.
            state = error.state if isinstance(error, JudgeUnusable) else None
            await self._store.commit(tenant, None, [tally.added_to(Settled(work.key, None, attempt, state=state))])
            raise
        await self._store.commit(tenant, None, [settled])
        return settled

    async def _take_turn(self, judge: JudgeAtWork, work: Work, attempt: int, tally: CallTally) -> Settled:
        try:
            await judge.account.turn(likely_tokens(judge, work.shown), single=True)
        except TransportFailed as down:
            return Settled(work.key, None, attempt, state=down.state)
        return await judge_comparison(judge, work, attempt, self._clock, single=True, tally=tally)

    async def close(self) -> None:
        """Wait until the calls in flight have finished and are stored."""
        await self._calls.close()


def _verdict(
    card: JudgeCard,
    request: SingleRequest,
    work: Work,
    reply: Reply,
    parsed_verdicts: tuple[ParsedVerdict, ...],
    *,
    reused: bool,
) -> Verdict:
    return Verdict(
        judge=card.definition.name,
        presentation=request.names,
        category=request.shown.category,
        reply=reply,
        parsed_verdicts=parsed_verdicts,
        cache_tag=work.key.cache_tag,
        repeat=work.key.repeat,
        reused=reused,
    )
