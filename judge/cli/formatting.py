"""A figure and its interval as text, for the tables of agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge.api.v1.agreement_service_pb2 import Estimated
    from judge.api.v1.outcome_pb2 import Interval, Slice

NOTHING = "-"
TIES = {1: "yes", 2: "no"}
"""Whether ties count (S1) or not (S2), in a column of a table."""
NOTABLE = 0.02
"""A mean over prompts is printed if it differs from the share of all rows by this much."""
TREATMENTS = {1: "with ties", 2: "without ties"}
"""The same in a sentence."""


def with_interval(value: str, interval: Interval) -> str:
    """Format a *value* with its interval, if it has one."""
    return f"{value} [{interval.low:.2f}, {interval.high:.2f}]" if interval.HasField("low") else value


def share(estimate: Estimated) -> str:
    """Format a share with its interval; a dash where it is unknown."""
    return with_interval(f"{estimate.value:.3f}", estimate.interval) if estimate.HasField("value") else NOTHING


def percent(estimate: Estimated) -> str:
    """Format a share in percent with its interval; a dash where it is unknown."""
    if not estimate.HasField("value"):
        return NOTHING
    interval = estimate.interval
    return f"{estimate.value:.1%}" + (f" [{interval.low:.1%}, {interval.high:.1%}]" if interval.HasField("low") else "")


def change(estimate: Estimated) -> str:
    """Format a difference with its sign and its interval, with as many digits that it shows on which side of 0 it is.

    >>> from judge.api.v1.agreement_service_pb2 import Estimated
    >>> from judge.api.v1.outcome_pb2 import Interval
    >>> change(Estimated(value=0.052, interval=Interval(low=0.002, high=0.101)))
    '+0.052 [0.002, 0.101]'
    """
    if not estimate.HasField("value"):
        return NOTHING
    interval = estimate.interval
    return f"{estimate.value:+.3f}" + (
        f" [{interval.low:.3f}, {interval.high:.3f}]" if interval.HasField("low") else ""
    )


def points(estimate: Estimated) -> str:
    """Format a difference of shares in percentage points, with its interval; a dash where it is unknown."""
    if not estimate.HasField("value"):
        return NOTHING
    value, low, high = (
        round(100 * x, 1) + 0.0 for x in (estimate.value, estimate.interval.low, estimate.interval.high)
    )
    return f"{value:+.1f}" + (f" [{low:.1f}, {high:.1f}]" if estimate.interval.HasField("low") else "")


def bare(estimate: Estimated) -> str:
    """Format a share without its interval."""
    return f"{estimate.value:.3f}" if estimate.HasField("value") else NOTHING


def part(covered: Slice, annotator: str = "") -> str:
    """Name the part of the data that a figure covers, or "all"."""
    pair = " / ".join(filter(None, (covered.left, covered.right)))
    words = (f"turn {covered.turn}" if covered.turn else "", covered.category, pair, covered.tag, annotator)
    return " ".join(filter(None, words)) or "all"
