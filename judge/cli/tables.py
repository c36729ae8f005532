"""Tables for people, at most 80 columns wide."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from judge.cli.terminal import escaping_console
from judge.domain.money import usd

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp
    from rich.console import Console

    from judge.api.v1.outcome_pb2 import Interval
    from judge.api.v1.run_service_pb2 import BudgetReach, JudgeEstimate, RunEstimate


def console() -> Console:
    """Return a console on standard output, as wide as the terminal or 80 columns."""
    return escaping_console(sys.stdout, width=None if sys.stdout.isatty() else 80)


def table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    whole: bool = False,
    unfolded: Collection[str] = (),
    gap: int = 2,
) -> None:
    """Print a table. All columns but the first are aligned to the right.

    With *whole*, their cells are never folded. Those of the columns in *unfolded* aren't in any case. *gap* is the
    number of spaces between two columns.
    """
    from rich.table import Table  # noqa: PLC0415  # rich is imported when a table is printed

    grid = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for number, column in enumerate(columns):
        no_wrap = column in unfolded or (whole and number > 0)
        grid.add_column(column, justify="right" if number else "left", overflow="fold", no_wrap=no_wrap)
    for row in rows:
        grid.add_row(*row)
    console().print(title, style="italic")
    console().print(grid)
    console().print()


def to_minute(stamp: Timestamp) -> str:
    """Return a time in UTC to the minute."""
    return f"{datetime.fromtimestamp(stamp.seconds, UTC):%Y-%m-%d %H:%M}"


def spread(interval: Interval, digits: int) -> str:
    """Format an interval; a dash if an end is unknown."""
    if not interval.HasField("low") or not interval.HasField("high"):
        return "-"
    return f"{interval.low:.{digits}f} to {interval.high:.{digits}f}"


def counted(n: int, thing: str, things: str = "") -> str:
    """Format a number of things.

    >>> counted(1, "run"), counted(2000, "run"), counted(0, "reply", "replies")
    ('1 run', '2,000 runs', '0 replies')
    """
    return f"{n:,} {thing if n == 1 else things or thing + 's'}"


def print_estimate(estimate: RunEstimate) -> None:
    """Print the calls, tokens, and cost of a run for each judge. Nothing has been spent."""
    rows = [
        (
            row.judge.removeprefix("judges/"),
            f"{row.calls:,}",
            f"{row.reused:,}",
            f"{row.input_tokens:,.0f}",
            f"{row.output_tokens:,.0f}",
            usd(row.cost_micros) if row.price_known else "unknown",
            f"{usd(row.cost_interval.low)} to {usd(row.cost_interval.high)}" if row.price_known else "-",
        )
        for row in estimate.judges
    ]
    columns = ("judge", "calls", "reused", "tokens in", "tokens out", "USD", "USD range")
    table("Estimate of the run", columns, rows)
    for row in estimate.judges:
        if row.input_tokens and row.price_known:
            console().print(f"{row.judge.removeprefix('judges/')}: {_basis(row)}")
    if estimate.HasField("reach"):
        exceeds = any(row.exceeds_maximum for row in estimate.judges)
        console().print(_budget_reach(estimate.reach, exceeds=exceeds))


def price_refusal(estimate: RunEstimate) -> str:
    """Say why a run with a budget in USD would be refused, and which setting is missing; nothing if it would not be."""
    names = [row.judge.removeprefix("judges/") for row in estimate.judges if not row.price_known]
    if not names:
        return ""
    judges = " and ".join(repr(name) for name in names)
    sections = " and ".join(f"[judges.{name}]" for name in names)
    return (
        f"the run would be refused: a budget in USD needs the price of judge {judges}. "
        f"Set price = {{ input = ..., output = ... }} in {sections} (USD per million tokens), or use --budget-calls"
    )


def _basis(row: JudgeEstimate) -> str:
    """Say what an estimate is based on, and what its range means."""
    n_stored = row.pilot + row.uncounted
    sentences = []
    if row.uncounted and row.pilot:
        sentences.append(
            f"tokens are estimated from {row.pilot:,} of {n_stored:,} stored replies, because the provider did not "
            "count the others; in the range, each call costs between the mean of the counted replies and its maximum"
        )
    elif row.pilot:
        sentences.append(f"tokens are estimated from {row.pilot:,} stored replies; the range is a 95% interval")
    else:
        sentences.append("tokens are estimated from the number of characters; the range is what is possible")
    if row.uncounted:
        sentences.append("A call that the provider does not count is charged to a budget at its maximum")
    if row.exceeds_maximum:
        sentences.append(
            "Stored replies used more than a call should be able to, so the maximum cost is not certain: "
            "the dearest stored reply is taken for it"
        )
    return ". ".join(sentences) + "."


def _budget_reach(reach: BudgetReach, *, exceeds: bool) -> str:
    """Say how many presentations the budget is enough for; *exceeds* says that the maximum cost is not certain."""
    if reach.at_worst == reach.planned:
        condition = (
            " if no call costs more than the dearest so far, and none has to be repeated"
            if exceeds
            else ", even if every call costs its maximum, unless calls have to be repeated"
        )
        return f"The budget is enough for all {reach.planned:,} presentations{condition}."
    maximum = "as much as the dearest so far" if exceeds else "its maximum"
    worst = f"if every call costs {maximum}, for {reach.at_worst:,} ({reach.at_worst / reach.planned:.0%})"
    if reach.expected == reach.planned:
        return f"The budget is expected to be enough for all {reach.planned:,} presentations; {worst}."
    share = reach.expected / reach.planned
    return (
        f"The budget is expected to be enough for {reach.expected:,} of {reach.planned:,} presentations ({share:.0%}); "
        f"{worst}."
    )
