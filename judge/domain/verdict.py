"""A verdict is one call on one showing: its key, the reply as it came, and what a parser reads from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from judge.domain.outcome import LEFT_SCORE, ItemState, Order, Outcome, Preference, VerdictStatus

RECENT = 128
"""Texts whose hashes are at hand: a shard shows the same ones many times."""
SHORT = 64
"""Letters of a text whose bytes are at hand as well: names and hashes come again and again."""
SOURCE_PARSER = "source"
"""The name of the reading that an imported verdict's own source made."""


def digest(*parts: str) -> bytes:
    """SHA-256 of *parts*, each with its length, so that no two lists of parts meet."""
    return hashlib.sha256(b"".join([_short(part) if len(part) <= SHORT else _part(part) for part in parts])).digest()


def _part(text: str) -> bytes:
    body = text.encode("utf-8", "surrogatepass")
    return len(body).to_bytes(8) + body


_short = lru_cache(maxsize=4096)(_part)


@lru_cache(maxsize=RECENT)
def prompt_digest(turns: tuple[str, ...], reference: tuple[str, ...]) -> bytes:
    """The hash of a prompt's *turns* up to the one judged, with the *reference* shown (empty if none is)."""
    return digest("prompt", str(len(turns)), *turns, *reference)


@lru_cache(maxsize=RECENT)
def shown_digest(turns: tuple[str, ...]) -> bytes:
    """The hash of an output's *turns* up to the one judged."""
    return digest("output", *turns)


def recorded_digest(contestant: str, sample: int) -> bytes:
    """The hash that stands for an output in an imported verdict's key: its contestant, never its text."""
    return digest("recorded", contestant, str(sample))


class CallKey(NamedTuple):
    """What makes two calls the same call: content, not names. The ids are the store's, unique per hash and tenant."""

    fingerprint: int
    prompt: int
    turn: int
    first: int
    second: int
    cache_tag: str = ""
    repeat: int = 0


class Comparison(NamedTuple):
    """The texts of two outputs to one prompt, up to the turn that is judged."""

    prompt: tuple[str, ...]
    left: tuple[str, ...]
    right: tuple[str, ...]
    category: str = ""
    reference: tuple[str, ...] = ()

    @property
    def turn(self) -> int:
        """The turn judged, counted from 1."""
        return len(self.prompt)


class Shown(NamedTuple):
    """A comparison in one order: what a judge sees, and nothing else of it."""

    prompt: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]
    category: str = ""
    reference: tuple[str, ...] = ()

    @property
    def turn(self) -> int:
        """The turn judged, counted from 1."""
        return len(self.prompt)

    @staticmethod
    def of(comparison: Comparison, order: Order) -> Shown:
        """*comparison* in *order*."""
        left_first = order is Order.LEFT_FIRST
        return Shown(
            prompt=comparison.prompt,
            first=comparison.left if left_first else comparison.right,
            second=comparison.right if left_first else comparison.left,
            category=comparison.category,
            reference=comparison.reference,
        )

    def key_digest(self, fingerprint: str, *, uses_reference: bool, cache_tag: str = "", repeat: int = 0) -> bytes:
        """The verdict key's own hash: equal here, in an export and in a replay. The fence's nonce derives from it."""
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


class Usage(NamedTuple):
    """What a call used: tokens, micro-USD, milliseconds, tries."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    cost_micros: int = 0
    latency_ms: int = 0
    tries: int = 1
    written_input_tokens: int = 0
    """Of the input tokens, those that the provider wrote to its cache and charges for apart; in the cost, not kept."""


class Reply(NamedTuple):
    """What a judge answered, as it came. *status* is ok unless the judge refused, was filtered or was cut off."""

    raw: str
    status: VerdictStatus = VerdictStatus.OK
    usage: Usage = Usage()
    model: str = ""
    logprobs: tuple[tuple[str, float], ...] = ()
    """Of the deciding token: its alternatives with their natural log probabilities, if the backend gives them."""


class ParsedVerdict(NamedTuple):
    """What one parser reads from a reply: exactly one preference, or unreadable with the reason why."""

    parser: str
    preference: Preference | None
    reason: str = ""
    probability_first: float | None = None
    """The probability that what is shown first is better, a tie counting half to each."""
    strength: float | None = None
    """How far from the middle of its scale the answer was, from 0 to 1."""

    @property
    def status(self) -> VerdictStatus:
        """Ok or unreadable."""
        return VerdictStatus.UNREADABLE if self.preference is None else VerdictStatus.OK


def status_of(replied: VerdictStatus, parsed_verdict: ParsedVerdict | None) -> VerdictStatus:
    """A verdict's status: the reply's own, or where that is in order, that of the *parsed_verdict* that counts."""
    if replied is not VerdictStatus.OK:
        return replied
    return parsed_verdict.status if parsed_verdict else VerdictStatus.UNREADABLE


@dataclass(frozen=True, slots=True)
class PresentationNames:
    """A showing by its names: which comparison of a dataset, in which order."""

    prompt_id: str
    turn: int
    left: str
    right: str
    order: Order
    left_sample: int = 0
    right_sample: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one judge said of one showing, with its place in a run; or why it said nothing."""

    judge: str
    presentation: PresentationNames
    category: str = ""
    position: int = 0
    comparison_id: str = ""
    reply: Reply | None = None
    parsed_verdicts: tuple[ParsedVerdict, ...] = ()
    state: ItemState | None = None
    cache_tag: str = ""
    repeat: int = 0
    reused: bool = False
    create_time: float = 0.0
    revision: int = 0
    answer: int = 0
    """The store's number of the call behind it, which several verdicts may share; 0 where there was none."""

    @property
    def parsed_verdict(self) -> ParsedVerdict | None:
        """The reading that counts: the source's own outcome of an imported verdict, else the newest parser's."""
        for parsed_verdict in self.parsed_verdicts:
            if parsed_verdict.parser == SOURCE_PARSER:
                return parsed_verdict
        return self.parsed_verdicts[-1] if self.parsed_verdicts else None

    @property
    def status(self) -> VerdictStatus | None:
        """The reply's status, or the reading's where the reply itself is in order; None without a reply."""
        return None if self.reply is None else status_of(self.reply.status, self.parsed_verdict)

    @property
    def outcome(self) -> Outcome | None:
        """The outcome in the comparison's own orientation, if the status is ok."""
        parsed_verdict = self.parsed_verdict
        if self.status is not VerdictStatus.OK or parsed_verdict is None or parsed_verdict.preference is None:
            return None
        return parsed_verdict.preference.outcome(self.presentation.order)


def share_of(verdict: Verdict) -> float | None:
    """How much of a verdict goes to its own left: all, half or nothing; None without an outcome."""
    outcome = verdict.outcome
    return None if outcome is None else LEFT_SCORE[outcome]
