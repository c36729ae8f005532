"""AlpacaEval's files: outputs, annotations by LLM judges, and cross-annotations by people.

An annotation is a label on two outputs, since the file does not say which of them the judge saw first. Prompts have no
id, so it is the hash of their text.

An annotation repeats both outputs. Where a file of outputs is in the same folder, or `model_outputs.json` in the one
above, its text of a contestant comes first, and another one of an annotation is a further sample.
"""

from __future__ import annotations

import contextlib
import math
from functools import partial
from pathlib import Path

from judge.domain.dataset import Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats import fields
from judge.formats.containers import first_row, rows_of
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, LeftOut, Parser, RowNote, parsed_row, text_id
from judge.formats.pairs import Pairs

SIDES = ("output_1", "output_2")
"""The contestants of annotations that do not name them."""
FURTHER = RowNote("with another output than an earlier row, or than the file of outputs, as a further sample")
_OUTPUTS = frozenset(("instruction", "output", "generator"))
_ANNOTATIONS = frozenset(("instruction", *SIDES, "preference"))
_LEADERBOARD = frozenset(("win_rate", "standard_error", "n_wins_base", "n_total"))
_TIE = 1.5


def recognize(path: Path, row: Row) -> Format | LeftOut | None:
    """Return the format of a file by its first *row*, or why it is left out; None if it is none of AlpacaEval's."""
    if row.keys() >= _ANNOTATIONS:
        return Format(name="AlpacaEval annotations", parser=partial(_annotation_parser, path))
    if row.keys() >= _OUTPUTS:
        # The annotations of a model's outputs are in a folder for each judge.
        return Format(name="AlpacaEval outputs", parser=lambda: partial(_output, Pairs()), has_folders=True)
    if row.keys() >= _LEADERBOARD:
        return LeftOut(path.name, "a leaderboard, which holds no votes", loses=False)
    return None


def _annotation_parser(path: Path) -> Parser:
    """Return a parser that has read the outputs in the same folder as the annotations."""
    pairs = Pairs()
    above = path.parent.parent / "model_outputs.json"
    for other in (*sorted(path.parent.glob("*.json")), above):
        if other != path and _holds_outputs(other):
            for place, number, row in rows_of(other):
                with contextlib.suppress(InvalidInput):
                    # Not as new items: the annotations bring their copies, whether or not this file is imported.
                    parsed_row(other, place, lambda _, row: _prompt_and_output(pairs, row), number, row)
    return partial(_annotation, pairs)


def _holds_outputs(path: Path) -> bool:
    try:
        keys = ((first_row(path) if path.is_file() else None) or {}).keys()
    except InvalidInput:
        return False
    return keys >= _OUTPUTS and not keys >= _ANNOTATIONS


def _output(pairs: Pairs, _: int, row: Row) -> list[Item]:
    return pairs.new(_prompt_and_output(pairs, row))


def _prompt_and_output(pairs: Pairs, row: Row) -> tuple[Prompt, Output]:
    prompt = _prompt(row)
    contestant, text = fields.name(row, "generator"), fields.needed_text(row, "output")
    return prompt, pairs.output(prompt.prompt_id, contestant, text)


def _annotation(pairs: Pairs, _: int, row: Row) -> list[Item]:
    prompt, preference = _prompt(row), _preference(row)
    names = [_contestant(row, side) for side in ("1", "2")]
    if names[0] == names[1]:
        return [RowNote("left out: a contestant compared with itself")]
    texts = [fields.needed_text(row, side) for side in SIDES]
    left, right = (pairs.output(prompt.prompt_id, *output) for output in zip(names, texts, strict=True))
    notes = [FURTHER] if (left.sample or right.sample) and not set(SIDES).intersection(names) else []
    if preference is None:
        notes.append(RowNote("without a preference, so without a label"))
        return pairs.new((prompt, left, right, *notes))
    by_model = fields.first(row, "annotator") is not None
    label = pairs.label(
        left,
        right,
        Outcome.TIE if preference == _TIE else Outcome.LEFT if preference < _TIE else Outcome.RIGHT,
        annotator=fields.name(row, "annotator", "annotator_index"),
        kind=AnnotatorKind.MODEL if by_model else AnnotatorKind.HUMAN,
        probability=2 - preference if by_model else None,
    )
    return pairs.new((prompt, left, right, label, *notes))


def difficulty(_: int, row: Row) -> tuple[tuple[str, float]]:
    """Read the difficulty of a prompt, which is named by its id, its instruction, or by nothing but its place: ""."""
    value = fields.number(row, "instruction_difficulty")
    if value is None:
        raise KeyError("instruction_difficulty")
    if fields.first(row, "prompt_id") is not None:
        return ((fields.identifier(row, "prompt_id"), value),)
    return (("" if fields.first(row, "instruction") is None else _prompt(row).prompt_id, value),)


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
