"""A report in a file is the whole report, whatever the file's form."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import click
import polars as pl
import pytest
from google.protobuf.descriptor import Descriptor

from judge.api.v1 import agreement_service_pb2, leaderboard_pb2
from judge.api.v1.outcome_pb2 import Interval, Slice
from judge.cli.report_files import report_path, write_csv, write_tables
from judge.cli.report_tables import ReportTable, _columns, agreement_tables, leaderboard_tables, ratings_table


def leaderboard(category: str = "") -> leaderboard_pb2.Leaderboard:
    """A leaderboard of two contestants, one of which is the reference."""
    rating = leaderboard_pb2.Rating(
        contestant="a|b_\\",
        rating=1012.5,
        interval=Interval(low=990, high=1035),
        rank=1,
        rank_interval=leaderboard_pb2.RankInterval(low=1, high=2),
        n=40,
        prompts=20,
        expected_score=0.54,
    )
    other = leaderboard_pb2.Rating(contestant="base", rating=987.5, rank=2, n=40, prompts=20)
    standing = leaderboard_pb2.ContestantStanding(
        contestant="a|b_\\",
        reference_contestant="base",
        difference=25,
        interval=Interval(low=-3, high=53),
        standing=leaderboard_pb2.STANDING_CANNOT_TELL,
        within=leaderboard_pb2.Equivalence(margin=30, equivalent=leaderboard_pb2.ANSWER_YES),
    )
    return leaderboard_pb2.Leaderboard(
        slice=Slice(category=category),
        level=0.95,
        ratings=[rating, other],
        standings=[standing],
        notes=["one", "two"],
        expected_against="base",
    )


def with_parts() -> leaderboard_pb2.Leaderboard:
    """The same with a leaderboard of a category, and one without style control."""
    whole = leaderboard()
    whole.slices.append(leaderboard("code"))
    whole.without_style.CopyFrom(leaderboard())
    return whole


def report() -> agreement_service_pb2.AgreementReport:
    """An agreement report with a figure, and a table inside another message."""
    figure = agreement_service_pb2.AgreementFigure(
        source="j",
        target="people",
        slice=Slice(turn=2),
        rate=0.8,
        n=10,
        confusion=[4, 1, 0, 1, 4, 0, 0, 0, 0],
        rate_by_prompt=agreement_service_pb2.Estimated(value=0.7, interval=Interval(low=0.5, high=0.9), n=10),
    )
    ranks = agreement_service_pb2.RankAgreement(
        residuals=[agreement_service_pb2.Residual(contestant="m", residual=-3.5)], least_squares_slope=0.5
    )
    return agreement_service_pb2.AgreementReport(figures=[figure], rank_agreement=ranks, both=10, notes=["n"])


def named(tables: list[ReportTable]) -> dict[str, list[dict[str, object]]]:
    """Return the rows of each table as dicts."""
    return {table.name: [dict(zip(table.columns, row, strict=True)) for row in table.rows] for table in tables}


def test_a_leaderboard_has_a_table_for_each_of_its_lists() -> None:
    """Intervals are two columns, enums are words, and a list of texts has a row for each."""
    tables = named(leaderboard_tables(leaderboard()))

    assert list(tables) == ["ratings", "standings", "report"]
    first, second = tables["ratings"]
    assert [first[name] for name in ("contestant", "ranks", "low", "high")] == ["a|b_\\", "1-2", 990, 1035]
    assert [first["win_rate"], first["win_rate_against"]] == [0.54, "base"]
    assert [second["low"], second["win_rate"], second["win_rate_against"]] == [None, None, None]
    standing = tables["standings"][0]
    assert [standing[name] for name in ("standing", "low", "high", "turn")] == ["cannot-tell", -3, 53, None]
    assert [standing[f"within_{name}"] for name in ("margin", "equivalent", "low")] == [30, "yes", None]
    assert [row["value"] for row in tables["report"] if row["field"] == "notes"] == ["one", "two"]
    assert {"field": "level", "value": "0.95"} in tables["report"]


def test_the_leaderboards_in_a_leaderboard_are_parts_of_its_tables() -> None:
    tables = named(leaderboard_tables(with_parts()))

    for rows in tables.values():
        assert list(dict.fromkeys(row["part"] for row in rows)) == ["all", "category code", "without style"]
    assert len(tables["ratings"]) == 6


def test_an_agreement_report_has_its_figures_and_what_is_in_other_messages() -> None:
    tables = named(agreement_tables(report()))

    assert list(tables) == ["figures", "rank_agreement_residuals", "report"]
    figure = tables["figures"][0]
    by_prompt = [figure[f"rate_by_prompt{end}"] for end in ("", "_low", "_high", "_n")]
    assert [figure["rate"], figure["turn"], *by_prompt] == [0.8, 2, 0.7, 0.5, 0.9, 10]
    assert figure["confusion"] == "[4.0, 1.0, 0.0, 1.0, 4.0, 0.0, 0.0, 0.0, 0.0]"
    assert {"field": "rank_agreement.least_squares_slope", "value": "0.5"} in tables["report"]


@pytest.mark.parametrize("module", [leaderboard_pb2, agreement_service_pb2])
def test_no_message_has_two_columns_of_one_name(module: object) -> None:
    """So no value hides another."""
    descriptors: dict[str, Descriptor] = module.DESCRIPTOR.message_types_by_name  # type: ignore[attr-defined]  # a module
    entries = [each for each in descriptors.values() if each.name not in {"Leaderboard", "AgreementReport"}]
    for descriptor in entries:
        if not descriptor.name.endswith(("Request", "Response")):
            names = [column.name for column in _columns(descriptor)]
            assert len(names) == len(set(names)), descriptor.name


def test_csv_and_parquet_hold_the_same_tables_in_a_file_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first table is in the file that was named; the names of all files are printed."""
    tables = leaderboard_tables(with_parts())

    write_tables(tables, tmp_path / "out.csv")
    write_tables(tables, tmp_path / "out.parquet")

    names = ["out", "out-report", "out-standings"]
    assert sorted(path.stem for path in tmp_path.glob("*.csv")) == names
    for name in names:
        frame = pl.read_parquet(tmp_path / f"{name}.parquet")
        cells = list(csv.reader(io.StringIO((tmp_path / f"{name}.csv").read_text("utf-8"))))
        assert cells[0] == frame.columns
        assert cells[1:] == [["" if cell is None else str(cell) for cell in row] for row in frame.iter_rows()]
    printed = ", ".join(str(tmp_path / f"{name}.csv") for name in ("out", "out-standings", "out-report"))
    assert capsys.readouterr().err.splitlines()[0] == f"Wrote {printed}."


@pytest.mark.parametrize(
    ("ending", "title", "name"),
    [(".md", "## Standings", "a\\|b_\\\\ |"), (".tex", r"\caption{Standings}", r"a|b\_\textbackslash{} &")],
)
def test_markdown_and_latex_hold_all_tables_in_one_file(tmp_path: Path, ending: str, title: str, name: str) -> None:
    """What has a meaning in the form is escaped, and numbers are rounded."""
    write_tables(leaderboard_tables(leaderboard()), tmp_path / f"out{ending}")

    text = (tmp_path / f"out{ending}").read_text("utf-8")
    assert title in text
    assert name in text
    assert "1012.5" in text
    assert [path.name for path in tmp_path.iterdir()] == [f"out{ending}"]


def test_the_ratings_alone_have_the_columns_of_the_report() -> None:
    out = io.StringIO()

    write_csv(ratings_table(leaderboard()), out)

    assert (
        out.getvalue()
        .splitlines()[0]
        .startswith("contestant,rank,ranks,rating,low,high,win_rate,n,prompts,best,order_sd,win_rate_against,")
    )
    assert out.getvalue().splitlines()[2].startswith("base,2,,987.5,,,,40,20,,,,")


def test_another_ending_is_refused() -> None:
    command = click.Command("rank")

    with pytest.raises(click.BadParameter, match=r"none of \.csv, \.parquet, \.md, \.tex"):
        report_path(click.Context(command), click.Option(["-o"]), Path("out.xlsx"))
