"""The project's own format: files of prompts, outputs, labels, verdicts, and comparisons, alone or in a folder.

A file's name begins with what it holds; `human_labels` and `judge_verdicts` hold labels and verdicts, too. A row of
verdicts that merges both orders is not a verdict on one presentation, so it becomes a label by a model.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from judge.domain.dataset import Battle, ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.names import checked_name
from judge.domain.outcome import AnnotatorKind, Outcome, Selection, TieKind, VerdictStatus
from judge.formats import fields, words
from judge.formats.fields import Row
from judge.formats.lines import Import, read_rows

T = TypeVar("T")
KINDS = ("prompts", "outputs", "labels", "verdicts", "comparisons", "battles")
_NAME = re.compile(rf"(?:human_(?=labels)|judge_(?=verdicts))?({'|'.join(KINDS)}).*\.jsonl(?:\.gz)?")


def kind_of(path: Path) -> str | None:
    """Return the kind of rows that a file holds, by its name; None if the name does not say."""
    match = _NAME.fullmatch(path.name)
    return match[1] if match else None


def read(path: Path) -> Import:
    """Read a folder or a file. Battles are listed but not read, because they are ranked and not imported.

    Raises InvalidInput if there is nothing to import.
    """
    files = _files(path)
    battles = tuple(files.pop("battles", ()))
    if battles and not files:
        message = f"{path} holds battles, which are not imported; rank them with: judge rank {battles[0]}"
        raise InvalidInput("path", message, reason="BATTLES")
    if not files:
        raise InvalidInput("path", f"{path} holds none of {', '.join(f'{kind}.jsonl' for kind in KINDS)}")
    labels, verdicts = files.get("labels", ()), files.get("verdicts", ())
    return Import(
        prompts=partial(_all, files.get("prompts", ()), _prompt),
        outputs=partial(_all, files.get("outputs", ()), _output),
        labels=partial(_labels, labels, verdicts),
        verdicts=lambda: (row for row in _all(verdicts, _verdict) if row is not None),
        comparisons=partial(_all, files.get("comparisons", ()), _listed),
        battles=battles,
    )


def _files(path: Path) -> dict[str, list[Path]]:
    """Return the files by kind. Of a file that is present both plain and as `.gz`, only the plain one is used."""
    files: dict[str, list[Path]] = defaultdict(list)
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else {path.name}
    folder = path if path.is_dir() else path.parent
    for name in sorted(names):
        file = folder / name
        if (kind := kind_of(file)) and file.is_file() and name.removesuffix(".gz") not in names - {name}:
            files[kind].append(file)
    return files


def _all(files: Iterable[Path], parse: Callable[[int, Row], T]) -> Iterator[T]:
    for file in files:
        yield from read_rows(file, parse)


def _labels(labels: Iterable[Path], verdicts: Iterable[Path]) -> Iterator[tuple[str, Label]]:
    for file in labels:
        yield from read_rows(file, partial(_sourced_label, file.name))
    for file in verdicts:
        for label in read_rows(file, _reconciled):
            if label is not None:
                yield file.name, label


def _prompt_id(row: Row) -> str:
    return fields.name(row, "prompt_id", "question_id")


def _pair(row: Row) -> tuple[str, str]:
    return fields.name(row, "left", "model_a"), fields.name(row, "right", "model_b")


def _outcome(row: Row, left: str, right: str) -> tuple[Outcome, TieKind | None]:
    """Read the outcome. Raises ValueError for a word that is also the name of a contestant that it does not mean."""
    word = fields.needed(row, "outcome", "winner")
    outcome, tie_kind = words.outcome(word)
    if word in (left, right) and word != {Outcome.LEFT: left, Outcome.RIGHT: right}.get(outcome):
        raise ValueError(
            f"has the outcome {word!r}, which means {outcome.name.lower()}, but a contestant has that name: rename the "
            "contestant, or use left, right, and tie for outcomes"
        )
    return outcome, tie_kind


def _turns(row: Row) -> tuple[str, ...]:
    if fields.first(row, "turns") is not None:
        return fields.texts(row, "turns")
    text = fields.text(row, "text")
    if text is None:
        raise KeyError("text")
    return (text,)


def _prompt(_: int, row: Row) -> Prompt:
    return Prompt(
        prompt_id=_prompt_id(row),
        turns=_turns(row),
        category=fields.text(row, "category") or "",
        tags=fields.texts(row, "tags"),
        reference=fields.texts(row, "reference"),
    )


def _output(_: int, row: Row) -> Output:
    contestant = fields.name(row, "contestant", "model")
    return Output(
        prompt_id=_prompt_id(row), contestant=contestant, turns=_turns(row), sample=fields.whole(row, "sample")
    )


def _sourced_label(file: str, number: int, row: Row) -> tuple[str, Label]:
    # A row's own source counts only with its own id, because both together identify a label.
    own = fields.text(row, "source") if fields.first(row, "label_id") is not None else None
    return checked_name("source", own or file), _label(number, row)


def _label(number: int, row: Row) -> Label:
    left, right = _pair(row)
    outcome, implied = _outcome(row, left, right)
    tie_kind, selection = fields.first(row, "tie_kind"), fields.first(row, "selection")
    return Label(
        label_id=str(number) if fields.first(row, "label_id") is None else fields.name(row, "label_id"),
        prompt_id=_prompt_id(row),
        left=left,
        right=right,
        outcome=outcome,
        annotator=fields.name(row, "annotator", "judge"),
        kind=words.member(AnnotatorKind, "kind", fields.first(row, "kind") or "human"),
        turn=fields.turn(row),
        probability=fields.number(row, "probability"),
        strength=fields.number(row, "strength"),
        tie_kind=words.member(TieKind, "tie_kind", tie_kind) if tie_kind else implied,
        note=fields.text(row, "note", "reason") or "",
        left_sample=fields.whole(row, "left_sample"),
        right_sample=fields.whole(row, "right_sample"),
        selection=words.member(Selection, "selection", selection) if selection else None,
        selection_probability=fields.number(row, "selection_probability"),
    )


def _is_reconciled(row: Row) -> bool:
    return bool(fields.first(row, "first", "order") == words.BOTH)


def _reconciled(number: int, row: Row) -> Label | None:
    """Read a row of verdicts that merges both orders as a label; None for a verdict on one presentation."""
    if not _is_reconciled(row):
        return None
    inconsistent = {"tie_kind": words.word(TieKind.INCONSISTENT)} if fields.flag(row, "inconsistent") else {}
    return _label(number, {**row, **inconsistent, "kind": words.word(AnnotatorKind.MODEL)})


def _verdict(_: int, row: Row) -> ImportedVerdict | None:
    """Read a verdict; None for a row that merges both orders, or that has a `state`, which means no verdict."""
    if _is_reconciled(row) or fields.first(row, "state") is not None:
        return None
    if fields.whole(row, "left_sample") or fields.whole(row, "right_sample"):
        raise ValueError("has a sample other than 0, which imported verdicts do not support")
    left, right = _pair(row)
    order = words.order(fields.needed(row, "first", "order"))
    winner, status = fields.first(row, "outcome", "winner"), fields.first(row, "status")
    if winner == words.ERROR:
        winner, status = None, status or words.word(VerdictStatus.UNREADABLE)
    outcome, tie_kind = words.outcome(winner) if winner is not None else (None, None)
    if tie_kind is TieKind.INCONSISTENT:
        raise ValueError("has an inconsistent tie for a single order; a row that merges both needs order: both")
    return ImportedVerdict(
        prompt_id=_prompt_id(row),
        left=left,
        right=right,
        order=order,
        judge=fields.name(row, "judge"),
        turn=fields.turn(row),
        raw=fields.text(row, "raw"),
        outcome=outcome,
        status=words.member(VerdictStatus, "status", status) if status else None,
        reason=fields.text(row, "reason") or "",
        repeat=fields.whole(row, "repeat"),
    )


def _listed(_: int, row: Row) -> ListedComparison:
    left, right = _pair(row)
    return ListedComparison(
        comparison_id=fields.name(row, "comparison_id"),
        prompt_id=_prompt_id(row),
        left=left,
        right=right,
        turn=fields.whole(row, "turn"),
        left_sample=fields.whole(row, "left_sample"),
        right_sample=fields.whole(row, "right_sample"),
    )


def battle(_: int, row: Row) -> Battle:
    """Read a battle. All kinds of ties count the same."""
    left, right = _pair(row)
    weight = fields.number(row, "weight")
    if weight is not None and weight <= 0:
        raise ValueError(f"has an invalid weight: {weight:g} is not positive")
    prompt = _prompt_id(row) if fields.first(row, "prompt_id", "question_id") is not None else ""
    outcome, _tie_kind = _outcome(row, left, right)
    return Battle(left=left, right=right, outcome=outcome, weight=weight, prompt_id=prompt)
