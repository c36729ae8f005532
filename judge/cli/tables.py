"""Tables for people, at most 80 columns wide."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from judge.api.v1.outcome_pb2 import Interval
    from judge.api.v1.run_service_pb2 import RunEstimate


def console() -> Console:
    """Standard output, as wide as the terminal or 80 columns; what it prints is text, whatever names are made of."""
    from rich.console import Console  # noqa: PLC0415  # rich is imported when a table is printed

    width = None if sys.stdout.isatty() else 80
    return Console(width=width, highlight=False, markup=False, emoji=False)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], *, whole: bool = False) -> None:
    """Print a table; every column but the first is aligned to the right, if *whole* only the first is folded."""
    from rich.table import Table  # noqa: PLC0415  # as above

    made = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=whole and number > 0)
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
