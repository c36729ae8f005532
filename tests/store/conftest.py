"""What the store's contract is tried on: every store, a clock that stands still, and a small board."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from judge.domain.dataset import Output, Prompt
from judge.domain.judge import JudgeDefinition, Rubric
from judge.domain.outcome import Order, Preference
from judge.domain.run import Budget, NewRun, Run, RunSpec, RunState
from judge.domain.verdict import CallKey, ParsedVerdict, Reply, Usage
from judge.ports.records import ItemRef, Permit, PermitRequest, Settled
from judge.store.sql_store import SqlStore
from support.clocks import StillClock
from support.postgres import Postgres

TENANT = "default"
JUDGES = (
    JudgeDefinition("strict", "openai", Rubric("brackets", ()), "brackets", model="m-1"),
    JudgeDefinition("kind", "openai", Rubric("brackets", ()), "brackets", model="m-2"),
)


class Scene:
    """A store with a dataset `d` of three prompts answered by a, b and c, and short ways to work on it."""

    def __init__(self, store: SqlStore, clock: StillClock) -> None:
        self.store, self.clock = store, clock
        self.prompts: list[int] = []
        self.outputs: dict[tuple[int, str], int] = {}
        self.revision = 0

    async def fill(self, name: str = "d") -> Scene:
        """Upload the board to the dataset *name*."""
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
        """So many keys of the first judge."""
        digests = [bytes.fromhex(JUDGES[0].fingerprint), *(bytes([n % 256, n // 256]) * 16 for n in range(count))]
        fingerprint, *shown = await self.store.intern(TENANT, digests)
        return [CallKey(fingerprint, prompt=shown[0], turn=1, first=n, second=n, cache_tag=cache_tag) for n in shown]

    async def run(self, run_id: str = "run-1", *, budget: Budget | None = None, **said: Any) -> Run:  # noqa: ANN401  # whatever new_run takes
        """A run that is running."""
        made = await self.store.create_run(TENANT, self.new_run(run_id, budget=budget or Budget(), **said))
        await self.store.move_run(made.row, RunState.RUNNING)
        return await self.store.run(TENANT, run_id)

    def new_run(self, run_id: str, *, budget: Budget | None = None, **said: Any) -> NewRun:  # noqa: ANN401  # whatever NewRun takes
        """A run of both judges over the dataset `d`."""
        spec = RunSpec("d", tuple(judge.name for judge in JUDGES), budget=budget or Budget())
        new = NewRun(run_id, f"request-{run_id}", "body", spec, self.revision, JUDGES, planned=100, plan_hash="plan")
        return replace(new, **said)

    async def permit(self, keys: Sequence[CallKey], run: Run | None = None, *, worst: int = 10) -> Permit:
        """A permit for a minute."""
        row = None if run is None else run.row
        return await self.store.permit(TENANT, PermitRequest(keys, row, worst, 60))

    def item(self, position: int, *, judge: int = 0, prompt: int = 0, pair: str = "ab") -> ItemRef:
        """A showing of two contestants on a prompt."""
        row = self.prompts[prompt]
        left, right = (self.outputs[row, who] for who in pair)
        return ItemRef(position, judge, row, 1, left, right, Order.LEFT_FIRST, 0, f"c{position}")

    def called(self, key: CallKey, attempt: int | None, position: int | None = None, **said: Any) -> Settled:  # noqa: ANN401  # whatever Settled takes
        """A call that was answered: the first is better, for 7 micro-USD."""
        item = None if position is None else self.item(position)
        reply, parsed_verdict = Reply("[[A]]", usage=Usage(5, 0, 3, 7, 20)), ParsedVerdict("brackets", Preference.FIRST)
        return Settled(key, item, attempt, reply=reply, parsed_verdict=parsed_verdict, calls=1)._replace(**said)

    async def answer(self, keys: Sequence[CallKey], run: Run, *, begin: int = 0) -> None:
        """Ask a permit for *keys*, call and commit them, as the run's showings from position *begin* on."""
        granted = (await self.permit(keys, run)).granted
        done = [self.called(key, granted[key], begin + n) for n, key in enumerate(keys)]
        await self.store.commit(TENANT, run.row, done)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def memory_url() -> str:
    return "sqlite://"


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'judge.db'}"


@pytest.fixture
def shared_url(server: Postgres) -> Iterator[str]:
    """A database of a real PostgreSQL."""
    with server.fresh() as url:
        yield url


@pytest.fixture(params=["memory", "file", "shared"])
async def store(request: pytest.FixtureRequest, clock: StillClock) -> AsyncIterator[SqlStore]:
    """Each store in turn."""
    opened = SqlStore.open(request.getfixturevalue(f"{request.param}_url"), clock=clock)
    yield opened
    await opened.close()


@pytest.fixture
async def scene(store: SqlStore, clock: StillClock) -> Scene:
    """The board, uploaded."""
    return await Scene(store, clock).fill()


@pytest.fixture
def scene_of() -> type[Scene]:
    """For a store that a test opens itself."""
    return Scene


@pytest.fixture
def bare_url(server: Postgres) -> Iterator[str]:
    """A database of a real PostgreSQL that has no tables."""
    with server.fresh(template="template1") as url:
        yield url
