"""Tables for people, at most 80 columns wide."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from judge.api.v1.agreement_service_pb2 import AgreementFigure, AgreementReport
    from judge.api.v1.outcome_pb2 import Interval
    from judge.api.v1.run_service_pb2 import RunEstimate


def console() -> Console:
    """Standard output, as wide as the terminal or 80 columns."""
    from rich.console import Console  # noqa: PLC0415  # rich is imported when a table is printed

    return Console(width=None if sys.stdout.isatty() else 80, highlight=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; every column but the first is aligned to the right."""
    from rich.table import Table  # noqa: PLC0415  # as above

    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*row)
    console().print(made)
    console().print()


def spread(interval: Interval, digits: int) -> str:
    """An interval, or a dash where there is none."""
    if not interval.HasField("low") or not interval.HasField("high"):
        return "-"
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def usd(micros: float) -> str:
    """Micro-USD as USD, with as many digits as it takes."""
    return f"{micros / 1_000_000:.{2 if micros >= 1_000_000 else 4}f}"  # noqa: PLR2004  # a dollar


def estimated(found: RunEstimate) -> None:
    """Print what a run would take, by judge."""
    rows = [
        (
            one.judge.removeprefix("judges/"),
            str(one.calls),
            str(one.reused),
            f"{one.input_tokens:.0f}",
            f"{one.output_tokens:.0f}",
            usd(one.cost_micros) if one.price_known else "unknown",
            f"{usd(one.cost_interval.low)} to {usd(one.cost_interval.high)}" if one.price_known else "-",
        )
        for one in found.judges
    ]
    table("What it would take", ("judge", "calls", "stored", "in", "out", "USD", "between"), rows)
    for one in found.judges:
        told = f"from {one.pilot} replies that are stored" if one.pilot else "from letters; bounds are what is possible"
        if one.input_tokens and one.price_known:
            console().print(f"{one.judge.removeprefix('judges/')}: tokens {told}")


AGREEMENT = ("ties", "agreement", "n", "prompts", "kappa")


def _doubted(value: str, interval: Interval) -> str:
    return f"{value} [{interval.low:.2f}, {interval.high:.2f}]" if interval.HasField("low") else value


def _figure(figure: AgreementFigure) -> tuple[str, ...]:
    """The columns AGREEMENT of one figure."""
    rate = _doubted(f"{figure.rate:.3f}", figure.interval) if figure.HasField("rate") else "-"
    kappa = _doubted(f"{figure.kappa:.3f}", figure.kappa_interval) if figure.HasField("kappa") else "-"
    return "kept" if figure.ties == 1 else "drop", rate, str(figure.n), str(figure.prompts), kappa


def _part(figure: AgreementFigure) -> str:
    part = figure.slice
    pair = f"{part.left} / {part.right}" if part.left else ""
    words = (f"turn {part.turn}" if part.turn else "", part.category, pair, figure.annotator)
    return " ".join(word for word in words if word) or "all"


def _orders(report: AgreementReport) -> str:
    order = report.order_consistency
    rate = _doubted(f"{order.rate:.3f}", order.interval) if order.HasField("rate") else "-"
    told = f"same in both orders {rate} of {order.n}"
    if order.inconsistent:
        told += f", first shown preferred {order.prefers_first} times, second {order.prefers_second}"
    return f"{told}, one order missing {order.incomplete}" if order.incomplete else told


def agreement(report: AgreementReport, title: str) -> None:
    """Print every figure of a report: its part, rate and kappa with their intervals, n and prompts."""
    table(title, ("part", *AGREEMENT), [(_part(figure), *_figure(figure)) for figure in report.figures])
    if report.order_consistency.n:
        console().print(_orders(report))
    console().print(f"on one side only: {report.source_only} / {report.target_only} comparisons; both: {report.both}")


def summary(rows: Sequence[tuple[str, AgreementReport]], target: str) -> None:
    """Print how far each judge agrees with *target*, and with itself when the order is swapped."""
    lines = [(name, *_figure(figure)) for name, report in rows for figure in report.figures]
    table(f"Agreement with {target}, each figure with its 95 % interval", ("judge", *AGREEMENT), lines)
    for name, report in rows:
        console().print(f"{name}: {_orders(report)}")
