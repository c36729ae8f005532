"""Prometheus' preference collection: two responses to an instruction, and which one is better by a criterion.

One instruction may have several criteria, each with a reference answer of its own, so both together are a prompt. The
criterion is in the prompt's text, because a judge must know it.
"""

from __future__ import annotations

from pathlib import Path

from judge.domain.dataset import Prompt
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats import fields
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, Parser, text_id
from judge.formats.pairs import GOLD, Pairs

_KEYS = frozenset(("orig_instruction", "orig_response_A", "orig_response_B", "orig_preference"))
_OUTCOMES = {"A": Outcome.LEFT, "B": Outcome.RIGHT, "tie": Outcome.TIE}


def recognize(_: Path, row: Row) -> Format | None:
    """Return the format of a file by its first *row*."""
    return Format(name="Prometheus preferences", parser=_parser) if row.keys() >= _KEYS else None


def _parser() -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> list[Item]:
        prompt, word = _prompt(row), fields.needed_text(row, "orig_preference").strip()
        if word not in _OUTCOMES:
            raise ValueError(f"has an invalid orig_preference: {word!r:.60} is not A, B, or tie")
        left, right = (
            pairs.output(prompt.prompt_id, side, fields.needed_text(row, f"orig_{side}"))
            for side in ("response_A", "response_B")
        )
        label = pairs.label(left, right, _OUTCOMES[word], annotator=GOLD, kind=AnnotatorKind.GOLD)
        return pairs.new((prompt, left, right, label))

    return items


def _prompt(row: Row) -> Prompt:
    instruction, criterion = fields.needed_text(row, "orig_instruction"), fields.text(row, "orig_criteria") or ""
    reference = fields.text(row, "orig_reference_answer")
    return Prompt(
        prompt_id=text_id(instruction, criterion),
        turns=(f"{instruction}\n\nCriterion: {criterion}" if criterion else instruction,),
        reference=(reference,) if reference else (),
    )
