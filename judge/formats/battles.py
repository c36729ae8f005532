"""Files of battles: JSON lines, CSV and Parquet, each row read alike; `.gz` of the first two."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from judge.domain.dataset import Battle
from judge.domain.errors import InvalidInput
from judge.formats import jsonl
from judge.formats.fields import Row
from judge.formats.lines import read_rows, taken

_ONE_OF = {"winner_model_a": "left", "winner_model_b": "right", "winner_tie": "tie"}
"""Columns of 0 and 1 in place of a winner: the Arena's table of 55 thousand preferences."""
_ROWS = 1 << 14


def read(path: Path) -> Iterator[Battle]:
    """The battles of a file, by what its name ends with; InvalidInput names the file and the row that is wrong."""
    ending = "".join(path.suffixes[-2:]).lower().removesuffix(".gz").rpartition(".")[2]
    if ending == "csv":
        for number, row in _csv(path):
            yield taken(path, f"line {number}", _battle, number, row)
    elif ending == "parquet":
        for number, row in _parquet(path):
            yield taken(path, f"row {number}", _battle, number, row)
    elif ending in {"jsonl", "ndjson"}:
        yield from read_rows(path, _battle)
    else:
        told = f"{path} is a file of battles by its place, but its name ends with none of .jsonl, .csv, .parquet"
        raise InvalidInput("path", told, reason="UNKNOWN_FORMAT")


def _battle(number: int, row: Row) -> Battle:
    if "winner_tie" in row:
        said = [word for column, word in _ONE_OF.items() if row.get(column) in (1, "1", True)]
        if len(said) != 1:
            raise ValueError(f"has {len(said)} winners: one of {', '.join(_ONE_OF)} is 1")
        row = {**row, "outcome": said[0]}
    return jsonl.battle(number, row)


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as lines:
            rows = csv.DictReader(lines, strict=True)
            for row in rows:
                if None in row or None in row.values():
                    told = f"{path} line {rows.line_num} has not as many fields as the first line"
                    raise InvalidInput(path.name, told, reason="INVALID_ROW")
                found: dict[str, Any] = {name: value for name, value in row.items() if value}
                if "weight" in found:
                    found["weight"] = _number(path, rows.line_num, found["weight"])
                yield rows.line_num, found
    except (csv.Error, EOFError, UnicodeDecodeError, gzip.BadGzipFile) as error:
        raise InvalidInput(path.name, f"{path} is not CSV: {error}", reason="NOT_CSV") from None


def _number(path: Path, line: int, said: str) -> float:
    try:
        return float(said)
    except ValueError:
        told = f"{path} line {line} has a weight that is no number: {said!r:.60}"
        raise InvalidInput("weight", told, reason="INVALID_ROW") from None


def _parquet(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        import polars as pl  # noqa: PLC0415  # of an extra, and slow to import
    except ImportError:
        told = f"{path} needs polars to be read (the extra data): pip install polars"
        raise InvalidInput("path", told, reason="EXTRA_NEEDED") from None
    try:
        frame = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise InvalidInput(path.name, f"{path} is not Parquet: {error}", reason="NOT_PARQUET") from None
    yield from enumerate(frame.iter_rows(named=True, buffer_size=_ROWS), 1)
