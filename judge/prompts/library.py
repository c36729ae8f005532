"""Rubrics that users write as data, with their own criteria in the built-in wording or with their own wording.

    version = 2                         # counted by the author
    form = "reasoned"                   # reasoned, brackets, choice or likert
    steps = 5                           # of likert: 5 or 8
    tie_band = 1                        # of likert and choice: how near to the middle is a tie
    criteria = ["Kindness: ...", "..."] # in the built-in wording, the most important first

    [[variants]]                        # other criteria for some categories
    categories = ["code"]
    criteria = ["It runs: ..."]

    [[variants]]                        # or a wording of your own: two templates (variables: see render.py)
    name = "summaries"
    categories = ["summaries"]
    turns = "any"                       # first, later or any
    reference = false                   # only with (true) or only without (false) a reference answer
    system = "..."
    user = "... {{ question }} ... {{ answer_a }} ... {{ answer_b }}"

The first variant that fits a presentation is used. If the rubric or a variant has criteria, the built-in wording covers
everything that no variant fits, with the rubric's criteria or else the built-in ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from judge.domain.errors import InvalidInput
from judge.domain.judge import AnswerForm, Rubric, RubricVariant, Sampling
from judge.domain.verdict import Shown
from judge.prompts.parse import Parser
from judge.prompts.render import render, variables
from judge.prompts.rubrics import CRITERIA, wordings

_TURNS = {"first": False, "later": True, "any": None}
_ANSWERS = (frozenset({"answer_a", "answers_a"}), frozenset({"answer_b", "answers_b"}))


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class _Variant(_Strict):
    name: str = ""
    categories: tuple[str, ...] = ()
    turns: Literal["first", "later", "any"] = "any"
    reference: bool | None = None
    criteria: tuple[str, ...] = ()
    system: str | None = None
    user: str | None = None


class _Rubric(_Strict):
    version: int = Field(default=1, ge=1)
    form: AnswerForm
    steps: int = 0
    tie_band: float | None = None
    criteria: tuple[str, ...] = ()
    variants: tuple[_Variant, ...] = ()


def rubric_of(name: str, body: Mapping[str, Any]) -> Rubric:
    """Return the rubric called *name* that *body* describes. Raises InvalidInput, which names the wrong field."""
    try:
        data = _Rubric.model_validate(body)
    except ValidationError as error:
        raise _wrong_field(error) from None
    Parser(data.form, data.steps, data.tie_band)
    variants = [variant for number, section in enumerate(data.variants) for variant in _variants(data, number, section)]
    if data.criteria or not variants or any(section.criteria for section in data.variants):
        if not data.criteria and not variants:
            raise InvalidInput("criteria", "a rubric needs criteria or variants", reason="BAD_RUBRIC")
        variants += wordings(data.form, data.steps, data.criteria or CRITERIA)
    return checked(Rubric(name=name, variants=tuple(variants), version=data.version, tie_band=data.tie_band))


def _wrong_field(error: ValidationError) -> InvalidInput:
    """Return the first problem of a rubric's data, with the closest field for an unknown one."""
    problem = error.errors(include_input=False, include_url=False)[0]
    location = [str(part) for part in problem["loc"]]
    message = problem["msg"]
    if problem["type"] == "extra_forbidden":
        fields = list((_Variant if location[0] == "variants" else _Rubric).model_fields)
        close = get_close_matches(location[-1], fields, n=1)
        advice = f'Did you mean "{close[0]}"?' if close else f"Choose one of: {', '.join(fields)}."
        message = f"unknown field. {advice}"
    return InvalidInput(".".join(location), message, reason="BAD_RUBRIC")


def _variants(data: _Rubric, number: int, section: _Variant) -> tuple[RubricVariant, ...]:
    """Return the variants that section *number* of a rubric describes: several if it has criteria, else one."""
    path = f"variants.{number}"
    if section.criteria:
        if section.system is not None or section.user is not None:
            message = "a variant has either criteria or its own system and user, not both"
            raise InvalidInput(path, message, reason="BAD_RUBRIC")
        return wordings(data.form, data.steps, section.criteria, categories=section.categories)
    if section.system is None or section.user is None:
        raise InvalidInput(path, "a variant needs criteria, or both system and user", reason="BAD_RUBRIC")
    variant = RubricVariant(
        name=section.name or f"variant-{number + 1}",
        system=section.system,
        user=section.user,
        form=data.form,
        multi_turn=_TURNS[section.turns],
        with_reference=section.reference,
        categories=section.categories,
        steps=data.steps,
    )
    return (variant,)


def checked(rubric: Rubric) -> Rubric:
    """Return *rubric*. Raises InvalidInput if a variant fails to render or does not show both answers."""
    for variant in rubric.variants:
        used = variables(variant.system) | variables(variant.user)
        if not all(used & names for names in _ANSWERS):
            raise InvalidInput(
                "user",
                f"variant {variant.name} does not show both answers: use answer_a and answer_b",
                reason="BAD_RUBRIC",
            )
        turns = ("x", "y") if variant.multi_turn else ("x",)
        category = variant.categories[0] if variant.categories else ""
        reference = () if variant.with_reference is False else turns
        shown = Shown(prompt=turns, first=turns, second=turns, category=category, reference=reference)
        render(Rubric(rubric.name, (variant,)), shown, "", Sampling())
    return rubric
