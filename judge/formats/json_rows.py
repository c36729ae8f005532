"""The objects of a JSON file: one on each line, the entries of an array, or a single one over several lines."""

from __future__ import annotations

import codecs
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

from judge.domain.errors import InvalidInput
from judge.formats.fields import Row

LARGEST_DOCUMENT = 64 * 1024 * 1024
"""The most bytes of a file that holds a single object over several lines."""
_CHUNK = 1 << 20
_BLANK = " \t\r\n"

Rows = Iterator[tuple[int, Row | InvalidInput]]


def lines(path: Path, file: IO[bytes], longest: int) -> Rows:
    """Yield the number of each line from 1 and its object, or what is wrong with it.

    A file whose lines together are one object yields that object. If all fields of a single object are lists of one
    length, their entries are the rows. Raises InvalidInput for a line of more than *longest* bytes.
    """
    numbered = _numbered(path, file, longest)
    begin = list(islice(numbered, 1))
    if isinstance(row := _parsed(path, begin[0]), InvalidInput) and row.reason == _UNFINISHED:
        begin = _beginning(begin, numbered)
        whole = _parsed(path, (1, b"".join(line for _, line in begin)))
        if not isinstance(whole, InvalidInput):
            yield from _rows_of(whole)
            return
        if (error := _broken_document(path, begin, whole)) is not None:
            raise error
    parsed = ((line[0], _parsed(path, line)) for line in chain(begin, numbered))
    start = list(islice(parsed, 2))
    if len(start) == 1 and not isinstance(start[0][1], InvalidInput):
        yield from _rows_of(start[0][1])
    else:
        yield from chain(start, parsed)


def _numbered(path: Path, file: IO[bytes], longest: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers. Only a line feed ends a line."""
    number = last = 0
    while line := file.readline(longest + 1):
        number += 1
        if len(line) > longest:
            message = f"{path} line {number} is longer than {longest:,} bytes"
            raise InvalidInput(path.name, message, reason="ROW_TOO_LARGE")
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if line.strip():
            yield number, line
            last = number
        elif number - last > longest:
            raise InvalidInput(path.name, f"{path} has blank lines from line {last + 1} on", reason="NOT_JSON")


def _beginning(begin: list[tuple[int, bytes]], numbered: Iterator[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Add lines to *begin* until there is no more, or they have LARGEST_DOCUMENT bytes."""
    size = len(begin[0][1])
    for line in numbered:
        begin.append(line)
        size += len(line[1])
        if size > LARGEST_DOCUMENT:
            break
    return begin


def _broken_document(path: Path, begin: list[tuple[int, bytes]], error: InvalidInput) -> InvalidInput | None:
    """Return what is wrong with an object over several lines; None if its lines are rows and the first is wrong."""
    if len(begin) == 1 or not isinstance(_parsed(path, begin[1]), InvalidInput):
        return None
    if sum(len(line) for _, line in begin) > LARGEST_DOCUMENT:
        message = f"{path} holds one JSON object over several lines of more than {LARGEST_DOCUMENT:,} bytes"
        return InvalidInput(path.name, message, reason="ROW_TOO_LARGE")
    if error.reason == _UNFINISHED:
        return InvalidInput(path.name, f"{path} is cut off: its JSON object does not end", reason="DAMAGED_FILE")
    return None


def _rows_of(document: Row) -> Rows:
    """Yield the object, or, if all its fields are lists of one length, a row of each of their entries."""
    columns = list(document.values())
    lengths = {len(column) if isinstance(column, list) else -1 for column in columns}
    if len(columns) > 1 and len(lengths) == 1 and -1 not in lengths:
        for number, entries in enumerate(zip(*columns, strict=True), 1):
            yield number, dict(zip(document, entries, strict=True))
    else:
        yield 1, document


def entries(path: Path, file: IO[bytes], longest: int) -> Rows:
    """Yield the number of each entry of an array from 1 and the object, or what is wrong with it.

    The file is read piece by piece. Raises InvalidInput if the array is not valid JSON or an entry is longer than
    *longest* characters.
    """
    text = _Text(path, file, longest)
    text.skip("[")
    number = 0
    while (mark := text.next()) != "]":
        if number:
            if mark != ",":
                raise text.wrong(f"entry {number} is not followed by a comma")
            text.skip(",")
        number += 1
        entry, is_escaped = text.value(number)
        if is_escaped and has_half_character(entry):
            yield number, _error(path, f"entry {number} {HALF_CHARACTER}", "LONE_SURROGATE")
        else:
            yield number, entry if isinstance(entry, dict) else _error(path, f"entry {number} is not a JSON object")
    text.skip("]")
    if text.next():
        raise text.wrong("something follows the array")


class _Text:
    """The text of a file, of which only the part that is being parsed is in memory."""

    def __init__(self, path: Path, file: IO[bytes], longest: int) -> None:
        self._path, self._file, self._longest = path, file, longest
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._part, self._at, self._ended = "", 0, False

    def wrong(self, why: str) -> InvalidInput:
        return InvalidInput(self._path.name, f"{self._path} is not valid JSON: {why}", reason="NOT_JSON")

    def next(self) -> str:
        """Skip blanks and return the next character without reading past it; empty at the end of the file."""
        while True:
            while self._at < len(self._part) and self._part[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._part) or not self._more():
                return self._part[self._at : self._at + 1]

    def skip(self, mark: str) -> None:
        """Read past *mark*, which comes next."""
        if self.next() != mark:
            raise self.wrong(f"{mark} is missing")
        self._at += 1

    def value(self, number: int) -> tuple[Any, bool]:
        """Read the next value, of entry *number*. Returns it, and whether it is written with escaped characters."""
        self.next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._part, self._at)
            except json.JSONDecodeError as error:
                end, problem = -1, f"entry {number}: {error.msg.removesuffix(' at')}"
            except (ValueError, RecursionError) as error:
                raise self.wrong(f"entry {number}: {error}") from None
            # A number at the end of what is in memory may go on.
            if 0 < end < len(self._part) or (end > 0 and self._ended):
                is_escaped = self._part.find("\\u", self._at, end) >= 0
                self._at = end
                return value, is_escaped
            if len(self._part) - self._at > self._longest:
                raise self.wrong(f"entry {number} is longer than {self._longest:,} characters, or {problem}")
            if not self._more():
                if end > 0:
                    continue
                raise self.wrong(problem)

    def _more(self) -> bool:
        """Read on. Returns False at the end of the file."""
        if self._ended:
            return False
        # At least as much as there is, so that a long value is not parsed anew for each small piece.
        part = self._file.read(max(_CHUNK, len(self._part) - self._at))
        self._ended = not part
        self._part = self._part[self._at :] + self._decode.decode(part, final=self._ended)
        self._at = 0
        return True


_UNFINISHED = "UNFINISHED_JSON"
HALF_CHARACTER = "has half a character (a lone surrogate) in a text"


def has_half_character(value: object) -> bool:
    """Whether a text in JSON has a lone surrogate: UTF-8 has none, but an escape sequence can write one."""
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _parsed(path: Path, line: tuple[int, bytes]) -> Row | InvalidInput:
    """Return the object of a line, or what is wrong with it."""
    number, text = line
    place = f"line {number}"
    try:
        row = _DECODER.decode(text.decode("utf-8").rstrip())
        if b"\\u" in text and has_half_character(row):
            return _error(path, f"{place} {HALF_CHARACTER}", "LONE_SURROGATE")
    except UnicodeDecodeError:
        return _error(path, f"{place} is not UTF-8", "NOT_UTF8")
    except json.JSONDecodeError as error:
        # Some messages of the parser end with "at", for a position to follow.
        why = f"{error.msg.removesuffix(' at')} in column {error.colno}"
        unfinished = error.pos >= len(error.doc) or error.msg.startswith("Unterminated string")
        return _error(path, f"{place} is not valid JSON: {why}", _UNFINISHED if unfinished else "NOT_JSON")
    except (ValueError, RecursionError) as error:
        return _error(path, f"{place} is not valid JSON: {error}")
    return row if isinstance(row, dict) else _error(path, f"{place} is not a JSON object")


def _error(path: Path, why: str, reason: str = "NOT_JSON") -> InvalidInput:
    return InvalidInput(path.name, f"{path} {why}", reason=reason)


def _distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the field {twice!r:.60} is there twice")
    return row


_DECODER = json.JSONDecoder(object_pairs_hook=_distinct)
"""NaN and infinities are read: only a field whose value is used must be finite."""
