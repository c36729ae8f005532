"""Rendering: from a presentation to exactly what is sent, with every judged text inside a fence.

A template gets these variables. It never gets the texts themselves: where it shows one, the text is put in with its
fence after rendering. So no template, and none of its filters, can show a text without its fence:

    questions, answers_a, answers_b     lists with one fenced text per turn
    question, answer_a, answer_b        those of the judged turn
    references, reference               those of all turns, and of the judged one; [] and "" without any
    turn, nonce                         the judged turn, counted from 1, and the fence's code
    fence                               what the built-in rubrics tell a judge about the fence, for a system message

Why a judged text cannot leave its fence:

1. The closing marker contains the nonce, and the nonce is a hash of the texts, the judge and the prompt. The author of
   a text would have to guess 64 bits that change with every character of it.
2. A turn of several messages has a fence for each part, whose marker says the role and the kind, such as
   `question, assistant, tool call`. What authors wrote, also names of tools and titles, is inside of the fence.
3. If a text contains the nonce all the same, in upper or lower case, each occurrence is replaced by asterisks before
   the text is fenced, so no marker with the right code is ever inside. The key is computed from the original text.
4. Texts enter a template as values and are never compiled, so braces in them have no effect.
5. Parsers read only the judge's reply, never the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from jinja2 import StrictUndefined, Template, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from judge.domain.errors import InvalidInput
from judge.domain.judge import CHOICES, AnswerForm, Message, RenderedPrompt, Rubric, RubricVariant, Sampling
from judge.domain.messages import Image, Turn
from judge.domain.verdict import Shown
from judge.prompts.rubrics import FENCE

REASONED_SCHEMA: Final = (
    '{"type": "object", "properties": {"critique": {"type": "string"}, '
    '"verdict": {"type": "string", "enum": ["A", "B", "tie"]}}, '
    '"required": ["critique", "verdict"], "additionalProperties": false}'
)
"""JSON schema of a reasoned answer, in the strict form that providers enforce."""
_PLACEHOLDER = re.compile("\0([0-9]+)\0")
"""What stands for a text in a template. Texts are never searched for it."""
_REFERENCE_NAMES = frozenset({"reference", "references"})
_TEMPLATE_ERRORS = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

# Prompts are plain text for a model. HTML escapes would change what is judged, and the fence is the protection.
_environment = ImmutableSandboxedEnvironment(
    autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def render(
    rubric: Rubric,
    shown: Shown,
    fingerprint: str,
    sampling: Sampling,
    *,
    cache_tag: str = "",
    repeat: int = 0,
    bare: bool = False,
) -> RenderedPrompt:
    """Return exactly what is sent to the judge with *fingerprint* for *shown*. Equal inputs give equal prompts.

    If *bare*, the prompt has no messages. That is for judges that compute from the texts alone.
    Raises InvalidInput if no variant of *rubric* fits, turns are missing, or a template fails.
    """
    variant = _variant(rubric, shown)
    if not shown.prompt or not len(shown.prompt) == len(shown.first) == len(shown.second):
        raise InvalidInput(
            "turns",
            f"a presentation needs one or more questions and an answer from both to each, not {len(shown.prompt)} "
            f"questions, {len(shown.first)} first and {len(shown.second)} second answers",
        )
    prompt = RenderedPrompt(
        variant=variant.name,
        messages=(),
        form=variant.form,
        sampling=sampling,
        json_schema=REASONED_SCHEMA if variant.form is AnswerForm.REASONED else "",
        choices=CHOICES if variant.form is AnswerForm.CHOICE else (),
        steps=variant.steps,
        shown=shown,
        fingerprint=fingerprint,
        shows_reference=_reads_reference(variant, shown),
        cache_tag=cache_tag,
        repeat=repeat,
    )
    return prompt if bare else prompt._replace(messages=_messages(rubric, variant, shown, prompt.nonce))


def uses_reference(rubric: Rubric, shown: Shown) -> bool:
    """Whether *rubric* sends the reference answer of *shown*, which makes it part of the verdict's key.

    Raises InvalidInput if no variant fits.
    """
    return _reads_reference(_variant(rubric, shown), shown)


def fenced(name: str, text: str, nonce: str) -> str:
    """Return *text* between markers with *nonce*. If the text contains the nonce, asterisks replace it."""
    if nonce in text.lower():
        text = re.sub(re.escape(nonce), "*" * len(nonce), text, flags=re.IGNORECASE)
    return f"<<<{name} {nonce}>>>\n{text}\n<<<end {nonce}>>>"


def _variant(rubric: Rubric, shown: Shown) -> RubricVariant:
    """Return the variant of *rubric* that fits *shown*. Raises InvalidInput if none does."""
    variant = rubric.variant(shown)
    if variant is None:
        applies = "; ".join(f"{v.name}: {v.applies}" for v in rubric.variants)
        raise InvalidInput(
            "rubric",
            f"no variant of rubric {rubric.name} fits turn {shown.turn}, category {shown.category!r}, "
            f"{'with' if shown.reference else 'without'} a reference answer (it has: {applies})",
            reason="NO_RUBRIC_VARIANT",
        )
    return variant


def _reads_reference(variant: RubricVariant, shown: Shown) -> bool:
    """Whether *variant* puts the reference answer of *shown* into a message."""
    return bool(shown.reference) and bool(_REFERENCE_NAMES & (variables(variant.system) | variables(variant.user)))


def _fenced_turn(name: str, turn: Turn, nonce: str) -> list[str | Image]:
    """Return *turn* between markers: a text as one, messages with each part under its role and kind.

    An image stands between its description and the end of its fence.
    """
    if isinstance(turn, str):
        return [fenced(name, turn, nonce)]
    pieces: list[str | Image] = []
    for message in turn.messages:
        for part in message.parts:
            kind, text = part.block
            text = fenced(", ".join(filter(None, (name, message.role.value, kind))), text, nonce)
            text, end = f"\n{text}" if pieces else text, f"\n<<<end {nonce}>>>"
            pieces += [text.removesuffix(end) + "\n", part, end] if isinstance(part, Image) else [text]
    return pieces


class _Fences:
    """The fenced turns of a prompt, each with a placeholder that stands for it in a template."""

    def __init__(self, nonce: str, turns: int) -> None:
        self._nonce, self._turns = nonce, turns
        self._pieces: list[list[str | Image]] = []

    def placeholders(self, name: str, turns: Sequence[Turn]) -> list[str]:
        """Fence *turns* under *name*, with the number of the turn if there are several, and return placeholders."""
        first = len(self._pieces)
        for at, turn in enumerate(turns, 1):
            self._pieces.append(_fenced_turn(f"{name}_{at}" if self._turns > 1 else name, turn, self._nonce))
        return [f"\0{number}\0" for number in range(first, len(self._pieces))]

    def fill(self, rendered: str) -> list[str | Image]:
        """Return *rendered* with the turns put in. Raises ValueError if a template has changed a placeholder."""
        if "\0" in _PLACEHOLDER.sub("", rendered):
            raise ValueError(rendered)
        pieces: list[str | Image] = []
        for at, text in enumerate(_PLACEHOLDER.split(rendered)):
            pieces += self._pieces[int(text)] if at % 2 else [text]
        return pieces


def _values(shown: Shown, nonce: str, fences: _Fences) -> dict[str, object]:
    """Return the values of a template's variables."""
    questions = fences.placeholders("question", shown.prompt)
    answers_a = fences.placeholders("answer_a", shown.first)
    answers_b = fences.placeholders("answer_b", shown.second)
    references = fences.placeholders("reference", shown.reference[: shown.turn])
    return {
        "questions": questions,
        "question": questions[-1],
        "answers_a": answers_a,
        "answer_a": answers_a[-1],
        "answers_b": answers_b,
        "answer_b": answers_b[-1],
        "references": references,
        "reference": references[-1] if len(references) == shown.turn else "",
        "turn": shown.turn,
        "nonce": nonce,
        "fence": FENCE,
    }


def _messages(rubric: Rubric, variant: RubricVariant, shown: Shown, nonce: str) -> tuple[Message, ...]:
    fences = _Fences(nonce, shown.turn)
    values = _values(shown, nonce, fences)
    return (
        Message.of("system", _rendered(rubric, variant.system, values, fences)),
        Message.of("user", _rendered(rubric, variant.user, values, fences)),
    )


def _rendered(rubric: Rubric, source: str, values: dict[str, object], fences: _Fences) -> list[str | Image]:
    """Return the template *source*, rendered with *values*, with the turns of *fences* in their places."""
    try:
        return fences.fill(_template(source).render(values)) if variables(source) else [_constant(source)]
    except _TEMPLATE_ERRORS as error:
        raise InvalidInput(
            "rubric", f"a template of rubric {rubric.name} fails with {type(error).__name__}", reason="BAD_TEMPLATE"
        ) from error


@lru_cache(maxsize=256)
def _template(source: str) -> Template:
    """Compile *source*. The result is cached."""
    template = _environment.from_string(source)
    # The globals are copied for each prompt. Copying a dict takes a tenth of the time of jinja's own chained mapping.
    template.globals = dict(template.globals)
    return template


@lru_cache(maxsize=256)
def _constant(source: str) -> str:
    """Render a template that has no variables. The result is cached."""
    return _template(source).render()


@lru_cache(maxsize=256)
def variables(source: str) -> frozenset[str]:
    """Return the names of the variables of the template *source*. Raises InvalidInput if it cannot be parsed."""
    try:
        return frozenset(meta.find_undeclared_variables(_environment.parse(source)))
    except TemplateError as error:
        raise InvalidInput("rubric", f"a template is not valid Jinja2: {error}", reason="BAD_TEMPLATE") from error
