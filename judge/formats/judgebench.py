"""JudgeBench: pairs of answers with a gold label, and judges' decisions on them in both orders.

The file's `decision` names the answer shown first as A, so in the second judgment, whose order is swapped, A is
response_B. An entry that is null is a call without a reply, and no verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from judge.domain.dataset import ImportedVerdict, Label, Output, Prompt
from judge.domain.outcome import AnnotatorKind, Order, Outcome, Preference, VerdictStatus
from judge.formats import fields
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, Parser, SourcedLabel
from judge.formats.pairs import GOLD

_KEYS = frozenset(("pair_id", "question", "response_A", "response_B", "label"))
_GROUPS = {
    "mmlu-pro": "knowledge",
    "livebench-reasoning": "reasoning",
    "livebench-math": "math",
    "livecodebench": "coding",
}
"""The groups that accuracies are published for, by the beginning of the source's name. They are the categories."""
_PREFERENCES = {"A>B": Preference.FIRST, "B>A": Preference.SECOND, "A=B": Preference.TIE, "B=A": Preference.TIE}
_JUDGE = re.compile(r"judge_model=(.+?)\.jsonl?\b")
_LEFT, _RIGHT = "response_A", "response_B"


def recognize(path: Path, row: Row) -> Format | None:
    """Return the format of a file by its first *row*."""
    return Format(name="JudgeBench", parser=lambda: _parser(path)) if row.keys() >= _KEYS else None


def _parser(path: Path) -> Parser:
    match = _JUDGE.search(path.name)
    in_name = match[1] if match else None

    def items(_: int, row: Row) -> Iterator[Item]:
        prompt_id = fields.name(row, "pair_id")
        yield _prompt(prompt_id, row)
        for side in (_LEFT, _RIGHT):
            yield Output(prompt_id=prompt_id, contestant=side, turns=(fields.needed_text(row, side),))
        yield SourcedLabel("judgebench", _gold(prompt_id, row))
        yield from _verdicts(prompt_id, row, in_name)

    return items


def _prompt(prompt_id: str, row: Row) -> Prompt:
    source, model = fields.text(row, "source") or "", fields.text(row, "response_model")
    group = next((group for begin, group in _GROUPS.items() if source.startswith(begin)), None)
    tags = tuple(tag for tag in (source, model) if tag)
    question = fields.needed_text(row, "question")
    return Prompt(prompt_id=prompt_id, turns=(question,), category=group or source, tags=tags)


def _gold(prompt_id: str, row: Row) -> Label:
    return Label(
        label_id=prompt_id,
        prompt_id=prompt_id,
        left=_LEFT,
        right=_RIGHT,
        outcome=_outcome(row, "label", Order.LEFT_FIRST),
        annotator=GOLD,
        kind=AnnotatorKind.GOLD,
    )


def _outcome(row: Row, name: str, order: Order) -> Outcome:
    word = fields.needed(row, name)
    if word not in _PREFERENCES:
        raise ValueError(f"has an invalid {name}: {word!r:.60} is not one of {', '.join(_PREFERENCES)}")
    return _PREFERENCES[word].outcome(order)


def _verdicts(prompt_id: str, row: Row, in_name: str | None) -> Iterator[ImportedVerdict]:
    entries = row.get("judgments") or []
    if not isinstance(entries, list) or len(entries) > len(Order):
        raise ValueError(f"has invalid judgments: {entries!r:.60} is not a list of two")
    models = [model for entry in entries if entry and (model := (entry.get("judgment") or {}).get("judge_model"))]
    for order, entry in zip(Order, entries, strict=False):
        if entry is None:
            continue
        judge, prompting = next(iter(models), in_name), fields.text(row, "judge_name")
        if judge is None:
            raise KeyError("judge_model")
        outcome = None if entry.get("decision") is None else _outcome(entry, "decision", order)
        yield ImportedVerdict(
            prompt_id=prompt_id,
            left=_LEFT,
            right=_RIGHT,
            order=order,
            judge=f"{prompting}/{judge}" if prompting else judge,
            raw=_raw(entry.get("judgment") or {}),
            outcome=outcome,
            status=VerdictStatus.UNREADABLE if outcome is None else VerdictStatus.OK,
        )


def _raw(judgment: Row) -> str | None:
    """Return the judge's reply. Reward models have none, and in some files it stands in the prompt's place."""
    return fields.text(judgment, "response" if "response" in judgment else "prompt") or None
