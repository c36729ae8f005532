"""A small dataset in a store, and short ways to run judges over it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from judge.domain.dataset import Output, Prompt
from judge.domain.judge import JudgeDefinition, Rubric
from judge.domain.outcome import Order, Preference
from judge.domain.run import Budget, NewRun, Run, RunSpec, RunState
from judge.domain.usage import Usage
from judge.domain.verdict import CallKey, ParsedVerdict, Reply
from judge.ports.records import ItemRef, Permit, PermitRequest, Settled
from judge.store.sql_store import SqlStore
from support.clocks import StillClock

TENANT = "default"
JUDGES = (
    JudgeDefinition(name="strict", backend="openai", rubric=Rubric("brackets", ()), parser="brackets", model="m-1"),
    JudgeDefinition(name="kind", backend="openai", rubric=Rubric("brackets", ()), parser="brackets", model="m-2"),
)


class Scene:
    """A store with a dataset `d` of three prompts answered by a, b and c, and short ways to work on it."""

    def __init__(self, store: SqlStore, clock: StillClock) -> None:
        self.store, self.clock = store, clock
        self.prompts: list[int] = []
        self.outputs: dict[tuple[int, str], int] = {}
        self.revision = 0

    async def fill(self, name: str = "d") -> Scene:
        """Upload the prompts and outputs to a new dataset *name*."""
        await self.store.create_dataset(TENANT, name)
        prompts = [Prompt(f"p{n}", (f"question {n}", "and then?"), category=["even", "odd"][n % 2]) for n in range(3)]
        outputs = [Output(p.prompt_id, who, (f"{who} on {p.prompt_id}", "more")) for p in prompts for who in "abc"]
        await self.store.add_prompts(TENANT, name, prompts, replace=False)
        result = await self.store.add_outputs(TENANT, name, outputs, replace=False)
        index = await self.store.dataset_index(TENANT, name, result.revision)
        self.prompts = [prompt.row for prompt in index.prompts]
        self.outputs = {(output.prompt, output.contestant): output.row for output in index.outputs}
        self.revision = result.revision
        return self

    async def keys(self, count: int, *, cache_tag: str = "") -> list[CallKey]:
        """Return *count* different keys of the first judge."""
        digests = [bytes.fromhex(JUDGES[0].fingerprint), *(bytes([n % 256, n // 256]) * 16 for n in range(count))]
        fingerprint, *shown = await self.store.intern(TENANT, digests)
        return [CallKey(fingerprint, prompt=shown[0], turn=1, first=n, second=n, cache_tag=cache_tag) for n in shown]

    async def run(self, run_id: str = "run-1", *, budget: Budget | None = None, **changes: Any) -> Run:  # noqa: ANN401  # whatever new_run takes
        """Create a run and start it. *changes* replace fields of its NewRun."""
        created = await self.store.create_run(TENANT, self.new_run(run_id, budget=budget or Budget(), **changes))
        await self.store.move_run(created.row, RunState.RUNNING)
        return await self.store.run(TENANT, run_id)

    def new_run(self, run_id: str, *, budget: Budget | None = None, **changes: Any) -> NewRun:  # noqa: ANN401  # whatever NewRun takes
        """Return a run of both judges over the dataset `d`, not stored yet. *changes* replace its fields."""
        spec = RunSpec("d", tuple(judge.name for judge in JUDGES), budget=budget or Budget())
        new = NewRun(
            run_id=run_id,
            request_id=f"request-{run_id}",
            body_hash="body",
            spec=spec,
            dataset_revision=self.revision,
            judges=JUDGES,
            planned=100,
            plan_hash="plan",
        )
        return replace(new, **changes)

    async def permit(self, keys: Sequence[CallKey], run: Run | None = None, *, worst: int = 10) -> Permit:
        """Ask for a permit of a minute to call *keys*, each for at most *worst* micro-USD."""
        row = None if run is None else run.row
        return await self.store.permit(TENANT, PermitRequest(keys=keys, run=row, worst_micros=worst, seconds=60))

    def item(self, position: int, *, judge: int = 0, prompt: int = 0, pair: str = "ab") -> ItemRef:
        """Return a presentation of a *pair* of contestants on a prompt, left first."""
        row = self.prompts[prompt]
        left, right = (self.outputs[row, who] for who in pair)
        return ItemRef(
            position=position,
            judge=judge,
            prompt=row,
            turn=1,
            left=left,
            right=right,
            order=Order.LEFT_FIRST,
            repeat=0,
            comparison_id=f"c{position}",
        )

    def called(self, key: CallKey, attempt: int | None, position: int | None = None, **changes: Any) -> Settled:  # noqa: ANN401  # whatever Settled takes
        """Return an answered call that prefers the first output and costs 7 micro-USD. *changes* replace fields."""
        item = None if position is None else self.item(position)
        usage = Usage(input_tokens=5, cached_input_tokens=0, output_tokens=3, cost_micros=7, latency_ms=20)
        reply, parsed_verdict = Reply("[[A]]", usage=usage), ParsedVerdict("brackets", Preference.FIRST)
        settled = Settled(key, item, attempt, reply=reply, parsed_verdict=parsed_verdict, calls=1)
        return settled._replace(**changes)

    async def answer(self, keys: Sequence[CallKey], run: Run, *, begin: int = 0) -> None:
        """Get a permit for *keys*, call and commit them, as the run's presentations from position *begin* on."""
        granted = (await self.permit(keys, run)).granted
        settled = [self.called(key, granted[key], begin + n) for n, key in enumerate(keys)]
        await self.store.commit(TENANT, run.row, settled)
