"""Judges from the configuration: each with its definition, and its backend made when it is first asked."""

from __future__ import annotations

from judge.backends.openai import BASE_URL, OpenAI
from judge.backends.recorded import Recorded
from judge.backends.yardsticks import Yardstick
from judge.config import JudgeSettings, PriceSettings, Settings
from judge.domain.errors import JudgeUnusable
from judge.domain.judge import (
    RECORDED,
    YARDSTICKS,
    Capabilities,
    JudgeCard,
    JudgeDefinition,
    Limits,
    Price,
    Sampling,
)
from judge.ports.backend import Backend
from judge.prompts.parse import parser_name
from judge.prompts.rubrics import RUBRICS
from judge.runs.judges import JudgeAtWork

MICROS = 1_000_000
"""Micro-USD in a USD."""
RECORDED_LIMITS = Limits(concurrency=256)


class ConfiguredJudges:
    """The judges that *settings* name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.judges
        self._cards = {name: _card(name, said) for name, said in settings.judges.items()}
        self._backends: dict[tuple[str, str], Backend] = {}

    def cards(self) -> dict[str, JudgeCard]:
        """Every configured judge by name."""
        return dict(self._cards)

    def at_work(self, definition: JudgeDefinition) -> JudgeAtWork:
        """*definition* with its name's account here; JudgeUnusable if there is none, or it is of another backend."""
        if definition.backend == RECORDED:
            return JudgeAtWork(JudgeCard(definition, limits=RECORDED_LIMITS), Recorded())
        if definition.yardstick:
            card = self._cards.get(definition.name)
            limits = card.limits if card else RECORDED_LIMITS
            return JudgeAtWork(JudgeCard(definition, limits=limits), self._backend(definition, None))
        said, card = self._settings.get(definition.name), self._cards.get(definition.name)
        if said is None or card is None or said.backend != definition.backend:
            raise JudgeUnusable(f"judge {definition.name!r} of backend {definition.backend} is not in this config")
        if card.unavailable_reason:
            raise JudgeUnusable(f"judge {definition.name!r} cannot be asked: {card.unavailable_reason}")
        frozen = JudgeCard(definition, card.capabilities, card.limits, card.price)
        return JudgeAtWork(frozen, self._backend(definition, said))

    def _backend(self, definition: JudgeDefinition, said: JudgeSettings | None) -> Backend:
        key = (definition.name, definition.fingerprint)
        if key not in self._backends:
            self._backends[key] = _made(definition, said)
        return self._backends[key]

    async def close(self) -> None:
        """Let go of every connection."""
        for backend in self._backends.values():
            await backend.close()


def _made(definition: JudgeDefinition, said: JudgeSettings | None) -> Backend:
    if said is None:
        return Yardstick(definition.backend)
    secret = said.key()
    return OpenAI(
        definition.model,
        base_url=said.base_url or BASE_URL,
        api_key=secret.get_secret_value() if secret else "",
        json_schema=said.json_schema,
        timeout_seconds=said.deadline_seconds,
        max_connections=said.concurrency,
    )


def _card(name: str, said: JudgeSettings) -> JudgeCard:
    yardstick = said.backend in YARDSTICKS
    rubric = RUBRICS[said.rubric]
    definition = JudgeDefinition(
        name=name,
        backend=said.backend,
        rubric=rubric,
        parser=parser_name(rubric.variants[0].form),
        model=said.model,
        sampling=Sampling(said.max_output_tokens)
        if yardstick
        else Sampling(said.max_output_tokens, said.temperature, said.seed),
    )
    return JudgeCard(
        definition,
        Capabilities() if yardstick else Capabilities(temperature=True, seed=True, json_schema=said.json_schema),
        Limits(concurrency=said.concurrency, deadline_seconds=said.deadline_seconds),
        _price(said.price) if said.price else (Price() if yardstick else None),
        _missing_key(said),
    )


def _missing_key(said: JudgeSettings) -> str:
    if not said.names_key or said.key() is not None:
        return ""
    return f"no key in {said.key_env or said.key_file}"


def _price(said: PriceSettings) -> Price:
    cached = said.input if said.cached_input is None else said.cached_input
    return Price(round(said.input * MICROS), round(cached * MICROS), round(said.output * MICROS))
