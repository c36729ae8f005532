"""AlpacaEval's files: outputs, annotations by LLM judges, and cross-annotations by people.

An annotation is a label on two outputs, since the file does not say which of them the judge saw first. Prompts have no
id, so it is the hash of their text.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

from judge.domain.dataset import Prompt
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats import fields
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, LeftOut, Parser, RowNote, text_id
from judge.formats.pairs import Pairs

SIDES = ("output_1", "output_2")
"""The contestants of annotations that do not name them."""
_OUTPUTS = frozenset(("instruction", "output", "generator"))
_ANNOTATIONS = frozenset(("instruction", *SIDES, "preference"))
_LEADERBOARD = frozenset(("win_rate", "standard_error", "n_wins_base", "n_total"))
_TIE = 1.5


def recognize(path: Path, row: Row) -> Format | LeftOut | None:
    """Return the format of a file by its first *row*, or why it is left out; None if it is none of AlpacaEval's."""
    if row.keys() >= _ANNOTATIONS:
        return _format("AlpacaEval annotations", _annotation)
    if row.keys() >= _OUTPUTS:
        # The annotations of a model's outputs are in a folder for each judge.
        return _format("AlpacaEval outputs", _output, has_folders=True)
    if row.keys() >= _LEADERBOARD:
        return LeftOut(path.name, "a leaderboard, which holds no votes", loses=False)
    return None


def _format(name: str, items: Callable[[Pairs, int, Row], list[Item]], *, has_folders: bool = False) -> Format:
    def parser() -> Parser:
        return partial(items, Pairs())

    return Format(name=name, parser=parser, has_folders=has_folders)


def _output(pairs: Pairs, _: int, row: Row) -> list[Item]:
    prompt = _prompt(row)
    return pairs.new(
        (prompt, pairs.output(prompt.prompt_id, fields.name(row, "generator"), fields.needed_text(row, "output")))
    )


def _annotation(pairs: Pairs, _: int, row: Row) -> list[Item]:
    prompt, preference = _prompt(row), _preference(row)
    names = [_contestant(row, side) for side in ("1", "2")]
    if names[0] == names[1]:
        return [RowNote("left out: a contestant compared with itself")]
    texts = [fields.needed_text(row, side) for side in SIDES]
    left, right = (pairs.output(prompt.prompt_id, *output) for output in zip(names, texts, strict=True))
    if preference is None:
        note = RowNote("without a preference, so without a label")
        return pairs.new((prompt, left, right, note))
    by_model = fields.first(row, "annotator") is not None
    label = pairs.label(
        left,
        right,
        Outcome.TIE if preference == _TIE else Outcome.LEFT if preference < _TIE else Outcome.RIGHT,
        annotator=fields.name(row, "annotator", "annotator_index"),
        kind=AnnotatorKind.MODEL if by_model else AnnotatorKind.HUMAN,
        probability=2 - preference if by_model else None,
    )
    return pairs.new((prompt, left, right, label))


def _prompt(row: Row) -> Prompt:
    texts = (fields.needed_text(row, "instruction"), fields.text(row, "input"))
    text = "\n\n".join(filter(None, texts))
    return Prompt(prompt_id=text_id(text), turns=(text,), category=fields.text(row, "dataset") or "")


def _contestant(row: Row, side: str) -> str:
    """Read a contestant. In annotations by people, it is missing."""
    name = f"generator_{side}"
    return f"output_{side}" if fields.first(row, name) is None else fields.name(row, name)


def _preference(row: Row) -> float | None:
    """Read the preference, from 1 (the first output is better) to 2; None if there is none. 0, too, is a tie."""
    value = row.get("preference")
    if isinstance(value, float) and math.isnan(value):
        return None
    preference = fields.number(row, "preference")
    if preference is None or 1 <= preference <= 2:  # noqa: PLR2004  # the two outputs
        return preference
    if preference == 0:
        return _TIE
    raise ValueError(f"has an invalid preference: {preference:g} is not from 1 to 2, or 0 for a tie")
