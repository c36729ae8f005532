"""Runs: the execution of one plan over one revision of a dataset, and the table of a run's states (TRANSITIONS).

A run normally goes QUEUED -> RUNNING -> DONE. A waiting run continues by itself, and a paused one when it is resumed.
A run that has ended may be resumed as long as some presentation has no verdict.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from types import MappingProxyType

from judge.domain.errors import InvalidInput
from judge.domain.judge import JudgeDefinition
from judge.domain.names import NAME_BYTES
from judge.domain.outcome import ItemState
from judge.domain.spending import NONE_OPEN, OpenCalls, Overrun, Spent


class RunState(IntEnum):
    """The state of a run."""

    QUEUED = 1
    """Not started yet."""
    RUNNING = 2
    """Being executed."""
    WAITING = 3
    """Waiting for something outside. Continues by itself."""
    PAUSED = 4
    """Stopped for a reason. Continues when it is resumed."""
    CANCELLING = 5
    """Calls in flight are being finished."""
    CANCELLED = 6
    """Cancelled."""
    DONE = 7
    """Every presentation has a verdict or a final state."""
    FAILED = 8
    """Ended by an error."""

    @property
    def ended(self) -> bool:
        """Whether nothing more happens unless somebody resumes the run."""
        return self in ENDED


ENDED = frozenset({RunState.CANCELLED, RunState.DONE, RunState.FAILED})

TRANSITIONS: Mapping[RunState, frozenset[RunState]] = {
    RunState.QUEUED: frozenset(
        {RunState.RUNNING, RunState.WAITING, RunState.PAUSED, RunState.CANCELLED, RunState.FAILED}
    ),
    RunState.RUNNING: frozenset(
        {RunState.WAITING, RunState.PAUSED, RunState.CANCELLING, RunState.DONE, RunState.FAILED, RunState.QUEUED}
    ),
    RunState.WAITING: frozenset(
        {RunState.RUNNING, RunState.PAUSED, RunState.CANCELLING, RunState.FAILED, RunState.QUEUED}
    ),
    RunState.PAUSED: frozenset({RunState.RUNNING, RunState.CANCELLING, RunState.QUEUED}),
    RunState.CANCELLING: frozenset({RunState.CANCELLED}),
    RunState.CANCELLED: frozenset({RunState.QUEUED}),
    RunState.DONE: frozenset({RunState.QUEUED}),
    RunState.FAILED: frozenset({RunState.QUEUED}),
}


INTERRUPTED = "INTERRUPTED"
"""The reason of a run that is PAUSED because its command was interrupted. Only ResumeRun continues it."""
MOST_ROUNDS = 1000
"""The most rounds that an adaptive run may have."""
MOST_POSITIONS = 2**31 - 1
"""The most presentations that a run may have, over all judges and repeats: the API counts them in 32 bits."""
ROUNDS = 10
"""The default number of rounds of an adaptive run."""


MOST_METADATA = 32
"""The most metadata of a run."""
_METADATA_NAME = re.compile(r"[A-Za-z0-9._/-]{1,63}")


class StopReason(StrEnum):
    """Why work on a run, or on a part of it, stopped before everything was judged."""

    BUDGET_STOPPED = "BUDGET_STOPPED"
    """The run's budget is spent."""
    CANCELLED = "CANCELLED"
    """Somebody cancelled the run."""
    JUDGE_UNUSABLE = "JUDGE_UNUSABLE"
    """No call of this judge can succeed until its configuration changes."""
    NO_CREDENTIAL = "NO_CREDENTIAL"
    """This process has no key for the judge's provider."""
    NO_ENDPOINT = "NO_ENDPOINT"
    """This process asks the judge at another endpoint, or with another request, than the run began with."""
    NO_VERDICTS = "NO_VERDICTS"
    """None of the judge's first replies holds a verdict."""
    NOT_RUNNING = "NOT_RUNNING"
    """The run has ended, or is paused."""
    QUARANTINED = "QUARANTINED"
    """Processes died at the same positions again and again, so they are skipped."""
    STOPPED = "STOPPED"
    """This process is shutting down."""
    SUPERSEDED = "SUPERSEDED"
    """A newer attempt at the same positions has begun."""
    TOO_FEW_VERDICTS = "TOO_FEW_VERDICTS"
    """Everything was judged, but more presentations have no verdict than a judge may leave without one."""
    TOO_MANY_FAILED = "TOO_MANY_FAILED"
    """The judge left more presentations without a verdict than it may."""
    TOO_SLOW = "TOO_SLOW"
    """The judge's first calls were all slower than its deadline."""


class WaitReason(StrEnum):
    """What a run waits for. It continues by itself when the reason is gone."""

    BATCH_UNDECIDED = "BATCH_UNDECIDED"
    """It is unknown whether the provider accepted a batch."""
    ENGINE_UNAVAILABLE = "ENGINE_UNAVAILABLE"
    """The engine that executes runs can't be reached."""
    NO_CREDENTIAL = "NO_CREDENTIAL"
    """No worker has a key for the judge's provider."""
    NO_ENDPOINT = "NO_ENDPOINT"
    """No worker asks the judge at the endpoint, and with the request, that the run began with."""
    PROVIDER_BATCH = "PROVIDER_BATCH"
    """The provider is working on a batch."""
    PROVIDER_DOWN = "PROVIDER_DOWN"
    """The provider does not answer."""
    RATE_LIMITED = "RATE_LIMITED"
    """The account's rate limit is reached."""


MISSING_HERE: Mapping[StopReason, WaitReason] = MappingProxyType(
    {
        StopReason.NO_CREDENTIAL: WaitReason.NO_CREDENTIAL,
        StopReason.NO_ENDPOINT: WaitReason.NO_ENDPOINT,
    }
)
"""What a process may lack for a judge while another has it, and what the run waits for then."""


class PairPolicy(IntEnum):
    """Which pairs are compared."""

    ALL = 1
    """Every two contestants, on every prompt that both answered."""
    AGAINST = 2
    """Every contestant against the reference contestant."""
    RANDOM = 3
    """A balanced random sample."""
    ADAPTIVE = 4
    """Rounds, each chosen from what the earlier ones showed."""
    LABELED = 5
    """The comparisons that somebody labeled."""
    LISTED = 6
    """The comparisons uploaded by the caller."""


class TurnPolicy(IntEnum):
    """Which turns of a prompt are judged."""

    LAST = 1
    """The last turn that both outputs have."""
    EACH = 2
    """Each turn that both outputs have."""
    NUMBER = 3
    """The turn with the given number."""


class OrderPolicy(IntEnum):
    """Which order each comparison is shown in."""

    BOTH = 1
    """Both orders."""
    ONE = 2
    """The left output first."""
    RANDOM = 3
    """One order, drawn with the run's seed."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What to compare."""

    policy: PairPolicy = PairPolicy.ALL
    reference_contestant: str = ""
    count: int = 0
    contestants: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    prompts: int = 0
    turns: TurnPolicy = TurnPolicy.LAST
    turn: int = 0
    orders: OrderPolicy = OrderPolicy.BOTH
    repeats: int = 1
    seed: int = 0
    cache_tag: str = ""
    round_size: int = 0
    """For ADAPTIVE: comparisons in a round. 0 means a tenth of *count*."""
    top: int = 0
    """For ADAPTIVE: only determine the *top* best contestants. 0 means the whole ranking."""
    precision: float = 0.0
    """For ADAPTIVE: stop once every interval is within this many rating points of its rating. 0 means never."""
    separated: bool = False
    """For ADAPTIVE: whether to stop once every required pair is significantly different."""

    @property
    def in_round(self) -> int:
        """The comparisons of a full round."""
        return self.round_size or math.ceil(self.count / ROUNDS)

    @property
    def rounds(self) -> int:
        """The most rounds, each of which ends with a check whether to stop."""
        return math.ceil(self.count / self.in_round)

    def __post_init__(self) -> None:
        if self.policy is PairPolicy.AGAINST and not self.reference_contestant:
            raise InvalidInput("pairing.reference_contestant", "pairing AGAINST needs a reference contestant")
        if self.policy is PairPolicy.RANDOM and self.count < 1:
            raise InvalidInput("pairing.count", "pairing RANDOM needs a count of at least 1")
        if self.turns is TurnPolicy.NUMBER and self.turn < 1:
            raise InvalidInput("pairing.turn", "turn NUMBER needs a turn of at least 1")
        if self.repeats < 1 or self.prompts < 0:
            raise InvalidInput("pairing.repeats", "repeats must be at least 1, and prompts at least 0")
        self._check_adaptive()

    def _check_adaptive(self) -> None:
        for name in ("round_size", "top", "precision"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InvalidInput(
                    f"pairing.{name}", f"{name} must be a finite number of 0 or more, not {getattr(self, name)}"
                )
        if self.policy is PairPolicy.ADAPTIVE:
            if self.count < 1:
                raise InvalidInput("pairing.count", "pairing ADAPTIVE needs a count: the most comparisons it may make")
            if self.rounds > MOST_ROUNDS:
                message = (
                    f"{self.count:,} comparisons in rounds of {self.in_round:,} are more than {MOST_ROUNDS:,} rounds. "
                    "Choose a larger round_size"
                )
                raise InvalidInput("pairing.round_size", message)
            return
        for name in ("round_size", "top", "precision", "separated"):
            if getattr(self, name):
                raise InvalidInput(f"pairing.{name}", f"{name} works only with pairing ADAPTIVE")


@dataclass(frozen=True, slots=True)
class Budget:
    """What a run may spend. 0 means no limit."""

    cost_micros: int = 0
    calls: int = 0
    hard: bool = False
    """Whether each call reserves its maximum cost, so that only a bill for more than that exceeds *cost_micros*."""

    def __post_init__(self) -> None:
        if self.cost_micros < 0 or self.calls < 0:
            raise InvalidInput("budget", "a budget cannot be negative; 0 means no limit")


@dataclass(frozen=True, slots=True)
class RunSpec:
    """The settings of a run: a dataset, judges by name, pairing and budget."""

    dataset: str
    judges: tuple[str, ...]
    pairing: Pairing = Pairing()
    budget: Budget = Budget()
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What the caller notes about the run, such as a commit. It changes nothing in what is judged."""

    def __post_init__(self) -> None:
        check_metadata("run.metadata", self.metadata)


def check_metadata(field: str, metadata: Mapping[str, str]) -> None:
    """Raise InvalidInput if *metadata* cannot be stored with a run, or asked for."""
    if len(metadata) > MOST_METADATA:
        raise InvalidInput(field, f"a run has at most {MOST_METADATA} metadata, not {len(metadata):,}")
    for name, value in metadata.items():
        if not _METADATA_NAME.fullmatch(name):
            message = (
                f"metadata {name[:80]!r} must be named by 1 to 63 of a-z, A-Z, 0-9, dot, dash, slash and underscore"
            )
            raise InvalidInput(field, message)
        if "\0" in value or len(value.encode("utf-8", "replace")) > NAME_BYTES:
            raise InvalidInput(field, f"metadata {name!r} must have a value of at most {NAME_BYTES} bytes, none NUL")


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run before it is stored: its settings, and the plan and judges that follow from them."""

    run_id: str
    request_id: str
    body_hash: str
    spec: RunSpec
    dataset_revision: int
    judges: tuple[JudgeDefinition, ...]
    planned: int
    plan_hash: str


@dataclass(frozen=True, slots=True)
class RunCounts:
    """The progress of a run: presentations by verdict status or item state, and calls."""

    planned: int = 0
    reused: int = 0
    calls: int = 0
    repeated: int = 0
    by_status: Mapping[str, int] = field(default_factory=dict)

    @property
    def settled(self) -> int:
        """Presentations that have a verdict or a final state."""
        return sum(self.by_status.values())

    @property
    def pending(self) -> int:
        """Presentations that have neither."""
        return self.planned - self.settled

    @property
    def left_out(self) -> int:
        """Settled presentations whose calls, if any, got no answer before a budget or a cancel ended the run."""
        states = (ItemState.BUDGET_STOPPED, ItemState.CANCELLED)
        return sum(self.by_status.get(state.name.lower(), 0) for state in states)


@dataclass(frozen=True, slots=True)
class Run:
    """A stored run."""

    row: int
    run_id: str
    request_id: str
    spec: RunSpec
    dataset_revision: int
    judges: tuple[JudgeDefinition, ...]
    plan_hash: str
    state: RunState
    reason: str
    message: str
    revision: int
    counts: RunCounts
    cost_micros: int
    create_time: float
    end_time: float | None
    never_started: ItemState | None = None
    """The state of the presentations that were never started when the run ended: budget_stopped or cancelled."""
    spent: tuple[Spent, ...] = ()
    """By judge, in the order of *judges*."""
    round: int = 0
    """The current or last round, counted from 1. 0 if the run has no rounds."""
    overruns: tuple[Overrun | None, ...] = ()
    """By judge, the largest bill for a call that was more than the call can cost."""
    open: OpenCalls = NONE_OPEN
    """Calls that have not settled."""
