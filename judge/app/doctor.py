"""`judge doctor`: check the configuration, the store and each judge before anything is spent.

Without *call* in a DoctorRequest, nothing that is sent costs anything: an endpoint is only asked which models it has.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from judge.app.judges import ConfiguredJudges, endpoint_of
from judge.app.local import configured_store
from judge.backends.listing import list_models
from judge.backends.retired import retirement
from judge.config.credentials import exposed
from judge.config.files import ConfigError, config_file
from judge.config.settings import EXTENDABLE, JudgeSettings, Settings, load
from judge.domain.errors import CallFailed, JudgeError
from judge.domain.judge import JudgeCard
from judge.domain.money import usd
from judge.domain.outcome import Preference
from judge.domain.verdict import Shown
from judge.execution.cost import call_cost, characters
from judge.execution.reply_warnings import reply_warnings
from judge.ports.clock import Clock
from judge.prompts.parse import own_parser, parse
from judge.prompts.render import render
from judge.store.postgresql import PostgresqlConnections, is_postgresql

PACKAGES = ("grpcio", "protobuf", "sqlalchemy", "psycopg", "openai", "anthropic", "aiohttp", "temporalio", "vllm")
"""The packages whose versions are told, if they are installed."""
NEEDED = {"openai": "openai", "anthropic": "anthropic", "vllm": "aiohttp", "vllm_engine": "vllm"}
"""The package that a backend needs."""
NO_FILE = "the environment alone; there is no judge.toml"
SECONDS = 15.0
"""How long an endpoint may take to list its models."""
EXAMPLE = Shown(
    prompt=("Name a prime number between 20 and 30.",), first=("23 is prime.",), second=("21, as it is odd.",)
)
"""The comparison that is judged with *call*."""


class Level(StrEnum):
    """How good the result of a check is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but something should be known or changed."""
    ERROR = "error"
    """It does not work."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: what was looked at, and a sentence about it."""

    level: Level
    subject: str
    check: str
    message: str


@dataclass(frozen=True, slots=True)
class DoctorRequest:
    """What is checked: the judges with these *names*, or all; *call* makes one call to each."""

    config: Path | None = None
    names: Sequence[str] = ()
    call: bool = False


async def examine(request: DoctorRequest, clock: Clock) -> AsyncIterator[CheckResult]:
    """Yield the result of each check."""
    yield _result(Level.OK, "versions", "versions", _versions())
    try:
        settings = load(request.config)
        judges = ConfiguredJudges(settings, clock)
    except (ConfigError, JudgeError) as error:
        yield _result(Level.ERROR, "configuration", "configuration", str(error))
        return
    yield _result(Level.OK, "configuration", "configuration", f"read from {config_file(request.config) or NO_FILE}")
    yield await _check_store(settings)
    cards = judges.cards()
    try:
        for name in request.names or [name for name, card in cards.items() if not card.definition.baseline]:
            if name not in cards:
                known = ", ".join(sorted(cards))
                yield _result(Level.ERROR, name, "configuration", f"there is no such judge; there are {known}")
                continue
            async for result in _check_judge(request, settings.judges[name], cards[name], judges, clock):
                yield result
    finally:
        await judges.close()


def _versions() -> str:
    """Return the versions of judge, Python and the packages that matter."""
    installed = {name: version for name in PACKAGES if (version := _version(name))}
    versions = {"judge": _version("judge-service") or "unknown", "Python": platform.python_version(), **installed}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _result(level: Level, subject: str, check: str, message: str) -> CheckResult:
    return CheckResult(level=level, subject=subject, check=check, message=message)


async def _check_store(settings: Settings) -> CheckResult:
    """Open a store on PostgreSQL, or look at the file. Nothing is changed or created."""
    url = configured_store(settings)
    if is_postgresql(url):
        try:
            connections = await asyncio.to_thread(PostgresqlConnections, url)
            await connections.close()
        except JudgeError as error:
            return _result(Level.ERROR, "store", "store", error.message)
        return _result(Level.OK, "store", "store", "PostgreSQL answers, and its schema is up to date")
    return _result(Level.OK, "store", "store", _about_file(Path(url.partition(":///")[2])))


def _about_file(file: Path) -> str:
    return f"{file} exists" if file.is_file() else f"{file} does not exist yet and will be created"


async def _check_judge(
    request: DoctorRequest, settings: JudgeSettings, card: JudgeCard, judges: ConfiguredJudges, clock: Clock
) -> AsyncIterator[CheckResult]:
    """Yield the results for one judge."""
    name, works = card.definition.name, True
    for level, check, message in _without_network(settings, card, clock):
        works = works and level is not Level.ERROR
        yield _result(level, name, check, message)
    if works and settings.backend in EXTENDABLE:
        level, message = await _check_endpoint(settings)
        works = level is not Level.ERROR
        yield _result(level, name, "endpoint", message)
    if works and request.call and not card.definition.baseline:
        level, message = await _call(card, judges, clock)
        yield _result(level, name, "call", message)


def _without_network(settings: JudgeSettings, card: JudgeCard, clock: Clock) -> Iterator[tuple[Level, str, str]]:
    """Yield what is known of a judge without asking anybody: level, check and sentence."""
    package = NEEDED.get(settings.backend, "")
    if package and not _version(package):
        yield Level.ERROR, "package", f"backend {settings.backend} needs the package {package}, which is not installed"
    if card.definition.baseline:
        yield Level.OK, "key", "needs no key and makes no calls"
        return
    if card.unavailable_reason:
        yield Level.ERROR, "key", card.unavailable_reason
    elif settings.names_key:
        yield Level.OK, "key", f"set in {settings.key_env or settings.key_file}"
        if warning := exposed(settings.key_file):
            yield Level.WARNING, "key", warning
    elif settings.backend in EXTENDABLE:
        yield Level.OK, "key", "none is named"
    at_vendor = settings.backend if card.definition.endpoint == "" else ""
    if retired := retirement(settings.model, at_vendor):
        past = retired.day <= datetime.fromtimestamp(clock.now(), UTC).date()
        when = f"was shut down on {retired.day}" if past else f"will be shut down on {retired.day}"
        message = f"{retired.vendor}'s {retired.model} {when} (list of {retired.as_of}); choose another model"
        yield Level.WARNING, "model", message
    if card.price is None:
        yield Level.WARNING, "price", "no price is set, so its runs cannot have a budget in USD. Add a price"


async def _check_endpoint(settings: JudgeSettings) -> tuple[Level, str]:
    """Ask an endpoint for its models, which costs nothing."""
    endpoint = endpoint_of(settings)
    try:
        async with asyncio.timeout(SECONDS):
            listed = (await list_models(endpoint, settings.backend)).models
    except TimeoutError:
        return Level.ERROR, f"{endpoint.base_url} gave no answer within {SECONDS:g} seconds"
    except CallFailed as error:
        return Level.ERROR, f"{endpoint.base_url}: {error.message}"
    if not listed:
        return Level.OK, f"{endpoint.base_url} answers, and does not list its models"
    if settings.model not in listed:
        shown = ", ".join(sorted(listed)[:5])
        return Level.WARNING, f"{endpoint.base_url} answers, but does not list {settings.model}; it lists {shown}"
    if day := listed[settings.model]:
        return Level.WARNING, f"{endpoint.base_url} answers, and says that {settings.model} is shut down on {day}"
    return Level.OK, f"{endpoint.base_url} answers, and lists {settings.model}"


async def _call(card: JudgeCard, judges: ConfiguredJudges, clock: Clock) -> tuple[Level, str]:
    """Judge one small comparison, which is paid for and not stored."""
    started = clock.monotonic()
    try:
        definition = await judges.identified(card.definition)
        judge = judges.at_work(definition)
        prompt = render(definition.rubric, EXAMPLE, definition.fingerprint, definition.sampling)
        async with asyncio.timeout(card.limits.deadline_seconds):
            reply = await judge.backend.reply(prompt)
    except TimeoutError:
        return Level.ERROR, f"no answer within its deadline_seconds = {card.limits.deadline_seconds:g}"
    except JudgeError as error:
        return Level.ERROR, error.message
    verdict = parse(own_parser(definition.rubric), reply)
    usage = reply.usage
    spent = f"{usage.input_tokens:,} + {usage.output_tokens:,} tokens"
    booked = call_cost(judge, usage, characters(EXAMPLE))
    cost = f", {'at most ' if booked.uncounted else ''}${usd(booked.micros)}" if card.price or booked.micros else ""
    took = f"{clock.monotonic() - started:.1f} s, {spent}{cost}"
    warnings = [message for _, message in reply_warnings(definition.model, reply)]
    if warnings:
        return Level.WARNING, f"answered, but {'; '.join(warnings)} ({took})"
    if verdict.preference is None:
        return Level.WARNING, f"answered without a verdict that can be read ({took}): {verdict.reason[:100]}"
    if verdict.preference is Preference.TIE:
        return Level.OK, f"answered that both outputs are equally good ({took})"
    return Level.OK, f"answered, and prefers the {verdict.preference.name.lower()} output ({took})"
