"""Judges: a backend, a model, a rubric and sampling settings, under a name; and the hash of what changes the reply."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Literal, NamedTuple, get_args

from judge.domain.errors import InvalidInput
from judge.domain.verdict import Shown, Usage, digest


class AnswerForm(StrEnum):
    """How a rubric wants its answer, and so how it is read."""

    BRACKETS = "brackets"
    """Free text that ends in [[A]], [[B]] or [[C]]."""
    REASONED = "reasoned"
    """A JSON object with the critique before the verdict."""
    CHOICE = "choice"
    """One token, A, B or C, with its probabilities where the backend gives them."""
    LIKERT = "likert"
    """Free text that ends in one step of a scale, in double brackets."""


NONCE_DIGITS = 16
"""Hex digits of the verdict key in a fence's markers."""
CHOICES = ("A", "B", "C")
"""The tokens of a choice: the first answer, the second, a tie."""


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
    steps: int = 0
    """Of a scale: how many steps it has, 5 or 8."""

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
    """The question put to a judge and its answer form, in variants; the first that fits is used.

    All variants of a rubric want their answer in the same form. Raises InvalidInput otherwise.
    """

    name: str
    variants: tuple[RubricVariant, ...]
    version: int = 1
    """Counted by whoever writes it; the hash is what tells two rubrics apart."""
    tie_band: float | None = None
    """How near to the middle is a tie, for the parser; None leaves the form's own. Not part of what is sent."""

    def __post_init__(self) -> None:
        if len({(variant.form, variant.steps) for variant in self.variants}) > 1:
            raise InvalidInput("rubric", f"the variants of rubric {self.name} want their answers in different forms")

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that is sent, in hex."""
        return digest(*(_hashed(variant) for variant in self.variants)).hex()

    @cached_property
    def by_category(self) -> bool:
        """Whether a prompt's category decides what is sent."""
        return any(variant.categories for variant in self.variants)

    def variant(self, shown: Shown) -> RubricVariant | None:
        """The first variant meant for *shown*."""
        for variant in self.variants:
            if variant.fits(shown):
                return variant
        return None


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings sent with a call. None leaves the provider's default."""

    max_output_tokens: int = 1024
    temperature: float | None = None
    seed: int | None = None
    effort: str = ""
    """How hard a reasoning model is to think, in its provider's word; "" leaves the default."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a judge can do. What it cannot is never sent to it."""

    temperature: bool = False
    seed: bool = False
    logprobs: bool = False
    json_schema: bool = False
    choice: bool = False
    batch: bool = False
    reasoning: bool = False
    """It thinks before it answers: the output budget covers the thinking too, and `effort` is taken."""


@dataclass(frozen=True, slots=True)
class Price:
    """Prices in micro-USD per million tokens. *batch_percent* is what a batch costs of that.

    *cache_write_micros* is what input costs that a provider writes to its cache, where it charges for that.
    """

    input_micros: int = 0
    cached_input_micros: int = 0
    output_micros: int = 0
    batch_percent: int = 100
    cache_write_micros: int | None = None

    def cost(self, usage: Usage, *, batch: bool = False) -> int:
        """The cost of a call in micro-USD, rounded up."""
        fresh = usage.input_tokens - usage.cached_input_tokens - usage.written_input_tokens
        written = self.input_micros if self.cache_write_micros is None else self.cache_write_micros
        total = (
            fresh * self.input_micros
            + usage.cached_input_tokens * self.cached_input_micros
            + usage.written_input_tokens * written
            + usage.output_tokens * self.output_micros
        )
        return -(-total * (self.batch_percent if batch else 100) // 100_000_000)


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a judge may be driven. Requests and tokens are its account's, which other judges may share."""

    concurrency: int = 16
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    deadline_seconds: float = 120.0
    max_failed_share: float = 0.05
    """The share of a run's showings that may be left without a verdict before the judge is stopped."""


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
    weights: str = ""
    """For served models: whose weights answer under the model's name, as their server says."""

    @cached_property
    def fingerprint(self) -> str:
        """The call fingerprint: SHA-256 in hex of backend, model, rubric as sent and sampling; not name or parser."""
        if self.backend == RECORDED:
            return digest(RECORDED, self.scope, self.name).hex()
        weights = (self.weights,) if self.weights else ()
        return digest(self.backend, self.model, self.rubric.hash, _hashed(self.sampling), *weights).hex()

    def call_fingerprint(self, shown: Shown) -> str:
        """The fingerprint of a call on *shown*: the judge's own, with the variant where prompts choose it by category.

        Turn, texts and reference answer are in a verdict's key already; a category is not.
        """
        if not self.rubric.by_category:
            return self.fingerprint
        variant = self.rubric.variant(shown)
        return digest(self.fingerprint, _hashed(variant)).hex() if variant else self.fingerprint

    @property
    def baseline(self) -> bool:
        """Whether the judge needs no key and no model."""
        return self.backend in BASELINE_JUDGES


_ADDED = {"steps": 0, "effort": ""}
"""Fields that came later: left out of a hash while they say nothing, so that what was hashed before keeps its hash."""


def _hashed(what: RubricVariant | Sampling) -> str:
    body = {name: value for name, value in asdict(what).items() if name not in _ADDED or value != _ADDED[name]}
    return json.dumps(body, sort_keys=True)


RECORDED = "recorded"
"""The backend of judges whose verdicts were uploaded."""
BaselineName = Literal["longest", "first", "random", "matches-reference"]
"""The name of a baseline judge, which is its backend too."""
BASELINE_JUDGES: tuple[str, ...] = get_args(BaselineName)
"""The baseline judges. They need no key and no model. A judge that does no better than they do is worth nothing."""


@dataclass(frozen=True, slots=True)
class JudgeCard:
    """A judge as a client may see it."""

    definition: JudgeDefinition
    capabilities: Capabilities = Capabilities()
    limits: Limits = Limits()
    price: Price | None = None
    unavailable_reason: str = ""
    batch: bool = False
    """Runs send its showings through the provider's batch API."""


class Message(NamedTuple):
    """One message of a chat: *role* is system or user."""

    role: str
    content: str


class RenderedPrompt(NamedTuple):
    """Exactly what is sent: the messages, the answer form with its JSON schema, the settings; and the call's key."""

    variant: str
    messages: tuple[Message, ...]
    form: AnswerForm
    sampling: Sampling
    json_schema: str = ""
    choices: tuple[str, ...] = ()
    """The tokens of which the reply is to be one, if its form is a choice."""
    steps: int = 0
    """Of a scale: how many steps it has."""
    shown: Shown = Shown((), (), ())
    """The bare texts, for judges that compute rather than read."""
    fingerprint: str = ""
    shows_reference: bool = False
    cache_tag: str = ""
    repeat: int = 0

    @property
    def nonce(self) -> str:
        """The fence's code: the first digits of the key's hash."""
        key = self.shown.key_digest(
            self.fingerprint, uses_reference=self.shows_reference, cache_tag=self.cache_tag, repeat=self.repeat
        )
        return key.hex()[:NONCE_DIGITS]
