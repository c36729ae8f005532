"""The options of `judge agree`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from judge.cli.rank_options import PARSER_HELP, RECONCILE_HELP
from judge.cli.server_options import EnumChoice, server_option
from judge.domain.defaults import AGREEMENT, AGREEMENT_INFERENCES, AGREEMENT_INTERVALS

if TYPE_CHECKING:
    from collections.abc import Callable

    from judge.api.v1.agreement_service_pb2 import AgreementOptions

C = TypeVar("C", bound="Callable[..., Any]")
_option = partial(server_option, AGREEMENT)
_choice = partial(EnumChoice, "agreement_service_pb2", "AgreementOptions")

_OPTIONS = (
    click.option(
        "--unit",
        type=_choice("unit"),
        help="Compare SOURCE with each vote of TARGET, or with the plurality of its votes. Without TARGET, compare the "
        "votes of every two annotators.",
    ),
    click.option(
        "--weighting",
        type=_choice("weighting"),
        help="Count each comparison once, or each vote and pair of votes, as published figures do. By default, figures "
        "count an annotator once on a comparison, and SOURCE beside TARGET's annotators counts each comparison once.",
    ),
    _option(
        "--orientation",
        type=_choice("orientation"),
        help="For chance-corrected coefficients: take each pair both ways round, or with its names sorted.",
    ),
    _option("--reconcile", type=_choice("reconcile"), help=RECONCILE_HELP),
    click.option("--parser", help=PARSER_HELP),
    click.option(
        "--ties",
        type=_choice("ties"),
        help="Report only figures with ties (S1), or only figures without them (S2).",
    ),
    click.option(
        "--by",
        "cuts",
        multiple=True,
        type=click.Choice(["turn", "category", "pair", "annotator"]),
        help="Also break the results down by this field. Repeatable.",
    ),
    _option("--level", help="Confidence level of the intervals."),
    _option(
        "--intervals",
        type=_choice("intervals", only=AGREEMENT_INTERVALS),
        help="How intervals are computed: by the sandwich, and the jackknife for coefficients, or by a bootstrap.",
    ),
    _option(
        "--inference",
        type=_choice("inference", only=AGREEMENT_INFERENCES),
        help="What would change if the study were repeated: the prompts, or the annotators too.",
    ),
    _option("--replicates", help="Number of bootstrap resamples."),
    _option("--seed", help="Seed of everything that is drawn at random."),
    _option(
        "--epsilon",
        help="Alternative-annotator test: the advantage a judge gets because annotators cost more.",
    ),
    _option("--q", help="Alternative-annotator test: the false discovery rate."),
    _option("--least-items", help="Alternative-annotator test: how many items an annotator needs to count."),
    click.option(
        "--bias", is_flag=True, help="Also estimate what influences SOURCE: length, markdown, its own family."
    ),
    click.option("--family", multiple=True, help="A contestant of SOURCE's own model family, for --bias. Repeatable."),
    _option("--difference-to-detect", help="Report how many prompts would detect a difference of this size."),
    click.option("--second-source", help="Another source: test which of the two agrees more with TARGET."),
    click.option(
        "--cascade-target",
        type=float,
        help="Find how sure SOURCE must be to answer alone with at least this agreement.",
    ),
    _option("--cascade-delta", help="The probability that --cascade-target is missed."),
    _option("--drift-margin", help="The largest change beyond noise that counts as no more than noise."),
    click.option(
        "--gold",
        is_flag=True,
        help="Take TARGET, which has one outcome per comparison, as the truth, as labels of kind gold always are.",
    ),
    click.option("--unreadable-as-tie", is_flag=True, help="Count verdicts without an outcome as ties."),
)


def comparing(command: C) -> C:
    """Add the options of an agreement report to a command. Their values go to `agreement_options`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def agreement_options(
    *,
    cuts: tuple[str, ...],
    **fields: Any,  # noqa: ANN401  # options that have the names of the message's fields
) -> AgreementOptions:
    """Build the message from the values of the command's options. None is not sent."""
    from judge.api.v1 import agreement_service_pb2  # noqa: PLC0415  # grpc's messages when needed

    fields |= {f"by_{cut}": True for cut in cuts}
    return agreement_service_pb2.AgreementOptions(**fields)
