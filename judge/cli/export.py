"""`judge export`: write rows as `judge import` reads them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from judge.cli.connect import ServiceTarget, connected, run
from judge.cli.export_forms import Form, RowWriter, form_of, partial_path, text_output, write_parquet
from judge.cli.export_rows import dataset_columns, dataset_pages, importable_pages, run_columns, run_pages
from judge.cli.group import SERVICE, Commands, cli

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from judge.cli.export_rows import Columns, Page
    from judge_client import JudgeClient


@cli.group("export", cls=Commands, params=[*SERVICE])
@click.pass_context
def export(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401  # those of every command
    """Write rows as JSON lines, CSV or Parquet, as another tool's file, or a run as a bundle."""
    context.obj = context.obj.with_options(options)


OUTPUT = click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write: .jsonl, .csv, or .parquet; .gz or .zst after it compresses text.  [default: standard "
    "output]",
)
FORM = click.option(
    "--form",
    type=click.Choice([form.value for form in Form]),
    help="The form, if the file's name does not say it.  [default: jsonl]",
)


@dataclass
class Export:
    """What is written: rows of a *kind* with these *columns*, and where. The last two fields count what is written."""

    kind: str
    columns: Columns
    form: Form
    output: Path | None
    resumes: bool = False
    keeps: bool = False
    n_rows: int = 0
    token: str = ""

    async def write(self, pages: AsyncIterator[Page]) -> None:
        """Write all *pages*."""
        if self.form is Form.PARQUET and self.output is not None:
            self.n_rows = await write_parquet(pages, self.columns, self.output)
            return
        with text_output(self.output, resumes=self.resumes, keeps=self.keeps) as file:
            writer = RowWriter(file, self.form, self.columns, header=not self.resumes)
            async for page in pages:
                writer.write(page.rows)
                self.n_rows += len(page.rows)
                self.token = page.token


def _rows(kind: str) -> None:
    """Register the command that exports rows of this *kind*."""

    @export.command(kind, help=f"Write {kind} in a form that `judge import` reads.")
    @click.option("--dataset", required=True, help="The dataset to read.")
    @OUTPUT
    @FORM
    @click.pass_obj
    def command(service: ServiceTarget, dataset: str, output: Path | None, form: str | None) -> None:
        what = Export(kind=kind, columns=dataset_columns(kind), form=form_of(output, form), output=output)
        _write(service, what, lambda client: importable_pages(client, dataset, kind))


for _kind in ("prompts", "outputs", "labels", "comparisons"):
    _rows(_kind)


@export.command("verdicts")
@click.option("--dataset", help="Write the verdicts that were imported into this dataset.")
@click.option("--run", "run_name", help="Write the verdicts of this run.")
@OUTPUT
@FORM
@click.option(
    "--from",
    "token",
    default="",
    metavar="TOKEN",
    help="With --run: continue an export that was interrupted, which printed the token.",
)
@click.pass_obj
def verdicts_command(
    service: ServiceTarget,
    /,
    dataset: str | None,
    run_name: str | None,
    output: Path | None,
    form: str | None,
    token: str,
) -> None:
    """Write verdicts in a form that `judge import` reads."""
    if (dataset is None) == (run_name is None):
        raise click.UsageError("name either a --dataset or a --run, whose verdicts are exported")
    what = Export(
        kind="verdicts",
        columns=run_columns() if run_name else dataset_columns("verdicts"),
        form=form_of(output, form),
        output=output,
        resumes=bool(token),
        keeps=run_name is not None,
    )
    if token:
        _check_resumption(what, run_name)
    if run_name is None:
        _write(service, what, lambda client: dataset_pages(client, dataset or "", "verdicts"))
        return
    try:
        _write(service, what, lambda client: run_pages(client, run_name, token))
    except BaseException as error:
        if what.token and not isinstance(error, OSError):
            offer_resumption(what)
        raise


def _check_resumption(what: Export, run_name: str | None) -> None:
    if run_name is None:
        raise click.UsageError("--from is for the verdicts of a --run")
    if what.form is Form.PARQUET:
        raise click.UsageError("a Parquet file cannot be continued: export .jsonl or .csv")
    if what.output is not None and not partial_path(what.output).is_file():
        raise click.UsageError(f"there is no {partial_path(what.output)} to continue: leave out --from")


def offer_resumption(what: Export) -> None:
    """Say how to go on after an interruption."""
    kept = f", kept in {partial_path(what.output)}" if what.output else ""
    message = f"Interrupted after {what.n_rows:,} verdicts{kept}. To continue, add: --from {what.token}"
    click.echo(message, err=True)


def _write(service: ServiceTarget, what: Export, pages_of: Callable[[JudgeClient], AsyncIterator[Page]]) -> None:
    async def work() -> None:
        async with connected(service) as client:
            await what.write(pages_of(client))

    run(work())
    if what.output is not None:
        click.echo(f"Wrote {what.n_rows:,} {what.kind} to {what.output}.", err=True)
