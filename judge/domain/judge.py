"""Judges: a name, a backend, a model, a rubric and sampling settings, and a hash of what changes the reply."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cached_property
from typing import Literal, NamedTuple, get_args

from judge.domain.errors import InvalidInput
from judge.domain.messages import Image
from judge.domain.usage import Usage
from judge.domain.verdict import Shown, digest


class AnswerForm(StrEnum):
    """The form of answer that a rubric asks for, which decides how the answer is parsed."""

    BRACKETS = "brackets"
    """Free text that ends in [[A]], [[B]] or [[C]]."""
    REASONED = "reasoned"
    """A JSON object with the critique before the verdict."""
    CHOICE = "choice"
    """One token, A, B or C, with its probabilities if the backend gives them."""
    LIKERT = "likert"
    """Free text that ends in one step of a scale, in double brackets."""


NONCE_DIGITS = 16
"""How many hex digits of the verdict key stand in a fence's markers."""
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
    """Used for prompts with a reference answer (True), without one (False), for any (None)."""
    categories: tuple[str, ...] = ()
    """Used for these categories. An empty tuple means any category."""
    steps: int = 0
    """The steps of the scale, 5 or 8, if the answer is a step of a scale."""

    @property
    def applies(self) -> str:
        """A description of when the variant is used."""
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
    """The question for a judge and the form of its answer, in variants. The first variant that fits is used.

    Raises InvalidInput if the variants ask for answers in different forms.
    """

    name: str
    variants: tuple[RubricVariant, ...]
    version: int = 1
    """Counted by the author. Two rubrics are distinguished by their hashes, not by this number."""
    tie_band: float | None = None
    """For the parser: how near to the middle is a tie. None means the form's own value. It is not sent."""

    def __post_init__(self) -> None:
        if len({(variant.form, variant.steps) for variant in self.variants}) > 1:
            raise InvalidInput(
                "rubric",
                f"the variants of rubric {self.name} ask for answers in different forms. Use one form for all",
            )

    @cached_property
    def hash(self) -> str:
        """SHA-256 of everything that is sent, in hex."""
        return digest(*(_hashed(variant) for variant in self.variants)).hex()

    @cached_property
    def by_category(self) -> bool:
        """Whether what is sent depends on a prompt's category."""
        return any(variant.categories for variant in self.variants)

    def variant(self, shown: Shown) -> RubricVariant | None:
        """Return the first variant that fits *shown*, or None."""
        for variant in self.variants:
            if variant.fits(shown):
                return variant
        return None


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling settings that are sent with a call. None means the provider's default."""

    max_output_tokens: int = 1024
    temperature: float | None = None
    seed: int | None = None
    effort: str = ""
    """The effort of a reasoning model, in its provider's word. An empty string means the default."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a judge supports. Settings that it does not support are never sent to it."""

    temperature: bool = False
    seed: bool = False
    logprobs: bool = False
    json_schema: bool = False
    choice: bool = False
    batch: bool = False
    reasoning: bool = False
    """It reasons before it answers. The output budget includes the reasoning, and `effort` is supported."""
    images: bool = False
    """It takes images. They are sent where they stand."""


@dataclass(frozen=True, slots=True)
class Price:
    """Prices in micro-USD per million tokens. A call in a batch costs *batch_percent* of them.

    *cache_write_micros* is the price of input that the provider writes to its cache. None means the price of other
    input.
    """

    input_micros: int = 0
    cached_input_micros: int = 0
    output_micros: int = 0
    batch_percent: int = 100
    cache_write_micros: int | None = None

    def cost(self, usage: Usage, *, batch: bool = False) -> int:
        """Return the cost of a call in micro-USD, rounded up."""
        fresh = usage.input_tokens - usage.cached_input_tokens - usage.written_input_tokens
        written = self.input_micros if self.cache_write_micros is None else self.cache_write_micros
        total = (
            fresh * self.input_micros
            + usage.cached_input_tokens * self.cached_input_micros
            + usage.written_input_tokens * written
            + usage.output_tokens * self.output_micros
        )
        return -(-total * (self.batch_percent if batch else 100) // 100_000_000)


SINGLE_SHARE = 0.1
"""The share of an account's rate limits that is reserved for single comparisons, unless the account sets another."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a judge. Those on requests and tokens belong to its account, which other judges may share."""

    concurrency: int = 16
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    deadline_seconds: float = 120.0
    max_failed_share: float = 0.05
    """The share of a run's presentations that may end without a verdict before the judge is stopped."""


@dataclass(frozen=True)
class JudgeDefinition:
    """A judge as a run stores it: everything that changes its reply, and nothing secret."""

    name: str
    backend: str
    rubric: Rubric
    parser: str
    model: str = ""
    sampling: Sampling = Sampling()
    scope: str = ""
    """For recorded judges: the dataset whose uploaded verdicts they answer with."""
    weights: str = ""
    """For served models: the weights that answer under the model's name, as the server reports them."""
    endpoint: str | None = None
    """Where it is asked: an address, or the identity that the configuration gives it instead.

    It is empty for the vendor's own endpoint, and where the weights say who answers. None means that it is unknown,
    because the run began before endpoints were kept.
    """
    request: tuple[str, ...] = ()
    """What is sent beyond model, prompt and sampling, or left out, where that is not usual for the backend."""

    @cached_property
    def fingerprint(self) -> str:
        """The call fingerprint: SHA-256 in hex of everything that changes the reply; no name, no parser.

        That is the backend, model, weights, rubric, sampling, endpoint and the rest of the request. An empty endpoint
        and a usual request are left out, so that the hashes of verdicts from before they were kept stay the same.
        """
        if self.backend == RECORDED:
            return digest(RECORDED, self.scope, self.name).hex()
        parts = [self.weights] if self.weights else []
        if self.endpoint or self.request:
            parts.append(json.dumps({"endpoint": self.endpoint or "", "request": self.request}, sort_keys=True))
        return digest(self.backend, self.model, self.rubric.hash, _hashed(self.sampling), *parts).hex()

    def call_fingerprint(self, shown: Shown) -> str:
        """Return the fingerprint of a call on *shown*.

        It is the judge's own. If the rubric depends on the category, the variant is added, because a verdict's key
        covers turn, texts and reference answer, but not the category.
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
"""Fields added later. At these values they are left out of a hash, so that older hashes stay the same."""


def _hashed(settings: RubricVariant | Sampling) -> str:
    """Return the text that is hashed for a variant or for sampling settings."""
    body = {name: value for name, value in asdict(settings).items() if name not in _ADDED or value != _ADDED[name]}
    return json.dumps(body, sort_keys=True)


RECORDED = "recorded"
"""The backend of judges whose verdicts were uploaded."""
BaselineName = Literal["longest", "first", "random", "matches-reference"]
"""The name of a baseline judge, which is its backend too."""
BASELINE_JUDGES: tuple[str, ...] = get_args(BaselineName)
"""The baseline judges. They need no key and no model. A judge that does no better than they do is worth nothing."""


@dataclass(frozen=True, slots=True)
class JudgeCard:
    """What a client may know of a judge."""

    definition: JudgeDefinition
    capabilities: Capabilities = Capabilities()
    limits: Limits = Limits()
    price: Price | None = None
    unavailable_reason: str = ""
    batch: bool = False
    """Whether runs use the provider's batch API."""
    address: str = ""
    """The address of its endpoint. Baseline judges have none."""


class Message(NamedTuple):
    """One message of a chat: *role* is system or user.

    *content* is its text. If it has images, *parts* is what is sent: texts, and the images between them, for each of
    which *content* has a line.
    """

    role: str
    content: str
    parts: tuple[str | Image, ...] = ()

    @staticmethod
    def of(role: str, pieces: Sequence[str | Image]) -> Message:
        """Return the message of *pieces*, which follow one another without anything between them."""
        content = "".join(piece for piece in pieces if isinstance(piece, str))
        parts: list[str | Image] = []
        for piece in pieces:
            if isinstance(piece, str) and parts and isinstance(parts[-1], str):
                parts[-1] += piece
            else:
                parts.append(piece)
        return Message(role, content, tuple(parts) if len(parts) > 1 else ())


class RenderedPrompt(NamedTuple):
    """Exactly what is sent (messages, answer form with its JSON schema, settings), and the parts of the call's key."""

    variant: str
    messages: tuple[Message, ...]
    form: AnswerForm
    sampling: Sampling
    json_schema: str = ""
    choices: tuple[str, ...] = ()
    """The tokens that the reply may be, if its form is a choice."""
    steps: int = 0
    """The steps of the scale, if the answer is a step of a scale."""
    shown: Shown = Shown((), (), ())
    """The texts without fences, for judges that compute."""
    fingerprint: str = ""
    shows_reference: bool = False
    cache_tag: str = ""
    repeat: int = 0

    @property
    def nonce(self) -> str:
        """The code in the fence's markers: the first hex digits of the key's hash."""
        key = self.shown.key_digest(
            self.fingerprint, uses_reference=self.shows_reference, cache_tag=self.cache_tag, repeat=self.repeat
        )
        return key.hex()[:NONCE_DIGITS]
