"""What the store's ports take and return: texts, presentations, permits, batches and answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from judge.domain.dataset import Output, Prompt
from judge.domain.outcome import ItemState, Order, Outcome, VerdictStatus
from judge.domain.run import StopReason
from judge.domain.verdict import CallKey, ParsedVerdict, Reply


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
class RateLimit:
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
    rate_limit: RateLimit | None = None
    """The account's limits, where the store is to keep them."""
    batch: NewBatch | None = None
    """The provider's batch that the calls are to be made in."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer that exists.

    *parsed_verdicts* are all its readings; without one of the judge's parser, it is to be read.
    """

    answer: int
    reply: Reply
    parsed_verdicts: tuple[ParsedVerdict, ...]


@dataclass(frozen=True, slots=True)
class Permit:
    """What may be called: *granted* keys with their attempts; what exists; what another run is calling right now.

    *refused* says why nothing, or not everything, was granted: CANCELLED, NOT_RUNNING, SUPERSEDED or BUDGET_STOPPED.
    granted for it. *wait* is for how many seconds the account has no room for more.
    """

    granted: Mapping[CallKey, int] = field(default_factory=dict)
    answered: Mapping[CallKey, StoredAnswer] = field(default_factory=dict)
    busy: frozenset[CallKey] = frozenset()
    refused: StopReason | None = None
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
    parsed_verdict: ParsedVerdict | None = None
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
