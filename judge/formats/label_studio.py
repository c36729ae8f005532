"""Label Studio's pairwise annotations: the JSON export of a project whose tasks show two texts side by side.

An annotation selects `left` or `right`, and the export does not say which field of the task was on which side. The
labeling configuration does (`toName` of `Pairwise`): it is read from an .xml file next to the export. Without one, the
first of the two fields in the alphabet is taken for the left one, and the import says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from judge.domain.dataset import Label, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats import fields
from judge.formats.containers import rows_of
from judge.formats.documents import inside
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, LeftOut, Parser, text_id
from judge.formats.pairs import Pairs

_PROMPTS = ("prompt", "question", "instruction", "query", "input", "context")
_OUTCOMES = {"left": Outcome.LEFT, "right": Outcome.RIGHT}
_TAG = re.compile(r"<(\w+)((?:\s+[\w:.-]+\s*=\s*(?:\"[^\"]*\"|'[^']*'))*)")
_ATTRIBUTE = re.compile(r"([\w:.-]+)\s*=\s*[\"']([^\"']*)[\"']")
_LARGEST_CONFIGURATION = 1 << 20
_LOOKED_AT = 1000
"""A task without an annotation does not say of what kind its project is, so this many are looked at."""


class _Fields(NamedTuple):
    """Which fields of a task are what. *prompt* is None if there is none."""

    prompt: str | None
    left: str
    right: str


def recognize(path: Path, row: Row) -> Format | LeftOut | None:
    """Return the format of a file by its first *row* and the first annotation."""
    if not isinstance(row.get("data"), Mapping) or not isinstance(row.get("annotations"), list):
        return None
    tasks = (entry.row for entry in islice(rows_of(path), _LOOKED_AT))
    task = next((task for task in tasks if not isinstance(task, InvalidInput) and any(_results(task))), None)
    if task is None:
        return LeftOut(path.name, "an export of Label Studio without pairwise annotations")
    names = sorted(name for name, value in task["data"].items() if isinstance(value, str))
    prompt = next((name for name in _PROMPTS if name in names), None)
    if configured := _configured(path.parent):
        note, (left, right) = f"left is the field {configured[0]}, as the labeling configuration says", configured
    else:
        rest = [name for name in names if name != prompt]
        if len(rest) != len(_OUTCOMES):
            why = f"which of {', '.join(names)} was left and which right is unknown: put the labeling configuration"
            return LeftOut(path.name, f"{why} beside the export, as label_config.xml")
        left, right = rest
        note = f"took the field {left} for left and {right} for right, since no label_config.xml is beside it"
    which = _Fields(prompt, left, right)
    return Format(name="Label Studio pairs", parser=lambda: _parser(which), note=note)


def _configured(folder: Path) -> tuple[str, str] | None:
    """Return the fields that a labeling configuration in the folder has on the left and on the right."""
    for path in sorted(folder.glob("*.xml")):
        with path.open(encoding="utf-8", errors="replace") as file:
            tags = [
                (tag, dict(_ATTRIBUTE.findall(rest))) for tag, rest in _TAG.findall(file.read(_LARGEST_CONFIGURATION))
            ]
        values = {attributes.get("name"): attributes.get("value", "").removeprefix("$") for _, attributes in tags}
        for tag, attributes in tags:
            sides = [values.get(name.strip()) for name in attributes.get("toName", "").split(",")]
            if tag == "Pairwise" and len(sides) == len(_OUTCOMES) and sides[0] and sides[1]:
                return sides[0], sides[1]
    return None


def _parser(which: _Fields) -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> list[Item]:
        data = fields.needed(row, "data")
        text = fields.needed_text(data, which.prompt) if which.prompt else ""
        # Tasks without a prompt have nothing in common.
        prompt_id = text_id(text) if which.prompt else f"task {fields.name(row, 'id')}"
        left = pairs.output(prompt_id, "left", fields.needed_text(data, which.left))
        right = pairs.output(prompt_id, "right", fields.needed_text(data, which.right))
        labels = _labels(pairs, left, right, row)
        return pairs.new((Prompt(prompt_id=prompt_id, turns=(text,)), left, right, *labels))

    return items


def _labels(pairs: Pairs, left: Output, right: Output, row: Row) -> Iterator[Label]:
    fields.needed(row, "annotations")
    for annotation, result in _results(row):
        selected = fields.needed(fields.needed(result, "value"), "selected")
        if selected not in _OUTCOMES:
            raise ValueError(f"has an invalid selected: {selected!r:.60} is not left or right")
        yield pairs.label(
            left,
            right,
            _OUTCOMES[selected],
            annotator=_annotator(annotation),
            kind=AnnotatorKind.HUMAN,
            label_id=fields.name(annotation, "id") if fields.first(annotation, "id") is not None else "",
        )


def _results(task: Row) -> Iterator[tuple[Row, Row]]:
    """Yield the pairwise result of each annotation that was not canceled. To select a side again takes it back."""
    for annotation in inside(task, "annotations"):
        if not annotation.get("was_cancelled"):
            results = (entry for entry in inside(annotation, "result") if entry.get("type") == "pairwise")
            yield from ((annotation, entry) for entry in islice(results, 1))


def _annotator(annotation: Row) -> str:
    person: Any = fields.needed(annotation, "completed_by")
    return (
        fields.name(person, "email", "id") if isinstance(person, Mapping) else fields.name(annotation, "completed_by")
    )
