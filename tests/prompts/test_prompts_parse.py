from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.domain.judge import AnswerForm
from judge.domain.outcome import Order, Preference, VerdictStatus
from judge.prompts.parse import PARSER_VERSIONS, parse, parser_name

A, B, TIE = Preference.FIRST, Preference.SECOND, Preference.TIE


@pytest.mark.parametrize(
    ("raw", "preference"),
    [
        ("[[A]]", A),
        ("[[B]]", B),
        ("[[C]]", TIE),
        ("A is right. [[A]]\n", A),
        ("[[B]] because it is right", B),
        ("[[A]] ... as I said: [[A]]", A),
        ("**[[B]]**", B),
        ("see [[Python]] and [[1]]. [[C]]", TIE),
        ("", None),
        ("A", None),
        ("[A]", None),
        ("[[a]]", None),
        ("[[ A ]]", None),
        ("[[tie]]", None),
        ("[[Tie]]", None),
        ("[[D]]", None),
        ("[[A>B]]", None),
        ("[[A]] or [[B]]", None),
        ("[[A]] [[C]]", None),
        ("[[A]] [[a]]", None),
        ("[[A]] [[Tie]]", None),
        ("[\n[A]\n]", None),
        ('{"critique": "", "verdict": "A"}', None),
    ],
)
def test_brackets(raw: str, preference: Preference | None) -> None:
    """Exactly one distinct verdict in its exact form, or none at all."""
    reading = parse(AnswerForm.BRACKETS, raw)

    assert preference == reading.preference
    assert (preference is None) == bool(reading.reason)
    assert (VerdictStatus.UNREADABLE if preference is None else VerdictStatus.OK) is reading.status


def test_several_verdicts_are_named() -> None:
    """The reason says which verdicts stand against each other."""
    assert parse(AnswerForm.BRACKETS, "[[B]][[A]]").reason == "several verdicts: [[A]], [[B]]"


@pytest.mark.parametrize(
    ("raw", "preference"),
    [
        ('{"critique": "x", "verdict": "A"}', A),
        ('{"critique": "x", "verdict": "b"}', B),
        ('{"critique": "x", "verdict": "TIE"}', TIE),
        ('  {"verdict": "tie"}\n', TIE),
        ('```json\n{"critique": "x", "verdict": "A"}\n```', A),
        ('```\n{"critique": "x", "verdict": "A"}\n```', A),
        ('{"critique": "[[B]] or {\\"verdict\\": \\"B\\"}", "verdict": "A"}', A),
        ("", None),
        ("A", None),
        ('"A"', None),
        ("null", None),
        ("[]", None),
        ("{}", None),
        ('[{"critique": "x", "verdict": "A"}]', None),
        ('{"critique": "A is better"}', None),
        ('{"critique": "x", "verdict": "C"}', None),
        ('{"critique": "x", "verdict": " A"}', None),
        ('{"critique": "x", "verdict": ""}', None),
        ('{"critique": "x", "verdict": null}', None),
        ('{"critique": "x", "verdict": ["A"]}', None),
        ('{"critique": "x", "verdict": true}', None),
        ('{"critique": 1, "verdict": "A"}', None),
        ('{"critique": {"verdict": "B"}, "verdict": "A"}', None),
        ('{"verdict": "A", "verdict": "A"}', None),
        ('{"verdict": "A", "critique": "x", "verdict": "B"}', None),
        ('{"verdict": "A", "Verdict": "B"}', None),
        ('{"verdict": "A", "final_verdict": "B"}', None),
        ('{"critique": "x", "verdict": "A"', None),
        ('{"critique": "x", "verdict": "A"} and so on', None),
        ('Well: {"critique": "x", "verdict": "A"}', None),
        ('{"verdict": "A"}{"verdict": "B"}', None),
        ('```json\n{"verdict": "A"}\n```\n```json\n{"verdict": "B"}\n```', None),
        ('```python\n{"verdict": "A"}\n```', None),
        ("[" * 100_000, None),
        ('{"verdict": ' + "9" * 10_000 + "}", None),
        ("[[A]]", None),
    ],
)
def test_reasoned(raw: str, preference: Preference | None) -> None:
    """The whole reply is one object with exactly one verdict, or nothing is read."""
    reading = parse(AnswerForm.REASONED, raw)

    assert preference == reading.preference
    assert (VerdictStatus.UNREADABLE if preference is None else VerdictStatus.OK) is reading.status
    assert preference is not None or reading.reason


def test_the_critique_becomes_the_reason() -> None:
    """What the judge gave as its critique is kept, and can be stored whatever it escaped."""
    assert parse(AnswerForm.REASONED, '{"critique": "A is right.", "verdict": "A"}').reason == "A is right."
    assert (
        parse(AnswerForm.REASONED, '{"critique": "\\ud800\\u0000", "verdict": "A"}').reason
        == "?\N{REPLACEMENT CHARACTER}"
    )


def test_every_answer_form_has_a_parser_with_a_version() -> None:
    """A reading names its parser and version."""
    assert set(AnswerForm) == set(PARSER_VERSIONS)
    assert sorted(parse(form, "").parser for form in AnswerForm) == ["brackets/1", "reasoned/1"]
    assert all(parser_name(form) == parse(form, "").parser for form in AnswerForm)


filler = st.text(alphabet="ABCabc[]{}\"':, \nverditx`", max_size=30)


@given(filler, st.permutations(["[[A]]", "[[B]]", "[[C]]"]), filler, filler)
def test_nothing_is_read_from_two_different_verdicts_in_brackets(
    before: str, verdicts: list[str], between: str, after: str
) -> None:
    """Whatever stands around them, two different verdicts are no verdict."""
    assert parse(AnswerForm.BRACKETS, before + verdicts[0] + between + verdicts[1] + after).preference is None


@given(filler, st.permutations(["A", "B", "tie"]), filler)
def test_nothing_is_read_from_two_different_verdicts_in_json(before: str, verdicts: list[str], between: str) -> None:
    """Two objects, or two keys in one, are no verdict."""
    one, other = (json.dumps({"critique": before, "verdict": verdict}) for verdict in verdicts[:2])

    assert parse(AnswerForm.REASONED, one + between + other).preference is None
    assert parse(AnswerForm.REASONED, one[:-1] + ", " + other[1:]).preference is None


@given(st.text())
def test_a_reading_is_one_preference_or_a_reason(raw: str) -> None:
    """Any text at all gives a reading, and never raises."""
    for form in AnswerForm:
        reading = parse(form, raw)
        assert reading.preference in Preference if reading.preference else reading.reason


@given(st.text(alphabet="xyz .\n", max_size=20), st.sampled_from(["A", "B", "C"]))
def test_swapping_the_letters_flips_the_reading(text: str, letter: str) -> None:
    """The same verdict with A and B exchanged, in the other order, is the same outcome."""
    swapped = {"A": "B", "B": "A", "C": "C"}[letter]
    for form, template in (
        (AnswerForm.BRACKETS, lambda mark: f"{text}[[{mark}]]"),
        (
            AnswerForm.REASONED,
            lambda mark: json.dumps({"critique": text, "verdict": "tie" if mark == "C" else mark}),
        ),
    ):
        one, other = parse(form, template(letter)).preference, parse(form, template(swapped)).preference
        assert one is not None
        assert other is not None
        assert one.outcome(Order.LEFT_FIRST) is other.outcome(Order.RIGHT_FIRST)
