"""The rows of a table as text: CSV, or the like with tabs, semicolons or bars."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO

from judge.domain.errors import InvalidInput
from judge.formats.fields import Row, TextRow

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a cell begins that a spreadsheet executes, or that `defused` made."""
_SEPARATORS = (",", "\t", ";", "|")

Rows = Iterator[tuple[int, Row | InvalidInput]]


def rows(path: Path, file: IO[bytes], longest: int) -> Rows:
    """Yield the number of each row's last line and the row, or what is wrong with it. An empty cell is None.

    The separator is the one that makes the most columns of the header. Raises InvalidInput for a header that has a name
    twice, for a text in quotes that does not end, and for a row of more than *longest* characters.
    """
    csv.field_size_limit(longest)
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    lines = _lines(path, text, longest)
    try:
        first = next(lines, None)
        if first is None:
            return
        separator = max(_SEPARATORS, key=lambda mark: len(next(csv.reader([first], delimiter=mark))))
        reader = csv.reader(chain((first,), lines), delimiter=separator, strict=True)
        header = _header(path, next(reader))
        last = 1
        for cells in reader:
            if not cells and reader.line_num - last <= longest:
                continue
            last = reader.line_num
            if len(cells) != len(header):
                yield reader.line_num, _length(path, reader.line_num, len(cells), len(header))
            else:
                # A cell without a name is an index that a data frame wrote.
                pairs = zip(header, cells, strict=True)
                yield reader.line_num, TextRow({name: undefused(cell) or None for name, cell in pairs if name})
    except csv.Error as error:
        raise InvalidInput(path.name, f"{path} is not valid CSV: {error}", reason="NOT_CSV") from None
    finally:
        # The file is closed by who opened it, and may be already.
        with contextlib.suppress(ValueError):
            text.detach()


def defused(text: str) -> str:
    """Return *text* as a cell that no spreadsheet takes for a formula: with a quote before what would begin one.

    A text that looks like that already gets a further quote, so that `undefused` returns every text as it was.

    >>> [defused(text) for text in ("=1+1", "'=1+1", "1 + 1")]
    ["'=1+1", "''=1+1", '1 + 1']
    """
    return f"'{text}" if _FORMULA.match(text) else text


def undefused(cell: str) -> str:
    """Return the text of a *cell* that `defused` may have made.

    >>> [undefused(cell) for cell in ("'=1+1", "''=1+1", "'tis", "=1+1")]
    ['=1+1', "'=1+1", "'tis", '=1+1']
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _lines(path: Path, text: io.TextIOWrapper, longest: int) -> Iterator[str]:
    while line := text.readline(longest + 1):
        if len(line) > longest:
            raise InvalidInput(path.name, f"{path} has a line of more than {longest:,} bytes", reason="ROW_TOO_LARGE")
        yield line


def _header(path: Path, cells: list[str]) -> list[str]:
    header = [cell.strip() for cell in cells]
    counts = Counter(filter(None, header))
    if len(counts) < sum(counts.values()):
        twice = next(name for name, count in counts.items() if count > 1)
        message = f"{path} has the column {twice!r} twice: rename one of them"
        raise InvalidInput(path.name, message, reason="REPEATED_COLUMN")
    return header


def _length(path: Path, line: int, n_cells: int, n_columns: int) -> InvalidInput:
    message = f"{path} line {line} has {n_cells:,} fields, but the header has {n_columns:,}"
    return InvalidInput(path.name, message, reason="INVALID_ROW")
