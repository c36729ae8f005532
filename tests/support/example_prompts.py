"""An example prompt for backends, and replies to it in the requested form."""

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
    shown = Shown(prompt=("What is 17 times 23?",), first=(first,), second=(second,), category="", reference=reference)
    return render(RUBRICS[form], shown, form, sampling)


def verdict_of(rendered: RenderedPrompt, letter: str) -> str:
    """Return a reply that prefers *letter* in the form that *rendered* requests."""
    if rendered.form is AnswerForm.LIKERT:
        return f"[[{SCALES[rendered.steps][0 if letter == 'A' else -1]}]]"
    if rendered.form is AnswerForm.REASONED:
        return json.dumps({"critique": "", "verdict": letter})
    return letter if rendered.form is AnswerForm.CHOICE else f"[[{letter}]]"


def right_answer(asked: ProviderCall) -> str:
    """Return a provider's reply in the form that the system message requests: A if answer A contains 391, else B."""
    first = asked.user.split("<<<answer_a ")[1].split(">>>\n", 1)[1].split("\n<<<end")[0]
    letter = "A" if "391" in first else "B"
    if "JSON object" in asked.system:
        return json.dumps({"critique": "c", "verdict": letter})
    if "single letter" in asked.system:
        return letter
    steps = 5 if "A>>B" in asked.system else 8 if "1 to 8" in asked.system else 0
    return f"So: [[{SCALES[steps][0 if letter == 'A' else -1] if steps else letter}]]"
