"""A rubric that somebody wrote, from its data: own criteria in the built-in wording, or an own wording altogether.

    version = 2                         # counted by its writer
    form = "reasoned"                   # reasoned, brackets, choice or likert
    steps = 5                           # of likert: 5 or 8
    tie_band = 1                        # of likert and choice: how near to the middle is a tie
    criteria = ["Kindness: ...", "..."] # in the built-in wording, the weightiest first

    [[variants]]                        # other criteria for some categories
    categories = ["code"]
    criteria = ["It runs: ..."]

    [[variants]]                        # or an own wording: two templates (see render.py for what they get)
    name = "summaries"
    categories = ["summaries"]
    turns = "any"                       # first, later or any
    reference = false                   # only with (true) or only without (false) a reference answer
    system = "..."
    user = "... {{ question }} ... {{ answer_a }} ... {{ answer_b }}"

The first variant that fits a showing is used. Where some variant or the rubric itself names criteria, the built-in
wording with the rubric's criteria, or else its own, is used for all that no variant is meant for.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    """The rubric called *name* that *body* describes; InvalidInput names what is wrong with it."""
    try:
        said = _Rubric.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InvalidInput(".".join(str(part) for part in first["loc"]), first["msg"], reason="BAD_RUBRIC") from None
    Parser(said.form, said.steps, said.tie_band)
    variants = [one for number, variant in enumerate(said.variants) for one in _variants(said, number, variant)]
    if said.criteria or not variants or any(variant.criteria for variant in said.variants):
        if not said.criteria and not variants:
            raise InvalidInput("criteria", "a rubric needs criteria or variants", reason="BAD_RUBRIC")
        variants += wordings(said.form, said.steps, said.criteria or CRITERIA)
    return checked(Rubric(name, tuple(variants), said.version, said.tie_band))


def _variants(said: _Rubric, number: int, variant: _Variant) -> tuple[RubricVariant, ...]:
    where = f"variants.{number}"
    if variant.criteria:
        if variant.system is not None or variant.user is not None:
            raise InvalidInput(where, "a variant has either criteria or an own system and user", reason="BAD_RUBRIC")
        return wordings(said.form, said.steps, variant.criteria, categories=variant.categories)
    if variant.system is None or variant.user is None:
        raise InvalidInput(where, "a variant needs criteria, or both system and user", reason="BAD_RUBRIC")
    one = RubricVariant(
        name=variant.name or f"variant-{number + 1}",
        system=variant.system,
        user=variant.user,
        form=said.form,
        multi_turn=_TURNS[variant.turns],
        with_reference=variant.reference,
        categories=variant.categories,
        steps=said.steps,
    )
    return (one,)


def checked(rubric: Rubric) -> Rubric:
    """*rubric*, once each of its variants has been seen to show both answers of what it is meant for."""
    for variant in rubric.variants:
        used = variables(variant.system) | variables(variant.user)
        if not all(used & names for names in _ANSWERS):
            raise InvalidInput("user", f"{variant.name} does not show both answers", reason="BAD_RUBRIC")
        turns = ("x", "y") if variant.multi_turn else ("x",)
        category = variant.categories[0] if variant.categories else ""
        reference = () if variant.with_reference is False else turns
        shown = Shown(turns, turns, turns, category, reference)
        render(Rubric(rubric.name, (variant,)), shown, "", Sampling())
    return rubric
