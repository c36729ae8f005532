"""Rubrics in configuration files: what they may contain, and how mistakes in them are reported."""

from __future__ import annotations

from typing import Any

import pytest

from judge.domain.errors import InvalidInput
from judge.domain.judge import AnswerForm, RenderedPrompt, Rubric, Sampling
from judge.domain.verdict import Shown
from judge.prompts.library import rubric_of
from judge.prompts.parse import own_parser
from judge.prompts.render import render
from judge.prompts.rubrics import RUBRICS, wordings

OWN = {"system": "Judge.", "user": "{{ question }} {{ answer_a }} {{ answer_b }}"}


def render_for(rubric: Rubric, category: str = "", *, turns: int = 1) -> RenderedPrompt:
    texts = tuple("xy"[:turns])
    return render(rubric, Shown(prompt=texts, first=texts, second=texts, category=category), "print", Sampling())


def test_custom_criteria_are_put_into_the_built_in_wording() -> None:
    """They keep their order and text, including braces. The rest is the built-in rubric."""
    rubric = rubric_of("kind", {"form": "brackets", "criteria": ["Kindness: {{ kind }} {% x %}", "Brevity"]})

    system = render_for(rubric).messages[0].content
    assert "1. Kindness: {{ kind }} {% x %}\n2. Brevity" in system
    assert "Correctness" not in system
    assert [v.name for v in rubric.variants] == [v.name for v in RUBRICS["brackets"].variants]


def test_a_category_may_have_criteria_of_its_own() -> None:
    """Prompts of the category are judged by them, and all others by the rubric's own criteria."""
    code = {"categories": ["code"], "criteria": ["It runs."]}
    rubric = rubric_of("mixed", {"form": "choice", "variants": [code]})

    assert "It runs." in render_for(rubric, "code").messages[0].content
    assert "It runs." in render_for(rubric, "code", turns=2).messages[0].content
    assert "Correctness" in render_for(rubric, "writing").messages[0].content


def test_a_custom_variant_is_used_only_for_the_prompts_it_is_meant_for() -> None:
    """A variant may be for the first turn or later turns, with or without a reference answer."""
    later = {"name": "later", "turns": "later", **OWN}
    first = {"name": "first", "turns": "first", "reference": False, **OWN}
    rubric = rubric_of("own", {"form": "likert", "steps": 5, "tie_band": 1, "version": 3, "variants": [later, first]})

    assert (render_for(rubric).variant, render_for(rubric, turns=2).variant) == ("first", "later")
    assert (rubric.version, own_parser(rubric).name) == (3, "likert-5/4~1")
    with pytest.raises(InvalidInput, match="no variant"):
        render(rubric, Shown(prompt=("q",), first=("a",), second=("b",), reference=("r",)), "print", Sampling())


def test_a_rubrics_hash_depends_only_on_what_is_sent() -> None:
    """Version and tie band do not change what is sent, but a word in a criterion does."""
    rubric = rubric_of("one", {"form": "choice", "criteria": ["Kind."]})
    same = rubric_of("two", {"form": "choice", "criteria": ["Kind."], "version": 9, "tie_band": 2})
    other = rubric_of("one", {"form": "choice", "criteria": ["Kind!"]})

    assert rubric.hash == same.hash != other.hash


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({}, "form", "required"),
        ({"form": "tarot"}, "form", "reasoned"),
        ({"form": "choice"}, "criteria", "needs criteria or variants"),
        ({"form": "choice", "criterion": ["x"]}, "criterion", 'Did you mean "criteria"'),
        ({"form": "likert", "criteria": ["x"]}, "steps", "5 or 8"),
        ({"form": "likert", "steps": 7, "criteria": ["x"]}, "steps", "5 or 8"),
        ({"form": "brackets", "steps": 5, "criteria": ["x"]}, "steps", "likert has 5 or 8"),
        ({"form": "brackets", "tie_band": 1, "criteria": ["x"]}, "tie_band", "cannot have a tie band"),
        ({"form": "choice", "version": 0, "criteria": ["x"]}, "version", "greater"),
        ({"form": "choice", "variants": [{"system": "s"}]}, "variants.0", "both system and user"),
        ({"form": "choice", "variants": [{"criteria": ["x"], **OWN}]}, "variants.0", "either"),
        ({"form": "choice", "variants": [{**OWN, "user": "{{ answer_a }}"}]}, "user", "both answers"),
        ({"form": "choice", "variants": [{**OWN, "user": "{{ answer_a }}{{ answer_b }}{% if"}]}, "rubric", "template"),
        ({"form": "choice", "variants": [{**OWN, "system": "{{ answer_c }}"}]}, "rubric", "UndefinedError"),
        ({"form": "choice", "variants": [{**OWN, "system": "{{ ''.__class__.__mro__ }}"}]}, "rubric", "SecurityError"),
    ],
)
def test_a_mistake_in_a_rubric_is_reported_when_it_is_loaded(body: dict[str, Any], field: str, message: str) -> None:
    """The error names the field, before any run starts."""
    with pytest.raises(InvalidInput, match=message) as caught:
        rubric_of("wrong", body)

    assert caught.value.field == field


def test_all_variants_of_a_rubric_have_the_same_answer_form() -> None:
    """A single parser reads all replies of a judge."""
    with pytest.raises(InvalidInput, match="different forms"):
        Rubric("mixed", wordings(AnswerForm.CHOICE) + wordings(AnswerForm.BRACKETS))
