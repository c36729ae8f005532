"""Read battles from JSON lines, CSV, or Parquet. JSON lines and CSV may be gzipped."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from judge.domain.dataset import Battle
from judge.domain.errors import InvalidInput
from judge.formats import jsonl
from judge.formats.fields import Row
from judge.formats.lines import parse_row, read_rows

_ONE_OF = {"winner_model_a": "left", "winner_model_b": "right", "winner_tie": "tie"}
"""Columns of 0 and 1 that replace a winner, as in Chatbot Arena's table of 55,000 preferences."""
_PROMPT = ("prompt_id", "question_id")
_NEEDED = {"left": ("left", "model_a"), "right": ("right", "model_b"), "outcome": ("outcome", "winner")}
_COLUMNS = {"left", "model_a", "right", "model_b", "outcome", "winner", "weight", *_PROMPT, *_ONE_OF}
_ENDINGS = ("csv", "parquet", "jsonl", "ndjson")
_ROWS = 1 << 14
_MOST_NAMED = 8
"""More columns that are not used are counted, not named."""


def is_battle_file(name: str) -> bool:
    """Whether *name* ends like that of a file of battles."""
    return ":" not in name and name.lower().removesuffix(".gz").endswith(tuple(f".{ending}" for ending in _ENDINGS))


def read(path: Path) -> Iterator[Battle]:
    """Read the battles of a file, whose format follows from the end of its name.

    Raises InvalidInput with the file and the row that is wrong.
    """
    return _read(path, _battle)


def read_with_warnings(path: Path) -> tuple[list[Battle], tuple[str, ...]]:
    """Read the battles of a file like `read`, and say what of it is missing, was not used, or looks like a slip.

    Raises InvalidInput for a file without battles, too.
    """
    names: dict[str, None] = {}

    def battle(number: int, row: Row) -> Battle:
        names.update(dict.fromkeys(row))
        return _battle(number, row)

    battles = list(_read(path, battle))
    if not battles:
        raise InvalidInput(path.name, f"{path} has no battles", reason="NO_BATTLES")
    return battles, (*_warnings(path, names, battles), *_alike(battles))


def _warnings(path: Path, names: Iterable[str], battles: Sequence[Battle]) -> Iterator[str]:
    unused = [name for name in names if name not in _COLUMNS]
    narrow = "if several of them are on one prompt, the intervals are too narrow"
    alone = sum(not battle.prompt_id for battle in battles)
    if not set(_PROMPT).intersection(names):
        yield (f"{path} has no column {' or '.join(_PROMPT)}, so each battle counts as a prompt of its own: {narrow}")
    elif alone:
        have, count = ("has", "counts") if alone == 1 else ("have", "each count")
        yield (
            f"{alone:,} of {len(battles):,} battles of {path} {have} no prompt and {count} as a prompt of "
            f"{'its' if alone == 1 else 'their'} own: {narrow}"
        )
    if unused:
        more = f" and {len(unused) - _MOST_NAMED:,} more" if len(unused) > _MOST_NAMED else ""
        yield f"columns of {path} that are not used: {', '.join(unused[:_MOST_NAMED])}{more}"


def _alike(battles: Sequence[Battle]) -> Iterator[str]:
    """Yield the contestants whose names differ only in spaces, or in upper and lower case."""
    alike: dict[str, set[str]] = {}
    for name in {name for battle in battles for name in (battle.left, battle.right)}:
        alike.setdefault("".join(name.split()).casefold(), set()).add(name)
    for names in sorted(sorted(names) for names in alike.values() if len(names) > 1):
        yield f"{', '.join(map(repr, names))} count as different contestants, although only spaces or capitals differ"


def _read(path: Path, battle: Callable[[int, Row], Battle]) -> Iterator[Battle]:
    ending = "".join(path.suffixes[-2:]).lower().removesuffix(".gz").rpartition(".")[2]
    if ending == "csv":
        for number, row in _csv(path):
            yield parse_row(path, f"line {number}", battle, number, row)
    elif ending == "parquet":
        for number, row in _parquet(path):
            yield parse_row(path, f"row {number}", battle, number, row)
    elif ending in {"jsonl", "ndjson"}:
        yield from read_rows(path, battle)
    else:
        message = f"{path} cannot be read as battles: its name must end with .jsonl, .csv, or .parquet"
        raise InvalidInput("path", message, reason="UNKNOWN_FORMAT")


def _battle(number: int, row: Row) -> Battle:
    if "winner_tie" in row:
        outcomes = [outcome for column, outcome in _ONE_OF.items() if row.get(column) in (1, "1", True)]
        if len(outcomes) != 1:
            raise ValueError(f"has {len(outcomes)} winners: exactly one of {', '.join(_ONE_OF)} must be 1")
        row = {**row, "outcome": outcomes[0]}
    try:
        battle = jsonl.battle(number, row)
    except KeyError as missing:
        names = _NEEDED.get(missing.args[0], missing.args)
        raise ValueError(f"has no {' or '.join(names)}. It has the fields {', '.join(row) or 'none'}") from None
    if battle.left == battle.right:
        raise ValueError(f"has {battle.left!r} on both sides")
    return battle


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as lines:
            rows = csv.DictReader(lines, strict=True)
            for row in rows:
                if None in row or None in row.values():
                    message = f"{path} line {rows.line_num} does not have as many fields as the header"
                    raise InvalidInput(path.name, message, reason="INVALID_ROW")
                values: dict[str, Any] = {name: value for name, value in row.items() if value}
                if "weight" in values:
                    values["weight"] = _number(path, rows.line_num, values["weight"])
                yield rows.line_num, values
    except (csv.Error, EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise InvalidInput(path.name, f"{path} is not valid CSV: {error}", reason="NOT_CSV") from None


def _number(path: Path, line: int, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        message = f"{path} line {line} has an invalid weight: {value!r:.60} is not a number"
        raise InvalidInput("weight", message, reason="INVALID_ROW") from None


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        import polars as pl  # noqa: PLC0415  # of an extra, and slow to import
    except ImportError:
        message = f"{path} needs polars to be read: pip install polars, or install judge with the extra [data]"
        raise InvalidInput("path", message, reason="EXTRA_NEEDED") from None
    try:
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(path.name, f"{path} is not valid Parquet: {error}", reason="NOT_PARQUET") from None
    yield from enumerate(frame.iter_rows(named=True, buffer_size=_ROWS), 1)
