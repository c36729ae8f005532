"""Read JSON lines, one object per line, plain or gzipped. Errors are InvalidInput with the file and the line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from judge.domain.dataset import ImportedVerdict, Label, ListedComparison, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.formats.fields import Row

T = TypeVar("T")


@dataclass(frozen=True)
class RowCounts:
    """The number of rows of each kind. Labels are counted by source, in the order of the files."""

    prompts: int
    outputs: int
    labels: Counter[str]
    verdicts: int
    comparisons: int

    @property
    def total(self) -> int:
        """The number of all rows."""
        return self.prompts + self.outputs + self.labels.total() + self.verdicts + self.comparisons


@dataclass(frozen=True)
class Import:
    """The content of a path. Each call reads the files again. A label comes with its source; battles are not read."""

    prompts: Callable[[], Iterator[Prompt]] = lambda: iter(())
    outputs: Callable[[], Iterator[Output]] = lambda: iter(())
    labels: Callable[[], Iterator[tuple[str, Label]]] = lambda: iter(())
    verdicts: Callable[[], Iterator[ImportedVerdict]] = lambda: iter(())
    comparisons: Callable[[], Iterator[ListedComparison]] = lambda: iter(())
    battles: tuple[Path, ...] = ()

    def counts(self) -> RowCounts:
        """Read and count all rows. Raises InvalidInput for the first wrong one."""
        return RowCounts(
            prompts=sum(1 for _ in self.prompts()),
            outputs=sum(1 for _ in self.outputs()),
            labels=Counter(source for source, _ in self.labels()),
            verdicts=sum(1 for _ in self.verdicts()),
            comparisons=sum(1 for _ in self.comparisons()),
        )


def read_rows(path: Path, parse: Callable[[int, Row], T]) -> Iterator[T]:
    """Yield *parse* of each line's number and object. Raises InvalidInput with the file and the line that is wrong."""
    for number, line in _lines(path):
        if not line.strip():
            continue
        place = f"line {number}"
        yield parse_row(path, place, parse, number, _object(path.name, f"{path} {place}", line))


def parse_row(path: Path, place: str, parse: Callable[[int, Row], T], number: int, row: Row) -> T:
    """Return *parse* of a row. Raises InvalidInput with the file and the *place* if the row is wrong."""
    try:
        return parse(number, row)
    except InvalidInput as error:
        raise InvalidInput(error.field, f"{path} {place}: {error.message}", reason=error.reason) from None
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        message = f"has no field {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidInput(path.name, f"{path} {place} {message}", reason="INVALID_ROW") from None


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{path} line {number + 1} is cut off or damaged: {error}"
        raise InvalidInput(path.name, message, reason="DAMAGED_FILE") from None
    except OSError as error:
        raise InvalidInput(path.name, f"{path} cannot be read: {error.strerror}", reason="UNREADABLE_FILE") from None


def _object(name: str, place: str, line: bytes) -> Row:
    try:
        row = json.loads(line.decode("utf-8").rstrip(), parse_constant=_no_number, object_pairs_hook=_distinct)
        if b"\\u" in line:
            # UTF-8 has no lone surrogates, but an escape sequence can write one.
            json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput(name, f"{place} is not UTF-8", reason="NOT_UTF8") from None
    except UnicodeEncodeError:
        raise InvalidInput(
            name, f"{place} has half a character (a lone surrogate) in a text", reason="LONE_SURROGATE"
        ) from None
    except json.JSONDecodeError as error:
        raise InvalidInput(name, f"{place} is not valid JSON: {_json_problem(error)}", reason="NOT_JSON") from None
    except (ValueError, RecursionError) as error:
        raise InvalidInput(name, f"{place} is not valid JSON: {error}", reason="NOT_JSON") from None
    if not isinstance(row, dict):
        raise InvalidInput(name, f"{place} is not a JSON object", reason="NOT_JSON")
    return row


def _json_problem(error: json.JSONDecodeError) -> str:
    """Say what is wrong in which column. Some messages of the parser end with "at", for a position to follow."""
    return f"{error.msg.removesuffix(' at')} in column {error.colno}"


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the field {twice!r:.60} is there twice")
    return row
