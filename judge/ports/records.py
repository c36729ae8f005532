"""Records that the store's ports take and return: texts, presentations, permits, batches and answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import NamedTuple

from judge.domain.dataset import Output, Prompt
from judge.domain.outcome import ItemState, Order, Outcome, VerdictStatus
from judge.domain.run import StopReason
from judge.domain.spending import Overrun
from judge.domain.verdict import CallKey, ParsedVerdict, Reply


@dataclass(frozen=True, slots=True)
class PromptText:
    """A prompt's texts. *plain* and *referenced* hold the interned id of its content up to each turn."""

    prompt: Prompt
    plain: tuple[int, ...]
    referenced: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OutputText:
    """An output's texts. *shown* holds the interned id of its content up to each turn."""

    output: Output
    shown: tuple[int, ...]


class ItemRef(NamedTuple):
    """One presentation of a run: its place in the plan, and the rows of what is shown."""

    position: int
    judge: int
    """The judge's place in the run's list of judges."""
    prompt: int
    turn: int
    left: int
    right: int
    order: Order
    repeat: int
    comparison_id: str = ""


@dataclass(frozen=True, slots=True)
class NewBatch:
    """The intent to submit a batch: the positions of its keys, in the order of the keys, and the batch's mark."""

    positions: Sequence[int]
    mark: str


class BatchState(IntEnum):
    """The state of a batch at a provider."""

    SUBMITTING = 1
    """It is about to be submitted, or was submitted and its id is not known yet."""
    SUBMITTED = 2
    """The provider has it."""
    COLLECTED = 3
    """Its results are stored."""
    ABANDONED = 4
    """It was never submitted."""


@dataclass(frozen=True, slots=True)
class ProviderBatch:
    """A stored batch, with the attempts of its calls."""

    row: int
    state: BatchState
    mark: str
    provider_id: str
    create_time: float
    positions: tuple[int, ...]
    attempts: Mapping[CallKey, int]


@dataclass(frozen=True, slots=True)
class Fence:
    """The attempt at a shard for which calls are made. It is void once there is a newer attempt."""

    shard: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Losses:
    """How many attempts at a shard were lost in a row. Each ended with its process and settled nothing."""

    lost: int = 0
    settled: int = 0
    """Presentations of the shard that are settled so far."""
    answered: bool = False
    """Whether attempts were lost although the judge has answered a call of the run."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The calls and tokens per second that all processes together may use of an account, and the tokens of a call."""

    account: str
    calls: float
    tokens: float
    tokens_each: int


@dataclass(frozen=True, slots=True)
class PermitRequest:
    """A request to call *keys*, each for at most *worst_micros*. *run* is None for a single comparison.

    A call that has not ended *seconds* from now, by the store's clock, is lost.
    """

    keys: Sequence[CallKey]
    run: int | None
    worst_micros: int
    seconds: float
    judge: int = 0
    """The judge's place in the run's list of judges."""
    fence: Fence | None = None
    """The attempt at a shard that makes the request, if any."""
    rate_limit: RateLimit | None = None
    """The account's limits, if the store enforces them."""
    batch: NewBatch | None = None
    """The provider's batch that will hold the calls."""


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer that is stored, with all its parsed verdicts.

    If none of them is by the judge's parser, the reply still has to be parsed.
    """

    answer: int
    reply: Reply
    parsed_verdicts: tuple[ParsedVerdict, ...]


@dataclass(frozen=True, slots=True)
class Permit:
    """The answer to a PermitRequest.

    *granted* holds the keys that may be called, with their attempts. *answered* holds those that have an answer. *busy*
    holds those that somebody else is calling now. *refused* says why not everything was granted: CANCELLED,
    NOT_RUNNING, SUPERSEDED, or BUDGET_STOPPED if the budget allows no call and none is in flight. *over_budget* says
    that the budget allows more calls only once calls in flight have settled. *wait* is the number of seconds until the
    account allows more calls.
    """

    granted: Mapping[CallKey, int] = field(default_factory=dict)
    answered: Mapping[CallKey, StoredAnswer] = field(default_factory=dict)
    busy: frozenset[CallKey] = frozenset()
    refused: StopReason | None = None
    wait: float = 0.0
    over_budget: bool = False
    batch: int | None = None
    """The row of the requested batch, if anything was granted for it."""


class Setback(StrEnum):
    """Why a presentation got no answer through no fault of its own."""

    SLOW = "SLOW"
    """Its first call took longer than the judge's deadline."""
    THROTTLED = "THROTTLED"
    """The provider throttled it, because of a daily quota or with ten others, and answered no call in between."""


class Settled(NamedTuple):
    """The result of one presentation. A call has its *attempt*; a reused answer has *answer* instead of a reply."""

    key: CallKey
    item: ItemRef | None
    attempt: int | None = None
    reply: Reply | None = None
    answer: int | None = None
    parsed_verdict: ParsedVerdict | None = None
    state: ItemState | None = None
    calls: int = 0
    """The calls made for it, including retries. Those that were not sent do not count."""
    lost_micros: int = 0
    """The worst cost of calls that were sent but never answered, in addition to the reply's own cost."""
    unanswered: int = 0
    """How many of the calls ended without an answer and may have to be paid."""
    uncounted: int = 0
    """How many of the calls cost something, and used tokens whose number is not known."""
    overrun: Overrun | None = None
    """Of the calls for which the provider billed more than they can cost, the one with the largest multiple."""
    reason: str = ""
    """Why there is no verdict, in the provider's words as far as it said so."""
    setback: Setback | None = None
    """What kept it from an answer, if nothing is wrong with the presentation itself."""


@dataclass(frozen=True, slots=True)
class VerdictQuery:
    """A filter of a run's verdicts. Empty fields do not filter."""

    judges: Collection[str] = ()
    contestants: Collection[str] = ()
    prompt_ids: Collection[str] = ()
    categories: Collection[str] = ()
    statuses: Collection[VerdictStatus] = ()
    states: Collection[ItemState] = ()
    outcomes: Collection[Outcome] = ()
