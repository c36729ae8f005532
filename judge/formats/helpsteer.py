"""HelpSteer3's preferences: two responses to a conversation, and a score of each annotator from -3 to 3.

A negative score means that response1 is better. The annotators have no names, so they are numbered in each row.
"""

from __future__ import annotations

from pathlib import Path

from judge.domain.dataset import Label, Output, Prompt
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats import fields
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, Parser
from judge.formats.messages import prompt_turn, turn_id
from judge.formats.pairs import Pairs

_KEYS = frozenset(("context", "response1", "response2", "overall_preference"))
_SIDES = ("response1", "response2")
_MOST = 3
"""The score of a response that is much better."""


def recognize(_: Path, row: Row) -> Format | None:
    """Return the format of a file by its first *row*."""
    return Format(name="HelpSteer3 preferences", parser=_parser) if row.keys() >= _KEYS else None


def _parser() -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> list[Item]:
        turn = prompt_turn(fields.needed(row, "context"))
        language = fields.text(row, "language")
        prompt = Prompt(
            prompt_id=turn_id(turn),
            turns=(turn,),
            category=fields.text(row, "domain") or "",
            tags=(language,) if language else (),
        )
        left, right = (pairs.output(prompt.prompt_id, side, fields.needed_text(row, side)) for side in _SIDES)
        return pairs.new((prompt, left, right, *_labels(pairs, left, right, row)))

    return items


def _labels(pairs: Pairs, left: Output, right: Output, row: Row) -> list[Label]:
    """Return the label of each annotator; that of all together if the row has no others."""
    each = [(f"annotator{number}", _score(entry, "score"), entry) for number, entry in enumerate(_individual(row), 1)]
    return [
        pairs.label(
            left,
            right,
            Outcome.TIE if not score else Outcome.LEFT if score < 0 else Outcome.RIGHT,
            annotator=annotator,
            kind=AnnotatorKind.HUMAN,
            strength=abs(score) / _MOST,
            note=fields.text(entry, "reasoning") or "",
        )
        for annotator, score, entry in each or [("overall", _score(row, "overall_preference"), {})]
    ]


def _individual(row: Row) -> list[Row]:
    return fields.rows(row, "individual_preference") if row.get("individual_preference") else []


def _score(row: Row, name: str) -> int:
    fields.needed(row, name)
    score = fields.whole(row, name, least=-_MOST)
    if score > _MOST:
        raise ValueError(f"has an invalid {name}: {score} is not from -{_MOST} to {_MOST}")
    return score
