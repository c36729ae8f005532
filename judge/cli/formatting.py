"""A figure with its doubt in words, for the tables of agreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge.api.v1.agreement_service_pb2 import Estimated
    from judge.api.v1.outcome_pb2 import Interval, Slice

NOTHING = "-"
TIES = {1: "kept", 2: "drop"}
SAID = {1: "kept", 2: "dropped"}
"""The same in a sentence."""


def doubted(value: str, interval: Interval) -> str:
    """A *value* with its interval, if it has one."""
    return f"{value} [{interval.low:.2f}, {interval.high:.2f}]" if interval.HasField("low") else value


def share(found: Estimated) -> str:
    """A share with its interval; a dash where it is not known."""
    return doubted(f"{found.value:.3f}", found.interval) if found.HasField("value") else NOTHING


def change(found: Estimated) -> str:
    """The same of a difference, with its sign."""
    return doubted(f"{found.value:+.3f}", found.interval) if found.HasField("value") else NOTHING


def bare(found: Estimated) -> str:
    """A share without its interval."""
    return f"{found.value:.3f}" if found.HasField("value") else NOTHING


def part(told: Slice, annotator: str = "") -> str:
    """The part of the data that a figure covers; "all" where it is narrowed by nothing."""
    pair = " / ".join(filter(None, (told.left, told.right)))
    words = (f"turn {told.turn}" if told.turn else "", told.category, pair, told.tag, annotator)
    return " ".join(filter(None, words)) or "all"
