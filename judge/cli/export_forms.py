"""Write rows as JSON lines, CSV, or Parquet, a page at a time, so that memory does not grow with their number."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
from enum import StrEnum
from typing import IO, TYPE_CHECKING, Any, TextIO

import click

from judge.cli.export_rows import ColumnType, Page
from judge.cli.terminal import data_output
from judge.formats.csv_rows import defused
from judge.formats.packed import PACKED, zstd_module

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from polars import DataFrame

    from judge.cli.export_rows import Columns, Row

ROWS_IN_GROUP = 10_000
"""The rows of a row group in Parquet, which is in memory as a whole."""


class Form(StrEnum):
    """What a file of rows looks like; its name ends with this."""

    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"


def form_of(output: Path | None, form: str | None) -> Form:
    """Return the form of *output*, standard output if None: what its name ends with, else *form*, else JSON lines.

    Raises UsageError for an unknown ending, an ending that contradicts *form*, and for Parquet that would be packed or
    printed.
    """
    if output is None:
        if form == Form.PARQUET:
            raise click.UsageError("Parquet cannot be printed: name a file with -o")
        return Form(form or Form.JSONL)
    packed = output.suffix in PACKED
    ending = (output.with_suffix("") if packed else output).suffix.removeprefix(".")
    known = ending in set(Form)
    if known and form not in {None, ending}:
        raise click.UsageError(f"{output} ends with .{ending}, but --form is {form}")
    if ending and not known and form is None:
        endings = ", ".join(f".{each}" for each in Form)
        raise click.UsageError(f"the ending of {output} is none of {endings}: say the form with --form")
    if packed and Form.PARQUET in {ending, form}:
        raise click.UsageError(f"Parquet is compressed already: leave out {output.suffix}")
    return Form(ending if known else form or Form.JSONL)


def partial_path(output: Path) -> Path:
    """Return the path of *output* until it is complete. Raises UsageError if there is no such folder."""
    target = output.resolve()
    if not target.parent.is_dir():
        raise click.UsageError(f"there is no folder {target.parent}")
    return target.with_name(f"{target.name}.part")


@contextlib.contextmanager
def text_output(output: Path | None, *, resumes: bool = False, keeps: bool = False) -> Iterator[TextIO]:
    """Open standard output, or a file that appears under its name only once it is complete.

    With *resumes*, this continues the part that an earlier call kept; with *keeps*, a part is kept on errors.
    """
    if output is None:
        yield data_output()
        return
    target, part = output.resolve(), partial_path(output)
    if target.exists() and not target.is_file():
        # A device or a pipe must not be replaced.
        with target.open("w", encoding="utf-8", newline="") as file:
            yield file
        return
    try:
        with _opener(target)(part, "at" if resumes else "wt", encoding="utf-8", newline="") as file:
            yield file
        part.replace(target)
    finally:
        if not keeps:
            part.unlink(missing_ok=True)


def _opener(target: Path) -> Callable[..., contextlib.AbstractContextManager[Any]]:
    if target.suffix == ".gz":
        import gzip  # noqa: PLC0415  # when needed

        return gzip.open
    if target.suffix != ".zst":
        return open
    try:
        zstd = zstd_module()
    except ImportError:
        message = f"{target.name} needs backports.zstd: install judge with the extra [data], or write .gz"
        raise click.UsageError(message) from None
    opener: Callable[..., contextlib.AbstractContextManager[Any]] = zstd.open
    return opener


class RowWriter:
    """Writes rows with these *columns* to *file*, as JSON lines or CSV."""

    def __init__(self, file: IO[str], form: Form, columns: Columns, *, header: bool = True) -> None:
        self._file, self._form, self._columns = file, form, columns
        self._plain = csv.writer(file, lineterminator="\n")
        self._quoted = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        if form is Form.CSV and header:
            self._plain.writerow(columns)

    def write(self, rows: list[Row]) -> None:
        """Write *rows*. Raises ClickException for a row that CSV cannot hold."""
        if self._form is Form.JSONL:
            self._file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            return
        for row in rows:
            cells = [_cell(row.get(name), type_) for name, type_ in self._columns.items()]
            _check_csv(row, cells)
            # Before Python 3.13, a carriage return is not quoted where it does not end lines.
            writer = self._quoted if any("\r" in cell for cell in cells) else self._plain
            writer.writerow(cells)


def _cell(value: object, type_: ColumnType) -> str:
    if value is None:
        return ""
    return defused(str(value)) if type_ is ColumnType.TEXT else json.dumps(value, ensure_ascii=False)


def _check_csv(row: Row, cells: list[str]) -> None:
    """Refuse what cannot be read back: a NUL, and an id such as 81.0, which an import takes for 81."""
    prompt, otherwise = str(row.get("prompt_id", "")), "export .jsonl or .parquet"
    whole, point, zeros = prompt.partition(".")
    if point and not zeros.strip("0") and whole.isdecimal():
        raise click.ClickException(f"the prompt id {prompt!r} would be read from CSV as {whole!r}: {otherwise}")
    if any("\0" in cell for cell in cells):
        raise click.ClickException(f"a text on the prompt {prompt!r} has a NUL, which CSV cannot hold: {otherwise}")


def polars() -> Any:  # noqa: ANN401  # a module of an extra
    """Return polars, which is slow to import. Raises UsageError without it."""
    try:
        import polars as pl  # noqa: PLC0415  # as above
    except ImportError:
        raise click.UsageError(
            "Parquet needs polars: pip install polars, or install judge with the extra [data]"
        ) from None
    return pl


def parquet_schema(columns: Columns) -> dict[str, Any]:
    """Return polars' type of each column. What is nested is JSON in a text. Raises UsageError without polars."""
    pl = polars()
    types = {
        ColumnType.TEXT: pl.String,
        ColumnType.INTEGER: pl.Int64,
        ColumnType.NUMBER: pl.Float64,
        ColumnType.FLAG: pl.Boolean,
        ColumnType.TEXTS: pl.List(pl.String),
        ColumnType.NESTED: pl.String,
    }
    return {name: types[type_] for name, type_ in columns.items()}


async def write_parquet(pages: AsyncIterator[Page], columns: Columns, path: Path) -> int:
    """Write *pages* of rows as Parquet, and return the number of rows. The file appears once it is complete.

    Polars pulls the pages from its own thread, one at a time. Raises UsageError without polars.
    """
    pl, schema = polars(), parquet_schema(columns)
    from polars.io.plugins import register_io_source  # noqa: PLC0415  # of an extra

    source = _PagesInThread(pages, asyncio.get_running_loop())

    def frames(names: list[str] | None, *_: object) -> Iterator[DataFrame]:
        for page in source.pages():
            data = {name: [_table_value(row, name, type_) for row in page.rows] for name, type_ in columns.items()}
            frame = pl.DataFrame(data, schema=schema)
            yield frame if names is None else frame.select(names)

    part = partial_path(path)
    table = register_io_source(frames, schema=schema)
    try:
        await source.run(lambda: table.sink_parquet(part, row_group_size=ROWS_IN_GROUP))
        part.replace(path.resolve())
    finally:
        part.unlink(missing_ok=True)
    return source.n_rows


def _table_value(row: Row, name: str, type_: ColumnType) -> object:
    value = row.get(name)
    return json.dumps(value, ensure_ascii=False) if type_ is ColumnType.NESTED and value is not None else value


class _PagesInThread:
    """Pages of rows for a thread that reads them one at a time while the event loop fetches them."""

    def __init__(self, pages: AsyncIterator[Page], loop: asyncio.AbstractEventLoop) -> None:
        self._pages, self._loop = pages, loop
        self._error: BaseException | None = None
        self._stopped = False
        self.n_rows = 0

    def pages(self) -> Iterator[Page]:
        """Yield the pages. To be called in the thread."""
        while (page := asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()) is not None:
            self.n_rows += len(page.rows)
            if page.rows:
                yield page

    async def _next(self) -> Page | None:
        if self._stopped:
            return None
        try:
            return await anext(self._pages, None)
        except BaseException as error:
            self._error = error
            raise

    async def run(self, work: Callable[[], object]) -> None:
        """Call *work*, which reads the pages, in a thread. Raises what the pages raised, not what *work* made of it."""
        thread = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            await asyncio.shield(thread)
        except Exception:
            if self._error is not None:
                raise self._error from None
            raise
        finally:
            self._stopped = True
            await asyncio.wait([thread])
