"""Judges: a backend, a model, a rubric and sampling settings, under a name; and the hash of what changes the reply."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import cached_property

from judge.domain.verdict import Shown, digest


class AnswerForm(StrEnum):
    """How a rubric wants its answer, and so how it is read."""

    BRACKETS = "brackets"
    """Free text that ends in [[A]], [[B]] or [[C]]."""
    REASONED = "reasoned"
    """A JSON object with the critique before the verdict."""


@dataclass(frozen=True, slots=True)
class RubricVariant:
    """One wording of a rubric. *system* and *user* are Jinja2 templates, rendered in a sandbox."""

    name: str
    system: str
    user: str
    form: AnswerForm
    multi_turn: bool | None = None
    """Used for turns after the first (True), for the first (False), for any (None)."""
    with_reference: bool | None = None
    """Used where a reference answer exists (True), where none does (False), for any (None)."""
    categories: tuple[str, ...] = ()
    """Used for these categories; none means any."""

    @property
    def applies(self) -> str:
        """When the variant is used, in words."""
        turn = {None: "any turn", True: "turns after the first", False: "the first turn"}[self.multi_turn]
        reference = {None: "", True: ", with a reference answer", False: ", without a reference answer"}
        categories = f", categories {', '.join(self.categories)}" if self.categories else ""
        return turn + reference[self.with_reference] + categories

    def fits(self, shown: Shown) -> bool:
        """Whether the variant is meant for *shown*."""
        return (
            self.multi_turn in (None, shown.turn > 1)
            and self.with_reference in (None, bool(shown.reference))
            and (not self.categories or shown.category in self.categories)
        )


@dataclass(frozen=True)
class Rubric:
    """The question put to a judge and its answer form, in variants; the first that fits is used."""

    name: str
    variants: tuple[RubricVariant, ...]

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that is sent, in hex."""
        return digest(*(json.dumps(asdict(v), sort_keys=True) for v in self.variants)).hex()

    def variant(self, shown: Shown) -> RubricVariant | None:
        """The first variant meant for *shown*."""
        return next((variant for variant in self.variants if variant.fits(shown)), None)


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings sent with a call. None leaves the provider's default."""

    max_output_tokens: int = 1024
    temperature: float | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do."""

    temperature: bool = False
    seed: bool = False
    logprobs: bool = False
    json_schema: bool = False
    choice: bool = False
    batch: bool = False


@dataclass(frozen=True, slots=True)
class Price:
    """Prices in micro-USD per million tokens."""

    input_micros: int = 0
    cached_input_micros: int = 0
    output_micros: int = 0

    def cost(self, input_tokens: int, cached_input_tokens: int, output_tokens: int) -> int:
        """The cost of a call in micro-USD, rounded up. *cached_input_tokens* are among the *input_tokens*."""
        fresh = input_tokens - cached_input_tokens
        total = (
            fresh * self.input_micros
            + cached_input_tokens * self.cached_input_micros
            + output_tokens * self.output_micros
        )
        return -(-total // 1_000_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a judge may be driven."""

    concurrency: int = 16
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    deadline_seconds: float = 120.0


@dataclass(frozen=True)
class JudgeDefinition:
    """A judge as frozen into a run: everything that changes its reply, and nothing secret."""

    name: str
    backend: str
    rubric: Rubric
    parser: str
    model: str = ""
    sampling: Sampling = Sampling()
    scope: str = ""
    """For recorded judges: the dataset whose uploads they answer from."""

    @cached_property
    def fingerprint(self) -> str:
        """The call fingerprint: SHA-256 in hex of backend, model, rubric as sent and sampling; not name or parser."""
        sampling = json.dumps(asdict(self.sampling), sort_keys=True)
        if self.backend == RECORDED:
            return digest(RECORDED, self.scope, self.name).hex()
        return digest(self.backend, self.model, self.rubric.hash, sampling).hex()

    @property
    def yardstick(self) -> bool:
        """Whether the judge needs no key and no model."""
        return self.backend in YARDSTICKS


RECORDED = "recorded"
"""The backend of judges whose verdicts were uploaded."""
YARDSTICKS = ("first", "longest", "matches-reference", "random")
"""Keyless judges: a judge that cannot beat them is worth nothing."""


@dataclass(frozen=True, slots=True)
class JudgeCard:
    """A judge as a client may see it."""

    definition: JudgeDefinition
    capabilities: Capabilities = Capabilities()
    limits: Limits = Limits()
    price: Price | None = None
    unavailable_reason: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat: *role* is system or user."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class RenderedPrompt:
    """Exactly what is sent: the messages, the answer form with its JSON schema, the settings, the fence's nonce."""

    variant: str
    messages: tuple[Message, ...]
    form: AnswerForm
    sampling: Sampling
    nonce: str
    json_schema: str = ""
    shown: Shown = field(default_factory=lambda: Shown((), (), ()))
    """The bare texts, for judges that compute rather than read."""
