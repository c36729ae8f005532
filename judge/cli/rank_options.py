"""The options of commands that rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from judge.rpc.enum_words import value

if TYPE_CHECKING:
    from collections.abc import Callable

    from judge.api.v1.ranking_service_pb2 import RankingOptions

C = TypeVar("C", bound="Callable[..., Any]")
RECONCILE = click.Choice(["tie", "drop", "each", "soft"])
METHOD = click.Choice(["bradley-terry", "davidson", "rao-kupper", "elo", "elo-permuted", "win-rate"])
RECONCILE_HELP = (
    "What to do if a judge contradicts itself in the two orders: count a tie, drop the comparison, count each order on "
    "its own, or count a fractional win (soft)."
)
PARSER_HELP = (
    "Use the verdicts of this parser, or `source` for outcomes that were imported. By default, the judge's own parser."
)
INTERVALS = click.Choice(["sandwich", "bootstrap", "bootstrap-t", "percentile"])
INFERENCE = click.Choice(["new-prompts", "fixed-prompts", "annotators", "unclustered"])


def _anchor(_: click.Context, __: click.Parameter, value: str) -> tuple[str, float] | None:
    """Split CONTESTANT=RATING; None for an empty value. Raises BadParameter for anything else."""
    name, _equals, rating = value.rpartition("=")
    if not value:
        return None
    try:
        if name:
            return name, float(rating)
    except ValueError:
        pass
    raise click.BadParameter(f"{value!r} is not NAME=RATING, such as base=1000")


_OPTIONS = (
    click.option(
        "--method",
        type=METHOD,
        default="bradley-terry",
        show_default=True,
        help="How contestants are ranked.",
    ),
    click.option("--k", default=4.0, show_default=True, help="Elo's K factor."),
    click.option("--start", default=1000.0, show_default=True, help="Elo's initial rating."),
    click.option(
        "--permutations", default=100, show_default=True, help="Random orders of the battles for elo-permuted."
    ),
    click.option("--by", type=click.Choice(["category"]), help="Also rank each category on its own."),
    click.option(
        "--target",
        "targets",
        multiple=True,
        help="Count in how many of these categories each contestant is ahead of the reference. Repeatable.",
    ),
    click.option("--reference", default="", help="Compare every contestant with this one."),
    click.option(
        "--adjust",
        type=click.Choice(["max-t", "holm", "none"]),
        default="max-t",
        show_default=True,
        help="How to adjust for the number of comparisons with the reference.",
    ),
    click.option(
        "--difference-to-detect",
        default=30.0,
        show_default=True,
        help="Report how many prompts it takes to detect a difference of this many rating points.",
    ),
    click.option("--level", default=0.95, show_default=True, help="Confidence level of the intervals."),
    click.option(
        "--inference",
        type=INFERENCE,
        default="new-prompts",
        show_default=True,
        help="What would change if the study were repeated.",
    ),
    click.option("--strata", is_flag=True, help="Let prompts vary only within their category."),
    click.option(
        "--scale",
        type=click.Choice(["elo", "natural"]),
        default="elo",
        show_default=True,
        help="elo has a mean of 1000; natural is the log strength.",
    ),
    click.option("--anchor", default="", callback=_anchor, metavar="NAME=RATING", help="Fix a contestant's rating."),
    click.option(
        "--ridge",
        default=0.0,
        show_default=True,
        help="Penalty that pulls strengths together, so that everyone can be ranked; 0 is none.",
    ),
    click.option("--position", is_flag=True, help="Also estimate the advantage of the left side."),
    click.option("--style", is_flag=True, help="Control for length and markdown; also rank without this control."),
    click.option("--pairs", is_flag=True, help="Also print the difference of every two contestants."),
    click.option(
        "--leave-one-out", is_flag=True, help="Also print the ranks with each category, or each judge, left out."
    ),
    click.option(
        "--intervals", type=INTERVALS, default="sandwich", show_default=True, help="How intervals are computed."
    ),
    click.option("--replicates", default=1000, show_default=True, help="Number of bootstrap resamples."),
    click.option(
        "--anchored-to",
        default="",
        metavar="LABELS",
        help="Correct the judge's ratings by these labels: people, or labels:PATTERN.",
    ),
    click.option(
        "--variance", is_flag=True, help="Also split the variance of verdicts by prompts, judges, orders, and repeats."
    ),
    click.option(
        "--decisive-weight",
        default=1.0,
        show_default=True,
        help="How many battles a decisive Likert verdict counts as.",
    ),
    click.option("--reconcile", type=RECONCILE, default="tie", show_default=True, help=RECONCILE_HELP),
    click.option("--parser", default="", help=PARSER_HELP),
    click.option("--largest", is_flag=True, help="If not everyone can be compared, rank the largest group that can."),
    click.option("--seed", default=0, show_default=True, help="Seed of everything that is drawn at random."),
)


def ranking(command: C) -> C:
    """Add the options of ranking to a command. Their values go to `ranking_options`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def ranking_options(
    *,
    by: str | None,
    targets: tuple[str, ...],
    reference: str,
    adjust: str,
    anchor: tuple[str, float] | None,
    reconcile: str,
    position: bool,
    largest: bool,
    method: str,
    scale: str,
    inference: str,
    intervals: str,
    **others: Any,  # noqa: ANN401  # options that have the names of the message's fields
) -> RankingOptions:
    """Build the message from the values of the command's options."""
    from judge.api.v1 import leaderboard_pb2, outcome_pb2, ranking_service_pb2  # noqa: PLC0415  # grpc's messages when needed

    return ranking_service_pb2.RankingOptions(
        reference_contestant=reference,
        reconcile=outcome_pb2.Reconcile.Value(f"RECONCILE_{reconcile.upper()}"),
        by_category=by == "category",
        target_categories=targets,
        adjustment=value(leaderboard_pb2.Adjustment, adjust),
        method=value(leaderboard_pb2.RankingMethod, method),
        scale=value(leaderboard_pb2.RatingScale, scale),
        inference=value(leaderboard_pb2.Inference, inference),
        intervals=value(outcome_pb2.IntervalMethod, intervals),
        anchor=ranking_service_pb2.Anchor(contestant=anchor[0], rating=anchor[1]) if anchor else None,
        position_effect=position,
        degenerate=ranking_service_pb2.DEGENERATE_LARGEST if largest else ranking_service_pb2.DEGENERATE_REFUSE,
        **others,
    )
