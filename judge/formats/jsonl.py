"""The project's own format: prompts.jsonl, outputs.jsonl, labels.jsonl, verdicts.jsonl, alone or in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from judge.domain.dataset import Battle, ImportedVerdict, Label, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.outcome import AnnotatorKind, Order, Outcome, Selection, TieKind, VerdictStatus
from judge.formats.lines import Import, Row, read_rows

T = TypeVar("T")
NAMES = ("prompts", "outputs", "labels", "verdicts")
OUTCOMES = {
    "left": Outcome.LEFT,
    "a": Outcome.LEFT,
    "model_a": Outcome.LEFT,
    "right": Outcome.RIGHT,
    "b": Outcome.RIGHT,
    "model_b": Outcome.RIGHT,
    "tie": Outcome.TIE,
}


def outcome(word: object) -> Outcome:
    """The outcome that *word* stands for; ValueError for any other word, which is never a tie."""
    try:
        return OUTCOMES[str(word)]
    except KeyError:
        raise ValueError(f"has the unknown outcome {word!r}") from None


def read(path: Path) -> Import:
    """The rows of a folder, or of one file."""
    found = {name: file for name in NAMES if (file := _file(path, name))}
    if not found:
        raise InvalidInput("path", f"{path} holds none of {', '.join(f'{n}.jsonl' for n in NAMES)}")
    labels = {found["labels"].name: _rows(found["labels"], _label)} if "labels" in found else {}
    return Import(
        prompts=_rows(found.get("prompts"), _prompt),
        outputs=_rows(found.get("outputs"), _output),
        labels=labels,
        verdicts=_rows(found.get("verdicts"), _verdict),
    )


def _file(path: Path, name: str) -> Path | None:
    if path.is_dir():
        return next((p for p in (path / f"{name}.jsonl", path / f"{name}.jsonl.gz") if p.is_file()), None)
    return path if path.name.startswith(name) else None


def _rows(path: Path | None, made: Callable[[int, Row], T]) -> Callable[[], Iterator[T]]:
    return partial(read_rows, path, made) if path else lambda: iter(())


def _first(row: Row, *names: str) -> object:
    for name in names:
        if name in row:
            return row[name]
    raise KeyError(names[0])


def _turns(row: Row) -> tuple[str, ...]:
    turns: object = row["turns"] if "turns" in row else [_first(row, "text", "turns")]
    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
        raise ValueError("has turns that are no list of texts")
    return tuple(turns)


def _prompt(_: int, row: Row) -> Prompt:
    return Prompt(
        str(_first(row, "prompt_id", "question_id")),
        _turns(row),
        row.get("category", ""),
        tuple(row.get("tags", ())),
        tuple(row.get("reference") or ()),
    )


def _output(_: int, row: Row) -> Output:
    return Output(
        str(_first(row, "prompt_id", "question_id")),
        str(_first(row, "contestant", "model")),
        _turns(row),
        row.get("sample", 0),
    )


def _label(number: int, row: Row) -> Label:
    tie_kind = row.get("tie_kind")
    return Label(
        label_id=str(row.get("label_id", number)),
        prompt_id=str(_first(row, "prompt_id", "question_id")),
        left=str(_first(row, "left", "model_a")),
        right=str(_first(row, "right", "model_b")),
        outcome=outcome(_first(row, "outcome", "winner")),
        annotator=str(row["annotator"]),
        kind=AnnotatorKind[str(row.get("kind", "human")).upper()],
        turn=row.get("turn", 1),
        probability=row.get("probability"),
        strength=row.get("strength"),
        tie_kind=TieKind[tie_kind.upper()] if tie_kind else None,
        note=row.get("note", ""),
        left_sample=row.get("left_sample", 0),
        right_sample=row.get("right_sample", 0),
        selection=Selection[row["selection"].upper()] if row.get("selection") else None,
        selection_probability=row.get("selection_probability"),
    )


def battle(_: int, row: Row) -> Battle:
    """A battle of a row; `tie (bothbad)` and the like are ties."""
    said = str(_first(row, "outcome", "winner"))
    return Battle(
        left=str(_first(row, "left", "model_a")),
        right=str(_first(row, "right", "model_b")),
        outcome=outcome("tie" if said.startswith("tie") else said),
        weight=row.get("weight"),
        prompt_id=str(row.get("prompt_id", row.get("question_id", ""))),
    )


def _order(first: object) -> Order:
    shown = outcome(first)
    if shown is Outcome.TIE:
        raise ValueError("says that a tie was shown first")
    return Order.LEFT_FIRST if shown is Outcome.LEFT else Order.RIGHT_FIRST


def _verdict(_: int, row: Row) -> ImportedVerdict:
    said, status = row.get("outcome", row.get("winner")), row.get("status")
    return ImportedVerdict(
        prompt_id=str(_first(row, "prompt_id", "question_id")),
        left=str(_first(row, "left", "model_a")),
        right=str(_first(row, "right", "model_b")),
        order=_order(row["first"]),
        judge=str(row["judge"]),
        turn=row.get("turn", 1),
        raw=row.get("raw"),
        outcome=outcome(said) if said else None,
        status=VerdictStatus[status.upper()] if status else None,
        reason=row.get("reason", ""),
        repeat=row.get("repeat", 0),
    )
