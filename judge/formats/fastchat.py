"""FastChat's layout: question.jsonl, model_answer/, reference_answer/, judgments in *_pair.jsonl, and votes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import takewhile
from pathlib import Path

from judge.domain.dataset import ImportedVerdict, Label, Output, Prompt
from judge.domain.outcome import AnnotatorKind, Order, VerdictStatus
from judge.formats import fields, words
from judge.formats.fields import Row
from judge.formats.lines import Import, read_rows

References = dict[str, tuple[str, ...]]


def read(path: Path) -> Import:
    """Read a FastChat folder. A vote becomes a label with its file's name as source and its line number as id."""
    answers = sorted((path / "model_answer").glob("*.jsonl"))
    judgments = _judgments(path / "model_judgment")
    votes = sorted(path.glob("*votes.jsonl"))
    return Import(
        prompts=partial(read_rows, path / "question.jsonl", partial(_prompt, _references(path / "reference_answer"))),
        outputs=lambda: (row for file in answers for rows in read_rows(file, _outputs) for row in rows),
        labels=lambda: ((file.name, label) for file in votes for label in read_rows(file, _vote)),
        verdicts=lambda: (row for file in judgments for rows in read_rows(file, _judgment) for row in rows),
    )


def _judgments(folder: Path) -> list[Path]:
    files = sorted([*folder.glob("*_pair.jsonl"), *folder.glob("*_pair.jsonl.gz")])
    return files or sorted(folder.glob("*_pair.sample.jsonl"))


def _references(folder: Path) -> References | None:
    """Read the reference answers by question; None if the folder is missing."""
    if not folder.is_dir():
        return None
    return dict(pair for file in sorted(folder.glob("*.jsonl")) for pair in read_rows(file, _reference))


def _question(row: Row) -> str:
    return fields.name(row, "question_id")


def _reference(_: int, row: Row) -> tuple[str, tuple[str, ...]]:
    return _question(row), fields.texts(fields.rows(row, "choices")[0], "turns")


def _prompt(references: References | None, _: int, row: Row) -> Prompt:
    name, turns = _question(row), fields.texts(row, "turns")
    # FastChat shows judges only the reference answers of that folder. A question's own are notes, and may have gaps.
    notes = tuple(takewhile(bool, fields.texts(row, "reference")))
    reference = notes if references is None else references.get(name, ())
    return Prompt(
        prompt_id=name,
        turns=turns,
        category=fields.text(row, "category") or "",
        tags=(),
        reference=reference[: len(turns)],
    )


def _outputs(_: int, row: Row) -> list[Output]:
    question, model = _question(row), fields.name(row, "model_id")
    return [
        Output(prompt_id=question, contestant=model, turns=turns, sample=fields.whole(choice, "index"))
        for choice in fields.rows(row, "choices")
        if (turns := fields.texts(choice, "turns"))
    ]


def _vote(number: int, row: Row) -> Label:
    annotator = fields.name(row, "judge")
    outcome, tie_kind = words.outcome(fields.needed(row, "winner"))
    return Label(
        label_id=str(number),
        prompt_id=_question(row),
        left=fields.name(row, "model_a"),
        right=fields.name(row, "model_b"),
        outcome=outcome,
        annotator=annotator,
        kind=AnnotatorKind.MODEL if annotator.endswith("_pair") else AnnotatorKind.HUMAN,
        turn=fields.turn(row),
        tie_kind=tie_kind,
    )


def _judgment(_: int, row: Row) -> list[ImportedVerdict]:
    return list(_games(row))


def _games(row: Row) -> Iterator[ImportedVerdict]:
    judge, *_ = fields.texts(row, "judge") or (None,)
    if not judge:
        raise KeyError("judge")
    for game, order in (("g1", Order.LEFT_FIRST), ("g2", Order.RIGHT_FIRST)):
        winner = fields.needed(row, f"{game}_winner")
        unreadable = winner == words.ERROR
        yield ImportedVerdict(
            prompt_id=_question(row),
            left=fields.name(row, "model_1"),
            right=fields.name(row, "model_2"),
            order=order,
            judge=judge,
            turn=fields.turn(row),
            raw=fields.text(row, f"{game}_judgment"),
            outcome=None if unreadable else words.outcome(winner)[0],
            status=VerdictStatus.UNREADABLE if unreadable else VerdictStatus.OK,
        )
