"""What callers do with a run: estimate, create, cancel and resume it."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from difflib import get_close_matches

import numpy as np

from judge.domain.errors import InvalidInput, NotFound, Precondition, PriceUnknown
from judge.domain.judge import JudgeCard, JudgeDefinition, Price
from judge.domain.outcome import ItemState
from judge.domain.run import INTERRUPTED, Budget, NewRun, PairPolicy, Run, RunSpec, RunState, StopReason
from judge.execution.judges import Judges
from judge.execution.stops import explain_settled
from judge.planning.inputs import build_plan
from judge.planning.plan import Plan
from judge.planning.rounds import build_rounds
from judge.ports.engine import Engine
from judge.ports.store import Store
from judge.runs.estimate import RunEstimate, at_most, budget_reach, estimate

REQUEST_ID_LENGTH = 64
MOST_MICROS = 10**15
"""The most that a judge can cost in a run: a billion USD."""


class RunLifecycle:
    """Estimates, creates, cancels and resumes runs."""

    def __init__(self, store: Store, engine: Engine, judges: Judges) -> None:
        self._store, self._engine, self._judges = store, engine, judges

    async def card(self, tenant: str, name: str) -> JudgeCard:
        """Return the judge called *name*, configured or recorded. Raises NotFound if there is none."""
        cards = self._judges.cards()
        if name in cards:
            return cards[name]
        recorded = {definition.name: definition for definition in await self._store.judge_definitions(tenant)}
        if name in recorded:
            return JudgeCard(recorded[name])
        known = sorted({*cards, *recorded})
        closest = "".join(f"; did you mean {match!r}?" for match in get_close_matches(name, known, n=1))
        raise NotFound(
            f"there is no judge {name!r}{closest}; there are {', '.join(known)}", reason="UNKNOWN_JUDGE", judge=name
        )

    async def _definition(self, tenant: str, name: str, dataset: str, *, available: bool) -> JudgeDefinition:
        cards = self._judges.cards()
        if name not in cards:
            for definition in await self._store.judge_definitions(tenant):
                if definition.name == name and definition.scope == dataset:
                    return definition
        card = await self.card(tenant, name)
        if card.definition.scope not in ("", dataset):
            raise NotFound(
                f"judge {name!r} was recorded on dataset {card.definition.scope!r}, not on {dataset!r}",
                reason="UNKNOWN_JUDGE",
                judge=name,
            )
        if available and card.unavailable_reason and self._engine.asks_here:
            raise Precondition(f"judge {name!r} is not available: {card.unavailable_reason}", reason="NO_CREDENTIAL")
        return card.definition

    async def estimate(self, tenant: str, spec: RunSpec) -> RunEstimate:
        """Estimate a run of *spec*: the exact number of calls, their likely tokens and cost, and the budget's reach.

        For an adaptive run the numbers are upper limits.
        """
        definitions = await self._definitions(tenant, spec, available=False)
        revision = await self._store.revision(tenant, spec.dataset)
        pairing, most = spec.pairing, 0
        if pairing.policy is PairPolicy.ADAPTIVE:
            # Its comparisons are not known yet: estimate all there are, and scale that down to the most that it makes.
            most = (await build_rounds(self._store, tenant, spec, revision)).per_judge
            everything = replace(
                pairing, policy=PairPolicy.ALL, count=0, round_size=0, top=0, precision=0.0, separated=False
            )
            spec = replace(spec, pairing=everything)
        plan = await build_plan(self._store, tenant, spec, revision)
        cards = self._judges.cards()
        planned_cards = [
            replace(cards.get(definition.name, JudgeCard(definition, price=Price())), definition=definition)
            for definition in definitions
        ]
        whole = await estimate(self._store, tenant, plan, planned_cards, pairing.cache_tag)
        if most:
            whole = at_most(whole, most)
        return replace(whole, reach=budget_reach(whole, spec.budget))

    async def _definitions(self, tenant: str, spec: RunSpec, *, available: bool = True) -> tuple[JudgeDefinition, ...]:
        """The current judges of *spec*; if they must be *available*, each needs its credential."""
        definitions = [await self._definition(tenant, name, spec.dataset, available=available) for name in spec.judges]
        return tuple([await self._judges.identified(definition) for definition in definitions])

    async def create(self, tenant: str, spec: RunSpec, request_id: str, body: bytes) -> Run:
        """Create a run, or return the one that was created before with this request id and an equal *body*.

        Raises:
            InvalidInput: The request id is too long or not printable ASCII, the plan is too large, or it shows images
                to a judge that takes none.
            NotFound: There is no such judge or dataset.
            PriceUnknown: The budget is in money, and the price of a judge is not configured.
        """
        if len(request_id) > REQUEST_ID_LENGTH or not (request_id.isascii() and request_id.isprintable()):
            raise InvalidInput(
                "request_id",
                f"request_id must be at most {REQUEST_ID_LENGTH} printable ASCII characters",
            )
        body_hash = hashlib.sha256(body).hexdigest()
        # This comes first: a run that exists is returned even if its judge or its dataset has been deleted since.
        if (known := await self._store.requested_run(tenant, request_id, body_hash)) is not None:
            return known
        definitions = await self._definitions(tenant, spec)
        self._check_prices(spec, definitions)
        revision = await self._store.revision(tenant, spec.dataset)
        plan, n_prompts = await self._plan(tenant, spec, revision)
        self._check_images(definitions, n_prompts)
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

    async def _plan(self, tenant: str, spec: RunSpec, revision: int) -> tuple[Plan, int]:
        """Return the plan, or that of the first round, and how many prompts may be shown with images."""
        if spec.pairing.policy is PairPolicy.ADAPTIVE:
            rounds = await build_rounds(self._store, tenant, spec, revision)
            plan, prompts, outputs = rounds.plans[0], rounds.selected.output_prompts, rounds.selected.rows
        else:
            plan = await build_plan(self._store, tenant, spec, revision)
            prompts, outputs = np.tile(plan.prompt, 2), np.concatenate((plan.left, plan.right))
        with_images = await self._store.rows_with_images(tenant, spec.dataset, revision)
        shown = np.isin(prompts, with_images[0]) | np.isin(outputs, with_images[1])
        return plan, len(np.unique(prompts[shown]))

    def _check_images(self, definitions: tuple[JudgeDefinition, ...], n_prompts: int) -> None:
        """Raise InvalidInput if a judge takes no images and *n_prompts*, or their outputs, have some.

        Baseline judges see only texts.
        """
        cards = self._judges.cards()
        names = [each.name for each in definitions if not each.baseline and each.name in cards]
        refusing = [name for name in names if not cards[name].capabilities.images]
        if n_prompts and refusing:
            raise InvalidInput(
                "judges",
                f"judge {refusing[0]!r} takes no images, and {n_prompts:,} of the prompts to judge have images in them "
                "or their outputs. Choose a judge that takes images; if its model does, add "
                "capabilities = { images = true }",
                reason="NO_IMAGES",
            )

    def _check_prices(self, spec: RunSpec, definitions: tuple[JudgeDefinition, ...]) -> None:
        """Raise PriceUnknown if the budget is in money and a judge has no price."""
        if not spec.budget.cost_micros:
            return
        cards = self._judges.cards()
        for definition in definitions:
            free = definition.baseline or definition.name not in cards
            if not free and cards[definition.name].price is None:
                raise PriceUnknown(
                    f"a budget in USD needs the price of judge {definition.name!r}. "
                    f"Set price in [judges.{definition.name}], or limit the run with budget_calls",
                    judge=definition.name,
                )

    async def cancel(self, tenant: str, run_id: str) -> Run:
        """Start to cancel a run, and return it. A run that has ended is returned unchanged."""
        run = await self._store.run(tenant, run_id)
        if not run.state.ended:
            if not await self._store.move_run(run.row, RunState.CANCELLING):
                await self._store.move_run(run.row, RunState.CANCELLED, never_started=ItemState.CANCELLED)
            elif run.reason == INTERRUPTED:
                # No process executes it.
                await self._store.move_run(run.row, RunState.CANCELLED, never_started=ItemState.CANCELLED)
            await self._engine.cancel(tenant, run_id)
        return await self._store.run(tenant, run_id)

    async def resume(self, tenant: str, run_id: str, budget: Budget | None) -> Run:
        """Queue a run again, and return it. Presentations without a verdict are tried again.

        A new *budget* counts from the next call on, also for a run that is being executed.

        Raises Precondition while the run is being cancelled.
        """
        run = await self._store.run(tenant, run_id)
        if run.state is RunState.CANCELLING:
            raise Precondition(f"run {run_id} is still being cancelled; resume it after that", reason="CANCELLING")
        await self._store.reopen_run(run.row, budget)
        # A run that is QUEUED or RUNNING is submitted too: the process that executed it may have died.
        await self._engine.submit(tenant, run_id)
        return await self._store.run(tenant, run_id)

    async def set_cost(self, tenant: str, run_id: str, judge: str, cost_micros: int) -> Run:
        """Replace what *judge* cost in a run by what its provider billed, in micro-USD. Returns the run.

        *judge* may be empty if the run has one judge.

        Raises:
            InvalidInput: The cost is negative or absurdly large, or no judge is named and the run has several.
            NotFound: The run has no such judge.
            Precondition: A process may execute the run, or calls of it are in flight.
        """
        if not 0 <= cost_micros <= MOST_MICROS:
            raise InvalidInput("cost_micros", f"a cost must be between 0 and {MOST_MICROS:,}, not {cost_micros:,}")
        run = await self._store.run(tenant, run_id)
        names = [definition.name for definition in run.judges]
        if not judge and len(names) != 1:
            raise InvalidInput("judge", f"run {run_id} has several judges; name one of {', '.join(names)}")
        if judge and judge not in names:
            message = f"run {run_id} has no judge {judge!r}; it has {', '.join(names)}"
            raise NotFound(message, reason="UNKNOWN_JUDGE", judge=judge)
        number = names.index(judge) if judge else 0
        unfinished = not run.state.ended and run.state is not RunState.PAUSED
        idle = (unfinished or run.open.calls > 0) and await self._engine.book_lost_calls()
        if unfinished and not idle:
            message = (
                f"run {run_id} is {run.state.name}; set its cost when it has ended, "
                f"or cancel it first with `judge cancel {run_id}`"
            )
            raise Precondition(message, reason="NOT_ENDED")
        if not await self._store.set_cost(run.row, number, cost_micros):
            raise Precondition(f"run {run_id} has calls in flight; set its cost when it has ended", reason="NOT_ENDED")
        settled = await self._store.run(tenant, run_id)
        if settled.reason != StopReason.BUDGET_STOPPED:
            return settled
        await self._store.explain_run(settled.row, settled.state, settled.reason, explain_settled(settled))
        return await self._store.run(tenant, run_id)
