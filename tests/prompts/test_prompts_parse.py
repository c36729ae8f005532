from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.domain.errors import InvalidInput
from judge.domain.judge import AnswerForm
from judge.domain.outcome import Order, Preference, VerdictStatus
from judge.domain.verdict import ParsedVerdict, Reply
from judge.prompts.parse import PARSER_VERSIONS, SCALES, Parser, parse

PARSERS = [Parser(form, steps) for form in AnswerForm for steps in (SCALES if form is AnswerForm.LIKERT else (0,))]


def read(form: AnswerForm, raw: str, *, steps: int = 0) -> ParsedVerdict:
    return parse(Parser(form, steps), Reply(raw))


A, B, TIE = Preference.FIRST, Preference.SECOND, Preference.TIE


@pytest.mark.parametrize(
    ("raw", "preference"),
    [
        ("[[A]]", A),
        ("[[B]]", B),
        ("[[C]]", TIE),
        ("A is right. [[A]]\n", A),
        ("[[B]] because it is right", None),
        ("[[A]] ... as I said: [[A]]", A),
        ("**[[B]]**", B),
        ("see [[Python]] and [[1]]. [[C]]", TIE),
        ("", None),
        ("A", None),
        ("[A]", None),
        ("[[a]]", A),
        ("[[ A ]]", A),
        ("[[tie]]", TIE),
        ("[[Tie]]", TIE),
        ("[[D]]", None),
        ("[[A>B]]", None),
        ("[[A]] or [[B]]", None),
        ("[[A]] [[C]]", None),
        ("[[A]] [[a]]", A),
        ("[[A]] [[Tie]]", None),
        ("[\n[A]\n]", None),
        ('{"critique": "", "verdict": "A"}', None),
    ],
)
def test_brackets(raw: str, preference: Preference | None) -> None:
    """A reply ends with its one distinct verdict, in upper or lower case, or none is read."""
    parsed_verdict = read(AnswerForm.BRACKETS, raw)

    assert preference == parsed_verdict.preference
    assert (preference is None) == bool(parsed_verdict.reason)
    assert (VerdictStatus.UNREADABLE if preference is None else VerdictStatus.OK) is parsed_verdict.status


QUOTED = (
    "{} is what answer A demands. I judge for myself.",
    "Answer A says '{}'.",
    "Answer A says `{}`",
    '"{}"',
    "({})",
)


@pytest.mark.parametrize("quote", QUOTED)
@pytest.mark.parametrize(
    ("parser", "mark"),
    [(Parser(AnswerForm.BRACKETS), "[[A]]"), (Parser(AnswerForm.LIKERT, 5), "[[A>>B]]"), (PARSERS[-1], "[[1]]")],
)
def test_a_judge_that_quotes_a_verdict_gives_none(parser: Parser, mark: str, quote: str) -> None:
    """A verdict that is quoted, or that something follows, is not the judge's own."""
    assert parse(parser, Reply(quote.format(mark))).preference is None
    assert parse(parser, Reply(f"**{mark}**.\n")).preference is A


@pytest.mark.parametrize(
    ("raw", "preference"),
    [
        ("<think>It could be [[B]].</think>\n\n{}", A),
        ("<think>\n\n</think>\n\n{}", A),
        ("\ufeff<THINK>x</THINK><think>y</think>{}", A),
        ("[THINK]x[/THINK]{}", A),
        ("It could be [[B]].</think>\n{}", A),
        ("<|channel|>analysis<|message|>[[B]]<|end|><|start|>assistant<|channel|>final<|message|>{}<|return|>", A),
        ("{}<|im_end|>", A),
        ("<think>So it must be {}", None),
        ("<think>{}</think>", None),
        ("{}<think>[[B]]</think>", None),
    ],
)
@pytest.mark.parametrize(
    ("form", "answer"),
    [(AnswerForm.BRACKETS, "[[A]]"), (AnswerForm.REASONED, '{"verdict": "A"}'), (AnswerForm.CHOICE, "A")],
)
def test_thinking_is_not_the_answer(form: AnswerForm, answer: str, raw: str, preference: Preference | None) -> None:
    """Only what follows the thinking at the beginning of a reply is read, in every form."""
    assert read(form, raw.format(answer)).preference is preference


def test_a_critique_may_quote_the_tag_of_thinking() -> None:
    """A reply that begins like JSON has no thinking before it."""
    raw = '{"critique": "A ends with </think> and says [[B]].", "verdict": "A"}'

    assert read(AnswerForm.REASONED, raw).preference is A
    assert read(AnswerForm.REASONED, f"```json\n{raw}\n```").preference is A


def test_further_keys_are_named_in_the_reason() -> None:
    """They are kept as names, so that a judge which adds them can be noticed."""
    assert read(AnswerForm.REASONED, '{"critique": "Short.", "verdict": "A", "confidence": 1}').reason == (
        "Short. (further keys: confidence)"
    )


def test_a_reply_that_repeats_the_code_of_its_prompt_is_unreadable() -> None:
    """Its status says so, and every parser agrees."""
    for parser in PARSERS:
        parsed_verdict = parse(parser, Reply("[[A]]", status=VerdictStatus.UNREADABLE))
        assert (parsed_verdict.preference, parsed_verdict.reason) == (None, "the reply repeats the code of its prompt")


@pytest.mark.parametrize(
    "raw",
    [
        "> [[A]]",
        "Both are fine.\n > **[[A]]**",
        "Do not answer [[A]]",
        "I will not say: **[[A]]**.",
        "Don't choose [[A]]",
        "I don\u2019t pick [[A]]",
        "not [[A]]",
        "It is **not** [[A]]",
        "It cannot be [[A]]",
        "instead of [[A]]",
        "rather than writing [[A]]",
        "I refuse to answer [[A]]",
        "My verdict is never the [[A]]",
        "definitely not\n[[A]]",
        "Both are fine. It is definitely not\n\n**[[A]]**",
        "it is not\r\n[[A]]",
        "It isn't:\n[[A]]",
        "I would not say\n[[A]]",
        "I would not say: (\n[[A]]",
        "A is tempting, but I would not say\n[[A]]",
        "NOT: [[A]]",
        "Final answer: not \u201c\n[[A]]",
        "not - [[A]]",
        "Absolutely not,\n[[A]]",
        "Definitely not...\n[[A]]",
        "never\n[[A]]",
        "I'd never pick\n[[A]]",
        "The right verdict would never be:\n\n[[A]]",
        "I cannot say\n[[A]]",
        "Do not output\n```\n[[A]]",
        "I prefer the other rather than\n[[A]]",
        "anything but\n[[A]]",
        "I refuse to say\n[[A]]",
        "not even [[A]]",
        "It is by no means\n[[A]]",
        "Die Antwort ist nicht [[A]]",
        "Es ist definitiv nicht:\n[[A]]",
        "jamais [[A]]",
        "Answer A says [[A]]",
        "Answer A contains an injection: [[A]]",
        "Answer A's last line is:\n[[A]]",
        "Injection attempt: [[A]]",
        "[[B]]\n<think>Wait, no.</think>\n[[A]]",
        "<think>A or B?</think>I say [[B]] <think>Wait, no.</think> [[A]]",
    ],
)
def test_a_verdict_that_is_quoted_or_negated_is_none(raw: str) -> None:
    """A last line in a block quote is not the judge's own, and "do not answer [[A]]" does not answer A."""
    assert parse(Parser(AnswerForm.BRACKETS), Reply(raw)).preference is None
    assert parse(Parser(AnswerForm.LIKERT, 5), Reply(raw.replace("[[A]]", "[[A>>B]]"))).preference is None


@pytest.mark.parametrize(
    "raw",
    [
        "A does not follow the instruction, so [[B]]",
        "A did not answer. [[B]]",
        "A is not: [[B]]",
        "A does not\n[[B]]",
        "B is right and A is not, [[B]]",
        "Never mind the length: [[B]]",
        "A > B is what it says. [[B]]",
        "> A says it is right.\n\nIt is not. [[B]]",
        "Do not answer [[B]], it says. I do: [[B]]",
        "A is not as good as B\n[[B]]",
        "B is right and A is not\n[[B]]",
        "A never answers:\n[[B]]",
        "B says what A cannot\n[[B]]",
        "A should explain it. It does not\n[[B]]",
        "B answers, whereas A, which is longer, is not\n[[B]]",
        "Is A better? Definitely not\n[[B]]",
        "Is A better?\nDefinitely not:\n[[B]]",
        "Is A better? No: [[B]]",
        "Not A.\n[[B]]",
        "Not A:\n[[B]]",
        "The verdict is not A but\n[[B]]",
        "A: not\n[[B]]",
        "Whether you like it or not,\n[[B]]",
        "Not surprisingly:\n[[B]]",
        "Last but not least:\n[[B]]",
        "It could not be clearer:\n[[B]]",
        "Without question:\n[[B]]",
        "That is not hard\n[[B]]",
        "It is not.\n[[B]]",
        "A stimmt nicht:\n[[B]]",
        "A ist nicht korrekt\n[[B]]",
        "The better answer is [[B]]",
        "My final answer is\n[[B]]",
        "Answer A contains an injection, so [[B]]",
        "Well. <think>It may be [[A]].</think> It is [[B]]",
    ],
)
def test_a_negation_elsewhere_is_part_of_the_reasons(raw: str) -> None:
    """Only a negation directly before the brackets governs them, or a sentence about the verdict that ends with one."""
    assert read(AnswerForm.BRACKETS, raw).preference is B


@pytest.mark.parametrize("role", ["Assistant ", "assistant", "Response ", "Model "])
def test_the_letter_may_follow_what_it_names(role: str) -> None:
    """Judges write [[Assistant A]] for [[A]], in every form; there is no assistant C, and it differs from [[B]]."""
    assert read(AnswerForm.BRACKETS, f"So: [[{role}A]]").preference is A
    assert read(AnswerForm.BRACKETS, f"[[A]], so [[{role}a]].").preference is A
    assert read(AnswerForm.BRACKETS, f"[[{role}A]] or [[B]]").preference is None
    assert read(AnswerForm.BRACKETS, f"[[{role}C]]").preference is None
    assert read(AnswerForm.REASONED, json.dumps({"verdict": f"{role}B"})).preference is B
    assert read(AnswerForm.REASONED, json.dumps({"verdict": "A", "best": f"[[{role}B]]"})).preference is None
    assert read(AnswerForm.CHOICE, f"{role}B.").preference is B


def test_the_name_of_an_older_version_means_the_current_one() -> None:
    """A run that began with an older version goes on."""
    assert Parser.named("brackets/1") == Parser.named("brackets")
    assert Parser.named("likert-8/1~1.5").name == "likert-8/4~1.5"


def test_several_verdicts_are_named() -> None:
    """The reason lists the different verdicts."""
    assert read(AnswerForm.BRACKETS, "[[B]][[A]]").reason == "several verdicts: [[A]], [[B]]"


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
        ('{"critique": "x", "verdict": "C"}', TIE),
        ('{"critique": "x", "verdict": " A"}', A),
        ('{"critique": "x", "verdict": "[[B]]"}', B),
        ('{"critique": "x\ny\t", "verdict": "A"}', A),
        ('{"Critique": "x", "Verdict": "A"}', A),
        ('{"critique": null, "verdict": "A"}', A),
        ('{"critique": "x", "verdict": "A", "confidence": 0.9}', A),
        ('{"critique": "x", "verdict": "A", "winner": "a"}', A),
        ('{"critique": "x", "verdict": "A", "scores": {"final": ["B"]}}', None),
        ('{"critique": "x", "verdict": "A."}', None),
        ('{"critique": "x", "verdict": "Answer A"}', None),
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
    """The whole reply is a single object with exactly one verdict, or nothing is read."""
    parsed_verdict = read(AnswerForm.REASONED, raw)

    assert preference == parsed_verdict.preference
    assert (VerdictStatus.UNREADABLE if preference is None else VerdictStatus.OK) is parsed_verdict.status
    assert preference is not None or parsed_verdict.reason


def test_the_critique_becomes_the_reason() -> None:
    """The judge's critique is kept, without characters that cannot be stored."""
    assert read(AnswerForm.REASONED, '{"critique": "A is right.", "verdict": "A"}').reason == "A is right."
    assert (
        read(AnswerForm.REASONED, '{"critique": "\\ud800\\u0000", "verdict": "A"}').reason
        == "?\N{REPLACEMENT CHARACTER}"
    )


def test_every_answer_form_has_a_parser_with_a_version() -> None:
    """A parsed verdict names its parser and version, and the name identifies the parser."""
    assert set(AnswerForm) == set(PARSER_VERSIONS)
    names = [parser.name for parser in PARSERS]
    assert ["brackets/4", "choice/3", "likert-5/4", "likert-8/4", "reasoned/3"] == sorted(names)
    assert names == [parse(parser, Reply("")).parser for parser in PARSERS]
    assert PARSERS == [Parser.named(name) for name in names]


def test_a_tie_band_of_its_own_is_part_of_a_parsers_name() -> None:
    """Two bands are two parsers, whose parsed verdicts are stored side by side."""
    assert Parser.named("likert-8/4~1.5") == Parser(AnswerForm.LIKERT, 8, 1.5)
    assert Parser(AnswerForm.LIKERT, 8, 1.5).name == "likert-8/4~1.5"
    assert Parser(AnswerForm.LIKERT, 8, 0.5).name == "likert-8/4"
    assert Parser.named("choice~0").name == "choice/3~0"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "likert",
        "likert-6",
        "brackets/5",
        "brackets/0",
        "brackets~1",
        "choice-5",
        "likert-5~",
        "likert-5~1.2.3",
        "A",
    ],
)
def test_an_unknown_parser_is_refused(name: str) -> None:
    """A parser of a later version is unknown too, because its results cannot be reproduced."""
    with pytest.raises(InvalidInput) as caught:
        Parser.named(name)

    assert caught.value.reason in {"UNKNOWN_PARSER", "INVALID"}


@pytest.mark.parametrize(
    ("raw", "steps", "band", "preference", "strength"),
    [
        ("So: [[A>>B]]", 5, None, A, 1.0),
        ("[[A>B]]", 5, None, A, 0.5),
        ("[[A=B]]", 5, None, TIE, 0.0),
        ("[[B>A]]", 5, None, B, 0.5),
        ("[[B>>A]] yes, [[B>>A]]", 5, None, B, 1.0),
        ("[[A>B]]", 5, 1.0, TIE, 0.5),
        ("[[A>>B]]", 5, 1.0, A, 1.0),
        ("[[1]]", 8, None, A, 1.0),
        ("[[8]]", 8, None, B, 1.0),
        ("[[4]]", 8, None, TIE, 1 / 7),
        ("[[5]]", 8, None, TIE, 1 / 7),
        ("[[4]]", 8, 0.0, A, 1 / 7),
        ("[[3]]", 8, None, A, 3 / 7),
        ("[[A>B]] or [[A=B]]", 5, None, None, None),
        ("[[A<B]]", 5, None, None, None),
        ("[[A > B]]", 5, None, A, 0.5),
        ("[[a>b]]", 5, None, A, 0.5),
        ("[[A]]", 5, None, None, None),
        ("[[A>B]] [[A]]", 5, None, None, None),
        ("[[3]]", 5, None, None, None),
        ("[[9]]", 8, None, None, None),
        ("[[3.5]]", 8, None, None, None),
        ("[[-3]]", 8, None, None, None),
        ("3", 8, None, None, None),
        ("[[3]] [[4]]", 8, None, None, None),
        ("", 8, None, None, None),
    ],
)
def test_likert(raw: str, steps: int, band: float | None, preference: Preference | None, strength: float) -> None:
    """A reply has exactly one step of the scale. A step near the middle is a tie, and the distance is the strength."""
    parsed_verdict = parse(Parser(AnswerForm.LIKERT, steps, band), Reply(raw))

    assert (preference, strength) == (parsed_verdict.preference, parsed_verdict.strength)
    assert (preference is None) == bool(parsed_verdict.reason)


def logs(**shares: float) -> tuple[tuple[str, float], ...]:
    return tuple((token, math.log(share)) for token, share in shares.items())


@pytest.mark.parametrize(
    ("raw", "logprobs", "preference", "probability"),
    [
        ("A", (), A, None),
        (" B\n", (), B, None),
        ("C", (), TIE, None),
        ("A", logs(A=0.8, B=0.1, C=0.1), A, 0.85),
        ("A", (*logs(A=0.4, B=0.2), (" A", math.log(0.2)), ("The", math.log(0.2))), A, 0.75),
        ("A", logs(A=0.5, B=0.5), TIE, 0.5),
        ("A", logs(A=0.52, B=0.48), TIE, 0.52),
        ("A", logs(A=0.55, B=0.45), A, 0.55),
        ("C", logs(A=0.3, B=0.2, C=0.5), TIE, 0.55),
        ("B", (("B", 0.0), ("A", -9999.0), ("C", -9999.0)), B, 0.0),
        ("A", logs(x=1.0), A, None),
        ("a", (), A, None),
        ("A.", (), A, None),
        ("**B**", (), B, None),
        ("tie", (), TIE, None),
        ("A or B", (), None, None),
        ("AB", (), None, None),
        ("[[A]]", (), A, None),
        ("", (), None, None),
    ],
)
def test_choice(
    raw: str, logprobs: tuple[tuple[str, float], ...], preference: Preference | None, probability: float | None
) -> None:
    """The reply is one token. Its alternatives give the probability of the first answer, where a tie counts half."""
    parsed_verdict = parse(Parser(AnswerForm.CHOICE), Reply(raw, logprobs=logprobs))

    assert preference == parsed_verdict.preference
    assert probability == (
        None if parsed_verdict.probability_first is None else pytest.approx(parsed_verdict.probability_first)
    )


def test_a_choice_within_the_tie_band_is_a_tie() -> None:
    """The default band covers the rounding of log odds in half precision. A caller may widen it or set it to 0."""
    near = Reply("A", logprobs=logs(A=0.52, B=0.48))

    assert parse(Parser(AnswerForm.CHOICE, tie_band=0.0), near).preference is A
    assert parse(Parser(AnswerForm.CHOICE, tie_band=1.0), Reply("A", logprobs=logs(A=0.7, B=0.3))).preference is TIE


filler = st.text(alphabet="ABCabc[]{}\"':, \nverditx`", max_size=30)


@given(filler, st.permutations(["[[A]]", "[[B]]", "[[C]]"]), filler, filler)
def test_nothing_is_read_from_two_different_verdicts_in_brackets(
    before: str, verdicts: list[str], between: str, after: str
) -> None:
    """Two different verdicts are no verdict, whatever text is around them."""
    assert read(AnswerForm.BRACKETS, before + verdicts[0] + between + verdicts[1] + after).preference is None


@given(filler, st.permutations(["A", "B", "tie"]), filler)
def test_nothing_is_read_from_two_different_verdicts_in_json(before: str, verdicts: list[str], between: str) -> None:
    """Two objects, or two keys in an object, are no verdict."""
    first, second = (json.dumps({"critique": before, "verdict": verdict}) for verdict in verdicts[:2])

    assert read(AnswerForm.REASONED, first + between + second).preference is None
    assert read(AnswerForm.REASONED, first[:-1] + ", " + second[1:]).preference is None


@given(st.text())
def test_a_parsed_verdict_is_one_preference_or_a_reason(raw: str) -> None:
    """Any text gives a parsed verdict and raises nothing."""
    for parser in PARSERS:
        parsed_verdict = parse(parser, Reply(raw))
        assert parsed_verdict.preference in Preference if parsed_verdict.preference else parsed_verdict.reason


@given(st.text(alphabet="xyz .\n", max_size=20), st.sampled_from(["A", "B", "C"]))
def test_swapping_a_and_b_flips_the_parsed_verdict(text: str, letter: str) -> None:
    """The same verdict with A and B exchanged, in the other order, gives the same outcome."""
    swapped = {"A": "B", "B": "A", "C": "C"}[letter]
    for parser, template in (
        (Parser(AnswerForm.BRACKETS), lambda mark: f"{text}[[{mark}]]"),
        (
            Parser(AnswerForm.REASONED),
            lambda mark: json.dumps({"critique": text, "verdict": "tie" if mark == "C" else mark}),
        ),
        (Parser(AnswerForm.CHOICE), lambda mark: mark),
        (Parser(AnswerForm.LIKERT, 5), lambda mark: f"{text}[[{ {'A': 'A>B', 'B': 'B>A', 'C': 'A=B'}[mark] }]]"),
        (Parser(AnswerForm.LIKERT, 8), lambda mark: f"{text}[[{ {'A': 3, 'B': 6, 'C': 4}[mark] }]]"),
    ):
        preference, flipped = (parse(parser, Reply(template(mark))).preference for mark in (letter, swapped))
        assert preference is not None
        assert flipped is not None
        assert preference.outcome(Order.LEFT_FIRST) is flipped.outcome(Order.RIGHT_FIRST)
