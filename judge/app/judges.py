"""Judges from the configuration: each with its definition, its account, and its backend made when it is first asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from judge.app.rubrics import rubrics_in
from judge.backends import anthropic, openai, vllm, vllm_engine
from judge.backends.baseline import BaselineJudge
from judge.backends.http import Endpoint
from judge.backends.recorded import Recorded
from judge.config.settings import ConfigError, JudgeSettings, PriceSettings, Settings
from judge.domain.errors import InvalidInput, JudgeUnusable
from judge.domain.judge import (
    BASELINE_JUDGES,
    RECORDED,
    AnswerForm,
    Capabilities,
    JudgeCard,
    JudgeDefinition,
    Limits,
    Price,
    Rubric,
    Sampling,
)
from judge.execution.judges import JudgeAtWork, Rule
from judge.execution.rate_limits import Account
from judge.execution.slots import MemoryLimit, Slots
from judge.ports.backend import Backend, Serving
from judge.ports.clock import Clock
from judge.prompts.parse import own_parser

MICROS = 1_000_000
"""Micro-USD in a USD."""
OWN_LIMITS = Limits(concurrency=512, max_failed_share=1.0)
"""Of judges that ask nobody outside, unless the config says otherwise: the whole of a shard at once."""
WEIGHTS_SECONDS = 30.0
"""For so long a server's word on its weights is taken; a backend checks it again when it is first asked."""
OUTPUT_TOKENS = 1024
THINKING_TOKENS = 4096
"""For models that think first, whose thinking counts."""
CHOICE_TOKENS = 16
"""What one token needs, with room for what a model may put around it."""
CACHE_WRITE = {"anthropic": 1.25}
"""What a provider charges for input that it writes to its cache, as a share of other input."""
_CAPABILITIES: Mapping[str, Callable[[str], Capabilities]] = {
    "openai": openai.capabilities,
    "anthropic": anthropic.capabilities,
    "vllm": vllm.capabilities,
    "vllm_engine": vllm_engine.capabilities,
}
_BASE_URLS = {"openai": openai.BASE_URL, "anthropic": anthropic.BASE_URL}


class ConfiguredJudges:
    """The judges that *settings* name. Raises ConfigError for one that cannot be as it is described.

    With *shared* the store keeps the limits of their accounts, among all processes that ask.
    """

    def __init__(self, settings: Settings, clock: Clock, *, shared: bool = False) -> None:
        self._settings = settings.judges
        self._clock, self._shared = clock, shared
        rubrics = rubrics_in(settings.rubrics)
        self._cards = {name: _card(name, settings, rubrics) for name in settings.judges}
        self._backends: dict[tuple[str, str], Backend] = {}
        self._accounts: dict[str, Account] = {}
        self._limits = settings.accounts
        self._slots: dict[str, Slots] = {}
        self._memory_limit = MemoryLimit()
        self._weights: dict[str, tuple[str, float]] = {}
        """Whose weights answer for a judge, and until when that is believed."""

    def cards(self) -> dict[str, JudgeCard]:
        """Every configured judge by name."""
        return dict(self._cards)

    def at_work(self, definition: JudgeDefinition) -> JudgeAtWork:
        """*definition* with its name's account here; JudgeUnusable if there is none, or it is of another backend."""
        if definition.backend == RECORDED:
            return self._own(definition, OWN_LIMITS, Recorded())
        if definition.baseline:
            card, baseline = self._cards.get(definition.name), BaselineJudge(definition.backend)
            return self._own(definition, card.limits if card else OWN_LIMITS, baseline, baseline.computed)
        said, card = self._settings.get(definition.name), self._cards.get(definition.name)
        if said is None or card is None or said.backend != definition.backend:
            raise JudgeUnusable(f"judge {definition.name!r} of backend {definition.backend} is not in this config")
        if card.unavailable_reason:
            raise JudgeUnusable(
                f"judge {definition.name!r} cannot be asked: {card.unavailable_reason}", reason="NO_CREDENTIAL"
            )
        slots = self._slots.setdefault(definition.name, Slots(card.limits.concurrency, ramp=True))
        backend, account = self._backend(definition, said), self._account(said)
        return JudgeAtWork(replace(card, definition=definition), backend, account, slots, self._memory_limit)

    def _own(
        self, definition: JudgeDefinition, limits: Limits, backend: Backend, rule: Rule | None = None
    ) -> JudgeAtWork:
        """A judge that asks nobody outside."""
        card = JudgeCard(definition, limits=limits, price=Price())
        return JudgeAtWork(card, backend, Account(self._clock), Slots(limits.concurrency), self._memory_limit, rule)

    async def identified(self, definition: JudgeDefinition) -> JudgeDefinition:
        """*definition* with the weights that answer now, where its model's name does not say whose they are."""
        said = self._settings.get(definition.name)
        if said is None or definition.backend in (RECORDED, *BASELINE_JUDGES) or definition.weights:
            return definition
        backend = self._backend(definition, said)
        if not isinstance(backend, Serving):
            return definition
        told, until = self._weights.get(definition.name, ("", 0.0))
        if not told or self._clock.monotonic() > until:
            told = await backend.weights() + (f"@{said.revision}" if said.revision else "")
            self._weights[definition.name] = (told, self._clock.monotonic() + WEIGHTS_SECONDS)
        return replace(definition, weights=told)

    def _backend(self, definition: JudgeDefinition, said: JudgeSettings) -> Backend:
        key = (definition.name, definition.fingerprint)
        if key not in self._backends:
            self._backends[key] = _made(definition, said)
        return self._backends[key]

    def _account(self, said: JudgeSettings) -> Account:
        """The account that *said* names, or else the one that its endpoint and key make."""
        name = said.account or f"{said.backend} {said.base_url} {said.key_env or said.key_file or ''}"
        if name not in self._accounts:
            limits = self._limits.get(said.account)
            self._accounts[name] = (
                Account(self._clock)
                if limits is None
                else Account(
                    self._clock,
                    requests_per_minute=limits.requests_per_minute,
                    tokens_per_minute=limits.tokens_per_minute,
                    single_share=limits.single_share,
                    shared_as=said.account if self._shared else "",
                )
            )
        return self._accounts[name]

    async def close(self) -> None:
        """Let go of every connection."""
        for backend in self._backends.values():
            await backend.close()


def _made(definition: JudgeDefinition, said: JudgeSettings) -> Backend:
    secret = said.key()
    key = secret.get_secret_value() if secret else ""
    can = _can(said)
    if said.backend == "vllm_engine":
        return vllm_engine.VllmEngine(definition.model, revision=said.revision)
    endpoint = Endpoint(
        said.base_url or _BASE_URLS.get(said.backend, ""),
        key,
        timeout_seconds=said.deadline_seconds,
        max_connections=min(said.concurrency, 1000),
    )
    if said.backend == "anthropic":
        return anthropic.Anthropic(definition.model, endpoint, can=can)
    if said.backend == "vllm":
        weights = definition.weights.removesuffix(f"@{said.revision}") if said.revision else definition.weights
        return vllm.Vllm(definition.model, endpoint, weights=weights, can=can)
    return openai.OpenAI(
        definition.model,
        endpoint,
        organization=said.organization,
        project=said.project,
        can=can,
        legacy_max_tokens=said.legacy_max_tokens,
    )


def _can(said: JudgeSettings) -> Capabilities:
    if said.backend not in _CAPABILITIES:
        return Capabilities()
    told = said.capabilities.model_dump(exclude_none=True)
    return replace(_CAPABILITIES[said.backend](said.model), **told)


def _card(name: str, settings: Settings, rubrics: Mapping[str, Rubric]) -> JudgeCard:
    said = settings.judges[name]
    rubric = rubrics.get(said.rubric)
    if rubric is None:
        message = f"judges.{name}.rubric: there is no rubric {said.rubric!r}; there are {', '.join(sorted(rubrics))}"
        raise ConfigError(message)
    try:
        parser = own_parser(rubric, said.tie_band).name
    except InvalidInput as error:
        message = f"judges.{name}.tie_band: {error.message}"
        raise ConfigError(message) from None
    can = _can(said)
    definition = JudgeDefinition(
        name=name,
        backend=said.backend,
        rubric=rubric,
        parser=parser,
        model=said.model,
        sampling=_sampling(name, can, said, rubric),
    )
    price = said.price or settings.prices.get(said.model)
    own = definition.baseline and "concurrency" not in said.model_fields_set
    account = settings.accounts.get(said.account)
    return JudgeCard(
        definition,
        can,
        Limits(
            concurrency=OWN_LIMITS.concurrency if own else said.concurrency,
            requests_per_minute=account.requests_per_minute if account else 0,
            tokens_per_minute=account.tokens_per_minute if account else 0,
            deadline_seconds=said.deadline_seconds,
            max_failed_share=1.0 if definition.baseline else said.max_failed_share,
        ),
        _price(price, said.backend) if price else (Price() if definition.baseline else None),
        _missing_key(said),
        said.batch,
    )


def _sampling(name: str, can: Capabilities, said: JudgeSettings, rubric: Rubric) -> Sampling:
    """What is sent of the settings. What was asked for and cannot be sent is wrong, never left out in silence."""
    wanted = {"temperature": said.temperature is not None, "seed": said.seed is not None, "batch": said.batch}
    wanted["reasoning"] = bool(said.effort)
    able = asdict(can)
    baseline = said.backend in BASELINE_JUDGES
    for field, asked in wanted.items():
        if asked and not able[field] and not baseline:
            setting = "effort" if field == "reasoning" else field
            message = (
                f"judges.{name}.{setting}: {said.backend}'s model {said.model!r} takes none, as far as is known; leave "
                f"it out, or say capabilities = {{ {field} = true }}"
            )
            raise ConfigError(message)
    short = rubric.variants[0].form is AnswerForm.CHOICE
    usual = THINKING_TOKENS if can.reasoning else CHOICE_TOKENS if short else OUTPUT_TOKENS
    tokens = said.max_output_tokens or (OUTPUT_TOKENS if baseline else usual)
    temperature = 0.0 if said.temperature is None else said.temperature
    return Sampling(tokens, temperature if can.temperature else None, said.seed if can.seed else None, said.effort)


def _missing_key(said: JudgeSettings) -> str:
    if not said.names_key or said.key() is not None:
        return ""
    return f"no key in {said.key_env or said.key_file}"


def _price(said: PriceSettings, backend: str) -> Price:
    cached = said.input if said.cached_input is None else said.cached_input
    written = said.input * CACHE_WRITE.get(backend, 1.0) if said.cache_write is None else said.cache_write
    return Price(
        round(said.input * MICROS),
        round(cached * MICROS),
        round(said.output * MICROS),
        round(said.batch * 100),
        round(written * MICROS),
    )
