"""RewardBench 2: prompts with completions that are right and completions that are wrong.

Each right completion beats each wrong one, and nothing is known about two right ones, as in the subset Ties.
The sides are `chosen` and `rejected`, with a sample for each completion. They are not the `models` of the row: it does
not say which of them wrote which completion, right and wrong ones may be by the same model, and prompts were chosen for
having them, so that nothing could be ranked by these labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from judge.domain.dataset import Output, Prompt
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats import fields
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, Parser, SourcedLabel
from judge.formats.pairs import GOLD, Pairs

_KEYS = frozenset(("id", "prompt", "chosen", "rejected", "subset"))
_SIDES = ("chosen", "rejected")


def recognize(_: Path, row: Row) -> Format | None:
    """Return the format of a file by its first *row*."""
    lists = all(isinstance(row.get(side), list) for side in _SIDES)
    return Format(name="RewardBench 2", parser=_parser) if row.keys() >= _KEYS and lists else None


def _parser() -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> Iterator[Item]:
        prompt_id, text = fields.name(row, "id"), fields.needed_text(row, "prompt")
        yield Prompt(prompt_id=prompt_id, turns=(text,), category=fields.text(row, "subset") or "")
        chosen, rejected = (_outputs(prompt_id, row, side) for side in _SIDES)
        yield from (*chosen, *rejected)
        for right in chosen:
            for wrong in rejected:
                label = pairs.label(right, wrong, Outcome.LEFT, annotator=GOLD, kind=AnnotatorKind.GOLD)
                yield SourcedLabel("rewardbench-2", label)

    return items


def _outputs(prompt_id: str, row: Row, side: str) -> list[Output]:
    texts = fields.texts(row, side)
    if not texts:
        raise KeyError(side)
    return [
        Output(prompt_id=prompt_id, contestant=side, turns=(text,), sample=number) for number, text in enumerate(texts)
    ]
