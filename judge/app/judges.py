"""The configured judges: their definitions, accounts and limits, and their backends, which are created on first use."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from urllib.parse import urlsplit

from judge.app.rubrics import rubrics_in
from judge.backends import anthropic, openai, vllm, vllm_engine
from judge.backends.baseline import BaselineJudge
from judge.backends.http import CONNECT_SECONDS, Endpoint
from judge.backends.recorded import Recorded
from judge.config.credentials import exposed
from judge.config.files import ConfigError
from judge.config.problems import closest, in_section
from judge.config.settings import EXTENDABLE, AccountSettings, JudgeSettings, PriceSettings, Settings
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
from judge.domain.money import MICROS
from judge.execution.judges import JudgeAtWork, Rule
from judge.execution.rate_limits import Account
from judge.execution.reply_warnings import WarnOnce
from judge.execution.slots import MemoryLimit, Slots
from judge.log.events import logger
from judge.ports.backend import Backend, Serving
from judge.ports.clock import Clock
from judge.prompts.parse import own_parser

log = logger("judges")
OWN_LIMITS = Limits(concurrency=512, max_failed_share=1.0)
"""The limits of judges that call no provider, unless the configuration sets others: a whole shard at once."""
WEIGHTS_SECONDS = 30.0
"""How long a server's answer about its weights is trusted. A backend checks it again on its first call."""
OUTPUT_TOKENS = 1024
THINKING_TOKENS = 4096
"""For reasoning models, whose reasoning counts as output."""
CHOICE_TOKENS = 16
"""For an answer of one token, with a margin for what a model may write around it."""
CACHE_WRITE = {"anthropic": 1.25}
"""The price of input that a provider writes to its cache, as a multiple of the price of other input."""
_CAPABILITIES: Mapping[str, Callable[[str], Capabilities]] = {
    "anthropic": anthropic.capabilities,
    "vllm": vllm.capabilities,
    "vllm_engine": vllm_engine.capabilities,
}
_BASE_URLS = {"openai": openai.BASE_URL, "anthropic": anthropic.BASE_URL}


class ConfiguredJudges:
    """The judges that *settings* describe. Raises ConfigError if a judge's settings contradict each other.

    If *shared*, the store keeps the rate limits of the accounts for all processes together.
    """

    def __init__(self, settings: Settings, clock: Clock, *, shared: bool = False) -> None:
        self._settings = settings.judges
        self._origin = settings.origin
        self._clock, self._shared = clock, shared
        rubrics = rubrics_in(settings.rubrics)
        self._cards = {name: _card(name, settings, rubrics) for name in settings.judges}
        for name, judge in settings.judges.items():
            if warning := exposed(judge.key_file):
                log.warning("key_file.exposed", judge=name, warning=warning)
        self._backends: dict[tuple[str, str], Backend] = {}
        self._accounts: dict[str, Account] = {}
        self._limits = settings.accounts
        self._slots: dict[str, Slots] = {}
        self._warn_once: dict[str, WarnOnce] = {}
        self._memory_limit, self._reply_limit = MemoryLimit(), MemoryLimit()
        self._weights: dict[str, tuple[str, float]] = {}
        """By judge: the weights that answer for it, and until when that answer is trusted."""

    def cards(self) -> dict[str, JudgeCard]:
        """Return every configured judge by name."""
        return dict(self._cards)

    def at_work(self, definition: JudgeDefinition) -> JudgeAtWork:
        """Return the judge of a *definition*, with the backend, account and limits configured here under its name.

        Raises JudgeUnusable if no judge of that name and backend is configured, or its key is missing.
        """
        if definition.backend == RECORDED:
            return self._own(definition, OWN_LIMITS, Recorded())
        if definition.baseline:
            card, baseline = self._cards.get(definition.name), BaselineJudge(definition.backend)
            return self._own(definition, card.limits if card else OWN_LIMITS, baseline, baseline.compute_reply)
        settings, card = self._settings.get(definition.name), self._cards.get(definition.name)
        if settings is None or card is None or settings.backend != definition.backend:
            raise JudgeUnusable(
                f"judge {definition.name!r} of backend {definition.backend} is not in {self._origin}. "
                f"Add it there under the same name, and restart"
            )
        if card.unavailable_reason:
            raise JudgeUnusable(
                f"judge {definition.name!r} cannot be called: {card.unavailable_reason}. Set the key, and restart",
                reason="NO_CREDENTIAL",
            )
        _check_request(definition, card)
        slots = self._slots.setdefault(definition.name, Slots(card.limits.concurrency, ramp=True))
        return JudgeAtWork(
            card=replace(card, definition=definition),
            backend=self._backend(definition, settings),
            account=self._account(settings),
            slots=slots,
            memory_limit=self._memory_limit,
            reply_limit=self._reply_limit,
            warn_once=self._warn_once.setdefault(definition.name, WarnOnce()),
        )

    def _own(
        self, definition: JudgeDefinition, limits: Limits, backend: Backend, rule: Rule | None = None
    ) -> JudgeAtWork:
        """Return a judge that calls no provider and costs nothing."""
        return JudgeAtWork(
            card=JudgeCard(definition, limits=limits, price=Price()),
            backend=backend,
            account=Account(self._clock),
            slots=Slots(limits.concurrency),
            memory_limit=self._memory_limit,
            rule=rule,
        )

    async def identified(self, definition: JudgeDefinition) -> JudgeDefinition:
        """Return *definition* with the weights that answer now, if the name of its model does not identify them."""
        settings = self._settings.get(definition.name)
        if settings is None or definition.backend in (RECORDED, *BASELINE_JUDGES) or definition.weights:
            return definition
        backend = self._backend(definition, settings)
        if not isinstance(backend, Serving):
            return definition
        weights, until = self._weights.get(definition.name, ("", 0.0))
        if not weights or self._clock.monotonic() > until:
            weights = await backend.weights() + (f"@{settings.revision}" if settings.revision else "")
            self._weights[definition.name] = (weights, self._clock.monotonic() + WEIGHTS_SECONDS)
        return replace(definition, weights=weights)

    def _backend(self, definition: JudgeDefinition, settings: JudgeSettings) -> Backend:
        key = (definition.name, definition.fingerprint)
        if key not in self._backends:
            self._backends[key] = _create_backend(definition, settings)
        return self._backends[key]

    def _account(self, settings: JudgeSettings) -> Account:
        """Return the account that *settings* name, or else the one that endpoint and key have in common."""
        name = (
            settings.account or f"{settings.backend} {settings.base_url} {settings.key_env or settings.key_file or ''}"
        )
        if name not in self._accounts:
            limits = self._limits.get(settings.account)
            self._accounts[name] = (
                Account(self._clock)
                if limits is None
                else Account(
                    self._clock,
                    requests_per_minute=limits.requests_per_minute,
                    tokens_per_minute=limits.tokens_per_minute,
                    single_share=limits.single_share,
                    shared_as=settings.account if self._shared else "",
                )
            )
        return self._accounts[name]

    async def close(self) -> None:
        """Close the connections of all backends."""
        for backend in self._backends.values():
            await backend.close()


def _check_request(definition: JudgeDefinition, card: JudgeCard) -> None:
    """Refuse to ask a judge of a run elsewhere, or with another request, than the run began with.

    What is not known of a run that began before this was kept is what is configured now. Raises JudgeUnusable.
    """
    here, frozen = card.definition, definition
    if frozen.endpoint is None or (frozen.endpoint, frozen.request) == (here.endpoint, here.request):
        return
    wanted = frozen.endpoint or "the vendor's own endpoint"
    what = f"asked at {wanted}" if frozen.endpoint != here.endpoint else f"sent {', '.join(frozen.request) or 'less'}"
    raise JudgeUnusable(
        f"judge {frozen.name!r} must be {what} in this run, and is configured otherwise here ({card.address}). "
        "Start a worker with that configuration, or, if both serve the same thing, set identity, and start a new run",
        reason="NO_ENDPOINT",
    )


def endpoint_of(settings: JudgeSettings) -> Endpoint:
    """Return the endpoint of a judge, with its key and what is sent to it."""
    secret = settings.key()
    body, headers, secrets = settings.extras()
    return Endpoint(
        _address(settings),
        secret.get_secret_value() if secret else "",
        timeout_seconds=settings.deadline_seconds,
        # Within the deadline, so that a host that cannot be reached does not look like an answer that takes too long.
        connect_timeout_seconds=min(CONNECT_SECONDS, settings.deadline_seconds / 2),
        max_connections=min(settings.concurrency, 1000),
        headers=headers,
        body=body,
        api_version=settings.api_version,
        further_secrets=secrets,
        proxy=settings.proxy_address(),
    )


def _create_backend(definition: JudgeDefinition, settings: JudgeSettings) -> Backend:
    can = _capabilities(settings)
    weights = definition.weights.removesuffix(f"@{settings.revision}") if settings.revision else definition.weights
    if settings.backend == "vllm_engine":
        return vllm_engine.VllmEngine(definition.model, revision=settings.revision, weights=weights)
    endpoint = endpoint_of(settings)
    if settings.backend == "anthropic":
        return anthropic.Anthropic(definition.model, endpoint, can=can)
    if settings.backend == "vllm":
        return vllm.Vllm(definition.model, endpoint, weights=weights, can=can)
    return openai.OpenAI(
        definition.model,
        endpoint,
        organization=settings.organization,
        project=settings.project,
        can=can,
        legacy_max_tokens=settings.legacy_max_tokens,
    )


def _capabilities(settings: JudgeSettings) -> Capabilities:
    """Return what the model supports: the backend's own table, corrected by the configuration."""
    return replace(_usual_capabilities(settings), **settings.capabilities.model_dump(exclude_none=True))


def _usual_capabilities(settings: JudgeSettings) -> Capabilities:
    """Return what the backend's own table says of the model."""
    if settings.backend == "openai":
        strict = not _identity(settings) or _is_azure(settings)
        return openai.capabilities(settings.model, settings.effort, strict=strict)
    return _CAPABILITIES[settings.backend](settings.model) if settings.backend in _CAPABILITIES else Capabilities()


def _is_azure(settings: JudgeSettings) -> bool:
    """Whether the endpoint is Azure's, where a deployment's name does not say which model it is."""
    host = urlsplit(settings.address).hostname or ""
    return bool(settings.api_version) or host.endswith((".azure.com", ".azure-api.net"))


def _address(settings: JudgeSettings) -> str:
    """Return the address of a judge's endpoint, or nothing if it has none."""
    return settings.address or _BASE_URLS.get(settings.backend, "")


def _identity(settings: JudgeSettings) -> str:
    """Return what a fingerprint has as the endpoint. The vendor's own is empty, and so is a server with known weights.

    An identity that is the address of the vendor's own endpoint stands for that endpoint.
    """
    if settings.backend not in _BASE_URLS:
        return ""
    named = settings.identity or _address(settings)
    return "" if named.rstrip("/") == _BASE_URLS[settings.backend] else named


def _request(settings: JudgeSettings, can: Capabilities, rubric: Rubric) -> tuple[str, ...]:
    """Return what is sent beyond model, prompt and sampling, or left out, where that is not usual for the backend."""
    usual, form = _usual_capabilities(settings), rubric.variants[0].form
    parts = []
    if form is AnswerForm.REASONED and settings.backend in EXTENDABLE and not can.json_schema:
        parts.append("no response format")
    if form is AnswerForm.CHOICE:
        parts += [
            f"{name} = {json.dumps(getattr(can, name))}"
            for name in ("logprobs", "choice")
            if getattr(can, name) != getattr(usual, name)
        ]
    for name in ("api_version", "extra_body", "extra_headers"):
        if value := getattr(settings, name):
            parts.append(f"{name} = {json.dumps(value, sort_keys=True, default=str)}")
    return tuple(parts)


def _card(name: str, settings: Settings, rubrics: Mapping[str, Rubric]) -> JudgeCard:
    judge, can = settings.judges[name], _capabilities(settings.judges[name])
    try:
        definition = _definition(name, judge, can, rubrics)
    except InvalidInput as error:
        message = f"{settings.origin}: {in_section(('judges', name))}{error.message}"
        raise ConfigError(message) from None
    price = judge.price or settings.prices.get(judge.model)
    return JudgeCard(
        definition=definition,
        capabilities=can,
        limits=_limits(judge, settings.accounts.get(judge.account)),
        price=_price(price, judge.backend) if price else (Price() if definition.baseline else None),
        unavailable_reason=judge.missing(),
        batch=judge.batch,
        address=_address(judge),
    )


def _definition(name: str, judge: JudgeSettings, can: Capabilities, rubrics: Mapping[str, Rubric]) -> JudgeDefinition:
    """Return the definition of the judge called *name*. Raises InvalidInput, which names the setting that is wrong."""
    rubric = rubrics.get(judge.rubric)
    if rubric is None:
        raise InvalidInput(
            "rubric", f"rubric = {judge.rubric!r} does not exist. {closest(judge.rubric, sorted(rubrics))}"
        )
    try:
        parser = own_parser(rubric, judge.tie_band).name
    except InvalidInput as error:
        raise InvalidInput("tie_band", f"tie_band: {error.message}") from None
    _check_support(judge, can)
    return JudgeDefinition(
        name=name,
        backend=judge.backend,
        rubric=rubric,
        parser=parser,
        model=judge.model,
        sampling=_sampling(judge, can, rubric),
        endpoint=_identity(judge),
        request=_request(judge, can, rubric),
    )


def _limits(judge: JudgeSettings, account: AccountSettings | None) -> Limits:
    baseline = judge.backend in BASELINE_JUDGES
    keeps_default = baseline and "concurrency" not in judge.model_fields_set
    return Limits(
        concurrency=OWN_LIMITS.concurrency if keeps_default else judge.concurrency,
        requests_per_minute=account.requests_per_minute if account else 0,
        tokens_per_minute=account.tokens_per_minute if account else 0,
        deadline_seconds=judge.deadline_seconds,
        max_failed_share=1.0 if baseline else judge.max_failed_share,
    )


def _check_support(judge: JudgeSettings, can: Capabilities) -> None:
    """Refuse a setting that the model does not support: it is never left out silently. Raises InvalidInput."""
    if judge.backend in BASELINE_JUDGES:
        return
    values = {
        "temperature": judge.temperature,
        "seed": judge.seed,
        "batch": judge.batch or None,
        "reasoning": judge.effort or None,
    }
    supported = asdict(can)
    for capability, value in values.items():
        if value is not None and not supported[capability]:
            setting = "effort" if capability == "reasoning" else capability
            shown = "" if isinstance(value, str) else f" = {json.dumps(value)}"
            raise InvalidInput(
                setting,
                f"{setting}{shown}: model {judge.model!r} of backend {judge.backend} does not support it. "
                f"Remove the setting, or, if the model does support it, add capabilities = {{ {capability} = true }}",
            )


def _sampling(judge: JudgeSettings, can: Capabilities, rubric: Rubric) -> Sampling:
    """Return the settings that are sent with each call."""
    short = rubric.variants[0].form is AnswerForm.CHOICE
    default_tokens = THINKING_TOKENS if can.reasoning else CHOICE_TOKENS if short else OUTPUT_TOKENS
    if judge.backend in BASELINE_JUDGES:
        default_tokens = OUTPUT_TOKENS
    temperature = 0.0 if judge.temperature is None else judge.temperature
    return Sampling(
        max_output_tokens=judge.max_output_tokens or default_tokens,
        temperature=temperature if can.temperature else None,
        seed=judge.seed if can.seed else None,
        effort=judge.effort,
    )


def _price(settings: PriceSettings, backend: str) -> Price:
    cached = settings.input if settings.cached_input is None else settings.cached_input
    default_write = settings.input * CACHE_WRITE.get(backend, 1.0)
    written = default_write if settings.cache_write is None else settings.cache_write
    return Price(
        input_micros=round(settings.input * MICROS),
        cached_input_micros=round(cached * MICROS),
        output_micros=round(settings.output * MICROS),
        batch_percent=round(settings.batch * 100),
        cache_write_micros=round(written * MICROS),
    )
