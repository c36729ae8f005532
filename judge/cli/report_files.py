"""Write the tables of a report to files: CSV, Parquet, Markdown, or LaTeX."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from judge.cli.export_forms import parquet_schema, polars, text_output
from judge.cli.export_rows import ColumnType
from judge.formats.csv_rows import defused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from judge.cli.report_tables import Cell, ReportTable

ENDINGS = (".csv", ".parquet", ".md", ".tex")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}
_WHOLE_DIGITS = 100
"""Numbers from here on have one digit after the point in Markdown and LaTeX, others four that count."""


def report_path(_: click.Context, __: click.Parameter, value: Path | None) -> Path | None:
    """Check the file of a report. Raises BadParameter for an unknown ending."""
    if value is not None and value.suffix not in ENDINGS:
        raise click.BadParameter(f"the ending of {value} is none of {', '.join(ENDINGS)}")
    return value


OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=report_path,
    help="Write the whole report to this file: .md, .tex, or .csv or .parquet, with a file beside it for each further "
    "table.",
)


def write_tables(tables: Sequence[ReportTable], path: Path) -> None:
    """Write *tables* to the file *path*, or, as CSV and Parquet, to a file each, and say to which.

    The first table goes to *path*, and another to a file with its name added, such as out-standings.csv. Raises
    UsageError for Parquet without polars.
    """
    if path.suffix in {".md", ".tex"}:
        with text_output(path) as file:
            for table in tables:
                (_markdown if path.suffix == ".md" else _latex)(file, table)
        written = [path]
    else:
        names = ["", *(f"-{table.name.replace('_', '-')}" for table in tables[1:])]
        written = [path.with_name(f"{path.stem}{name}{path.suffix}") for name in names]
        for table, file_path in zip(tables, written, strict=True):
            if path.suffix == ".csv":
                with text_output(file_path) as file:
                    write_csv(table, file)
            else:
                write_parquet(table, file_path)
    click.echo(f"Wrote {', '.join(map(str, written))}.", err=True)


def write_csv(table: ReportTable, file: TextIO) -> None:
    """Write a table as CSV. A cell without a value is empty."""
    out = csv.writer(file, lineterminator="\n")
    out.writerow(table.columns)
    out.writerows([defused(cell) if isinstance(cell, str) else cell for cell in row] for row in table.rows)


def write_parquet(table: ReportTable, path: Path) -> None:
    """Write a table as Parquet. A cell without a value is null. Raises UsageError without polars."""
    polars().DataFrame(table.rows, schema=parquet_schema(table.columns), orient="row").write_parquet(path)


def _markdown(file: TextIO, table: ReportTable) -> None:
    names, rows = _without_empty_columns(table)
    file.write(f"## {_title(table)}\n\n")
    marks = ["---:" if _is_number(table.columns[name]) else ":---" for name in names]
    for cells in (names, marks, *rows):
        # A bar would end the cell, and a line end the row.
        texts = [re.sub(r"\s+", " ", cell).replace("\\", "\\\\").replace("|", "\\|") for cell in cells]
        file.write(f"| {' | '.join(texts)} |\n")
    file.write("\n")


def _latex(file: TextIO, table: ReportTable) -> None:
    """Write a table that needs the package booktabs."""
    names, rows = _without_empty_columns(table)
    columns = "".join("r" if _is_number(table.columns[name]) else "l" for name in names)
    file.write(f"\\begin{{table}}\n\\caption{{{_title(table)}}}\n\\begin{{tabular}}{{{columns}}}\n\\toprule\n")
    for number, cells in enumerate((names, *rows)):
        texts = ["".join(_LATEX.get(mark, mark) for mark in re.sub(r"\s+", " ", cell)) for cell in cells]
        # A bracket at the start of a row would be an option of the line end before it.
        file.write(f"{{}}{' & '.join(texts)} \\\\\n" + ("\\midrule\n" if number == 0 else ""))
    file.write("\\bottomrule\n\\end{tabular}\n\\end{table}\n\n")


def _title(table: ReportTable) -> str:
    return table.name.replace("_", " ").capitalize()


def _is_number(type_: ColumnType) -> bool:
    return type_ in {ColumnType.INTEGER, ColumnType.NUMBER}


def _without_empty_columns(table: ReportTable) -> tuple[list[str], list[list[str]]]:
    """Return the names of the columns that have a value, and the rows of their cells as text."""
    names = list(table.columns)
    filled = [column for column in range(len(names)) if any(row[column] is not None for row in table.rows)]
    return [names[column] for column in filled], [[_text(row[column]) for column in filled] for row in table.rows]


def _text(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= _WHOLE_DIGITS else f"{value:.4g}"
    return str(value)
