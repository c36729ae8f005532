"""FastChat's files: questions, answers, reference answers, judgments of pairs, scores of single answers, and votes.

A file's keys say what it holds, so judgments may be one file per judge (`gpt-4_pair.jsonl`) or one per pair
(`gpt-4/a__vs__b.jsonl`), at any depth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import takewhile
from pathlib import Path

from judge.domain.dataset import ImportedVerdict, Label, Output, Prompt
from judge.domain.outcome import AnnotatorKind, Order, VerdictStatus
from judge.domain.scores import Score, ScoreScale
from judge.formats import fields, words
from judge.formats.containers import rows_of
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, LabelIds, LeftOut, Parser, RowNote, parsed_row

REFERENCES = "reference_answer"
NO_SCORE = -1
"""The score of a reply that has none."""
References = dict[str, tuple[str, ...]]


def recognize(path: Path, row: Row) -> Format | LeftOut | None:
    """Return the format of a file by its first *row*, or why it is left out; None if it is none of FastChat's."""
    for needed, of in _KEYS:
        if needed <= row.keys():
            return of(path, row)
    return None


def _question_format(path: Path, row: Row) -> Format | None:
    texts = isinstance(row["turns"], list) and all(isinstance(turn, str) for turn in row["turns"])
    if not texts or "prompt_id" in row or not row.keys().isdisjoint(("model", "contestant", "model_id")):
        return None
    references = cache(partial(_references, path.parent / REFERENCES))
    return _format("FastChat questions", lambda _ids, _number, row: (_prompt(references(), row),))


def _vote_format(_: Path, row: Row) -> Format | None:
    return _format("FastChat votes", _vote) if row.keys().isdisjoint(("prompt_id", "order", "first")) else None


def _answer_format(path: Path, row: Row) -> Format | LeftOut | None:
    choices = row["choices"]
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        turns = choices[0].get("turns")
        if isinstance(turns, list) and turns and isinstance(turns[0], dict):
            return None
    if REFERENCES in path.parts:
        return LeftOut(path.name, "reference answers, read with the questions", loses=False)
    return _format("FastChat answers", lambda _ids, _number, row: _outputs(row))


def _format(name: str, items: Callable[[LabelIds, int, Row], Iterable[Item]]) -> Format:
    def parser() -> Parser:
        return partial(items, LabelIds())

    return Format(name=name, parser=parser)


def _references(folder: Path) -> References | None:
    """Read the reference answers by question; None if the folder is missing. Raises InvalidInput for a wrong row."""
    if not folder.is_dir():
        return None
    references: References = {}
    for path in sorted(folder.glob("*.jsonl*")):
        for place, number, row in rows_of(path):
            references.update(parsed_row(path, place, _reference, number, row))
    return references


def _question(row: Row) -> str:
    return fields.identifier(row, "question_id")


def _reference(_: int, row: Row) -> Iterable[tuple[str, tuple[str, ...]]]:
    return ((_question(row), fields.texts(fields.rows(row, "choices")[0], "turns")),)


def _prompt(references: References | None, row: Row) -> Prompt:
    name, turns = _question(row), fields.texts(row, "turns")
    # FastChat shows judges only the reference answers of that folder. A question's own are notes, and may have gaps.
    notes = tuple(takewhile(bool, fields.texts(row, "reference")))
    reference = notes if references is None else references.get(name, ())
    return Prompt(
        prompt_id=name,
        turns=turns,
        category=fields.text(row, "category") or "",
        tags=fields.texts(row, "tags"),
        reference=reference[: len(turns)],
    )


def _outputs(row: Row) -> list[Output]:
    question, model = _question(row), fields.name(row, "model_id")
    return [
        Output(prompt_id=question, contestant=model, turns=turns, sample=fields.whole(choice, "index"))
        for choice in fields.rows(row, "choices")
        if (turns := fields.texts(choice, "turns"))
    ]


def _vote(ids: LabelIds, _: int, row: Row) -> list[Label]:
    question, annotator, turn = _question(row), fields.name(row, "judge"), fields.turn(row)
    left, right = fields.name(row, "model_a"), fields.name(row, "model_b")
    outcome, tie_kind = words.outcome(fields.needed(row, "winner"))
    return [
        Label(
            label_id=ids.next(question, turn, (left, right), annotator),
            prompt_id=question,
            left=left,
            right=right,
            outcome=outcome,
            annotator=annotator,
            kind=AnnotatorKind.MODEL if annotator.endswith("_pair") else AnnotatorKind.HUMAN,
            turn=turn,
            tie_kind=tie_kind,
        )
    ]


def _games(_ids: LabelIds, _number: int, row: Row) -> Iterator[ImportedVerdict]:
    # In files of one pair, judge is two fields.
    judge = fields.text(row, "judge_model") or next(iter(fields.texts(row, "judge")), None)
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


def _scores(ids: LabelIds, _: int, row: Row) -> list[Label | RowNote]:
    value = fields.number(row, "score")
    if value is None or value == NO_SCORE:
        return [RowNote("without a score, since the judge's reply has none")]
    score = Score(
        prompt_id=_question(row),
        contestant=fields.name(row, "model"),
        value=value,
        annotator=f"{fields.texts(row, 'judge')[0]}_single",
        kind=AnnotatorKind.MODEL,
        scale=ScoreScale(),
        turn=fields.turn(row),
        note=fields.text(row, "judgment") or "",
    )
    return [score.label(ids.next(score.prompt_id, score.turn, (score.contestant, score.scale.name), score.annotator))]


def _prompts_of_judges(path: Path, _: Row) -> LeftOut:
    return LeftOut(path.name, "prompts for judges: see rubrics in docs/judges.md", loses=False)


_Of = Callable[[Path, Row], Format | LeftOut | None]
_KEYS: tuple[tuple[frozenset[str], _Of], ...] = (
    (frozenset(("question_id", "g1_winner", "g2_winner")), lambda _path, _row: _format("FastChat judgments", _games)),
    (
        frozenset(("question_id", "model", "judge", "judgment", "score")),
        lambda _path, _row: _format("FastChat scores", _scores),
    ),
    (frozenset(("question_id", "model_id", "choices")), _answer_format),
    (frozenset(("name", "type", "system_prompt", "prompt_template")), _prompts_of_judges),
    (frozenset(("question_id", "model_a", "model_b", "winner", "judge")), _vote_format),
    (frozenset(("question_id", "turns")), _question_format),
)
