"""Parsers of judges' replies. They give exactly one preference, or none and the reason. Nothing is guessed.

A parser's version is raised whenever it would parse the same text differently. The verdicts of both versions are kept.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType

from judge.domain.errors import InvalidInput
from judge.domain.judge import CHOICES, AnswerForm, Rubric
from judge.domain.outcome import Preference
from judge.domain.verdict import ParsedVerdict, Reply

PARSER_VERSIONS: Mapping[AnswerForm, int] = MappingProxyType(dict.fromkeys(AnswerForm, 1))
"""The version of each answer form's parser."""
SCALES: Mapping[int, tuple[str, ...]] = MappingProxyType(
    {5: ("A>>B", "A>B", "A=B", "B>A", "B>>A"), 8: ("1", "2", "3", "4", "5", "6", "7", "8")}
)
"""The steps of each scale, from the strongest preference for the first answer to that for the second."""
BANDS: Mapping[tuple[AnswerForm, int], float] = MappingProxyType(
    {(AnswerForm.CHOICE, 0): 0.125, (AnswerForm.LIKERT, 5): 0.0, (AnswerForm.LIKERT, 8): 0.5}
)
"""The default tie bands: how near to the middle an answer is a tie.

A choice's band is in natural log odds of A against B. Weights served in bf16 put the odds on a grid of 0.125, so a
smaller difference means nothing. A scale's band is in steps from its middle: 4 and 5 of eight steps are a tie.
"""

_BRACKETS = re.compile(r"\[\[(\s*(?:a|b|c|tie)\s*)\]\]", re.ASCII | re.IGNORECASE)
"""Everything that is meant as a verdict in brackets, spelled correctly or not."""
_STEPS = re.compile(r"\[\[(\s*(?:[ab]\s*[<>=]{1,3}\s*[ab]|[a-c]|tie|-?[0-9.]+)\s*)\]\]", re.ASCII | re.IGNORECASE)
"""Everything that is meant as a step of some scale, spelled correctly or not."""
_BRACKETED = re.compile(r"\[\[[^\[\]]{1,40}\]\]")
"""Anything else in double brackets, which is quoted in the reason why there is no verdict."""
_BRACKET_PREFERENCES = {"A": Preference.FIRST, "B": Preference.SECOND, "C": Preference.TIE}
_REASONED_PREFERENCES = {"a": Preference.FIRST, "b": Preference.SECOND, "tie": Preference.TIE}
_CODE_FENCE = re.compile(r"```(?:json)?[ \t]*\r?\n(.*?)\r?\n?```", re.ASCII | re.IGNORECASE | re.DOTALL)
_REASONED_KEYS = frozenset({"critique", "verdict"})
_NAME = re.compile(r"(?P<form>[a-z]+)(?:-(?P<steps>[0-9]+))?(?:/(?P<version>[0-9]+))?(?:~(?P<band>[0-9.]+))?", re.ASCII)


class _Unreadable(Exception):
    """Raised when there is no verdict, or more than one. The message says which."""


@dataclass(frozen=True)
class Parser:
    """A parser of replies in one answer form. Only choice and likert have a tie band; None means the default one.

    Raises InvalidInput for an unknown scale, or a tie band that the form cannot have.
    """

    form: AnswerForm
    steps: int = 0
    tie_band: float | None = None

    def __post_init__(self) -> None:
        if (self.form is AnswerForm.LIKERT) != (self.steps in SCALES) or (self.steps and self.steps not in SCALES):
            raise InvalidInput(
                "steps",
                f"form {self.form.value} cannot have {self.steps} steps: likert has {' or '.join(map(str, SCALES))}",
            )
        allowed = (
            "Only choice and likert have one." if self._own is None else "It must be a finite number of 0 or more."
        )
        if self.tie_band is not None and (self._own is None or not 0 <= self.tie_band < math.inf):
            raise InvalidInput(
                "tie_band", f"form {self.form.value} cannot have a tie band of {self.tie_band}. {allowed}"
            )

    @staticmethod
    @lru_cache(maxsize=256)
    def named(name: str) -> Parser:
        """Return the parser called *name*, such as brackets/1, likert-8/1~1.5 or choice.

        Raises InvalidInput if there is none.
        """
        match = _NAME.fullmatch(name)
        try:
            if match is None:
                raise ValueError(name)
            form, band = AnswerForm(match["form"]), match["band"]
            parser = Parser(form, int(match["steps"] or 0), float(band) if band else None)
        except ValueError:
            match = None
        if match is None or int(match["version"] or PARSER_VERSIONS[form]) != PARSER_VERSIONS[form]:
            known = ", ".join(Parser(form, steps).name for form, steps in _FORMS)
            raise InvalidInput(
                "parser",
                f"there is no parser {name!r}. Choose one of: {known}; ~BAND may follow choice and likert",
                reason="UNKNOWN_PARSER",
            )
        return parser

    @cached_property
    def name(self) -> str:
        """Form, scale and version, and the tie band if it is not the default one."""
        steps = f"-{self.steps}" if self.steps else ""
        band = f"~{self.tie_band:g}" if self.tie_band is not None and self.tie_band != self._own else ""
        return f"{self.form.value}{steps}/{PARSER_VERSIONS[self.form]}{band}"

    @property
    def band(self) -> float:
        """The tie band in use."""
        return self.tie_band if self.tie_band is not None else self._own or 0.0

    @property
    def _own(self) -> float | None:
        return BANDS.get((self.form, self.steps))


_FORMS = (
    *((form, 0) for form in AnswerForm if form is not AnswerForm.LIKERT),
    *((AnswerForm.LIKERT, steps) for steps in SCALES),
)


def own_parser(rubric: Rubric, tie_band: float | None = None) -> Parser:
    """Return the parser of *rubric*'s answers, with *tie_band* or else the rubric's own."""
    form, steps = rubric.variants[0].form, rubric.variants[0].steps
    return Parser(form, steps, rubric.tie_band if tie_band is None else tie_band)


def parse(parser: Parser, reply: Reply) -> ParsedVerdict:
    """Parse *reply* with *parser*. Never raises: without a verdict, the result has no preference but a reason."""
    try:
        return _PARSERS[parser.form](parser, reply)
    except _Unreadable as unreadable:
        return ParsedVerdict(parser.name, None, str(unreadable))


def _brackets(parser: Parser, reply: Reply) -> ParsedVerdict:
    """Parse the only verdict among [[A]], [[B]] and [[C]]. The same one may be repeated."""
    verdict = _bracketed(_BRACKETS, reply.raw, tuple(_BRACKET_PREFERENCES), "[[A]], [[B]] and [[C]]")
    return ParsedVerdict(parser.name, _BRACKET_PREFERENCES[verdict])


def _likert(parser: Parser, reply: Reply) -> ParsedVerdict:
    """Parse the only step of the parser's scale. The same one may be repeated."""
    scale = SCALES[parser.steps]
    step = _bracketed(_STEPS, reply.raw, scale, f"[[{scale[0]}]] to [[{scale[-1]}]]")
    middle = (parser.steps - 1) / 2
    off = middle - scale.index(step)
    tie = abs(off) <= parser.band
    preference = Preference.TIE if tie else Preference.FIRST if off > 0 else Preference.SECOND
    return ParsedVerdict(parser.name, preference, strength=abs(off) / middle)


def _bracketed(pattern: re.Pattern[str], raw: str, known: Sequence[str], options: str) -> str:
    """Return the only text in double brackets in *raw* that *pattern* matches, which must be one of *known*.

    *options* describes *known* in the reason of an _Unreadable. Reasons are stored: another wording is a new version.
    """
    verdicts: set[str] = set(pattern.findall(raw))
    if not verdicts:
        other = _BRACKETED.search(raw)
        missing = f"{other[0]} is none of {options}" if other else f"{options.replace(' and ', ' or ')} is missing"
        raise _Unreadable(f"no verdict: {missing}")
    if len(verdicts) > 1:
        raise _Unreadable("several verdicts: " + ", ".join(sorted(f"[[{text}]]" for text in verdicts)))
    verdict = verdicts.pop()
    if verdict not in known:
        raise _Unreadable(f"no verdict: [[{verdict}]] is none of {options}")
    return verdict


def _choice(parser: Parser, reply: Reply) -> ParsedVerdict:
    """Parse a reply of one token. Its alternatives give the probability that the first answer is better."""
    token = reply.raw.strip()
    if token not in CHOICES:
        raise _Unreadable("no verdict: the reply is none of A, B and C")
    preference = _BRACKET_PREFERENCES[token]
    logs = {choice: _log_mass(choice, reply.logprobs) for choice in CHOICES}
    whole = sum(map(math.exp, logs.values()))
    if not whole:
        return ParsedVerdict(parser.name, preference)
    first = (math.exp(logs["A"]) + math.exp(logs["C"]) / 2) / whole
    if preference is not Preference.TIE and abs(logs["A"] - logs["B"]) < parser.band:
        preference = Preference.TIE
    return ParsedVerdict(parser.name, preference, probability_first=round(first, 9))


def _log_mass(choice: str, logprobs: Sequence[tuple[str, float]]) -> float:
    """Return the log of the total probability of all tokens that are *choice*, with or without white space."""
    mass = sum(math.exp(min(log, 0.0)) for token, log in logprobs if token.strip() == choice)
    return math.log(mass) if mass > 0 else -math.inf


def _reasoned(parser: Parser, reply: Reply) -> ParsedVerdict:
    """Parse a reply that is one JSON object with a critique and a verdict."""
    text = reply.raw.strip()
    in_fence = _CODE_FENCE.fullmatch(text)
    answer = _json_object(in_fence[1] if in_fence else text)
    if "verdict" not in answer:
        raise _Unreadable('no verdict: the object has no key "verdict"')
    if not answer.keys() <= _REASONED_KEYS:
        raise _Unreadable('the object has keys other than "critique" and "verdict"')
    verdict, critique = answer["verdict"], answer.get("critique", "")
    if not isinstance(verdict, str) or verdict.lower() not in _REASONED_PREFERENCES:
        raise _Unreadable("no verdict: the verdict is none of A, B and tie")
    if not isinstance(critique, str):
        raise _Unreadable("the critique is not a text")
    return ParsedVerdict(parser.name, _REASONED_PREFERENCES[verdict.lower()], _storable(critique))


def _json_object(text: str) -> dict[str, object]:
    """Parse *text* as one JSON object in which no key is repeated."""
    try:
        answer = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise _Unreadable("the reply is not one JSON object") from None
    if not isinstance(answer, dict):
        raise _Unreadable("the reply is not one JSON object")
    return answer


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Return *pairs* as a dict. Raises _Unreadable if a key is repeated."""
    answer = dict(pairs)
    if len(answer) != len(pairs):
        raise _Unreadable("the reply has a key twice")
    return answer


def _storable(text: str) -> str:
    """Return *text* without lone surrogates and NUL, which JSON can escape but UTF-8 or a database cannot store."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


_PARSERS: Mapping[AnswerForm, Callable[[Parser, Reply], ParsedVerdict]] = {
    AnswerForm.BRACKETS: _brackets,
    AnswerForm.REASONED: _reasoned,
    AnswerForm.CHOICE: _choice,
    AnswerForm.LIKERT: _likert,
}
