"""A figure and its interval as text, for the tables of agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge.api.v1.agreement_service_pb2 import Estimated
    from judge.api.v1.outcome_pb2 import Interval, Slice

NOTHING = "-"
TIES = {1: "yes", 2: "no"}
"""Whether ties count (S1) or not (S2), in a column of a table."""
TREATMENTS = {1: "with ties", 2: "without ties"}
"""The same in a sentence."""


def with_interval(value: str, interval: Interval) -> str:
    """Format a *value* with its interval, if it has one."""
    return f"{value} [{interval.low:.2f}, {interval.high:.2f}]" if interval.HasField("low") else value


def share(found: Estimated) -> str:
    """Format a share with its interval; a dash where it is unknown."""
    return with_interval(f"{found.value:.3f}", found.interval) if found.HasField("value") else NOTHING


def change(found: Estimated) -> str:
    """Format a difference with its sign and its interval."""
    return with_interval(f"{found.value:+.3f}", found.interval) if found.HasField("value") else NOTHING


def bare(found: Estimated) -> str:
    """Format a share without its interval."""
    return f"{found.value:.3f}" if found.HasField("value") else NOTHING


def part(told: Slice, annotator: str = "") -> str:
    """The part of the data that a figure covers; "all" where it is narrowed by nothing."""
    pair = " / ".join(filter(None, (told.left, told.right)))
    words = (f"turn {told.turn}" if told.turn else "", told.category, pair, told.tag, annotator)
    return " ".join(filter(None, words)) or "all"
