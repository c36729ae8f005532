"""Baseline judges, which need no model and no key. A judge that does no better than they do is worth nothing.

They compute their verdict from the texts, not from the messages, and answer in the form that the rubric asks for. So
their replies are parsed and reported like those of any other judge.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType

from judge.domain.errors import CallRejected, InvalidInput
from judge.domain.judge import BASELINE_JUDGES, AnswerForm, Capabilities, RenderedPrompt
from judge.domain.messages import turn_text
from judge.domain.outcome import Preference
from judge.domain.verdict import Reply

_BRACKETS = {Preference.FIRST: "[[A]]", Preference.SECOND: "[[B]]", Preference.TIE: "[[C]]"}
_CHOICE = {Preference.FIRST: "A", Preference.SECOND: "B", Preference.TIE: "C"}
_STEPS = {
    5: {Preference.FIRST: "[[A>B]]", Preference.SECOND: "[[B>A]]", Preference.TIE: "[[A=B]]"},
    8: {Preference.FIRST: "[[2]]", Preference.SECOND: "[[7]]", Preference.TIE: "[[4]]"},
}
_REASONED = {Preference.FIRST: "A", Preference.SECOND: "B", Preference.TIE: "tie"}


class BaselineJudge:
    """The baseline judge *name*: longest, first, random or matches-reference.

    Raises InvalidInput if *name* is another one.
    """

    def __init__(self, name: str) -> None:
        if name not in _RULES:
            raise InvalidInput(
                "backend", f"there is no baseline judge {name!r}. Choose one of: {', '.join(BASELINE_JUDGES)}"
            )
        self.name = name
        self._rule = _RULES[name]

    @property
    def capabilities(self) -> Capabilities:
        """None of a model's capabilities."""
        return Capabilities()

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """Return the rule's verdict on the texts. Raises CallRejected if the rule does not apply to them."""
        return self.compute_reply(prompt)

    def compute_reply(self, prompt: RenderedPrompt) -> Reply:
        """Return the same as `reply`, as a plain function."""
        if not prompt.shown.first or not prompt.shown.second:
            raise CallRejected("the prompt has no answers to compare")
        preference, sentence = self._rule(prompt)
        return Reply(raw=_answer(prompt, preference, sentence), model=self.name)

    async def close(self) -> None:
        """Do nothing: there are no connections."""


def _answer(prompt: RenderedPrompt, preference: Preference, sentence: str) -> str:
    """Return the answer in the form that *prompt* asks for."""
    if prompt.form is AnswerForm.REASONED:
        return json.dumps({"critique": sentence, "verdict": _REASONED[preference]})
    if prompt.form is AnswerForm.CHOICE:
        return _CHOICE[preference]
    verdicts = _STEPS[prompt.steps] if prompt.form is AnswerForm.LIKERT else _BRACKETS
    return f"{sentence} {verdicts[preference]}"


def longest(prompt: RenderedPrompt) -> tuple[Preference, str]:
    """Prefer the answer with more characters in the judged turn."""
    first, second = (len(turn_text(side[-1])) for side in (prompt.shown.first, prompt.shown.second))
    if first == second:
        return Preference.TIE, f"Both answers are equally long: {first} characters."
    if first > second:
        return Preference.FIRST, f"The first answer is longer: {first} against {second} characters."
    return Preference.SECOND, f"The second answer is longer: {second} against {first} characters."


def first(prompt: RenderedPrompt) -> tuple[Preference, str]:  # noqa: ARG001
    """Prefer the answer shown first, whatever it says."""
    return Preference.FIRST, "The first answer is shown first."


def random(prompt: RenderedPrompt) -> tuple[Preference, str]:
    """Draw one of the three preferences with the hash of the verdict's key, so equal calls have equal answers."""
    number = int.from_bytes(hashlib.sha256(f"random yardstick {prompt.nonce}".encode()).digest())
    return Preference(1 + number % len(Preference)), "Drawn by lot."


def matches_reference(prompt: RenderedPrompt) -> tuple[Preference, str]:
    """Prefer the only answer that contains the reference answer of the judged turn as a separate phrase.

    Case, white space and Unicode compatibility forms do not matter. A number does not match inside a longer one: 39
    is neither in 390 nor in 39.5, but it is in "39.". Raises CallRejected if the prompt has no reference answer.
    """
    shown = prompt.shown
    reference = _normalized(shown.reference[shown.turn - 1]) if len(shown.reference) >= shown.turn else ""
    if not reference:
        raise CallRejected("the prompt has no reference answer for the judged turn")
    # On neither side may the phrase continue with a word character, or with a decimal separator and a digit. A sign
    # before a number makes it a different number.
    before = r"(?<![\w])(?<!\d[.,])(?<!(?<![\w)])[-\N{MINUS SIGN}])" if reference[0].isdigit() else r"(?<!\w)"
    after = r"(?!\w)(?![.,]\d)" if reference[-1].isdigit() else r"(?!\w)"
    phrase = re.compile(before + re.escape(reference) + after)
    in_first = phrase.search(_normalized(turn_text(shown.first[-1]))) is not None
    in_second = phrase.search(_normalized(turn_text(shown.second[-1]))) is not None
    if in_first == in_second:
        return Preference.TIE, f"{'Both answers hold' if in_first else 'Neither answer holds'} the reference answer."
    if in_first:
        return Preference.FIRST, "Only the first answer holds the reference answer."
    return Preference.SECOND, "Only the second answer holds the reference answer."


def _normalized(text: str) -> str:
    """Return *text* in one case and one Unicode form, with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


_RULES: Mapping[str, Callable[[RenderedPrompt], tuple[Preference, str]]] = MappingProxyType(
    {"first": first, "longest": longest, "matches-reference": matches_reference, "random": random}
)
