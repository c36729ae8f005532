"""PandaLM's test set, and judges' results on it.

A row of the test set is a pair of models (`cmp_key`: `MODEL_MODEL`) on one task, with the outcomes of its annotators
(0 tie, 1, 2). A result has the number of such a row (`idx`), so that it needs the test set in the same folder.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from judge.domain.dataset import ImportedVerdict, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.outcome import AnnotatorKind, Order, Outcome, VerdictStatus
from judge.formats import fields
from judge.formats.containers import first_row, rows_of
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, LeftOut, Parser, parsed_row, text_id
from judge.formats.pairs import Pairs

_TEST = frozenset(("idx", "cmp_key", "instruction", "response1", "response2"))
_RESULT, _ANNOTATOR = "_result", re.compile(r"annotator\d+")
_OUTCOMES = {"0": Outcome.TIE, "tie": Outcome.TIE, "1": Outcome.LEFT, "2": Outcome.RIGHT, "garbage": None}
_FILE_NAME = re.compile(r"(.+)-testset")


class _Pair(NamedTuple):
    prompt: Prompt
    left: Output
    right: Output


def recognize(path: Path, row: Row) -> Format | LeftOut | None:
    """Return the format of a file by its first *row*: the test set, or results on it."""
    if row.keys() >= _TEST:
        return Format(name="PandaLM test set", parser=_test_parser)
    named = [name for name in row if str(name).endswith(_RESULT)]
    if "idx" not in row or len(named) != 1:
        return None
    test_set = next((other for other in sorted(path.parent.iterdir()) if other != path and _is_test_set(other)), None)
    if test_set is None:
        return LeftOut(path.name, "results of PandaLM, whose test set is not in the same folder")
    judge, pairs = named[0].removesuffix(_RESULT), cache(partial(_pairs_of, test_set))
    match = _FILE_NAME.match(path.name)
    name = match[1] if match else judge
    return Format(name="PandaLM results", parser=lambda: _result_parser(pairs, judge, name))


def _is_test_set(path: Path) -> bool:
    try:
        return path.is_file() and (first_row(path) or {}).keys() >= _TEST
    except InvalidInput:
        return False


def _test_parser() -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> list[Item]:
        pair = _pair(pairs, row)
        labels = [
            pairs.label(pair.left, pair.right, _label_outcome(row, name), annotator=name, kind=AnnotatorKind.HUMAN)
            for name in row
            if _ANNOTATOR.fullmatch(name) and row[name] is not None
        ]
        return pairs.new((*pair, *labels))

    return items


def _pair(pairs: Pairs, row: Row) -> _Pair:
    name = fields.name(row, "cmp_key")
    left, mark, right = name.partition("_")
    if not mark or "_" in right:
        raise ValueError(f"has an invalid cmp_key: {name!r:.60} is not two models with one _ between them")
    text = "\n\n".join(part for field in ("instruction", "input") if (part := fields.text(row, field)))
    prompt = Prompt(prompt_id=text_id(text), turns=(text,), category=fields.text(row, "motivation_app") or "")
    return _Pair(
        prompt,
        pairs.output(prompt.prompt_id, left, _text(row, "response1")),
        pairs.output(prompt.prompt_id, right, _text(row, "response2")),
    )


def _text(row: Row, name: str) -> str:
    """Read a response, of which some were taken for a JSON value when the file was made: true was the text True."""
    value = fields.needed(row, name)
    return value if isinstance(value, str) else str(value)


def _outcome(row: Row, name: str) -> Outcome | None:
    """Read an outcome; None for what the file calls garbage, a reply without one."""
    word = str(fields.needed(row, name)).strip().lower()
    if word not in _OUTCOMES:
        raise ValueError(f"has an invalid {name}: {row[name]!r:.60} is not 0, 1, 2, tie, or garbage")
    return _OUTCOMES[word]


def _label_outcome(row: Row, name: str) -> Outcome:
    outcome = _outcome(row, name)
    if outcome is None:
        raise ValueError(f"has an invalid {name}: {row[name]!r:.60} is no outcome")
    return outcome


def _pairs_of(path: Path) -> dict[str, _Pair]:
    """Return the pairs of a test set by their numbers, without its wrong rows."""
    pairs, by_number = Pairs(), dict[str, _Pair]()

    def numbered(_: int, row: Row) -> Iterator[tuple[str, _Pair]]:
        yield fields.identifier(row, "idx"), _pair(pairs, row)

    for place, number, row in rows_of(path):
        with contextlib.suppress(InvalidInput):
            by_number.update(parsed_row(path, place, numbered, number, row))
    return by_number


def _result_parser(pairs: Callable[[], Mapping[str, _Pair]], judge: str, name: str) -> Parser:
    def items(_: int, row: Row) -> Iterator[Item]:
        number = fields.identifier(row, "idx")
        if number not in pairs():
            raise ValueError(f"has the idx {number}, which no row of the test set has")
        pair, outcome = pairs()[number], _outcome(row, judge + _RESULT)
        yield ImportedVerdict(
            prompt_id=pair.prompt.prompt_id,
            left=pair.left.contestant,
            right=pair.right.contestant,
            left_sample=pair.left.sample,
            right_sample=pair.right.sample,
            order=Order.LEFT_FIRST,
            judge=name,
            outcome=outcome,
            status=VerdictStatus.UNREADABLE if outcome is None else None,
            reason=fields.text(row, f"{judge}_reason") or "",
        )

    return items
