"""Read any table by a mapping that its owner writes: which column is what, and which word means which outcome."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from judge.domain.dataset import Output, Prompt
from judge.domain.errors import InvalidInput
from judge.formats import fields, own, words
from judge.formats.containers import rows_of
from judge.formats.fields import Row, TextRow
from judge.formats.importing import Format, Item, LabelIds, Parser, text_id
from judge.formats.pairs import Pairs

LABEL = ("annotator", "kind", "turn", "probability", "strength", "label_id", "note", "tie_kind")
PAIR = ("left", "right", "left_name", "right_name", "outcome")
OTHERS = ("prompt", "prompt_id", "category", "reference", "contestant", "text")
TARGETS = (*OTHERS, *PAIR, *LABEL)
"""What a column can be mapped to."""
ANNOTATOR = "annotator"
"""The annotator of a table that names none."""
_LOOKED_AT = 1_000
_NUMBERS = {"1": "left", "2": "right"}
"""What numbers of sides mean, unless the mapping says otherwise."""


@dataclass(frozen=True)
class ColumnMapping:
    """Columns by what they are, constants for what no column holds, and the outcome that each word means."""

    columns: Mapping[str, str]
    constants: Mapping[str, str] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)

    def recognize(self, path: Path, row: Row) -> Format:
        """Return the format of a table by its first *row*. Raises InvalidInput if a column is not there."""
        if missing := [column for column in self.columns.values() if column not in row]:
            message = f"{path} has no column {', '.join(map(repr, missing))}. It has {', '.join(map(repr, row)):.300}"
            raise InvalidInput("map", message, reason="MISSING_COLUMN")
        has = self.columns.keys() | self.constants.keys()
        if {"left", "right"} <= has and self._has_texts(path):
            self._need("outcome", "pairs")
            return Format(name="mapped pairs", parser=self._pairs)
        if {"left", "right"} <= has or {"left_name", "right_name"} <= has:
            self._need("outcome", "labels")
            return Format(name="mapped labels", parser=self._labels)
        if "contestant" in has:
            self._need("text", "outputs")
            return Format(name="mapped outputs", parser=lambda: self._others(is_output=True))
        if not {"prompt", "text"} & has:
            message = "map left and right (or left_name and right_name) with outcome, contestant with text, or prompt"
            raise InvalidInput("map", message, reason="INCOMPLETE_MAPPING")
        return Format(name="mapped prompts", parser=lambda: self._others(is_output=False))

    def _need(self, target: str, what: str) -> None:
        if target not in self.columns and target not in self.constants:
            raise InvalidInput("map", f"{what} need a column for {target}: --map {target}=COLUMN", reason="NO_COLUMN")

    def _has_texts(self, path: Path) -> bool:
        """Whether left and right are texts of outputs: names of contestants come again and again."""
        if {"left_name", "right_name"} & (self.columns.keys() | self.constants.keys()):
            return True
        cells = [
            str(row[self.columns[side]])
            for _, _, row in islice(rows_of(path), _LOOKED_AT)
            if not isinstance(row, InvalidInput)
            for side in ("left", "right")
            if side in self.columns and row.get(self.columns[side]) is not None
        ]
        return any("\n" in cell for cell in cells) or 2 * len(set(cells)) > max(len(cells), 2)

    def _row(self, row: Row) -> dict[str, object]:
        """Return the fields of a row by what they are, with the outcome as a word that is known."""
        values: dict[str, object] = {target: row.get(column) for target, column in self.columns.items()}
        values |= self.constants
        if (outcome := values.get("outcome")) is not None:
            if isinstance(outcome, float) and outcome.is_integer():
                outcome = int(outcome)
            word = str(outcome).strip()
            values["outcome"] = self.outcomes.get(word) or (
                word if word in words.OUTCOMES else _NUMBERS.get(word, word)
            )
        if values.get("prompt_id") is None and values.get("prompt") is not None:
            values["prompt_id"] = text_id(fields.needed_text(values, "prompt"))
        values.setdefault("annotator", ANNOTATOR)
        return TextRow(values) if isinstance(row, TextRow) else values

    def _labels(self) -> Parser:
        label = own.format_of("labels").parser()

        def items(number: int, row: Row) -> Iterable[Item]:
            values = self._row(row)
            for side in ("left", "right"):
                values[side] = values.get(f"{side}_name") or values.get(side)
            return (*self._prompt(values), *label(number, values))

        return _distinct(items)

    def _pairs(self) -> Parser:
        pairs, ids = Pairs(), LabelIds()

        def items(_: int, row: Row) -> Iterable[Item]:
            values = self._row(row)
            prompt_id = fields.identifier(values, "prompt_id", "prompt")
            outputs = [
                pairs.output(
                    prompt_id,
                    side if values.get(f"{side}_name") is None else fields.name(values, f"{side}_name"),
                    fields.needed_text(values, side),
                )
                for side in ("left", "right")
            ]
            for side, output in zip(("left", "right"), outputs, strict=True):
                values |= {side: output.contestant, f"{side}_sample": output.sample}
            label = own.label(ids, TextRow(values) if isinstance(row, TextRow) else values)
            return pairs.new((*self._prompt(values), *outputs, label))

        return items

    def _others(self, *, is_output: bool) -> Parser:
        def items(_: int, row: Row) -> Iterable[Item]:
            values = self._row(row)
            if not is_output:
                values.setdefault("prompt", values.get("text"))
                values["prompt_id"] = values.get("prompt_id") or text_id(fields.needed_text(values, "prompt"))
                return self._prompt(values)
            output = Output(
                prompt_id=fields.identifier(values, "prompt_id", "prompt"),
                contestant=fields.name(values, "contestant"),
                turns=(fields.needed_text(values, "text"),),
            )
            return (*self._prompt(values), output)

        return _distinct(items)

    def _prompt(self, values: Row) -> tuple[Prompt, ...]:
        """Return the prompt of a row, if its text is mapped."""
        text = fields.text(values, "prompt")
        if text is None:
            return ()
        reference = fields.text(values, "reference")
        return (
            Prompt(
                prompt_id=fields.identifier(values, "prompt_id"),
                turns=(text,),
                category=fields.text(values, "category") or "",
                reference=() if reference is None else (reference,),
            ),
        )


def _distinct(parse: Parser) -> Parser:
    """Yield each prompt once."""
    done: set[str] = set()

    def items(number: int, row: Row) -> Iterable[Item]:
        made = [item for item in parse(number, row) if not isinstance(item, Prompt) or item.prompt_id not in done]
        done.update(item.prompt_id for item in made if isinstance(item, Prompt))
        return made

    return items


def mapping_of(pairs: Iterable[tuple[str, str]], outcomes: Iterable[tuple[str, str]]) -> ColumnMapping:
    """Return a mapping from pairs of a target and a column, and of a word and its outcome.

    A column that begins with an equals sign is a constant. Raises InvalidInput for an unknown target or outcome.

    >>> mapping_of([("left", "answer 1"), ("annotator", "=gpt-5")], [("same", "tie")]).constants
    {'annotator': 'gpt-5'}
    """
    columns: dict[str, str] = {}
    constants: dict[str, str] = {}
    for target, column in pairs:
        if target not in TARGETS:
            known = ", ".join(TARGETS)
            raise InvalidInput("map", f"nothing is called {target!r}; map one of {known}", reason="UNKNOWN_TARGET")
        if column.startswith("="):
            constants[target] = column[1:]
        else:
            columns[target] = column
    by_word = dict(outcomes)
    for outcome in by_word.values():
        if outcome not in words.OUTCOMES:
            message = f"{outcome!r} is no outcome; use one of {', '.join(words.OUTCOMES)}"
            raise InvalidInput("word", message, reason="UNKNOWN_OUTCOME")
    return ColumnMapping(columns, constants, by_word)
