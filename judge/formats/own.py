"""The product's own formats: prompts, outputs, labels, scores, verdicts, comparisons, battles, in any container.

A file's name may begin with what it holds, as `human_labels` does; otherwise its first row tells. A row of verdicts
that merges both orders is not a verdict on one presentation, so it becomes a label by a model.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from judge.domain.dataset import Battle, ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.messages import Role, Turn
from judge.domain.names import checked_name
from judge.domain.outcome import AnnotatorKind, Outcome, Selection, TieKind, VerdictStatus
from judge.domain.scores import Score, ScoreScale
from judge.formats import fields, words
from judge.formats.fields import Row, TextRow
from judge.formats.importing import Format, Item, LabelIds, Parser, RowNote, SourcedLabel
from judge.formats.messages import chat_turn

_NAME = re.compile(
    r"(?:human_(?=labels)|judge_(?=verdicts))?(prompts|outputs|labels|scores|verdicts|comparisons|battles)(?![a-z])",
    re.IGNORECASE,
)
PROMPT = ("prompt_id", "question_id")
LEFT, RIGHT = ("left", "model_a"), ("right", "model_b")
OUTCOME = ("outcome", "winner")
ANNOTATOR = ("annotator", "judge")
CONTESTANT = ("contestant", "model")
ORDER = ("first", "order")
_TURNS = ("turns", "text", "messages")
_OTHERS = (
    *("category", "tags", "reference", *_TURNS, "sample", "turn", "label_id", "source", "kind", "probability"),
    *("strength", "tie_kind", "note", "reason", "selection", "selection_probability", "left_sample", "right_sample"),
    *("raw", "status", "state", "repeat", "inconsistent", "comparison_id", "weight", "score", "lowest", "highest"),
)
FIELDS = frozenset({*PROMPT, *LEFT, *RIGHT, *OUTCOME, *ANNOTATOR, *CONTESTANT, *ORDER, *_OTHERS})


def kind_by_name(path: Path) -> str | None:
    """Return the kind of rows that a file holds by its name; None if the name does not say."""
    match = _NAME.match(path.name)
    return match[1].lower() if match else None


def kind_of(path: Path, row: Row) -> str | None:
    """Return the kind of rows that a file holds, by its name or its first *row*: a kind of item, or `battles`.

    A file that is named labels or verdicts is one even if a field is missing, so that the error can name the field.
    """
    named = kind_by_name(path)
    row = canonical(row)
    return named if named and _NEEDED[named](row) else _kind(row)


def _has(row: Row, *fields_: tuple[str, ...]) -> bool:
    return all(any(name in row for name in names) for names in fields_)


def _kind(row: Row) -> str | None:
    if _has(row, PROMPT, LEFT, RIGHT, ("judge",), ORDER):
        return "verdicts"
    if _has(row, ("comparison_id",), PROMPT, LEFT, RIGHT):
        return "comparisons"
    if _has(row, LEFT, RIGHT, OUTCOME):
        return "labels" if _has(row, PROMPT, ANNOTATOR) else "battles"
    if _has(row, PROMPT, _TURNS):
        return "outputs" if _has(row, CONTESTANT) else "prompts"
    if _has(row, PROMPT, CONTESTANT, ("score",), ANNOTATOR):
        return "scores"
    return None


_NEEDED: Mapping[str, Callable[[Row], bool]] = {
    "prompts": lambda row: _has(row, PROMPT) or _has(row, _TURNS),
    "outputs": lambda row: _has(row, CONTESTANT) or _has(row, PROMPT),
    "labels": lambda row: _has(row, LEFT) or _has(row, PROMPT),
    "scores": lambda row: _has(row, CONTESTANT) and _has(row, ("score",)),
    "verdicts": lambda row: _has(row, LEFT) or _has(row, PROMPT),
    "comparisons": lambda row: _has(row, LEFT) or _has(row, ("comparison_id",)),
    "battles": lambda row: _has(row, LEFT),
}
"""Whether a row can be of the kind that its file's name says."""


def format_of(kind: str) -> Format:
    """Return the format of a file of a *kind* of item."""
    return Format(name=kind, parser=lambda: _PARSERS[kind](LabelIds()))


def canonical(row: Row) -> Row:
    """Return the row with our spelling of each field that differs only in capitals, blanks or dashes.

    >>> canonical({"Question_ID": 1, "Model A": "m"})
    {'question_id': 1, 'model_a': 'm'}
    """
    renamed = _renamed(tuple(row))
    if not renamed:
        return row
    ours = {renamed.get(name, name): value for name, value in row.items()}
    return TextRow(ours) if isinstance(row, TextRow) else ours


@lru_cache(maxsize=1024)
def _renamed(names: tuple[str, ...]) -> dict[str, str]:
    """Return our spelling of the *names* that are spelled in another way, unless ours is there, too."""
    ours = {name: name.strip().casefold().replace(" ", "_").replace("-", "_") for name in names if name not in FIELDS}
    return {name: our for name, our in ours.items() if our in FIELDS and our not in names}


def _each(parse: Callable[[LabelIds, Row], Item | None]) -> Callable[[LabelIds], Parser]:
    def of(ids: LabelIds) -> Parser:
        def items(_: int, row: Row) -> Iterable[Item]:
            item = parse(ids, canonical(row))
            return () if item is None else (item,)

        return items

    return of


def _prompt_id(row: Row) -> str:
    return fields.identifier(row, *PROMPT)


def _pair(row: Row) -> tuple[str, str]:
    return fields.name(row, *LEFT), fields.name(row, *RIGHT)


def _outcome(row: Row, left: str, right: str) -> tuple[Outcome, TieKind | None]:
    """Read the outcome. Raises ValueError for a word that is also the name of a contestant that it does not mean."""
    word = fields.needed(row, *OUTCOME)
    outcome, tie_kind = words.outcome(word)
    if word in (left, right) and word != {Outcome.LEFT: left, Outcome.RIGHT: right}.get(outcome):
        raise ValueError(
            f"has the outcome {word!r}, which means {outcome.name.lower()}, but a contestant has that name: rename the "
            "contestant, or use left, right, and tie for outcomes"
        )
    return outcome, tie_kind


def _messages(row: Row) -> Any:  # noqa: ANN401  # JSON
    """Return the messages of a row, which a table has as JSON; None without any."""
    messages = fields.first(row, "messages")
    if not isinstance(messages, str):
        return messages
    try:
        return json.loads(messages)
    except (ValueError, RecursionError):
        raise ValueError(f"has invalid messages: {messages!r:.60} is not JSON") from None


def _turns(row: Row, role: Role) -> tuple[Turn, ...]:
    """Read the turns: texts, or messages, which are those of one turn or a list of turns."""
    messages = _messages(row)
    if messages is not None:
        if fields.first(row, "turns", "text") is not None:
            raise ValueError("has both messages and turns or text; give one of them")
        if isinstance(messages, list) and any(isinstance(entry, list | str) for entry in messages):
            return tuple(entry if isinstance(entry, str) else chat_turn(entry, role) for entry in messages)
        return (chat_turn(messages, role),)
    if fields.first(row, "turns") is not None:
        return fields.texts(row, "turns")
    text = fields.text(row, "text")
    if text is None:
        raise KeyError("turns, text or messages")
    return (text,)


def _prompt(_: LabelIds, row: Row) -> Prompt:
    return Prompt(
        prompt_id=_prompt_id(row),
        turns=_turns(row, Role.USER),
        category=fields.text(row, "category") or "",
        tags=fields.texts(row, "tags"),
        reference=fields.texts(row, "reference"),
    )


def _output(_: LabelIds, row: Row) -> Output:
    contestant = fields.name(row, *CONTESTANT)
    return Output(
        prompt_id=_prompt_id(row),
        contestant=contestant,
        turns=_turns(row, Role.ASSISTANT),
        sample=fields.whole(row, "sample"),
    )


def _sourced_label(ids: LabelIds, row: Row) -> Label | SourcedLabel:
    plain, source = label(ids, row), fields.text(row, "source")
    # A row's own source counts only with its own id, because both together identify a label.
    if source is None or fields.first(row, "label_id") is None:
        return plain
    return SourcedLabel(checked_name("source", source), plain)


_OF_SOME_LABELS = frozenset(
    (
        *("kind", "left_sample", "right_sample", "probability", "strength", "tie_kind", "note", "reason"),
        *("selection", "selection_probability"),
    )
)


def label(ids: LabelIds, row: Row) -> Label:
    """Read a label. Raises KeyError or ValueError for a row that is wrong."""
    left, right = _pair(row)
    outcome, implied = _outcome(row, left, right)
    prompt_id, annotator, turn = _prompt_id(row), fields.name(row, *ANNOTATOR), fields.turn(row)
    left_sample, right_sample = fields.whole(row, "left_sample"), fields.whole(row, "right_sample")
    own_id = fields.first(row, "label_id")
    sides = ((left, left_sample), (right, right_sample))
    if own_id is None and row.keys().isdisjoint(_OF_SOME_LABELS):
        # Most labels of a million have only these fields, and looking for each of the others takes half of the time.
        return Label(
            label_id=ids.next(prompt_id, turn, sides, annotator),
            prompt_id=prompt_id,
            left=left,
            right=right,
            outcome=outcome,
            annotator=annotator,
            kind=AnnotatorKind.HUMAN,
            turn=turn,
            tie_kind=implied,
        )
    tie_kind, selection = fields.first(row, "tie_kind"), fields.first(row, "selection")
    return Label(
        label_id=ids.next(prompt_id, turn, sides, annotator) if own_id is None else fields.name(row, "label_id"),
        prompt_id=prompt_id,
        left=left,
        right=right,
        outcome=outcome,
        annotator=annotator,
        kind=words.member(AnnotatorKind, "kind", fields.first(row, "kind") or "human"),
        turn=turn,
        probability=fields.number(row, "probability"),
        strength=fields.number(row, "strength"),
        tie_kind=words.member(TieKind, "tie_kind", tie_kind) if tie_kind else implied,
        note=fields.text(row, "note", "reason") or "",
        left_sample=left_sample,
        right_sample=right_sample,
        selection=words.member(Selection, "selection", selection) if selection else None,
        selection_probability=fields.number(row, "selection_probability"),
    )


def _score(ids: LabelIds, row: Row) -> Label | RowNote:
    """Read a score of one output; a note on a row without one."""
    value = fields.number(row, "score")
    if value is None:
        return RowNote("without a score, so without a label")
    lowest, highest = fields.number(row, "lowest"), fields.number(row, "highest")
    score = Score(
        prompt_id=_prompt_id(row),
        contestant=fields.name(row, *CONTESTANT),
        value=value,
        annotator=fields.name(row, *ANNOTATOR),
        kind=words.member(AnnotatorKind, "kind", fields.first(row, "kind") or "human"),
        scale=ScoreScale(lowest=0.0 if lowest is None else lowest, highest=10.0 if highest is None else highest),
        turn=fields.turn(row),
        sample=fields.whole(row, "sample"),
        note=fields.text(row, "note", "reason") or "",
    )
    if fields.first(row, "label_id") is not None:
        return score.label(fields.name(row, "label_id"))
    sides = ((score.contestant, score.sample), (score.scale.name, 0))
    return score.label(ids.next(score.prompt_id, score.turn, sides, score.annotator))


def _is_reconciled(row: Row) -> bool:
    return bool(fields.first(row, *ORDER) == words.BOTH)


def _verdict(ids: LabelIds, row: Row) -> ImportedVerdict | Label | None:
    """Read a verdict; a label if the row merges both orders; None if it has a `state`, which means no verdict."""
    if _is_reconciled(row):
        inconsistent = {"tie_kind": words.word(TieKind.INCONSISTENT)} if fields.flag(row, "inconsistent") else {}
        merged = {**row, **inconsistent, "kind": words.word(AnnotatorKind.MODEL)}
        return label(ids, TextRow(merged) if isinstance(row, TextRow) else merged)
    if fields.first(row, "state") is not None:
        return None
    left, right = _pair(row)
    order = words.order(fields.needed(row, *ORDER))
    winner, status = fields.first(row, *OUTCOME), fields.first(row, "status")
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
        strength=fields.number(row, "strength"),
        left_sample=fields.whole(row, "left_sample"),
        right_sample=fields.whole(row, "right_sample"),
    )


def _listed(_: LabelIds, row: Row) -> ListedComparison:
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


def battle(row: Row) -> Battle:
    """Read a battle. All kinds of ties count the same."""
    left, right = _pair(row)
    weight = fields.number(row, "weight")
    if weight is not None and weight <= 0:
        raise ValueError(f"has an invalid weight: {weight:g} is not positive")
    prompt = _prompt_id(row) if fields.first(row, *PROMPT) is not None else ""
    outcome, _tie_kind = _outcome(row, left, right)
    return Battle(left=left, right=right, outcome=outcome, weight=weight, prompt_id=prompt)


_PARSERS = {
    "prompts": _each(_prompt),
    "outputs": _each(_output),
    "labels": _each(_sourced_label),
    "scores": _each(_score),
    "verdicts": _each(_verdict),
    "comparisons": _each(_listed),
}
