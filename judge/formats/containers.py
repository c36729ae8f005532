"""Read the rows of a file: JSON lines, a JSON array or object, CSV, TSV, Parquet, or a zip archive of JSON files.

Text may be plain, gzipped, or packed with zstd.

What a file holds is read from its content, never from its name. A row that is wrong in itself is yielded as the error
that says so, and the rows after it are read; a file that is damaged raises the error.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import stat
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from judge.domain.errors import InvalidInput
from judge.formats import csv_rows, json_rows, zip_rows
from judge.formats.fields import Row
from judge.formats.packed import zstd_module

if TYPE_CHECKING:
    import polars as pl

LONGEST_ROW = 16 * 1024 * 1024
"""The most bytes of a row. The largest row that can be uploaded has 4 MiB."""
_GZIP, _ZSTD, _PARQUET = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1"
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_CHUNK = 1 << 14


class FileRow(NamedTuple):
    """A row of a file: where it stands, such as `line 3`, its number from 1, and the row, or what is wrong with it."""

    place: str
    number: int
    row: Row | InvalidInput


def rows_of(path: Path) -> Generator[FileRow, None, None]:
    """Yield the rows of a file.

    Raises InvalidInput with the file, and the row where it is known, if the file cannot be read, is damaged, or is none
    of the formats above, and for a row of more than LONGEST_ROW bytes.
    """
    with _opened(path) as file:
        head = file.peek(_CHUNK)[:_CHUNK]
        if head.startswith(_PARQUET):
            yield from _parquet(path)
            return
        if head.startswith(zip_rows.MAGIC):
            yield from (FileRow(place, number, row) for number, place, row in zip_rows.rows(path))
            return
        _check_text(path, head)
        begin = head.removeprefix(codecs.BOM_UTF8).lstrip()
        if not begin:
            begin = _skip_blank(path, file)
        if not begin:
            return
        if begin.startswith(b"["):
            unit, rows = "entry", json_rows.entries(path, file, LONGEST_ROW)
        elif begin.startswith(b"{"):
            unit, rows = "line", json_rows.lines(path, file, LONGEST_ROW)
        else:
            unit, rows = "line", csv_rows.rows(path, file, LONGEST_ROW)
        for number, row in rows:
            yield FileRow(f"{unit} {number}", number, row)


def first_row(path: Path) -> Row | None:
    """Return the first row that is right in itself; None if there is no row.

    Raises InvalidInput as `rows_of` does, and if all rows are wrong, with what is wrong with the first.
    """
    rows, wrong = rows_of(path), None
    try:
        for _, _, row in rows:
            if not isinstance(row, InvalidInput):
                return row
            wrong = wrong or row
    finally:
        rows.close()
    if wrong is not None:
        raise wrong
    return None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[io.BufferedReader]:
    """Open a regular file and unpack it. Raises InvalidInput if it cannot be read or is damaged."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InvalidInput("path", f"{path} is not a regular file", reason="UNREADABLE_FILE")
        with path.open("rb") as raw:
            yield _unpacked(path, raw)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInput(path.name, f"{path} is cut off or damaged: {error}", reason="DAMAGED_FILE") from None
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8 near byte {error.object[error.start]:#x}: save it as UTF-8"
        raise InvalidInput(path.name, message, reason="NOT_UTF8") from None
    except OSError as error:
        why = error.strerror or str(error)
        raise InvalidInput(path.name, f"{path} cannot be read: {why}", reason="UNREADABLE_FILE") from None


def _unpacked(path: Path, raw: io.BufferedReader) -> io.BufferedReader:
    head = raw.peek(4)
    if head.startswith(_GZIP):
        return io.BufferedReader(gzip.GzipFile(fileobj=raw))
    return io.BufferedReader(_zstd(path, raw)) if head.startswith(_ZSTD) else raw


class _Zstd(io.RawIOBase):
    """A zstd file whose damage is an EOFError, as that of a gzip file is."""

    def __init__(self, file: Any, damage: type[Exception]) -> None:  # noqa: ANN401  # typed as no kind of file
        self._file, self._damage = file, damage

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]  # any writable buffer
        try:
            part = self._file.read(len(view))
        except self._damage as error:
            raise EOFError(str(error)) from None
        view[: len(part)] = part
        return len(part)


def _zstd(path: Path, raw: IO[bytes]) -> _Zstd:
    try:
        zstd = zstd_module()
    except ImportError:
        message = f"{path} needs backports.zstd to be read: install judge with the extra [data], or unpack the file"
        raise InvalidInput("path", message, reason="EXTRA_NEEDED") from None
    return _Zstd(zstd.ZstdFile(raw), zstd.ZstdError)


def _check_text(path: Path, head: bytes) -> None:
    if head.startswith(_UTF16):
        raise InvalidInput(path.name, f"{path} is UTF-16: save it as UTF-8", reason="NOT_UTF8")
    if b"\0" in head:
        raise InvalidInput(path.name, f"{path} holds no text and is no Parquet file", reason="UNKNOWN_FORMAT")


def _skip_blank(path: Path, file: io.BufferedReader) -> bytes:
    """Read past blanks that are longer than what is looked ahead. Returns what follows."""
    read = 0
    while head := file.peek(_CHUNK)[:_CHUNK]:
        if head.strip():
            return head.lstrip()
        read += len(file.read(len(head)))
        if read > LONGEST_ROW:
            raise InvalidInput(path.name, f"{path} begins with {read:,} blank bytes", reason="UNKNOWN_FORMAT")
    return b""


def parquet_frame(path: Path) -> pl.LazyFrame | None:
    """Return the table of a Parquet file, of which nothing has been read yet; None if the file is no Parquet file.

    Raises InvalidInput if the file cannot be read, is not valid Parquet, or polars is missing.
    """
    with _opened(path) as file:
        if not file.peek(len(_PARQUET)).startswith(_PARQUET):
            return None
    frame: pl.LazyFrame = _polars(path).scan_parquet(path, glob=False)
    with valid_parquet(path):
        frame.collect_schema()
    return frame


def _polars(path: Path) -> ModuleType:
    try:
        import polars as pl  # noqa: PLC0415  # of an extra, and slow to import
    except ImportError:
        message = f"{path} needs polars to be read: pip install polars, or install judge with the extra [data]"
        raise InvalidInput("path", message, reason="EXTRA_NEEDED") from None
    return pl


@contextlib.contextmanager
def valid_parquet(path: Path) -> Iterator[None]:
    """Raise InvalidInput for an error of polars."""
    try:
        yield
    except _polars(path).exceptions.PolarsError as error:
        message = f"{path} is not valid Parquet: {str(error).splitlines()[0]}"
        raise InvalidInput(path.name, message, reason="NOT_PARQUET") from None


def _parquet(path: Path) -> Iterator[FileRow]:
    frames = _polars(path).scan_parquet(path, glob=False)
    number = 0
    with valid_parquet(path):
        for frame in frames.collect_batches(chunk_size=_CHUNK, maintain_order=True):
            for row in frame.iter_rows(named=True):
                number += 1
                yield FileRow(f"row {number}", number, row)
