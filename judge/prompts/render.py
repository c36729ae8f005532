"""From a showing to exactly what is sent, with every judged text behind a fence.

What a template gets. Texts come fenced already, so no template can show one bare:

    questions, answers_a, answers_b     a list each, one fenced text a turn
    question, answer_a, answer_b        those of the turn judged
    references, reference               all, and the judged turn's; [] and "" without one
    turn, nonce                         the turn judged, counted from 1; the fence's code

Why a judged text cannot step out of its fence:

1. The closing marker holds the nonce, and the nonce is a hash over the texts themselves, the judge and the prompt.
   Whoever writes a text would have to guess 64 bits that change with every letter of it.
2. Should a text hold the nonce all the same, in either case, each occurrence is struck out with asterisks before the
   text is fenced: no marker with the right code ever stands inside. The key is made of the text as it was.
3. Texts enter a template as values and are never compiled, so that braces in them are only braces.
4. Parsers read the judge's reply alone and never the prompt.
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
from judge.domain.verdict import Shown

REASONED_SCHEMA: Final = (
    '{"type": "object", "properties": {"critique": {"type": "string"}, '
    '"verdict": {"type": "string", "enum": ["A", "B", "tie"]}}, '
    '"required": ["critique", "verdict"], "additionalProperties": false}'
)
"""JSON schema of a reasoned answer, in the strict form that providers enforce."""
_REFERENCE_NAMES = frozenset({"reference", "references"})
_TEMPLATE_ERRORS = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)

# Prompts are plain text for a model: HTML escapes would change what is judged, and the fence does the guarding.
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
    """Exactly what is sent to the judge with *fingerprint* about *shown*: equal inputs give equal prompts.

    If *bare*, it has no messages: for judges that compute from the texts alone.
    Raises InvalidInput where no variant of *rubric* fits, turns are missing, or a template fails.
    """
    variant = _variant(rubric, shown)
    if not shown.prompt or not len(shown.prompt) == len(shown.first) == len(shown.second):
        raise InvalidInput(
            "turns",
            f"a showing needs as many answers as questions, and at least one: got {len(shown.prompt)} questions, "
            f"{len(shown.first)} first and {len(shown.second)} second answers",
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
    return prompt if bare else prompt._replace(messages=_messages(rubric, variant, _values(shown, prompt.nonce)))


def uses_reference(rubric: Rubric, shown: Shown) -> bool:
    """Whether the reference answer of *shown* is part of what *rubric* sends, and so of the verdict's key.

    Raises InvalidInput where no variant fits.
    """
    return _reads_reference(_variant(rubric, shown), shown)


def fenced(name: str, text: str, nonce: str) -> str:
    """*text* between markers with *nonce*; the nonce itself is struck out wherever the text holds it."""
    if nonce in text.lower():
        text = re.sub(re.escape(nonce), "*" * len(nonce), text, flags=re.IGNORECASE)
    return f"<<<{name} {nonce}>>>\n{text}\n<<<end {nonce}>>>"


def _variant(rubric: Rubric, shown: Shown) -> RubricVariant:
    """The variant of *rubric* meant for *shown*."""
    variant = rubric.variant(shown)
    if variant is None:
        applies = "; ".join(f"{v.name}: {v.applies}" for v in rubric.variants)
        raise InvalidInput(
            "rubric",
            f"no variant of rubric {rubric.name} is meant for turn {shown.turn}, category {shown.category!r}, "
            f"{'with' if shown.reference else 'without'} a reference answer (it has: {applies})",
            reason="NO_RUBRIC_VARIANT",
        )
    return variant


def _reads_reference(variant: RubricVariant, shown: Shown) -> bool:
    """Whether *variant* puts the reference answer of *shown* into a message."""
    return bool(shown.reference) and bool(_REFERENCE_NAMES & (variables(variant.system) | variables(variant.user)))


def _values(shown: Shown, nonce: str) -> dict[str, object]:
    """What a template gets."""
    questions = _fenced_turns("question", shown.prompt, nonce, shown.turn)
    answers_a = _fenced_turns("answer_a", shown.first, nonce, shown.turn)
    answers_b = _fenced_turns("answer_b", shown.second, nonce, shown.turn)
    references = _fenced_turns("reference", shown.reference[: shown.turn], nonce, shown.turn)
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
    }


def _fenced_turns(name: str, texts: Sequence[str], nonce: str, turns: int) -> list[str]:
    """*texts* fenced, each under *name*, with its turn where there are several."""
    return [fenced(f"{name}_{at}" if turns > 1 else name, text, nonce) for at, text in enumerate(texts, 1)]


def _messages(rubric: Rubric, variant: RubricVariant, values: dict[str, object]) -> tuple[Message, ...]:
    return (
        Message("system", _rendered(rubric, variant.system, values)),
        Message("user", _rendered(rubric, variant.user, values)),
    )


def _rendered(rubric: Rubric, source: str, values: dict[str, object]) -> str:
    """The template *source* with *values*."""
    try:
        return _template(source).render(values) if variables(source) else _constant(source)
    except _TEMPLATE_ERRORS as error:
        raise InvalidInput(
            "rubric", f"a template of rubric {rubric.name} fails: {type(error).__name__}", reason="BAD_TEMPLATE"
        ) from error


@lru_cache(maxsize=256)
def _template(source: str) -> Template:
    """*source* compiled, once."""
    template = _environment.from_string(source)
    # They are copied for each prompt: a plain dictionary is, in a tenth of the time of the chain that jinja makes.
    template.globals = dict(template.globals)
    return template


@lru_cache(maxsize=256)
def _constant(source: str) -> str:
    """What a template that takes nothing from outside always gives."""
    return _template(source).render()


@lru_cache(maxsize=256)
def variables(source: str) -> frozenset[str]:
    """The names that the template *source* takes from outside."""
    try:
        return frozenset(meta.find_undeclared_variables(_environment.parse(source)))
    except TemplateError as error:
        raise InvalidInput("rubric", f"a template cannot be read: {error}", reason="BAD_TEMPLATE") from error
