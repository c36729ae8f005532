"""Leaderboards for people, at most 80 columns wide, and for spreadsheets."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, TypeVar

import click

from judge.cli.tables import console, spread, table
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from judge.api.v1.leaderboard_pb2 import Leaderboard, LeftOut, Rating

Unknown = TypeVar("Unknown", str, None)
COLUMNS = ("contestant", "rank", "ranks", "rating", "low", "high", "win_rate", "n", "prompts", "best", "order_sd")
STANDINGS = {1: "ahead", 2: "behind", 3: "cannot tell"}


def print_leaderboard(leaderboard: Leaderboard, title: str) -> None:
    """Print a leaderboard with its intervals, standings, notes and who could not be ranked."""
    digits = {"share": 3, "natural": 2}.get(word(leaderboard, "scale"), 0)
    rows = [
        (
            rating.contestant,
            str(rating.rank),
            _ranks(rating, "-"),
            f"{rating.rating:.{digits or 1}f}",
            spread(rating.interval, digits),
            f"{rating.expected_score:.3f}" if rating.HasField("expected_score") else "-",
            str(rating.n),
            str(rating.prompts),
        )
        for rating in leaderboard.ratings
    ]
    level = f"{leaderboard.level:.0%} interval"
    against = leaderboard.standings[0].reference_contestant if leaderboard.standings else "average"
    table(title, ("contestant", "rank", "ranks", "rating", level, f"win rate\nvs. {against}", "n", "prompts"), rows)
    out = console()
    for row in leaderboard.unranked:
        out.print(f"not ranked: {row.contestant} ({row.reason})")
    _standings(leaderboard, digits)
    for effect in leaderboard.effects:
        unit = "log of the tie parameter" if effect.name == "ties" else "log odds"
        out.print(f"{effect.name}: {effect.value:+.3f} {unit}, {spread(effect.interval, 3)}")
    for rating in leaderboard.ratings:
        if rating.HasField("order_sd"):
            out.print(f"{rating.contestant}: spread over orders {rating.order_sd:.1f}")
    _told(leaderboard)
    _anchored(leaderboard)
    _more(leaderboard, title, digits)


def _told(leaderboard: Leaderboard) -> None:
    """How the figures above came about."""
    out = console()
    told = f"{word(leaderboard, 'method')}, {leaderboard.interval_method}, ties {leaderboard.ties}"
    if (inference := word(leaderboard, "inference")) != "new-prompts":
        told += f", inference over {inference}"
    if leaderboard.adaptive:
        told += ", pairs chosen adaptively"
    if leaderboard.ridge:
        told += f", ridge {leaderboard.ridge:g}"
    if leaderboard.anchor:
        told += f", {leaderboard.anchor} fixed"
    if leaderboard.anchors:
        told += f", the mean of {', '.join(leaderboard.anchors)} fixed"
    if leaderboard.HasField("coverage"):
        coverage = leaderboard.coverage
        told += f", orders {leaderboard.reconcile}, coverage {coverage.usable} of {coverage.planned}"
    out.print(told)
    if leaderboard.replicates:
        out.print(f"{leaderboard.replicates} resamples, {leaderboard.replicates_apart} of which could not be ranked")
    for note in leaderboard.notes:
        out.print(note)
    out.print()


def leaderboard_csv(leaderboard: Leaderboard) -> None:
    """Print the ratings as CSV; empty where something was not computed."""
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(COLUMNS)
    out.writerows(_rows(leaderboard))


def leaderboard_parquet(leaderboard: Leaderboard, path: Path) -> None:
    """Write the ratings as Parquet; null where something was not computed. UsageError without the extra data."""
    try:
        import polars as pl  # noqa: PLC0415  # of an extra, and slow to import
    except ImportError:
        raise click.UsageError("--parquet needs polars (the extra data): pip install polars") from None
    told = (pl.String, pl.Int32, pl.String, *[pl.Float64] * 4, pl.Int64, pl.Int64, *[pl.Float64] * 2)
    schema = dict(zip(COLUMNS, told, strict=True))
    pl.DataFrame(_rows(leaderboard), schema=schema, orient="row").write_parquet(path)


def _rows(leaderboard: Leaderboard) -> list[tuple[object, ...]]:
    return [
        (
            rating.contestant,
            rating.rank,
            _ranks(rating, None),
            rating.rating,
            rating.interval.low if rating.interval.HasField("low") else None,
            rating.interval.high if rating.interval.HasField("high") else None,
            rating.expected_score if rating.HasField("expected_score") else None,
            rating.n,
            rating.prompts,
            rating.probability_best if rating.HasField("probability_best") else None,
            rating.order_sd if rating.HasField("order_sd") else None,
        )
        for rating in leaderboard.ratings
    ]


def _ranks(rating: Rating, unknown: Unknown) -> str | Unknown:
    """The ranks that cannot be excluded, or *unknown*."""
    if not rating.HasField("rank_interval"):
        return unknown
    found = rating.rank_interval
    return f"{found.low}-{found.high}" if found.low < found.high else str(found.low)


def _standings(leaderboard: Leaderboard, digits: int) -> None:
    if not leaderboard.standings:
        return
    rows = [
        (
            one.contestant,
            STANDINGS[one.standing],
            f"{one.difference:+.{digits or 1}f}",
            spread(one.interval, digits),
            f"{one.detectable_difference:.{digits}f}" if one.HasField("detectable_difference") else "-",
            str(one.prompts_needed) if one.HasField("prompts_needed") else "-",
        )
        for one in leaderboard.standings
    ]
    first = leaderboard.standings[0]
    adjustment = word(first, "adjustment")
    adjusted = "each on its own" if adjustment == "none" else f"{adjustment} over all cells"
    title = f"Against {first.reference_contestant} ({adjusted})"
    table(title, ("contestant", "is", "by", "interval", "detectable", "prompts needed"), rows)


def _more(leaderboard: Leaderboard, title: str, digits: int) -> None:
    """What was asked for besides."""
    if leaderboard.differences:
        rows = [
            (one.left, one.right, f"{one.difference:+.{digits or 1}f}", spread(one.interval, digits))
            for one in leaderboard.differences
        ]
        table("Differences, each with an interval of its own", ("left", "right", "by", "interval"), rows)
    if leaderboard.target_shares:
        rows = [
            (one.contestant, str(one.ahead), str(one.behind), str(one.categories - one.ahead - one.behind))
            for one in leaderboard.target_shares
        ]
        table("Categories", ("contestant", "ahead in", "behind in", "cannot tell in"), rows)
    if leaderboard.variance:
        told = [(one.variance, one.share) if one.HasField("variance") else None for one in leaderboard.variance]
        split = [
            (one.level, f"{found[0]:.4f}" if found else "-", f"{found[1]:.0%}" if found else "-")
            for one, found in zip(leaderboard.variance, told, strict=True)
        ]
        table("Variance of verdicts", ("level", "variance", "share"), split)
    for what in ("category", "judge"):
        left_out = [out for out in leaderboard.left_out if bool(out.judge) == (what == "judge")]
        if left_out:
            moved = [(one.contestant, str(one.rank), *_moved(left_out, one)) for one in leaderboard.ratings]
            table(f"Ranks when a {what} is left out", ("contestant", "rank", "best", "worst", "changed by"), moved)
    for inner in leaderboard.slices:
        print_leaderboard(inner, f"{title}: {inner.slice.category or '(no category)'}")
    if leaderboard.HasField("uniform_sample"):
        print_leaderboard(leaderboard.uniform_sample, f"{title}, by lot alone")
    if leaderboard.HasField("without_style"):
        print_leaderboard(leaderboard.without_style, f"{title}, without style control")


def _anchored(leaderboard: Leaderboard) -> None:
    """What anchoring to labels gave, and what would help more."""
    if not leaderboard.HasField("anchoring"):
        return
    told, out = leaderboard.anchoring, console()
    gain = f"{told.gain:.2f}" if told.HasField("gain") else "not known, as labels alone rank nobody"
    out.print(
        f"Anchored to {told.labels_source}: {told.labelled} of {told.comparisons} comparisons labelled, on "
        f"{told.labelled_prompts} prompts; the judge's weight is {told.judge_weight:.2f}."
    )
    out.print(f"Effective sample size in units of the labels': {gain}.")
    more, wider = told.twice_the_labels, told.twice_the_prompts
    better = "more labels per prompt help more" if more < wider else "more prompts help more"
    out.print(
        f"Twice the labels on these prompts: standard errors x {more:.2f}; as many labels on twice the prompts: "
        f"x {wider:.2f}: {better}."
    )
    if told.assumed_random:
        out.print("No label says with what probability it was chosen: they are taken as drawn at random.")
    if told.unused:
        out.print(f"{told.unused} labelled comparisons have no outcome of the judge and are not used.")
    out.print()


def _moved(left_out: Sequence[LeftOut], rating: Rating) -> tuple[str, str, str]:
    """The best and the worst rank without one of what is left out, and which of it changes the rank."""
    found = {
        out.judge or out.category: out.ranks[rating.contestant] for out in left_out if rating.contestant in out.ranks
    }
    if not found:
        return "-", "-", "-"
    changed = [what or "(none)" for what, rank in sorted(found.items()) if rank != rating.rank]
    return str(min(found.values())), str(max(found.values())), ", ".join(changed) or "none"
