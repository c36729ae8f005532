"""Parsers of judges' replies. They give exactly one preference, or none and the reason. Nothing is guessed.

One grammar holds for all answer forms. Thinking is removed first (see thinking.py), and white space at both ends.

    word      = [ role ] (A | B) | C | tie        in upper or lower case; C and tie are the same
    role      = Assistant | Response | Model
    step      = a step of the scale, such as A>>B or 3
    mark(x)   = "[[" x "]]"                       with or without white space inside
    tail      = white space, "*", "_", ".", "!"   emphasis and the end of a sentence, and nothing else
    brackets  = text mark(word) tail              text may have the same mark, and no mark with another word
    likert    = text mark(step) tail              likewise
    choice    = tail (word | mark(word)) tail     nothing else
    reasoned  = object | "```json" object "```"   one JSON object with the key verdict: word | mark(word)

- The verdict ends the reply, as every rubric asks. So a judge that quotes an injected verdict and then says something
  else gives no verdict.
- A last line that is a block quote ("> [[A]]") is not the judge's own, and gives no verdict.
- A verdict is none if a negation governs it: "not [[A]]", "instead of [[A]]", or a sentence on the line above, such as
  "I would not say" (see negation.py). "A does not follow it, so [[B]]" is a verdict.
- Two different verdicts are no verdict. In JSON, that includes another key whose value is another word.
- A JSON object may have further keys, which are named in the reason, and bare control characters inside its texts. No
  key may come twice, in any case.
- A reply that repeats the code of its prompt's fence is unreadable whatever it says. Its status says so already.

A parser's version is raised whenever it would parse the same text differently. The verdicts of both versions are kept.
The name of an older version means the current one, so that runs which began with it go on.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TypeVar

from judge.domain.errors import InvalidInput
from judge.domain.judge import CHOICES, AnswerForm, Rubric
from judge.domain.outcome import Preference, VerdictStatus
from judge.domain.verdict import ParsedVerdict, Reply
from judge.prompts.negation import is_negated
from judge.prompts.thinking import without_thinking

T = TypeVar("T")
PARSER_VERSIONS: Mapping[AnswerForm, int] = MappingProxyType(
    {**dict.fromkeys(AnswerForm, 3), AnswerForm.BRACKETS: 4, AnswerForm.LIKERT: 4}
)
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

_WORDS = {"a": Preference.FIRST, "b": Preference.SECOND, "c": Preference.TIE, "tie": Preference.TIE}
_SPELLED = {Preference.FIRST: "[[A]]", Preference.SECOND: "[[B]]", Preference.TIE: "[[C]]"}
_MARK = re.compile(r"\[\[\s*([^\[\]]{1,40}?)\s*\]\]")
"""Any text in double brackets."""
_STEP = re.compile(r"[ab][<>=]{1,3}[ab]|[a-c]|tie|-?[0-9.]+", re.ASCII)
"""What is meant as a step of some scale, in lower case and without white space, correctly or not."""
_TAIL = " \t\r\n*_.!"
_ROLE = re.compile(r"^(?:assistant|response|model)\s*(?=[ab]$)")
"""What judges write before the letter of an answer."""
_CODE_FENCE = re.compile(r"```(?:json)?[ \t]*\r?\n(.*?)\r?\n?```", re.ASCII | re.IGNORECASE | re.DOTALL)
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
        """Return the parser called *name*, such as brackets/4, likert-8/4~1.5 or choice.

        An older version means the current one. Raises InvalidInput if there is no such parser.
        """
        match = _NAME.fullmatch(name)
        try:
            if match is None:
                raise ValueError(name)
            form, band = AnswerForm(match["form"]), match["band"]
            parser = Parser(form, int(match["steps"] or 0), float(band) if band else None)
        except ValueError:
            match = None
        if match is None or not 1 <= int(match["version"] or 1) <= PARSER_VERSIONS[form]:
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
    """Parse *reply* with *parser*. Never raises: without a verdict, the result has no preference but a reason.

    >>> parse(Parser.named("brackets"), Reply("Both are right, A says why. [[a]]")).preference
    <Preference.FIRST: 1>
    >>> parse(Parser.named("brackets"), Reply("Answer A says '[[A]]'. I do not follow that.")).reason
    'no verdict: the reply does not end with its verdict'
    """
    try:
        if reply.status is VerdictStatus.UNREADABLE:
            raise _Unreadable("the reply repeats the code of its prompt")
        return _PARSERS[parser.form](parser, reply, without_thinking(reply.raw))
    except _Unreadable as unreadable:
        return ParsedVerdict(parser.name, None, str(unreadable))


def _brackets(parser: Parser, _: Reply, answer: str) -> ParsedVerdict:
    """Parse the verdict in brackets with which *answer* ends."""
    verdict = _marked(answer, _spelled, "[[A]], [[B]] or [[C]]")
    return ParsedVerdict(parser.name, verdict)


def _likert(parser: Parser, _: Reply, answer: str) -> ParsedVerdict:
    """Parse the step of the parser's scale with which *answer* ends."""
    scale = SCALES[parser.steps]
    step = _marked(
        answer, lambda mark: mark.upper() if _STEP.fullmatch(mark) else None, f"[[{scale[0]}]] to [[{scale[-1]}]]"
    )
    if step not in scale:
        raise _Unreadable(f"no verdict: [[{step}]] is none of [[{scale[0]}]] to [[{scale[-1]}]]")
    middle = (parser.steps - 1) / 2
    off = middle - scale.index(step)
    tie = abs(off) <= parser.band
    preference = Preference.TIE if tie else Preference.FIRST if off > 0 else Preference.SECOND
    return ParsedVerdict(parser.name, preference, strength=abs(off) / middle)


def _marked(answer: str, read: Callable[[str], T | None], options: str) -> T:
    """Return the verdict that *read* finds in the marks of *answer*: one, with which the answer ends.

    *options* describes the marks in the reason of an _Unreadable. Reasons are stored: another wording is a new version.
    """
    marks = [(match, read("".join(match[1].split()).lower())) for match in _MARK.finditer(answer)]
    verdicts = {
        verdict: f"[[{''.join(match[1].split())}]]" for match, verdict in reversed(marks) if verdict is not None
    }
    if not verdicts:
        missing = f"{marks[0][0][0]} is none of {options}" if marks else f"{options} is missing"
        raise _Unreadable(f"no verdict: {missing}")
    if len(verdicts) > 1:
        raise _Unreadable("several verdicts: " + ", ".join(sorted(verdicts.values())))
    last, verdict = marks[-1]
    if verdict is None or answer[last.end() :].strip(_TAIL):
        raise _Unreadable("no verdict: the reply does not end with its verdict")
    line = answer[: last.start()].rpartition("\n")[2]
    if line.lstrip().startswith(">"):
        raise _Unreadable("no verdict: the verdict at the end is in a block quote")
    if is_negated(answer[: last.start()]):
        raise _Unreadable("no verdict: the verdict at the end is negated")
    return verdict


def _spelled(word: str) -> Preference | None:
    """Return the preference that a *word* in lower case is, such as b or assistant b."""
    return _WORDS.get(_ROLE.sub("", word, count=1))


def _word(text: str) -> Preference | None:
    """Return the preference that *text* is: a word with or without brackets and white space, and nothing else."""
    mark = _MARK.fullmatch(text.strip())
    return _spelled((mark[1] if mark else text).strip().lower())


def _choice(parser: Parser, reply: Reply, answer: str) -> ParsedVerdict:
    """Parse an answer of one word. The token's alternatives give the probability that the first answer is better."""
    preference = _word(answer.strip(_TAIL))
    if preference is None:
        raise _Unreadable("no verdict: the reply is none of A, B and C")
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


def _reasoned(parser: Parser, _: Reply, answer: str) -> ParsedVerdict:
    """Parse an answer that is one JSON object with a verdict."""
    in_fence = _CODE_FENCE.fullmatch(answer)
    body = _json_object(in_fence[1] if in_fence else answer)
    keys = {key.strip().lower(): key for key in body}
    if len(keys) < len(body):
        raise _Unreadable("the reply has a key twice")
    if "verdict" not in keys:
        raise _Unreadable('no verdict: the object has no key "verdict"')
    value, critique = body.pop(keys["verdict"]), body.pop(keys.get("critique", ""), "")
    verdict = _word(value) if isinstance(value, str) else None
    if verdict is None:
        raise _Unreadable("no verdict: the verdict is none of A, B and tie")
    others = {other for each in body.values() for other in _words_in(each)} - {verdict}
    if others:
        raise _Unreadable("several verdicts: " + ", ".join(sorted(_SPELLED[each] for each in {verdict, *others})))
    if not isinstance(critique, str | None):
        raise _Unreadable("the critique is not a text")
    more = f"(further keys: {', '.join(sorted(body))})" if body else ""
    return ParsedVerdict(parser.name, verdict, _storable(" ".join(part for part in (critique, more) if part)))


def _words_in(value: object) -> Iterator[Preference]:
    """Yield the verdicts that a *value* of a further key is or has in it."""
    if isinstance(value, str) and (verdict := _word(value)) is not None:
        yield verdict
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _words_in(each)


def _json_object(text: str) -> dict[str, object]:
    """Parse *text* as one JSON object in which no key is repeated. Control characters inside its texts are kept."""
    try:
        answer = json.loads(text, object_pairs_hook=_without_duplicates, strict=False)
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


_PARSERS: Mapping[AnswerForm, Callable[[Parser, Reply, str], ParsedVerdict]] = {
    AnswerForm.BRACKETS: _brackets,
    AnswerForm.REASONED: _reasoned,
    AnswerForm.CHOICE: _choice,
    AnswerForm.LIKERT: _likert,
}
