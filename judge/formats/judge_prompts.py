"""Read FastChat's judge_prompts.jsonl as rubrics.

The wording is the file's; only the fences around the texts are ours, and what the judge is told about them: it follows
the system message, and the user message begins with the fences' code. Prompts for scores of single answers are left
out, because they compare nothing.

Variants of one prompt become one rubric: `pair-v2` uses pair-v2 for the first turn and pair-v2-multi-turn for later
ones. The rubric `fastchat` chooses as FastChat does: the prompt for math if there is a reference answer, otherwise the
general one. If a file has no prompt for later turns, its rubric cannot judge them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from judge.domain.errors import InvalidInput
from judge.domain.judge import AnswerForm, Rubric, RubricVariant
from judge.prompts.rubrics import CODE, FENCE

MULTI_TURN = "-multi-turn"
TOGETHER = "fastchat"
"""The name of the rubric that joins the general prompts and those for math."""
_TEXTS: Mapping[str, str] = {
    "question": "question",
    "answer_a": "answer_a",
    "answer_b": "answer_b",
    "ref_answer": "reference",
}
"""FastChat's placeholders and our names. A placeholder that ends with a number is a turn, an entry of our lists."""
_LISTS: Mapping[str, str] = {
    "question": "questions",
    "answer_a": "answers_a",
    "answer_b": "answers_b",
    "ref_answer": "references",
}
_PLACEHOLDER = re.compile(r"\{(question|answer_a|answer_b|ref_answer)(?:_([1-9]))?\}")


def rubrics_of(lines: Iterable[str]) -> dict[str, Rubric]:
    """Return the rubrics of a file's *lines*, by name. Raises InvalidInput with the line that is wrong."""
    by_name: dict[str, list[RubricVariant]] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        row = _object(number, line)
        if row["type"] == "pairwise":
            by_name.setdefault(row["name"].removesuffix(MULTI_TURN), []).append(_variant(number, row))
    rubrics = {name: Rubric(name, tuple(variants)) for name, variants in by_name.items()}
    together = sorted(
        (variant for variants in by_name.values() for variant in variants),
        key=lambda variant: not variant.with_reference,
    )
    # If two prompts apply to the same case, it is undefined which one to use.
    if len({(variant.multi_turn, variant.with_reference) for variant in together}) == len(together) > 1:
        rubrics[TOGETHER] = Rubric(TOGETHER, tuple(together))
    return rubrics


def _object(number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise InvalidInput(f"line {number}", "is not one JSON object", reason="BAD_RUBRIC")
    for name in ("name", "type", "system_prompt", "prompt_template"):
        if not isinstance(row.get(name), str):
            raise InvalidInput(f"line {number}", f"has no text in the field {name!r}", reason="BAD_RUBRIC")
    return row


def _variant(number: int, row: Mapping[str, Any]) -> RubricVariant:
    if row.get("output_format", "[[A]]") != "[[A]]":
        message = f"asks for answers in the form {row['output_format']!r}; only [[A]] is supported"
        raise InvalidInput(f"line {number}", message, reason="BAD_RUBRIC")
    return RubricVariant(
        name=row["name"],
        system=_joined(_template(row["system_prompt"]), FENCE),
        user=CODE + _template(row["prompt_template"]),
        form=AnswerForm.BRACKETS,
        multi_turn=row["name"].endswith(MULTI_TURN),
        with_reference=True if "{ref_answer" in row["prompt_template"] else None,
    )


def _joined(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text.strip())


def _template(text: str) -> str:
    """Convert a text with FastChat's {placeholders} to a template of ours, in which everything else is literal."""
    parts = []
    end = 0
    for match in _PLACEHOLDER.finditer(text):
        name, turn = match[1], match[2]
        value = f"{_LISTS[name]}[{int(turn) - 1}]" if turn else _TEXTS[name]
        parts += [_raw(text[end : match.start()]), "{{ " + value + " }}"]
        end = match.end()
    return "".join([*parts, _raw(text[end:])])


def _raw(text: str) -> str:
    """Escape a text for a template if it has braces, or a line break at an end, which a template would drop."""
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if re.search(r"[{}]|\n\Z|\A\n", text) else text
