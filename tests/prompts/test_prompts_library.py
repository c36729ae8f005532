"""Rubrics that somebody wrote: what may stand in one, and what is said of one that is wrong."""

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


def sent(rubric: Rubric, category: str = "", *, turns: int = 1) -> RenderedPrompt:
    texts = tuple("xy"[:turns])
    return render(rubric, Shown(texts, texts, texts, category, ()), "print", Sampling())


def test_own_criteria_stand_in_the_built_in_wording() -> None:
    """In the order given, as they are written, whatever braces they hold; the rest is the built-in rubric."""
    rubric = rubric_of("kind", {"form": "brackets", "criteria": ["Kindness: {{ kind }} {% x %}", "Brevity"]})

    system = sent(rubric).messages[0].content
    assert "1. Kindness: {{ kind }} {% x %}\n2. Brevity" in system
    assert "Correctness" not in system
    assert [v.name for v in rubric.variants] == [v.name for v in RUBRICS["brackets"].variants]


def test_a_category_may_have_criteria_of_its_own() -> None:
    """Its prompts are judged by them, all others by the rubric's."""
    code = {"categories": ["code"], "criteria": ["It runs."]}
    rubric = rubric_of("mixed", {"form": "choice", "variants": [code]})

    assert "It runs." in sent(rubric, "code").messages[0].content
    assert "It runs." in sent(rubric, "code", turns=2).messages[0].content
    assert "Correctness" in sent(rubric, "writing").messages[0].content


def test_an_own_wording_is_used_where_it_is_meant_to_be() -> None:
    """A variant may be for the first turn or later ones, with a reference answer or without."""
    later = {"name": "later", "turns": "later", **OWN}
    first = {"name": "first", "turns": "first", "reference": False, **OWN}
    rubric = rubric_of("own", {"form": "likert", "steps": 5, "tie_band": 1, "version": 3, "variants": [later, first]})

    assert (sent(rubric).variant, sent(rubric, turns=2).variant) == ("first", "later")
    assert (rubric.version, own_parser(rubric).name) == (3, "likert-5/1~1")
    with pytest.raises(InvalidInput, match="no variant"):
        render(rubric, Shown(("q",), ("a",), ("b",), "", ("r",)), "print", Sampling())


def test_a_rubrics_hash_is_of_what_is_sent() -> None:
    """Version and tie band change nothing for the judge; a word in a criterion does."""
    one = rubric_of("one", {"form": "choice", "criteria": ["Kind."]})
    same = rubric_of("two", {"form": "choice", "criteria": ["Kind."], "version": 9, "tie_band": 2})
    other = rubric_of("one", {"form": "choice", "criteria": ["Kind!"]})

    assert one.hash == same.hash != other.hash


@pytest.mark.parametrize(
    ("body", "field", "told"),
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
def test_what_is_wrong_with_a_rubric_is_said_when_it_is_read(body: dict[str, Any], field: str, told: str) -> None:
    """With the field, and before any run has begun."""
    with pytest.raises(InvalidInput, match=told) as caught:
        rubric_of("wrong", body)

    assert caught.value.field == field


def test_all_variants_of_a_rubric_want_the_same_answer() -> None:
    """One parser reads all replies of a judge."""
    with pytest.raises(InvalidInput, match="different forms"):
        Rubric("mixed", wordings(AnswerForm.CHOICE) + wordings(AnswerForm.BRACKETS))
