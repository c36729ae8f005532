"""The agreement report for people, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from judge.cli import agreement_diagnostics as beside
from judge.cli.formatting import NOTHING, SAID, TIES, doubted, part, share
from judge.cli.tables import console, table

if TYPE_CHECKING:
    from judge.api.v1.agreement_service_pb2 import AgreementFigure, AgreementReport

AGREEMENT = ("ties", "agreement", "n", "prompts", "kappa")
OUTCOMES = ("left", "right", "tie")
ANNOTATOR_PAIR = 3
Coefficient = Literal["kappa", "ac1", "alpha", "alpha_ordinal", "macro_f1"]
BEYOND: dict[Coefficient, str] = {
    "kappa": "Cohen's kappa",
    "ac1": "Gwet's AC1",
    "alpha": "Krippendorff's alpha",
    "alpha_ordinal": "the same, ordinal",
    "macro_f1": "macro F1",
}


def _figure(figure: AgreementFigure) -> tuple[str, ...]:
    """The columns AGREEMENT of one figure."""
    rate = doubted(f"{figure.rate:.3f}", figure.interval) if figure.HasField("rate") else NOTHING
    return TIES[figure.ties], rate, str(figure.n), str(figure.prompts), _coefficient(figure, "kappa")


def _coefficient(figure: AgreementFigure, name: Coefficient) -> str:
    if not figure.HasField(name):
        return NOTHING
    return doubted(f"{getattr(figure, name):.3f}", getattr(figure, f"{name}_interval"))


def agreement(report: AgreementReport, title: str, wanted: float) -> None:
    """Print a report: every figure with its interval, n and prompts, and what else the two sources tell.

    *wanted* is the difference that was asked to be told from 0.
    """
    rows = [(part(figure.slice, figure.annotator), *_figure(figure)) for figure in report.figures]
    table(title, ("part", *AGREEMENT), rows, whole=True)
    # The whole comes first: a figure for each treatment of ties.
    first = report.figures[0]
    whole = [figure for figure in report.figures if (figure.slice, figure.annotator) == (first.slice, first.annotator)]
    _beyond(whole, report.orientation)
    _confusion(first)
    beside.ceilings(report, wanted)
    beside.rivals(report, wanted)
    beside.boards(report)
    beside.calibrated(report)
    beside.bias(report)
    beside.cascade(report)
    beside.alternative(report)
    for line in dict.fromkeys((*report.notes, *(figure.reason for figure in whole))):
        if line:
            console().print(line)
    if report.order_consistency.n:
        console().print(_orders(report))
    if report.HasField("repeats_agree"):
        found = report.repeats_agree
        console().print(f"the same when repeated {share(found)} of {found.n} pairs on {found.prompts} prompts")
    beside.drift(report)
    console().print(f"on one side only: {report.source_only} / {report.target_only} comparisons; both: {report.both}")
    _coverage(report)
    _intervals(whole)


def _beyond(whole: Sequence[AgreementFigure], orientation: str) -> None:
    """What is beyond chance, a coefficient a row."""
    rows = [(BEYOND[name], *(_coefficient(figure, name) for figure in whole)) for name in BEYOND]
    columns = ("coefficient", *(f"ties {SAID[figure.ties]}" for figure in whole))
    of = " and ".join(str(figure.comparisons) for figure in whole)
    table(f"Beyond chance, orientation {orientation}, {of} comparisons", columns, rows)


def _confusion(figure: AgreementFigure) -> None:
    """What the source said by what the target said; among themselves, each pair of votes once, without order."""
    if figure.n == 0:
        return
    ours, theirs = ("one", "other") if figure.unit == ANNOTATOR_PAIR else ("source", "target")
    lines = [figure.confusion[at : at + 3] for at in (0, 3, 6)]
    rows = [(f"{ours} {name}", *map(str, line), str(sum(line))) for name, line in zip(OUTCOMES, lines, strict=True)]
    title = f"What each said, ties {SAID[figure.ties]} (left: the smaller name)"
    table(title, ("", *(f"{theirs} {name}" for name in OUTCOMES), "all"), rows)


def _coverage(report: AgreementReport) -> None:
    """What the two left unsaid, by status."""
    for name, found in (("source", report.source_coverage), ("target", report.target_coverage)):
        if found.usable < found.planned:
            unsaid = ", ".join(f"{status} {many}" for status, many in sorted(found.by_status.items()))
            console().print(f"{name}: {found.usable} of {found.planned} usable ({unsaid})")


def _intervals(whole: Sequence[AgreementFigure]) -> None:
    """How intervals were computed, or why there are none."""
    rates = dict.fromkeys(figure.interval_method for figure in whole if figure.HasField("rate"))
    others = dict.fromkeys(getattr(figure, f"{name}_interval_method") for figure in whole for name in BEYOND)
    if rates:
        beyond = [method for method in others if method and method not in rates]
        told = f"; of what is beyond chance: {', '.join(beyond)}" if beyond else ""
        console().print(f"intervals of {whole[0].level:.0%} over prompts: {', '.join(rates)}{told}")


def _orders(report: AgreementReport) -> str:
    order = report.order_consistency
    rate = doubted(f"{order.rate:.3f}", order.interval) if order.HasField("rate") else NOTHING
    told = f"same in both orders {rate} of {order.n} on {order.prompts} prompts"
    if order.inconsistent:
        told += f", first shown preferred {order.prefers_first} times, second {order.prefers_second}"
        if order.first_share.HasField("value"):
            told += f", first shown wins {share(order.first_share)}"
    return f"{told}, one order missing {order.incomplete}" if order.incomplete else told


def summary(rows: Sequence[tuple[str, AgreementReport]], target: str) -> None:
    """Print how far each judge agrees with *target*, and with itself when the order is swapped."""
    lines = [(name, *_figure(figure)) for name, report in rows for figure in report.figures]
    table(f"Agreement with {target}, each figure with its 95 % interval", ("judge", *AGREEMENT), lines)
    for name, report in rows:
        console().print(f"{name}: {_orders(report)}")
