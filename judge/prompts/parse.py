"""What is read from a judge's reply: exactly one preference, or unreadable with the reason why. Nothing is guessed.

A parser's version goes up whenever the same text would be read differently: readings of both then stand side by side.
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
"""The steps of each scale, from the first answer's end to the second's."""
BANDS: Mapping[tuple[AnswerForm, int], float] = MappingProxyType(
    {(AnswerForm.CHOICE, 0): 0.125, (AnswerForm.LIKERT, 5): 0.0, (AnswerForm.LIKERT, 8): 0.5}
)
"""How near to the middle is a tie where nothing else is said.

Of a choice, in natural log odds of A against B: weights served in bf16 put them on a grid of 0.125, so that less is
nothing. Of a scale, in steps from its middle: 4 and 5 of eight are a tie.
"""

_BRACKETS = re.compile(r"\[\[(\s*(?:a|b|c|tie)\s*)\]\]", re.ASCII | re.IGNORECASE)
"""All that means to be a verdict in brackets, rightly spelled or not."""
_STEPS = re.compile(r"\[\[(\s*(?:[ab]\s*[<>=]{1,3}\s*[ab]|[a-c]|tie|-?[0-9.]+)\s*)\]\]", re.ASCII | re.IGNORECASE)
"""All that means to be a step of some scale, rightly spelled or not."""
_BRACKETED = re.compile(r"\[\[[^\[\]]{1,40}\]\]")
"""Whatever else stands in double brackets: told as the reason why there is no verdict."""
_BRACKET_PREFERENCES = {"A": Preference.FIRST, "B": Preference.SECOND, "C": Preference.TIE}
_REASONED_PREFERENCES = {"a": Preference.FIRST, "b": Preference.SECOND, "tie": Preference.TIE}
_CODE_FENCE = re.compile(r"```(?:json)?[ \t]*\r?\n(.*?)\r?\n?```", re.ASCII | re.IGNORECASE | re.DOTALL)
_REASONED_KEYS = frozenset({"critique", "verdict"})
_NAME = re.compile(r"(?P<form>[a-z]+)(?:-(?P<steps>[0-9]+))?(?:/(?P<version>[0-9]+))?(?:~(?P<band>[0-9.]+))?", re.ASCII)


class _Unreadable(Exception):
    """There is no verdict, or more than one; the message says which."""


@dataclass(frozen=True)
class Parser:
    """How replies of an answer form are read. *tie_band* None means the form's own; only choice and likert have one.

    Raises InvalidInput for a scale that there is not, or a band where none belongs.
    """

    form: AnswerForm
    steps: int = 0
    tie_band: float | None = None

    def __post_init__(self) -> None:
        if (self.form is AnswerForm.LIKERT) != (self.steps in SCALES) or (self.steps and self.steps not in SCALES):
            raise InvalidInput("steps", f"a scale has {' or '.join(map(str, SCALES))} steps, and only likert has one")
        if self.tie_band is not None and (self._own is None or not 0 <= self.tie_band < math.inf):
            raise InvalidInput("tie_band", f"{self.form.value} has no tie band of {self.tie_band}")

    @staticmethod
    @lru_cache(maxsize=256)
    def named(name: str) -> Parser:
        """The parser called *name*, such as brackets/1, likert-8/1~1.5 or choice; InvalidInput if there is none."""
        found = _NAME.fullmatch(name)
        try:
            if found is None:
                raise ValueError(name)
            form, band = AnswerForm(found["form"]), found["band"]
            made = Parser(form, int(found["steps"] or 0), float(band) if band else None)
        except ValueError:
            found = None
        if found is None or int(found["version"] or PARSER_VERSIONS[form]) != PARSER_VERSIONS[form]:
            known = ", ".join(Parser(*one).name for one in _FORMS)
            raise InvalidInput(
                "parser", f"there is no parser {name!r}; there are {known}, with ~BAND", reason="UNKNOWN_PARSER"
            )
        return made

    @cached_property
    def name(self) -> str:
        """Form, scale and version, and the band where it is not the form's own."""
        steps = f"-{self.steps}" if self.steps else ""
        band = f"~{self.tie_band:g}" if self.tie_band is not None and self.tie_band != self._own else ""
        return f"{self.form.value}{steps}/{PARSER_VERSIONS[self.form]}{band}"

    @property
    def band(self) -> float:
        """The band that counts."""
        return self.tie_band if self.tie_band is not None else self._own or 0.0

    @property
    def _own(self) -> float | None:
        return BANDS.get((self.form, self.steps))


_FORMS = (
    *((form, 0) for form in AnswerForm if form is not AnswerForm.LIKERT),
    *((AnswerForm.LIKERT, steps) for steps in SCALES),
)


def own_parser(rubric: Rubric, tie_band: float | None = None) -> Parser:
    """The parser of *rubric*'s answers, with its own band unless *tie_band* says otherwise."""
    form, steps = rubric.variants[0].form, rubric.variants[0].steps
    return Parser(form, steps, rubric.tie_band if tie_band is None else tie_band)


def parse(parser: Parser, reply: Reply) -> ParsedVerdict:
    """What *parser* reads from *reply*."""
    try:
        return _PARSERS[parser.form](parser, reply)
    except _Unreadable as unreadable:
        return ParsedVerdict(parser.name, None, str(unreadable))


def _brackets(parser: Parser, reply: Reply) -> ParsedVerdict:
    """The one verdict among [[A]], [[B]] and [[C]]; the same one may stand there more than once."""
    verdict = _bracketed(_BRACKETS, reply.raw, tuple(_BRACKET_PREFERENCES), "[[A]], [[B]] and [[C]]")
    return ParsedVerdict(parser.name, _BRACKET_PREFERENCES[verdict])


def _likert(parser: Parser, reply: Reply) -> ParsedVerdict:
    """The one step of the parser's scale; the same one may stand there more than once."""
    scale = SCALES[parser.steps]
    step = _bracketed(_STEPS, reply.raw, scale, f"[[{scale[0]}]] to [[{scale[-1]}]]")
    middle = (parser.steps - 1) / 2
    off = middle - scale.index(step)
    tie = abs(off) <= parser.band
    preference = Preference.TIE if tie else Preference.FIRST if off > 0 else Preference.SECOND
    return ParsedVerdict(parser.name, preference, strength=abs(off) / middle)


def _bracketed(pattern: re.Pattern[str], raw: str, known: Sequence[str], told: str) -> str:
    """The one of *known* that stands in *raw* in double brackets, and nothing that means to be another."""
    found: set[str] = set(pattern.findall(raw))
    if not found:
        other = _BRACKETED.search(raw)
        missing = f"{other[0]} is none of {told}" if other else f"{told.replace(' and ', ' or ')} is missing"
        raise _Unreadable(f"no verdict: {missing}")
    if len(found) > 1:
        raise _Unreadable("several verdicts: " + ", ".join(sorted(f"[[{text}]]" for text in found)))
    verdict = found.pop()
    if verdict not in known:
        raise _Unreadable(f"no verdict: [[{verdict}]] is none of {told}")
    return verdict


def _choice(parser: Parser, reply: Reply) -> ParsedVerdict:
    """The one token that the reply is, and from its alternatives the probability that the first answer is better."""
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
    """The log of the probability of all tokens that say *choice*, with or without space around it."""
    mass = sum(math.exp(min(log, 0.0)) for token, log in logprobs if token.strip() == choice)
    return math.log(mass) if mass > 0 else -math.inf


def _reasoned(parser: Parser, reply: Reply) -> ParsedVerdict:
    """The verdict of a reply that is one JSON object with a critique and a verdict, and the critique."""
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
    """*text* as one JSON object without any key twice."""
    try:
        answer = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise _Unreadable("the reply is not one JSON object") from None
    if not isinstance(answer, dict):
        raise _Unreadable("the reply is not one JSON object")
    return answer


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """*pairs* as a dict, if no key comes twice."""
    answer = dict(pairs)
    if len(answer) != len(pairs):
        raise _Unreadable("the reply has a key twice")
    return answer


def _storable(text: str) -> str:
    """*text* without what JSON can escape and UTF-8 or a database cannot hold: lone surrogates and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


_PARSERS: Mapping[AnswerForm, Callable[[Parser, Reply], ParsedVerdict]] = {
    AnswerForm.BRACKETS: _brackets,
    AnswerForm.REASONED: _reasoned,
    AnswerForm.CHOICE: _choice,
    AnswerForm.LIKERT: _likert,
}
