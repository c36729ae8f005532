"""A prompt to ask a backend, and what a judge says to it in the form that is asked for."""

from __future__ import annotations

import json

from judge.domain.judge import AnswerForm, RenderedPrompt, Sampling
from judge.domain.verdict import Shown
from judge.prompts.parse import SCALES
from judge.prompts.render import render
from judge.prompts.rubrics import RUBRICS
from support.provider import ProviderCall


def prompt(
    first: str = "17 times 23 is 391.",
    second: str = "It is 411.",
    *,
    reference: tuple[str, ...] = ("391",),
    form: str = "brackets",
    sampling: Sampling = Sampling(),  # noqa: B008
) -> RenderedPrompt:
    shown = Shown(("What is 17 times 23?",), (first,), (second,), "", reference)
    return render(RUBRICS[form], shown, form, sampling)


def verdict_of(one: RenderedPrompt, letter: str) -> str:
    """A reply that says *letter* in the form that is asked for."""
    if one.form is AnswerForm.LIKERT:
        return f"[[{SCALES[one.steps][0 if letter == 'A' else -1]}]]"
    if one.form is AnswerForm.REASONED:
        return json.dumps({"critique": "", "verdict": letter})
    return letter if one.form is AnswerForm.CHOICE else f"[[{letter}]]"


def right_answer(asked: ProviderCall) -> str:
    """A provider's answer, in the form that its system message asks for: A if the first answer holds 391, else B."""
    first = asked.user.split("<<<answer_a ")[1].split(">>>\n", 1)[1].split("\n<<<end")[0]
    letter = "A" if "391" in first else "B"
    if "JSON object" in asked.system:
        return json.dumps({"critique": "c", "verdict": letter})
    if "single letter" in asked.system:
        return letter
    steps = 5 if "A>>B" in asked.system else 8 if "1 to 8" in asked.system else 0
    return f"So: [[{SCALES[steps][0 if letter == 'A' else -1] if steps else letter}]]"
