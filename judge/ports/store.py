"""Where it is kept. One Protocol; the same contract suite runs over every store.

Laws: a batch or a commit is whole or absent; an answer exists once per key; a call is made only under a permit; a run's
revision grows with every change to it, and its rows carry the revision they came with. A write for which there is no
room raises StoreFull and changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from judge.domain.dataset import BatchResult, DatasetSummary, ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.judge import JudgeDefinition
from judge.domain.outcome import ItemState, Order, Outcome, VerdictStatus
from judge.domain.run import Budget, NewRun, Run, RunState
from judge.domain.verdict import CallKey, Reading, Reply, Usage, Verdict
from judge.ports.dataset_index import Board, BoardPrompts
from judge.ports.verdict_columns import VerdictColumns


@dataclass(frozen=True, slots=True)
class PromptText:
    """A prompt's texts. *plain* and *referenced* hold, per turn, the interned id of its content up to that turn."""

    prompt: Prompt
    plain: tuple[int, ...]
    referenced: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OutputText:
    """An output's texts. *shown* holds, per turn, the interned id of its content up to that turn."""

    output: Output
    shown: tuple[int, ...]


class ItemRef(NamedTuple):
    """One showing of a run: its place in the plan, and what is shown, by rows."""

    position: int
    judge: int
    """The judge's place in the run's list."""
    prompt: int
    turn: int
    left: int
    right: int
    order: Order
    repeat: int
    comparison_id: str = ""


@dataclass(frozen=True, slots=True)
class NewBatch:
    """The intent to submit a batch: the positions of the keys asked for, in their order, and what marks it."""

    positions: Sequence[int]
    mark: str


class BatchState(IntEnum):
    """Where a provider's batch stands."""

    SUBMITTING = 1
    """It is about to be submitted, or was: nobody has heard its id."""
    SUBMITTED = 2
    """The provider has it."""
    COLLECTED = 3
    """Its results are stored."""
    ABANDONED = 4
    """It was never submitted."""


@dataclass(frozen=True, slots=True)
class ProviderBatch:
    """A batch as the store has it, with the attempts of its calls."""

    row: int
    state: BatchState
    mark: str
    provider_id: str
    create_time: float
    positions: tuple[int, ...]
    attempts: Mapping[CallKey, int]


@dataclass(frozen=True, slots=True)
class Fence:
    """The attempt at a shard on whose behalf calls are made; worth nothing once there is a newer one."""

    shard: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Losses:
    """How many attempts at a shard were lost in a row: each ended with its process, and settled nothing."""

    lost: int = 0
    settled: int = 0
    """Showings of the shard that are settled by now."""


@dataclass(frozen=True, slots=True)
class Pace:
    """What an account may be asked by all processes together, a second; and how many tokens a call takes."""

    account: str
    calls: float
    tokens: float
    tokens_each: int


@dataclass(frozen=True, slots=True)
class PermitRequest:
    """Asks to call *keys* for a run (or for none: a single comparison), each costing at most *worst_micros*.

    The calls have ended *seconds* from now, by the store's clock, or are given up.
    """

    keys: Sequence[CallKey]
    run: int | None
    worst_micros: int
    seconds: float
    judge: int = 0
    """The judge's place in the run's list."""
    fence: Fence | None = None
    """The attempt that asks, if it is one at a shard."""
    pace: Pace | None = None
    """The account's limits, where the store is to keep them."""
    batch: NewBatch | None = None
    """The provider's batch that the calls are to be made in."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer that exists. *readings* are all its readings; without one of the judge's parser, it is to be read."""

    answer: int
    reply: Reply
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Permit:
    """What may be called: *granted* keys with their attempts; what exists; what another run is calling right now.

    *refused* is a reason (CANCELLED, NOT_RUNNING, SUPERSEDED, BUDGET_STOPPED) when nothing, or not everything, was
    granted for it. *wait* is for how many seconds the account has no room for more.
    """

    granted: Mapping[CallKey, int] = field(default_factory=dict)
    answered: Mapping[CallKey, StoredAnswer] = field(default_factory=dict)
    busy: frozenset[CallKey] = frozenset()
    refused: str = ""
    wait: float = 0.0
    batch: int | None = None
    """The row of the batch that was asked for, if anything was granted for it."""


class Settled(NamedTuple):
    """What became of one showing. A call carries its *attempt*; a reused answer carries *answer* instead of a reply."""

    key: CallKey
    item: ItemRef | None
    attempt: int | None = None
    reply: Reply | None = None
    answer: int | None = None
    reading: Reading | None = None
    state: ItemState | None = None
    calls: int = 0
    """Calls made for it, tries included."""
    lost_micros: int = 0
    """What calls that were sent and never answered may have cost, at the worst, beside the reply's own cost."""


@dataclass(frozen=True, slots=True)
class VerdictQuery:
    """Narrows a run's verdicts; empty fields do not narrow."""

    judges: Collection[str] = ()
    contestants: Collection[str] = ()
    prompt_ids: Collection[str] = ()
    categories: Collection[str] = ()
    statuses: Collection[VerdictStatus] = ()
    states: Collection[ItemState] = ()
    outcomes: Collection[Outcome] = ()


class DatasetStore(Protocol):
    """Datasets. Every method raises NotFound for a dataset that does not exist."""

    async def create_dataset(self, tenant: str, name: str) -> DatasetSummary:
        """An empty dataset; AlreadyExists if the name is taken."""
        ...

    async def dataset(self, tenant: str, name: str) -> DatasetSummary:
        """The dataset with its contestants, categories and annotators."""
        ...

    async def datasets(self, tenant: str, after: str, limit: int) -> list[DatasetSummary]:
        """At most *limit* datasets by name, after the name *after*, without contestants, categories, annotators."""
        ...

    async def delete_dataset(self, tenant: str, name: str) -> None:
        """Make it unreadable, remove its runs, and delete what no other dataset of the tenant holds."""
        ...

    async def finish_deletions(self) -> int:
        """Go on with deletions that a dead process left undone; how many there were."""
        ...

    async def add_prompts(self, tenant: str, name: str, rows: Sequence[Prompt], *, replace: bool) -> BatchResult:
        """Add a batch; equal rows are duplicates; other content under the same prompt_id is rejected or replaces."""
        ...

    async def add_outputs(self, tenant: str, name: str, rows: Sequence[Output], *, replace: bool) -> BatchResult:
        """Add a batch; rejects UNKNOWN_PROMPT, EXTRA_TURN, and (without *replace*) OUTPUT_DIFFERS."""
        ...

    async def add_labels(
        self, tenant: str, name: str, rows: Sequence[Label], *, source: str, replace: bool
    ) -> BatchResult:
        """Add a batch; a label's identity is *source* and its label_id. Prompt and outputs may be absent."""
        ...

    async def delete_labels(self, tenant: str, name: str, annotators: str) -> int:
        """Take out the labels of *annotators*, a name in which `*` stands for anything; how many they were.

        They are gone from the next revision on: whoever pinned an older one still reads them.
        """
        ...

    async def add_verdicts(
        self, tenant: str, name: str, rows: Sequence[tuple[ImportedVerdict, Reading | None]], *, replace: bool
    ) -> BatchResult:
        """Add a batch of verdicts made elsewhere, each with our own reading of its raw text, if it has one.

        They are answers of the recorded judge, keyed by their contestants.
        """
        ...

    async def add_comparisons(
        self, tenant: str, name: str, rows: Sequence[ListedComparison], *, replace: bool
    ) -> BatchResult:
        """Add a batch; rejects UNKNOWN_PROMPT and UNKNOWN_OUTPUT."""
        ...

    async def read_prompts(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, Prompt]]:
        """A page of rows in upload order, each with its row id; *after* is the last row id read (0 to begin)."""
        ...

    async def read_outputs(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, Output]]:
        """A page of rows in upload order."""
        ...

    async def read_labels(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, str, Label]]:
        """A page of rows in upload order, each with its row id and source."""
        ...

    async def read_verdicts(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, ImportedVerdict]]:
        """A page of rows in upload order."""
        ...

    async def read_comparisons(
        self, tenant: str, name: str, revision: int, after: int, limit: int
    ) -> list[tuple[int, ListedComparison]]:
        """A page of rows in upload order."""
        ...

    async def revision(self, tenant: str, name: str) -> int:
        """The present revision of the dataset, without counting what it holds."""
        ...

    async def board(self, tenant: str, name: str, revision: int, *, prompt_ids: Collection[str] | None = None) -> Board:
        """What *revision* of the dataset lets be compared, on all its prompts or on those of *prompt_ids*."""
        ...

    async def board_prompts(self, tenant: str, name: str, revision: int) -> BoardPrompts:
        """The prompts of *revision* alone."""
        ...

    async def prompt_texts(self, rows: Collection[int]) -> dict[int, PromptText]:
        """Texts by prompt row."""
        ...

    async def output_texts(self, rows: Collection[int]) -> dict[int, OutputText]:
        """Texts by output row."""
        ...

    async def intern(self, tenant: str, digests: Sequence[bytes]) -> list[int]:
        """The id of each digest; the same digest always has the same id in a tenant."""
        ...


class RunStore(Protocol):
    """Runs, permits, commits and verdicts."""

    async def create_run(self, tenant: str, run: NewRun) -> Run:
        """Store it as QUEUED; with the request id and body hash of a run that exists, that run as it is now.

        Raises RequestIdReused if the request id belongs to a run with another body hash.
        """
        ...

    async def requested_run(self, tenant: str, request_id: str, body_hash: str) -> Run | None:
        """The run that was created with *request_id*, or None; RequestIdReused if its body hash was another."""
        ...

    async def run(self, tenant: str, run_id: str) -> Run:
        """The run as it is now; NotFound otherwise. While the store has no room, one at work is PAUSED, STORE_FULL."""
        ...

    async def runs(self, tenant: str, dataset: str, before: int, limit: int) -> list[Run]:
        """At most *limit* runs, newest first, with rows before *before* (0: from the newest); *dataset* "" is any."""
        ...

    async def unfinished(self) -> list[tuple[str, str]]:
        """Tenant and run id of every run that has not ended, oldest first."""
        ...

    async def move_run(
        self, row: int, state: RunState, *, reason: str = "", message: str = "", rest: ItemState | None = None
    ) -> bool:
        """Change a run's state; False, changing nothing, if TRANSITIONS doesn't allow it from where it is."""
        ...

    async def explain_run(self, row: int, state: RunState, reason: str, message: str) -> bool:
        """Say why a run is in *state*; False, changing nothing, if it no longer is."""
        ...

    async def reopen_run(self, row: int, budget: Budget | None) -> bool:
        """Queue an ended, paused or waiting run again, forget its showings without a verdict, replace its budget."""
        ...

    async def done_positions(self, row: int, first: int, last: int) -> set[int]:
        """The positions in [first, last) that have a verdict or a final state."""
        ...

    async def add_round(self, row: int, number: int, plan: bytes, planned: int) -> bytes:
        """Write round *number* of a run, which then has *planned* positions; what stands there, if another was first.

        A plan that begins with a zero byte is no round, but says that there are no more. Raises NotFound.
        """
        ...

    async def rounds(self, row: int, first: int) -> list[bytes]:
        """What stands as round *first* and the rounds after it, in their order."""
        ...

    async def shard_losses(self, row: int, shard: int, last: int, *, alive: int = 0, waited: bool = False) -> Losses:
        """What a new attempt at the positions [shard, last) has to know of those before; reads only.

        The attempt with the number *alive* is known not to have ended with its process. If the run *waited* for
        something outside when the newest one ended, that was not the shard's doing.
        """
        ...

    async def begin_shard(self, row: int, shard: int, losses: Losses = Losses()) -> int | None:
        """The number of a new attempt at a shard of a run, which had these *losses* before; None if it is done.

        Calls in flight of an earlier attempt are booked as spent at their worst, and may be made again.
        """
        ...

    async def leave_shard(self, row: int, fence: Fence) -> None:
        """The attempt ended in order, without the shard being done; it is not lost."""
        ...

    async def end_shard(self, row: int, fence: Fence) -> None:
        """The shard is done, if the attempt is still its newest."""
        ...

    async def permit(self, tenant: str, request: PermitRequest) -> Permit:
        """In one write transaction: what exists, what is being called, and an attempt for what may be called now.

        A live attempt past its *until* is orphaned, booked as spent at its worst cost, and its key granted anew.
        """
        ...

    async def answers(self, tenant: str, keys: Sequence[CallKey]) -> dict[CallKey, StoredAnswer]:
        """Those of *keys* that have an answer; reads only."""
        ...

    async def stored_keys(
        self, tenant: str, fingerprints: Collection[int], prompts: Collection[int], epoch: str
    ) -> NDArray[np.int64]:
        """The keys with these *fingerprints* and *prompts* that have an answer in that *epoch*, int64[6, n].

        Their columns are fingerprint, prompt, turn, first, second and repeat.
        """
        ...

    async def commit(self, tenant: str, run: int | None, settled: Sequence[Settled]) -> None:
        """In one write transaction: answers, readings, showings, attempts, the run's counts, cost and revision.

        Safe to repeat. Where another answer came first under a key, that one stays and the cost is booked as repeated.
        """
        ...

    async def orphan_attempts(self) -> int:
        """Book every live attempt outside a batch as spent: for the process that holds the store, when it starts."""
        ...

    async def open_batches(self, run: int, judge: int) -> list[ProviderBatch]:
        """The run's batches of that judge that are neither collected nor abandoned, oldest first."""
        ...

    async def move_batch(self, row: int, state: BatchState, *, provider_id: str = "") -> None:
        """Say where a batch stands. What of an abandoned or a collected one was never answered ends, unpaid."""
        ...

    async def provider_batches(self, tenant: str) -> set[str]:
        """The provider's ids of every batch that is known."""
        ...

    async def run_answers(self, row: int, after: int, limit: int) -> list[tuple[int, int, StoredAnswer]]:
        """A page of a run's replies after position *after*: position, judge's place, answer."""
        ...

    async def add_readings(self, tenant: str, readings: Sequence[tuple[int, Reading]]) -> None:
        """Add readings of answers; one that is there stays as it is."""
        ...

    async def usages(self, tenant: str, fingerprints: Collection[int], limit: int) -> list[Usage]:
        """What at most *limit* stored calls of these fingerprints used."""
        ...

    async def verdicts(
        self, row: int, query: VerdictQuery, *, after: int, limit: int, by_revision: bool = False
    ) -> list[Verdict]:
        """A page of verdicts after position *after* (-1 to begin), by position.

        With *by_revision*: after revision *after*, whole revisions only (so more than *limit* if one is larger).
        """
        ...

    async def judge_verdicts(self, tenant: str, dataset: str, judge: str) -> list[Verdict]:
        """All verdicts of a judge over a dataset, one per answer and showing: imported ones as uploaded, then by run.

        Within a run they stand by their place in the plan, never by arrival, so that order-dependent methods repeat.

        Where runs hold several versions of the judge, only those of the newest. Raises NotFound if there is none.
        """
        ...

    async def run_columns(self, row: int, judge: int) -> VerdictColumns | None:
        """The verdicts of a run's judge, by its place, in the order of the plan, by the reading that counts.

        None where there are none yet, or the reading that counts is not of the judge's own parser: `verdicts` has them.
        """
        ...

    async def judge_columns(self, tenant: str, dataset: str, judge: str) -> VerdictColumns | None:
        """What `judge_verdicts` gives, as columns; None, as above, where only that has them."""
        ...

    async def judge_definitions(self, tenant: str) -> list[JudgeDefinition]:
        """The newest version of every recorded judge."""
        ...

    async def changes(self, rows: Collection[int]) -> dict[int, int]:
        """The present revision of each run, by row."""
        ...


class Store(DatasetStore, RunStore, Protocol):
    """Everything that is kept."""

    async def check(self) -> None:
        """Return if the store can be worked with; StoreAway if it is not reachable or its schema is not known."""
        ...

    async def close(self) -> None:
        """Finish what is being written and let go."""
        ...
