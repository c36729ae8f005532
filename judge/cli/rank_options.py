"""The options of commands that rank."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from judge.cli.difficulties import read_difficulties
from judge.cli.server_options import EnumChoice, server_option
from judge.domain.defaults import RANKING, RATING_SCALES

if TYPE_CHECKING:
    from collections.abc import Callable

    from judge.api.v1.ranking_service_pb2 import RankingOptions

C = TypeVar("C", bound="Callable[..., Any]")
RECONCILE_HELP = (
    "What to do if a judge contradicts itself in the two orders: count a tie, drop the comparison, count each order on "
    "its own (each; both, if both have an outcome), or count a fractional win (soft)."
)
PARSER_HELP = (
    "Use the verdicts of this parser, or `source` for outcomes that were imported. By default, the judge's own parser."
)
_option = partial(server_option, RANKING)
_choice = partial(EnumChoice, "ranking_service_pb2", "RankingOptions")


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
    _option("--method", type=_choice("method"), help="How contestants are ranked."),
    _option("--k", help="Elo's K factor."),
    _option("--start", help="Elo's initial rating."),
    _option("--permutations", help="Random orders of the battles for elo-permuted."),
    click.option("--by", type=click.Choice(["category"]), help="Also rank each category on its own."),
    click.option(
        "--target",
        "target_categories",
        multiple=True,
        help="Count in how many of these categories each contestant is ahead of the reference. Repeatable.",
    ),
    click.option("--reference", "reference_contestant", help="Compare every contestant with this one."),
    _option(
        "--adjust",
        "adjustment",
        type=_choice("adjustment"),
        help="How to adjust for the number of comparisons with the reference.",
    ),
    _option(
        "--difference-to-detect",
        help="Report how many prompts it takes to detect a difference of this many rating points.",
    ),
    click.option(
        "--within",
        type=float,
        metavar="POINTS",
        help="Also test whether each contestant is as good as the reference within this many rating points.",
    ),
    click.option(
        "--within-win-rate",
        type=float,
        metavar="SHARE",
        help="The same for the expected score against the reference: within this distance of 0.5, such as 0.05.",
    ),
    _option("--level", help="Confidence level of the intervals."),
    _option("--inference", type=_choice("inference"), help="What would change if the study were repeated."),
    click.option("--strata", is_flag=True, help="Let prompts vary only within their category."),
    _option(
        "--scale",
        type=_choice("scale", only=RATING_SCALES),
        help="elo has a mean of 1000; natural is the log strength.",
    ),
    click.option("--anchor", default="", callback=_anchor, metavar="NAME=RATING", help="Fix a contestant's rating."),
    _option("--ridge", help="Penalty that pulls strengths together, so that everyone can be ranked; 0 is none."),
    click.option("--position", "position_effect", is_flag=True, help="Also estimate the advantage of the left side."),
    click.option("--style", is_flag=True, help="Control for length and markdown; also rank without this control."),
    click.option("--pairs", is_flag=True, help="Also print the difference of every two contestants."),
    click.option(
        "--leave-one-out", is_flag=True, help="Also print the ranks with each category, or each judge, left out."
    ),
    _option("--intervals", type=_choice("intervals"), help="How intervals are computed."),
    _option("--replicates", help="Number of bootstrap resamples."),
    click.option(
        "--anchored-to",
        metavar="LABELS",
        help="Correct the judge's ratings by these labels: people, or labels:PATTERN.",
    ),
    click.option(
        "--variance", is_flag=True, help="Also split the variance of verdicts by prompts, judges, orders, and repeats."
    ),
    click.option(
        "--fit",
        "goodness_of_fit",
        is_flag=True,
        help="Also test what ratings cannot show: pairs they do not predict, cycles, and variation between prompts.",
    ),
    _option("--decisive-weight", help="How many battles a decisive Likert verdict counts as."),
    _option("--reconcile", type=_choice("reconcile"), help=RECONCILE_HELP),
    click.option("--parser", help=PARSER_HELP),
    click.option(
        "--length-controlled/--no-length-controlled",
        default=None,
        help="Also estimate win rates as if all outputs were equally long.",
    ),
    click.option(
        "--difficulties",
        type=click.Path(dir_okay=False, exists=True, path_type=Path),
        help="A table with the difficulty of each prompt (instruction_difficulty, and prompt_id, instruction, or "
        "nothing if it is in the order of the dataset), for --length-controlled. By default, they are fitted.",
    ),
    click.option("--largest", is_flag=True, help="If not everyone can be compared, rank the largest group that can."),
    _option("--seed", help="Seed of everything that is drawn at random."),
)


def ranking(command: C) -> C:
    """Add the options of ranking to a command. Their values go to `ranking_options`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def ranking_options(
    *,
    by: str | None,
    anchor: tuple[str, float] | None,
    largest: bool,
    difficulties: Path | None,
    **fields: Any,  # noqa: ANN401  # options that have the names of the message's fields
) -> RankingOptions:
    """Build the message from the values of the command's options. None is not sent.

    Raises UsageError for an option that has no effect without another.
    """
    from judge.api.v1 import ranking_service_pb2  # noqa: PLC0415  # grpc's messages when needed

    for name, option in (("difference_to_detect", "--difference-to-detect"), ("adjustment", "--adjust")):
        if fields.get(name) is not None and not fields.get("reference_contestant"):
            raise click.UsageError(f"{option} is for comparisons with a contestant: name it with --reference")
    if largest:
        fields["degenerate"] = ranking_service_pb2.DEGENERATE_LARGEST
    return ranking_service_pb2.RankingOptions(
        by_category=by == "category",
        anchor=ranking_service_pb2.Anchor(contestant=anchor[0], rating=anchor[1]) if anchor else None,
        difficulties=[
            ranking_service_pb2.PromptDifficulty(prompt_id=prompt_id, difficulty=difficulty)
            for prompt_id, difficulty in (read_difficulties(difficulties) if difficulties else ())
        ],
        **fields,
    )
