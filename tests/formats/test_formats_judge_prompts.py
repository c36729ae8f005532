"""FastChat's judge prompts as rubrics."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from judge.domain.errors import InvalidInput
from judge.domain.judge import Sampling
from judge.domain.verdict import Shown
from judge.formats.judge_prompts import rubrics_of
from judge.prompts.library import checked
from judge.prompts.render import render
from judge.prompts.rubrics import FENCE

GENERAL = {
    "name": "duel",
    "type": "pairwise",
    "system_prompt": "Judge {fairly}; say [[A]], [[B]] or [[C]]. {% raw %}",
    "prompt_template": "Q {question}\nA {answer_a}\nB {answer_b}\n",
    "category": "general",
    "output_format": "[[A]]",
}
LATER = GENERAL | {
    "name": "duel-multi-turn",
    "prompt_template": "{question_1}{question_2}|{answer_a_1}{answer_a_2}|{answer_b_1}{answer_b_2}",
}
MATHS = GENERAL | {
    "name": "duel-maths",
    "prompt_template": "Q {question} R {ref_answer_1} A {answer_a} B {answer_b}",
    "category": "math",
}
SCORE = GENERAL | {"name": "score", "type": "single", "prompt_template": "{question} {answer}"}


def lines(*rows: object) -> list[str]:
    return [json.dumps(row) for row in rows]


def test_pairwise_prompts_become_rubrics_with_our_fences() -> None:
    """The file's wording is kept, braces included. Fenced texts replace its placeholders; the fence is explained."""
    rubrics = rubrics_of(lines(GENERAL, LATER, MATHS, SCORE))

    prompt = render(checked(rubrics["duel"]), Shown(("q",), ("a",), ("b",)), "print", Sampling())
    nonce = prompt.nonce
    assert set(rubrics) == {"duel", "duel-maths", "fastchat"}
    assert prompt.messages[0].content == GENERAL["system_prompt"] + "\n\n" + FENCE
    assert prompt.messages[1].content == (
        f"The code of this message is {nonce}.\n\n"
        f"Q <<<question {nonce}>>>\nq\n<<<end {nonce}>>>\nA <<<answer_a {nonce}>>>\na\n<<<end {nonce}>>>\n"
        f"B <<<answer_b {nonce}>>>\nb\n<<<end {nonce}>>>\n"
    )


def test_together_they_choose_by_turn_and_reference_answer() -> None:
    """The joint rubric chooses as FastChat does: math with a reference, multi-turn for two turns, else general."""
    together = checked(rubrics_of(lines(GENERAL, LATER, MATHS))["fastchat"])

    def used(turns: int, *, reference: bool) -> str:
        texts = tuple("xy"[:turns])
        shown = Shown(texts, texts, texts, "", texts if reference else ())
        return render(together, shown, "print", Sampling()).variant

    assert used(1, reference=False) == "duel"
    assert used(2, reference=False) == "duel-multi-turn"
    assert used(1, reference=True) == "duel-maths"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not one JSON object"),
        ("[]", "not one JSON object"),
        (json.dumps({"name": "x", "type": "pairwise"}), "system_prompt"),
        (json.dumps(GENERAL | {"output_format": "[[rating]]"}), "rating"),
    ],
)
def test_a_wrong_line_is_named(line: str, message: str) -> None:
    """The error's field is the number of the line."""
    with pytest.raises(InvalidInput, match=message) as caught:
        rubrics_of([*lines(GENERAL), line])

    assert caught.value.field == "line 2"


@pytest.mark.skipif("JUDGE_TEST_DATA" not in os.environ, reason="needs the data sets")
def test_fastchats_own_file_is_read() -> None:
    """Its pairwise prompts become rubrics, each for one turn and for two."""
    file = Path(os.environ["JUDGE_TEST_DATA"]) / "mt-bench" / "fastchat" / "judge_prompts.jsonl"
    rubrics = rubrics_of(file.read_text("utf-8").splitlines())

    names = {name: sorted(variant.name for variant in checked(rubric).variants) for name, rubric in rubrics.items()}
    assert names["pair-v2"] == ["pair-v2", "pair-v2-multi-turn"]
    assert names["pair-math-v1"] == ["pair-math-v1", "pair-math-v1-multi-turn"]
    assert len(names["fastchat"]) == 4
