"""What callers do to a run: create it, cancel it, go on with it."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace

from judge.domain.errors import InvalidInput, NotFound, Precondition, PriceUnknown
from judge.domain.judge import JudgeCard, JudgeDefinition
from judge.domain.outcome import ItemState
from judge.domain.run import Budget, NewRun, PairPolicy, Run, RunSpec, RunState
from judge.execution.judges import Judges
from judge.planning.inputs import build_plan
from judge.planning.rounds import build_rounds
from judge.ports.engine import Engine
from judge.ports.store import Store
from judge.runs.estimate import RunEstimate, at_most, estimate

REQUEST_ID_LENGTH = 64


class RunLifecycle:
    """Creates, cancels and resumes runs."""

    def __init__(self, store: Store, engine: Engine, judges: Judges) -> None:
        self._store, self._engine, self._judges = store, engine, judges

    async def card(self, tenant: str, name: str) -> JudgeCard:
        """The judge called *name*: configured here, or recorded; NotFound otherwise."""
        cards = self._judges.cards()
        if name in cards:
            return cards[name]
        recorded = {definition.name: definition for definition in await self._store.judge_definitions(tenant)}
        if name in recorded:
            return JudgeCard(recorded[name])
        known = ", ".join(sorted({*cards, *recorded}))
        raise NotFound(f"there is no judge {name!r}; there are {known}", reason="UNKNOWN_JUDGE", judge=name)

    async def _definition(self, tenant: str, name: str, dataset: str, *, asked: bool) -> JudgeDefinition:
        cards = self._judges.cards()
        if name not in cards:
            for definition in await self._store.judge_definitions(tenant):
                if definition.name == name and definition.scope == dataset:
                    return definition
        card = await self.card(tenant, name)
        if card.definition.scope not in ("", dataset):
            raise NotFound(
                f"judge {name!r} was recorded on another dataset than {dataset!r}", reason="UNKNOWN_JUDGE", judge=name
            )
        if asked and card.unavailable_reason and self._engine.asks_here:
            raise Precondition(f"judge {name!r} cannot be asked: {card.unavailable_reason}", reason="NO_CREDENTIAL")
        return card.definition

    async def estimate(self, tenant: str, spec: RunSpec) -> RunEstimate:
        """What a run of *spec* would take: its calls exactly, its tokens and cost as far as can be told.

        Of an adaptive run, it is the most that it could take.
        """
        definitions = await self._definitions(tenant, spec, asked=False)
        revision = await self._store.revision(tenant, spec.dataset)
        pairing, most = spec.pairing, 0
        if pairing.policy is PairPolicy.ADAPTIVE:
            # Nobody knows which comparisons it will make: at most so many of all there are.
            most = (await build_rounds(self._store, tenant, spec, revision)).per_judge
            everything = replace(
                pairing, policy=PairPolicy.ALL, count=0, round_size=0, top=0, precision=0.0, separated=False
            )
            spec = replace(spec, pairing=everything)
        plan = await build_plan(self._store, tenant, spec, revision)
        cards = self._judges.cards()
        known = [
            replace(cards[one.name], definition=one) if one.name in cards else JudgeCard(one) for one in definitions
        ]
        found = await estimate(self._store, tenant, plan, known, pairing.cache_tag)
        return at_most(found, most) if most else found

    async def _definitions(self, tenant: str, spec: RunSpec, *, asked: bool = True) -> tuple[JudgeDefinition, ...]:
        """The judges of *spec* as they are now; if they are to be *asked*, each must have its credential."""
        found = [await self._definition(tenant, name, spec.dataset, asked=asked) for name in spec.judges]
        return tuple([await self._judges.identified(definition) for definition in found])

    async def create(self, tenant: str, spec: RunSpec, request_id: str, body: bytes) -> Run:
        """A new run, or the one that was created with this request id and an equal *body*."""
        if len(request_id) > REQUEST_ID_LENGTH or not request_id.isascii():
            raise InvalidInput("request_id", f"request_id must be at most {REQUEST_ID_LENGTH} ASCII characters")
        body_hash = hashlib.sha256(body).hexdigest()
        # Before anything else is looked at: a judge or a dataset that has gone since doesn't matter to a run that is.
        if (known := await self._store.requested_run(tenant, request_id, body_hash)) is not None:
            return known
        definitions = await self._definitions(tenant, spec)
        self._priced(spec, definitions)
        revision = await self._store.revision(tenant, spec.dataset)
        plan = await build_plan(self._store, tenant, spec, revision)
        new = NewRun(
            run_id=uuid.uuid4().hex[:16],
            request_id=request_id,
            body_hash=body_hash,
            spec=spec,
            dataset_revision=revision,
            judges=definitions,
            planned=plan.n_positions,
            plan_hash=plan.hash,
        )
        run = await self._store.create_run(tenant, new)
        await self._engine.submit(tenant, run.run_id)
        return run

    def _priced(self, spec: RunSpec, definitions: tuple[JudgeDefinition, ...]) -> None:
        if not spec.budget.cost_micros:
            return
        cards = self._judges.cards()
        for definition in definitions:
            free = definition.baseline or definition.name not in cards
            if not free and cards[definition.name].price is None:
                raise PriceUnknown(
                    f"a budget in money needs the price of judge {definition.name!r}; the config doesn't say it",
                    judge=definition.name,
                )

    async def cancel(self, tenant: str, run_id: str) -> Run:
        """The run, on its way to CANCELLED; one that has ended is returned unchanged."""
        run = await self._store.run(tenant, run_id)
        if not run.state.ended:
            if not await self._store.move_run(run.row, RunState.CANCELLING):
                await self._store.move_run(run.row, RunState.CANCELLED, never_started=ItemState.CANCELLED)
            await self._engine.cancel(tenant, run_id)
        return await self._store.run(tenant, run_id)

    async def resume(self, tenant: str, run_id: str, budget: Budget | None) -> Run:
        """The run, queued again; showings without a verdict are tried again."""
        run = await self._store.run(tenant, run_id)
        if run.state is RunState.CANCELLING:
            raise Precondition(f"run {run_id} is still being cancelled", reason="CANCELLING")
        if run.state in (RunState.QUEUED, RunState.RUNNING):
            return run
        await self._store.reopen_run(run.row, budget)
        await self._engine.submit(tenant, run_id)
        return await self._store.run(tenant, run_id)
