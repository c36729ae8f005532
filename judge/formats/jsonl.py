"""The project's own format: prompts, outputs, labels, verdicts and comparisons, alone or in a folder.

A file's name begins with what it holds; `human_labels` and `judge_verdicts` are read as labels and verdicts. A verdict
row that stands for both orders is no showing: it is a label of a model.
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
from judge.domain.outcome import AnnotatorKind, Selection, TieKind, VerdictStatus
from judge.formats import fields, words
from judge.formats.fields import Row
from judge.formats.lines import Import, read_rows

T = TypeVar("T")
KINDS = ("prompts", "outputs", "labels", "verdicts", "comparisons", "battles")
_NAME = re.compile(rf"(?:human_(?=labels)|judge_(?=verdicts))?({'|'.join(KINDS)}).*\.jsonl(?:\.gz)?")


def kind_of(path: Path) -> str | None:
    """Which kind of rows the file at *path* holds by its name; None if its name says none."""
    match = _NAME.fullmatch(path.name)
    return match[1] if match else None


def read(path: Path) -> Import:
    """The rows of a folder, or of one file. Battles are left to be ranked; InvalidInput if there is nothing else."""
    found = _files(path)
    battles = tuple(found.pop("battles", ()))
    if battles and not found:
        told = f"{path} holds battles, which are not imported: rank them with judge rank {battles[0]}"
        raise InvalidInput("path", told, reason="BATTLES")
    if not found:
        raise InvalidInput("path", f"{path} holds none of {', '.join(f'{kind}.jsonl' for kind in KINDS)}")
    labels, verdicts = found.get("labels", ()), found.get("verdicts", ())
    return Import(
        prompts=partial(_all, found.get("prompts", ()), _prompt),
        outputs=partial(_all, found.get("outputs", ()), _output),
        labels=partial(_labels, labels, verdicts),
        verdicts=lambda: (row for row in _all(verdicts, _verdict) if row is not None),
        comparisons=partial(_all, found.get("comparisons", ()), _listed),
        battles=battles,
    )


def _files(path: Path) -> dict[str, list[Path]]:
    """Files by kind. A file that is there plain and as `.gz` is read once."""
    found: dict[str, list[Path]] = defaultdict(list)
    names = {entry.name for entry in path.iterdir()} if path.is_dir() else {path.name}
    folder = path if path.is_dir() else path.parent
    for name in sorted(names):
        file = folder / name
        if (kind := kind_of(file)) and file.is_file() and name.removesuffix(".gz") not in names - {name}:
            found[kind].append(file)
    return found


def _all(files: Iterable[Path], made: Callable[[int, Row], T]) -> Iterator[T]:
    for file in files:
        yield from read_rows(file, made)


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


def _turns(row: Row) -> tuple[str, ...]:
    if fields.first(row, "turns") is not None:
        return fields.texts(row, "turns")
    text = fields.text(row, "text")
    if text is None:
        raise KeyError("text")
    return (text,)


def _prompt(_: int, row: Row) -> Prompt:
    return Prompt(
        _prompt_id(row),
        _turns(row),
        fields.text(row, "category") or "",
        fields.texts(row, "tags"),
        fields.texts(row, "reference"),
    )


def _output(_: int, row: Row) -> Output:
    contestant = fields.name(row, "contestant", "model")
    return Output(_prompt_id(row), contestant, _turns(row), fields.whole(row, "sample"))


def _sourced_label(file: str, number: int, row: Row) -> tuple[str, Label]:
    # A row's own source counts only beside its own id: together they are its identity.
    own = fields.text(row, "source") if fields.first(row, "label_id") is not None else None
    return checked_name("source", own or file), _label(number, row)


def _label(number: int, row: Row) -> Label:
    left, right = _pair(row)
    said, implied = words.outcome(fields.needed(row, "outcome", "winner"))
    tie_kind, selection = fields.first(row, "tie_kind"), fields.first(row, "selection")
    return Label(
        label_id=str(number) if fields.first(row, "label_id") is None else fields.name(row, "label_id"),
        prompt_id=_prompt_id(row),
        left=left,
        right=right,
        outcome=said,
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
    """The label of a verdict row that stands for both orders; None for a showing."""
    if not _is_reconciled(row):
        return None
    inconsistent = {"tie_kind": words.word(TieKind.INCONSISTENT)} if fields.flag(row, "inconsistent") else {}
    return _label(number, {**row, **inconsistent, "kind": words.word(AnnotatorKind.MODEL)})


def _verdict(_: int, row: Row) -> ImportedVerdict | None:
    """The verdict of a row; None if it stands for both orders, or has a `state`: nothing was said then."""
    if _is_reconciled(row) or fields.first(row, "state") is not None:
        return None
    if fields.whole(row, "left_sample") or fields.whole(row, "right_sample"):
        raise ValueError("is about another sample than 0, which an uploaded verdict cannot be")
    left, right = _pair(row)
    order = words.order(fields.needed(row, "first", "order"))
    said, status = fields.first(row, "outcome", "winner"), fields.first(row, "status")
    if said == words.ERROR:
        said, status = None, status or words.word(VerdictStatus.UNREADABLE)
    outcome, tie_kind = words.outcome(said) if said is not None else (None, None)
    if tie_kind is TieKind.INCONSISTENT:
        raise ValueError("says that one showing contradicts itself; order: both stands for two")
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
    """A battle of a row; how a tie came about makes no difference to it."""
    left, right = _pair(row)
    weight = fields.number(row, "weight")
    if weight is not None and weight <= 0:
        raise ValueError(f"has the weight {weight}, which is not positive")
    prompt = _prompt_id(row) if fields.first(row, "prompt_id", "question_id") is not None else ""
    return Battle(left, right, words.outcome(fields.needed(row, "outcome", "winner"))[0], weight, prompt)
