"""FastChat's judge_prompts.jsonl as rubrics: its pairwise prompts, each in the wording of its file, our fences around
the texts. Scores of single answers are no comparisons and are left out.

Prompts that are variants of one question become one rubric: `pair-v2` has pair-v2 for the first turn and
pair-v2-multi-turn for later ones. The rubric `fastchat` is FastChat's own choice: the prompt for maths where there is
a reference answer, the general one otherwise. Where a file has no prompt for later turns, later turns have none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from judge.domain.errors import InvalidInput
from judge.domain.judge import AnswerForm, Rubric, RubricVariant

MULTI_TURN = "-multi-turn"
TOGETHER = "fastchat"
"""The rubric of all general and mathematical prompts together."""
_TEXTS: Mapping[str, str] = {
    "question": "question",
    "answer_a": "answer_a",
    "answer_b": "answer_b",
    "ref_answer": "reference",
}
"""Their placeholders and our names; a number behind one is a turn, whose text stands in our lists."""
_LISTS: Mapping[str, str] = {
    "question": "questions",
    "answer_a": "answers_a",
    "answer_b": "answers_b",
    "ref_answer": "references",
}
_PLACEHOLDER = re.compile(r"\{(question|answer_a|answer_b|ref_answer)(?:_([1-9]))?\}")


def rubrics_of(lines: Iterable[str]) -> dict[str, Rubric]:
    """The rubrics of a file's *lines*, by name. InvalidInput names the line that is wrong."""
    by_name: dict[str, list[RubricVariant]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        said = _object(number, line)
        if said["type"] == "pairwise":
            by_name.setdefault(said["name"].removesuffix(MULTI_TURN), []).append(_variant(number, said))
    found = {name: Rubric(name, tuple(variants)) for name, variants in by_name.items()}
    together = sorted((one for said in by_name.values() for one in said), key=lambda one: not one.with_reference)
    # Where two prompts are meant for the same, nobody could say which one is to be used.
    if len({(variant.multi_turn, variant.with_reference) for variant in together}) == len(together) > 1:
        found[TOGETHER] = Rubric(TOGETHER, tuple(together))
    return found


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise InvalidInput(f"line {number}", "is not one JSON object", reason="BAD_RUBRIC")
    for name in ("name", "type", "system_prompt", "prompt_template"):
        if not isinstance(said.get(name), str):
            raise InvalidInput(f"line {number}", f"has no text {name!r}", reason="BAD_RUBRIC")
    return said


def _variant(number: int, said: Mapping[str, Any]) -> RubricVariant:
    if said.get("output_format", "[[A]]") != "[[A]]":
        told = f"asks for answers as {said['output_format']!r}; only [[A]] can be read"
        raise InvalidInput(f"line {number}", told, reason="BAD_RUBRIC")
    return RubricVariant(
        name=said["name"],
        system=_template(said["system_prompt"]),
        user=_template(said["prompt_template"]),
        form=AnswerForm.BRACKETS,
        multi_turn=said["name"].endswith(MULTI_TURN),
        with_reference=True if "{ref_answer" in said["prompt_template"] else None,
    )


def _template(text: str) -> str:
    """*text*, in which texts stand for {placeholders}, as one of our templates, in which all else is literal."""
    parts = []
    at = 0
    for found in _PLACEHOLDER.finditer(text):
        name, turn = found[1], found[2]
        value = f"{_LISTS[name]}[{int(turn) - 1}]" if turn else _TEXTS[name]
        parts += [_raw(text[at : found.start()]), "{{ " + value + " }}"]
        at = found.end()
    return "".join([*parts, _raw(text[at:])])


def _raw(text: str) -> str:
    """*text* for a template, whatever braces it has; the last line break too, which a template would swallow."""
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if re.search(r"[{}]|\n\Z|\A\n", text) else text
