"""Keyless judges that compute instead of reading: a judge that cannot beat them is worth nothing.

They look at the bare texts of the prompt, never at the messages, and answer in the form that the rubric asks for, so
that their replies take the same way through parsers and reports as everyone else's.
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
    """The yardstick *name*: longest, first, random or matches-reference.

    Raises InvalidInput where there is none of that name.
    """

    def __init__(self, name: str) -> None:
        if name not in _RULES:
            raise InvalidInput("backend", f"there is no yardstick {name!r}; there are {', '.join(BASELINE_JUDGES)}")
        self.name = name
        self._rule = _RULES[name]

    @property
    def capabilities(self) -> Capabilities:
        """Nothing that a model can be asked for."""
        return Capabilities()

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """What the rule says of the texts. Raises CallRejected where the rule does not apply to them."""
        return self.computed(prompt)

    def computed(self, prompt: RenderedPrompt) -> Reply:
        """The same, at once."""
        if not prompt.shown.first or not prompt.shown.second:
            raise CallRejected("the prompt has no answers to compare")
        preference, sentence = self._rule(prompt)
        return Reply(raw=_told(prompt, preference, sentence), model=self.name)

    async def close(self) -> None:
        """Nothing is held."""


def _told(prompt: RenderedPrompt, preference: Preference, sentence: str) -> str:
    """A reply in the form that *prompt* asks for."""
    if prompt.form is AnswerForm.REASONED:
        return json.dumps({"critique": sentence, "verdict": _REASONED[preference]})
    if prompt.form is AnswerForm.CHOICE:
        return _CHOICE[preference]
    verdicts = _STEPS[prompt.steps] if prompt.form is AnswerForm.LIKERT else _BRACKETS
    return f"{sentence} {verdicts[preference]}"


def longest(prompt: RenderedPrompt) -> tuple[Preference, str]:
    """The answer with more characters in the turn judged."""
    first, second = len(prompt.shown.first[-1]), len(prompt.shown.second[-1])
    if first == second:
        return Preference.TIE, f"Both answers are equally long: {first} characters."
    if first > second:
        return Preference.FIRST, f"The first answer is longer: {first} against {second} characters."
    return Preference.SECOND, f"The second answer is longer: {second} against {first} characters."


def first(prompt: RenderedPrompt) -> tuple[Preference, str]:  # noqa: ARG001
    """The answer shown first, whatever it says."""
    return Preference.FIRST, "The first answer is shown first."


def random(prompt: RenderedPrompt) -> tuple[Preference, str]:
    """One of the three, drawn by the hash of the verdict's key: the same call always has the same answer."""
    drawn = int.from_bytes(hashlib.sha256(f"random yardstick {prompt.nonce}".encode()).digest())
    return Preference(1 + drawn % len(Preference)), "Drawn by lot."


def matches_reference(prompt: RenderedPrompt) -> tuple[Preference, str]:
    """The only answer that holds the reference answer of the turn judged as a phrase of its own.

    Case, white space and Unicode compatibility forms do not matter. A number does not match inside a longer one: 39
    stands neither in 390 nor in 39.5, but it stands in "39.". Raises CallRejected where the prompt has no reference.
    """
    shown = prompt.shown
    reference = _normalized(shown.reference[shown.turn - 1]) if len(shown.reference) >= shown.turn else ""
    if not reference:
        raise CallRejected("the prompt has no reference answer for the turn that is judged")
    # Neither a word character nor a decimal separator before a digit may continue the phrase on either side; a sign
    # before a number makes it another number.
    before = r"(?<![\w])(?<!\d[.,])(?<!(?<![\w)])[-\N{MINUS SIGN}])" if reference[0].isdigit() else r"(?<!\w)"
    after = r"(?!\w)(?![.,]\d)" if reference[-1].isdigit() else r"(?!\w)"
    phrase = re.compile(before + re.escape(reference) + after)
    in_first = phrase.search(_normalized(shown.first[-1])) is not None
    in_second = phrase.search(_normalized(shown.second[-1])) is not None
    if in_first == in_second:
        return Preference.TIE, f"{'Both answers hold' if in_first else 'Neither answer holds'} the reference answer."
    if in_first:
        return Preference.FIRST, "Only the first answer holds the reference answer."
    return Preference.SECOND, "Only the second answer holds the reference answer."


def _normalized(text: str) -> str:
    """*text* in one case and one Unicode form, with single spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


_RULES: Mapping[str, Callable[[RenderedPrompt], tuple[Preference, str]]] = MappingProxyType(
    {"first": first, "longest": longest, "matches-reference": matches_reference, "random": random}
)
