"""How to rank, as options of a command."""

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
INTERVALS = click.Choice(["sandwich", "bootstrap", "bootstrap-t", "percentile"])
INFERENCE = click.Choice(["new-prompts", "fixed-prompts", "annotators", "unclustered"])


def _anchor(_: click.Context, __: click.Parameter, said: str) -> tuple[str, float] | None:
    """CONTESTANT=RATING."""
    name, _equals, rating = said.rpartition("=")
    if not said:
        return None
    try:
        if name:
            return name, float(rating)
    except ValueError:
        pass
    raise click.BadParameter(f"{said!r} is not CONTESTANT=RATING, for instance base=1000")


_OPTIONS = (
    click.option(
        "--method",
        type=METHOD,
        default="bradley-terry",
        show_default=True,
        help="How contestants are ranked.",
    ),
    click.option("--k", default=4.0, show_default=True, help="Elo's K."),
    click.option("--start", default=1000.0, show_default=True, help="Elo's start."),
    click.option("--permutations", default=100, show_default=True, help="Orders of elo-permuted."),
    click.option("--by", type=click.Choice(["category"]), help="Also by category."),
    click.option("--target", "targets", multiple=True, help="A category wanted: where is each ahead? Repeatable."),
    click.option("--reference", default="", help="The reference contestant."),
    click.option("--adjust", type=click.Choice(["max-t", "holm", "none"]), default="max-t", show_default=True),
    click.option("--difference", default=30.0, show_default=True, help="The difference you would like to detect."),
    click.option("--level", default=0.95, show_default=True, help="The level of the intervals."),
    click.option("--inference", type=INFERENCE, default="new-prompts", show_default=True, help="What would vary."),
    click.option("--strata", is_flag=True, help="Prompts vary within their categories alone."),
    click.option("--scale", type=click.Choice(["elo", "natural"]), default="elo", show_default=True),
    click.option("--anchor", default="", callback=_anchor, metavar="NAME=RATING", help="Fix a contestant's rating."),
    click.option("--ridge", default=0.0, show_default=True, help="Pull log strengths together, and say so."),
    click.option("--position", is_flag=True, help="Fit what the left side is worth."),
    click.option("--style", is_flag=True, help="Take length and markdown out; print both."),
    click.option("--pairs", is_flag=True, help="Every difference too."),
    click.option("--leave-one-out", is_flag=True, help="The ranks without each category, and each judge, too."),
    click.option("--intervals", type=INTERVALS, default="sandwich", show_default=True, help="How they are computed."),
    click.option("--replicates", default=1000, show_default=True, help="Resamples of a bootstrap."),
    click.option("--anchored-to", default="", metavar="LABELS", help="Anchor a judge's ratings to people's labels."),
    click.option("--variance", is_flag=True, help="Split the variance of verdicts too."),
    click.option("--decisive-weight", default=1.0, show_default=True, help="What a decisive Likert verdict counts as."),
    click.option("--reconcile", type=RECONCILE, default="tie", show_default=True),
    click.option("--parser", default="", help="Which reading of replies: source, or a parser's name."),
    click.option("--largest", is_flag=True, help="Rank the largest part of a board that falls apart."),
    click.option("--seed", default=0, show_default=True, help="Of draws and permutations."),
)


def ranking(command: C) -> C:
    """*command* with the options that say how to rank; `ranking_options` takes them as they come."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def ranking_options(
    *,
    by: str | None,
    targets: tuple[str, ...],
    reference: str,
    adjust: str,
    difference: float,
    anchor: tuple[str, float] | None,
    reconcile: str,
    position: bool,
    largest: bool,
    method: str,
    scale: str,
    inference: str,
    intervals: str,
    **said: Any,  # noqa: ANN401  # the options that are called as the wire calls them
) -> RankingOptions:
    """The options as the wire has them."""
    from judge.api.v1 import leaderboard_pb2, outcome_pb2, ranking_service_pb2  # noqa: PLC0415  # when needed

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
        difference_to_detect=difference,
        anchor=ranking_service_pb2.Anchor(contestant=anchor[0], rating=anchor[1]) if anchor else None,
        position_effect=position,
        degenerate=ranking_service_pb2.DEGENERATE_LARGEST if largest else ranking_service_pb2.DEGENERATE_REFUSE,
        **said,
    )
