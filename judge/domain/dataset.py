"""Datasets: prompts, outputs, labels and imported verdicts. Their constructors raise InvalidInput for wrong values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from judge.domain.errors import InvalidInput
from judge.domain.messages import Role, Turn, simplified, turn_bytes, turn_texts
from judge.domain.names import checked_name, checked_text
from judge.domain.outcome import AnnotatorKind, Order, Outcome, Selection, TieKind, VerdictStatus

BATCH_ROWS = 1000
"""The most rows in one batch of an upload."""
BATCH_BYTES = 4 * 1024 * 1024
"""The most bytes in one batch of an upload."""
LISTED_REJECTIONS = 1000
"""The most rejections that an upload's reply lists. The rest are counted."""


def checked_size(n_bytes: int) -> None:
    """Raise InvalidInput if a row has more than BATCH_BYTES, since no batch can hold it."""
    if n_bytes > BATCH_BYTES:
        message = f"the row has {n_bytes:,} bytes; the maximum is {BATCH_BYTES:,} (4 MiB)"
        raise InvalidInput("row", message, reason="ROW_TOO_LARGE")


def check_texts(**fields: Sequence[str]) -> None:
    """Raise InvalidInput if one of the texts in *fields*, or all of them together, are too large."""
    for name, texts in fields.items():
        for text in texts:
            checked_text(name, text)
    if 4 * sum(len(text) for texts in fields.values() for text in texts) > BATCH_BYTES:
        checked_size(sum(len(text.encode("utf-8", "replace")) for texts in fields.values() for text in texts))


def _checked_pair(turn: int, left: str, right: str) -> None:
    checked_name("left", left)
    checked_name("right", right)
    if left == right:
        raise InvalidInput("right", f"contestant {left!r} is compared with itself", reason="SELF_COMPARISON")
    if turn < 0:
        raise InvalidInput("turn", f"turn {turn} is negative. Turns count from 1", reason="INVALID_TURN")


def _checked_share(field_name: str, share: float | None) -> None:
    if share is not None and not 0 <= share <= 1:
        raise InvalidInput(field_name, f"{field_name} {share} is not between 0 and 1", reason="INVALID_SHARE")


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt: one or more turns, a category, tags, and an optional reference answer.

    A turn is a text of a user, or messages. Messages that are only such a text become the text.
    """

    prompt_id: str
    turns: tuple[Turn, ...]
    category: str = ""
    tags: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        checked_name("prompt_id", self.prompt_id)
        if not self.turns:
            raise InvalidInput("turns", f"prompt {self.prompt_id!r} has no turn", reason="MISSING_TURN")
        if len(self.reference) > len(self.turns):
            raise InvalidInput(
                "reference", f"prompt {self.prompt_id!r} has more reference answers than turns", reason="EXTRA_TURN"
            )
        _check_turns(self, Role.USER, self.reference)
        if self.category:
            checked_name("category", self.category)
        for tag in self.tags:
            checked_name("tags", tag)

    @property
    def texts(self) -> tuple[str, ...]:
        """Each turn as one text."""
        return turn_texts(self.turns)


@dataclass(frozen=True, slots=True)
class Output:
    """One contestant's answer to one prompt, with a text or messages per turn. An empty text is an answer too.

    Messages that are only a text of the assistant become the text.
    """

    prompt_id: str
    contestant: str
    turns: tuple[Turn, ...]
    sample: int = 0

    def __post_init__(self) -> None:
        checked_name("prompt_id", self.prompt_id)
        checked_name("contestant", self.contestant)
        if not self.turns:
            raise InvalidInput(
                "turns", f"{self.contestant!r} has no turn on prompt {self.prompt_id!r}", reason="MISSING_TURN"
            )
        if self.sample < 0:
            raise InvalidInput("sample", f"sample {self.sample} is negative", reason="INVALID_SAMPLE")
        _check_turns(self, Role.ASSISTANT)

    @property
    def texts(self) -> tuple[str, ...]:
        """Each turn as one text."""
        return turn_texts(self.turns)


def _check_turns(row: Prompt | Output, role: Role, reference: Sequence[str] = ()) -> None:
    """Raise InvalidInput if a text of *row*, or all of them and its images together, are too large.

    Turns that are only a text of *role* become that text, so that equal rows are equal.
    """
    for turn in row.turns:
        if not isinstance(turn, str):
            break
    else:
        check_texts(turns=row.turns, reference=reference)  # type: ignore[arg-type]  # all are texts
        return
    checked_size(sum(map(turn_bytes, (*row.turns, *reference))))
    object.__setattr__(row, "turns", tuple(simplified(turn, role) for turn in row.turns))


@dataclass(frozen=True, slots=True)
class Label:
    """An annotator's outcome. It is identified by its source and *label_id*."""

    label_id: str
    prompt_id: str
    left: str
    right: str
    outcome: Outcome
    annotator: str
    kind: AnnotatorKind
    turn: int = 1
    left_sample: int = 0
    right_sample: int = 0
    probability: float | None = None
    strength: float | None = None
    tie_kind: TieKind | None = None
    note: str = ""
    selection: Selection | None = None
    selection_probability: float | None = None

    def __post_init__(self) -> None:
        checked_name("label_id", self.label_id)
        checked_name("prompt_id", self.prompt_id)
        checked_name("annotator", self.annotator)
        _checked_pair(self.turn, self.left, self.right)
        _checked_share("probability", self.probability)
        _checked_share("strength", self.strength)
        _checked_share("selection_probability", self.selection_probability)
        checked_text("note", self.note)
        if self.tie_kind is not None and self.outcome is not Outcome.TIE:
            raise InvalidInput("tie_kind", f"label {self.label_id!r} has a tie kind but is no tie", reason="NOT_A_TIE")


@dataclass(frozen=True, slots=True)
class ImportedVerdict:
    """A verdict made elsewhere: the raw text of a reply, an outcome, or both."""

    prompt_id: str
    left: str
    right: str
    order: Order
    judge: str
    turn: int = 1
    raw: str | None = None
    outcome: Outcome | None = None
    status: VerdictStatus | None = None
    reason: str = ""
    repeat: int = 0
    left_sample: int = 0
    right_sample: int = 0
    strength: float | None = None
    """How decisive the outcome is according to its source, from 0 to 1; None if it does not say."""

    def __post_init__(self) -> None:
        checked_name("prompt_id", self.prompt_id)
        checked_name("judge", self.judge)
        _checked_pair(self.turn, self.left, self.right)
        checked_text("raw", self.raw or "")
        checked_text("reason", self.reason)
        _checked_share("strength", self.strength)
        if min(self.left_sample, self.right_sample) < 0:
            raise InvalidInput("left_sample", "a sample is negative", reason="INVALID_SAMPLE")
        if self.repeat < 0:
            raise InvalidInput("repeat", f"repeat {self.repeat} is negative", reason="INVALID_REPEAT")
        if self.outcome is not None and self.status not in (None, VerdictStatus.OK):
            raise InvalidInput("status", "a verdict with an outcome must have the status OK", reason="CONTRADICTION")
        if self.outcome is None and self.status is VerdictStatus.OK and self.raw is None:
            raise InvalidInput(
                "outcome", "a verdict with status OK needs an outcome, or a raw text to parse", reason="MISSING_OUTCOME"
            )
        if self.outcome is None and self.status is None and self.raw is None:
            raise InvalidInput(
                "outcome", "a verdict needs an outcome, a status or a raw text", reason="MISSING_OUTCOME"
            )


@dataclass(frozen=True, slots=True)
class ListedComparison:
    """A pair listed by the caller, with the caller's own id. *turn* 0 is the last turn that both outputs have."""

    comparison_id: str
    prompt_id: str
    left: str
    right: str
    turn: int = 0
    left_sample: int = 0
    right_sample: int = 0

    def __post_init__(self) -> None:
        checked_name("comparison_id", self.comparison_id)
        checked_name("prompt_id", self.prompt_id)
        _checked_pair(self.turn, self.left, self.right)


@dataclass(frozen=True, slots=True)
class Battle:
    """Two contestants and an outcome, with a weight (None means 1) and the prompt, if it is known."""

    left: str
    right: str
    outcome: Outcome
    weight: float | None = None
    prompt_id: str = ""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A row that was not accepted: its position, the wrong field, and the reason."""

    row: int
    field: str
    reason: str
    message: str
    batch: int = 0


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one batch of an upload."""

    accepted: int = 0
    duplicates: int = 0
    replaced: int = 0
    rejections: tuple[Rejection, ...] = ()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class DeletedRuns:
    """The runs that are deleted with a dataset: how many, their calls, what they cost; and the replies."""

    runs: int = 0
    replies: int = 0
    """Distinct replies that only this dataset reaches, also those of runs that were deleted before."""
    calls: int = 0
    cost_micros: int = 0
    uncounted: int = 0
    """Calls that cost at most what is booked for them."""


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """A dataset at one revision: its counts, contestants, categories and annotators."""

    name: str
    revision: int
    create_time: float
    prompts: int = 0
    outputs: int = 0
    labels: int = 0
    verdicts: int = 0
    comparisons: int = 0
    contestants: Mapping[str, int] = field(default_factory=dict)
    categories: Mapping[str, int] = field(default_factory=dict)
    annotators: Mapping[tuple[str, AnnotatorKind], int] = field(default_factory=dict)
    recorded_judges: Mapping[str, int] = field(default_factory=dict)
