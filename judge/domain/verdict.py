"""Verdicts: the key of a call, the judge's reply, and what parsers read from it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from judge.domain.messages import Turn, images_in, turn_body
from judge.domain.outcome import LEFT_SCORE, ItemState, Order, Outcome, Preference, VerdictStatus
from judge.domain.usage import Usage

RECENT = 128
"""How many hashes of long texts are cached. A shard shows the same texts many times."""
SHORT = 64
"""Texts of at most so many characters are cached as bytes too, since names and hashes repeat often."""
SOURCE_PARSER = "source"
"""The parser's name of an imported verdict's own outcome."""


def digest(*parts: str) -> bytes:
    """Return the SHA-256 of *parts*. Each is preceded by its length, so different lists never give the same bytes."""
    return hashlib.sha256(b"".join([_short(part) if len(part) <= SHORT else _part(part) for part in parts])).digest()


def _part(text: str) -> bytes:
    body = text.encode("utf-8", "surrogatepass")
    return len(body).to_bytes(8) + body


_short = lru_cache(maxsize=4096)(_part)


@lru_cache(maxsize=RECENT)
def prompt_digest(turns: tuple[Turn, ...], reference: tuple[str, ...]) -> bytes:
    """Return the hash of a prompt's *turns* up to the judged one, and of the *reference* shown (empty if none is)."""
    return _turns_digest("prompt", (str(len(turns)),), turns, reference)


@lru_cache(maxsize=RECENT)
def shown_digest(turns: tuple[Turn, ...]) -> bytes:
    """Return the hash of an output's *turns* up to the judged one."""
    return _turns_digest("output", (), turns, ())


def _turns_digest(kind: str, before: tuple[str, ...], turns: tuple[Turn, ...], after: tuple[str, ...]) -> bytes:
    """Return the hash of *turns*. If one is made of messages, all are hashed as JSON, under another name."""
    texts = [turn for turn in turns if isinstance(turn, str)]
    if len(texts) < len(turns):
        kind, texts = f"{kind} of messages", [json.dumps([turn_body(turn) for turn in turns], sort_keys=True)]
    return digest(kind, *before, *texts, *after)


def recorded_digest(contestant: str, sample: int) -> bytes:
    """Return the hash of an output in an imported verdict's key, which covers its contestant and not its text."""
    return digest("recorded", contestant, str(sample))


class CallKey(NamedTuple):
    """The content that two equal calls share, without names. The ids are the store's, one per hash and tenant."""

    fingerprint: int
    prompt: int
    turn: int
    first: int
    second: int
    cache_tag: str = ""
    repeat: int = 0


class Comparison(NamedTuple):
    """The texts of two outputs to one prompt, up to the judged turn."""

    prompt: tuple[Turn, ...]
    left: tuple[Turn, ...]
    right: tuple[Turn, ...]
    category: str = ""
    reference: tuple[str, ...] = ()

    @property
    def turn(self) -> int:
        """The turn judged, counted from 1."""
        return len(self.prompt)


class Shown(NamedTuple):
    """A comparison in one order, as a judge sees it."""

    prompt: tuple[Turn, ...]
    first: tuple[Turn, ...]
    second: tuple[Turn, ...]
    category: str = ""
    reference: tuple[str, ...] = ()

    @property
    def turn(self) -> int:
        """The turn judged, counted from 1."""
        return len(self.prompt)

    @property
    def images(self) -> int:
        """How many images are shown."""
        return sum(map(images_in, (self.prompt, self.first, self.second)))

    @staticmethod
    def of(comparison: Comparison, order: Order) -> Shown:
        """Return *comparison* in *order*."""
        left_first = order is Order.LEFT_FIRST
        return Shown(
            prompt=comparison.prompt,
            first=comparison.left if left_first else comparison.right,
            second=comparison.right if left_first else comparison.left,
            category=comparison.category,
            reference=comparison.reference,
        )

    def key_digest(self, fingerprint: str, *, uses_reference: bool, cache_tag: str = "", repeat: int = 0) -> bytes:
        """Return the hash of the verdict's key, the same in exports and replays. The fence's nonce derives from it."""
        return digest(
            "key",
            fingerprint,
            prompt_digest(self.prompt, self.reference if uses_reference else ()).hex(),
            str(self.turn),
            shown_digest(self.first).hex(),
            shown_digest(self.second).hex(),
            cache_tag,
            str(repeat),
        )


class Reply(NamedTuple):
    """A judge's unchanged answer. *status* is OK unless the judge refused, was filtered or was cut off."""

    raw: str
    status: VerdictStatus = VerdictStatus.OK
    usage: Usage = Usage()
    model: str = ""
    logprobs: tuple[tuple[str, float], ...] = ()
    """The alternatives of the deciding token with their natural log probabilities, if the backend gives them."""
    further_choices: int = 0
    """How many choices the provider sent after the first. They are not kept, and neither is this number."""


class ParsedVerdict(NamedTuple):
    """What one parser reads from a reply: exactly one preference, or none and the reason."""

    parser: str
    preference: Preference | None
    reason: str = ""
    probability_first: float | None = None
    """The probability that the output shown first is better. A tie counts half."""
    strength: float | None = None
    """The distance of the answer from the middle of its scale, from 0 to 1."""

    @property
    def status(self) -> VerdictStatus:
        """Ok or unreadable."""
        return VerdictStatus.UNREADABLE if self.preference is None else VerdictStatus.OK


def status_of(replied: VerdictStatus, parsed_verdict: ParsedVerdict | None) -> VerdictStatus:
    """Return a verdict's status: the reply's own, or if that is OK, the status of *parsed_verdict*."""
    if replied is not VerdictStatus.OK:
        return replied
    return parsed_verdict.status if parsed_verdict else VerdictStatus.UNREADABLE


@dataclass(frozen=True, slots=True)
class PresentationNames:
    """A presentation by its names: a comparison of a dataset, and the order in which it is shown."""

    prompt_id: str
    turn: int
    left: str
    right: str
    order: Order
    left_sample: int = 0
    right_sample: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judge's verdict on one presentation, or the reason why there is none, with its position in a run."""

    judge: str
    presentation: PresentationNames
    category: str = ""
    position: int = 0
    comparison_id: str = ""
    reply: Reply | None = None
    parsed_verdicts: tuple[ParsedVerdict, ...] = ()
    state: ItemState | None = None
    reason: str = ""
    """Why there is no verdict, in the provider's words as far as it said so."""
    cache_tag: str = ""
    repeat: int = 0
    reused: bool = False
    create_time: float = 0.0
    revision: int = 0
    answer: int = 0
    """The store's number of the call, which several verdicts may share. 0 if there was no call."""

    @property
    def parsed_verdict(self) -> ParsedVerdict | None:
        """The parsed verdict that counts: an imported verdict's own outcome, or else the newest parser's."""
        for parsed_verdict in self.parsed_verdicts:
            if parsed_verdict.parser == SOURCE_PARSER:
                return parsed_verdict
        return self.parsed_verdicts[-1] if self.parsed_verdicts else None

    @property
    def status(self) -> VerdictStatus | None:
        """The reply's status, or if that is OK, the parsed verdict's. None without a reply."""
        return None if self.reply is None else status_of(self.reply.status, self.parsed_verdict)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome in the comparison's own orientation, if the status is OK."""
        parsed_verdict = self.parsed_verdict
        if self.status is not VerdictStatus.OK or parsed_verdict is None or parsed_verdict.preference is None:
            return None
        return parsed_verdict.preference.outcome(self.presentation.order)


def share_of(verdict: Verdict) -> float | None:
    """Return the left score of a verdict, or None without an outcome."""
    outcome = verdict.outcome
    return None if outcome is None else LEFT_SCORE[outcome]
