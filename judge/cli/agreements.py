"""The agreement report for people, at most 80 columns wide."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from judge.cli.tables import console, table

if TYPE_CHECKING:
    from judge.api.v1.agreement_service_pb2 import AgreementFigure, AgreementReport, Estimated
    from judge.api.v1.outcome_pb2 import Interval, Slice

AGREEMENT = ("ties", "agreement", "n", "prompts", "kappa")
SIDES = ("source", "target", "difference")
Coefficient = Literal["kappa", "ac1", "alpha", "alpha_ordinal", "macro_f1"]
BEYOND: dict[Coefficient, str] = {
    "kappa": "Cohen's kappa",
    "ac1": "Gwet's AC1",
    "alpha": "Krippendorff's alpha",
    "alpha_ordinal": "the same, ordinal",
    "macro_f1": "macro F1",
}


def _doubted(value: str, interval: Interval) -> str:
    return f"{value} [{interval.low:.2f}, {interval.high:.2f}]" if interval.HasField("low") else value


def _figure(figure: AgreementFigure) -> tuple[str, ...]:
    """The columns AGREEMENT of one figure."""
    rate = _doubted(f"{figure.rate:.3f}", figure.interval) if figure.HasField("rate") else "-"
    kappa = _doubted(f"{figure.kappa:.3f}", figure.kappa_interval) if figure.HasField("kappa") else "-"
    return "kept" if figure.ties == 1 else "drop", rate, str(figure.n), str(figure.prompts), kappa


def _part(figure: AgreementFigure) -> str:
    return " ".join(word for word in (_slice(figure.slice), figure.annotator) if word) or "all"


def _slice(part: Slice) -> str:
    pair = f"{part.left} / {part.right}" if part.left else ""
    return " ".join(word for word in (f"turn {part.turn}" if part.turn else "", part.category, pair) if word)


def _orders(report: AgreementReport) -> str:
    order = report.order_consistency
    rate = _doubted(f"{order.rate:.3f}", order.interval) if order.HasField("rate") else "-"
    told = f"same in both orders {rate} of {order.n}"
    if order.inconsistent:
        told += f", first shown preferred {order.prefers_first} times, second {order.prefers_second}"
        if order.first_share.HasField("value"):
            told += f", first shown wins {_doubted(f'{order.first_share.value:.3f}', order.first_share.interval)}"
    return f"{told}, one order missing {order.incomplete}" if order.incomplete else told


def agreement(report: AgreementReport, title: str) -> None:
    """Print every figure of a report: its part, rate and kappa with their intervals, n and prompts."""
    table(title, ("part", *AGREEMENT), [(_part(figure), *_figure(figure)) for figure in report.figures])
    _beyond(report)
    _ceilings(report)
    _planned(report)
    _rivals(report)
    _boards(report)
    _calibrated(report)
    _bias(report)
    _cascade(report)
    _alternative(report)
    whole = [figure for figure in report.figures if _part(figure) == "all"]
    for reason in dict.fromkeys(figure.reason for figure in whole if figure.reason):
        console().print(reason)
    if report.order_consistency.n:
        console().print(_orders(report))
    if report.HasField("repeats_agree"):
        found = report.repeats_agree
        console().print(f"the same when repeated {_doubted(f'{found.value:.3f}', found.interval)} of {found.n} pairs")
    _drift(report)
    console().print(f"on one side only: {report.source_only} / {report.target_only} comparisons; both: {report.both}")


def _beyond(report: AgreementReport) -> None:
    """What is beyond chance, of the whole: a coefficient a row."""
    whole = [figure for figure in report.figures if _part(figure) == "all"]

    def told(figure: AgreementFigure, name: Coefficient) -> str:
        doubt = getattr(figure, f"{name}_interval")
        return _doubted(f"{getattr(figure, name):.3f}", doubt) if figure.HasField(name) else "-"

    rows = [(BEYOND[name], *(told(figure, name) for figure in whole)) for name in BEYOND]
    ties = [f"ties {'kept' if figure.ties == 1 else 'dropped'}" for figure in whole]
    table(f"Beyond chance, orientation {report.orientation}", ("coefficient", *ties), rows)


def _ceilings(report: AgreementReport) -> None:
    """The source beside the target's votes among themselves."""
    for name, of in (("agreement", "rate"), ("alpha", "alpha")):
        rows = [
            (
                " ".join(word for word in (_slice(row.slice), row.annotator) if word) or "all",
                "kept" if row.ties == 1 else "drop",
                str(row.comparisons),
                *(_value(getattr(getattr(row, of), side), doubted=side == "difference") for side in SIDES),
            )
            for row in report.ceilings
        ]
        if rows:
            title = f"Beside the target's own votes: {name}"
            table(title, ("part", "ties", "n", "source", "among themselves", "difference"), rows)


def _planned(report: AgreementReport) -> None:
    """The most these labels could show, and how many more would tell a difference."""
    for row in report.ceilings[:2]:
        ties = "kept" if row.ties == 1 else "dropped"
        told = f"Ties {ties}: the largest agreement these votes could show is {_value(row.largest, doubted=False)}"
        if row.HasField("prompts_needed"):
            told += (
                f"; a difference of {row.detectable_difference:.3f} would be told from 0, and the one wanted with "
                f"{row.prompts_needed} prompts"
            )
        console().print(f"{told}.")
    if report.ceilings:
        console().print()


def _rivals(report: AgreementReport) -> None:
    """The source and its rival against the same votes."""
    rows = [
        (
            "kept" if row.ties == 1 else "drop",
            str(row.comparisons),
            str(row.votes),
            *(_value(found, doubted=False) for found in (row.source, row.rival)),
            _value(row.difference, doubted=True),
        )
        for row in report.rivals
    ]
    if not rows:
        return
    table("Beside its rival, on the same votes", ("ties", "n", "votes", "source", "rival", "difference"), rows)
    for row in report.rivals:
        if row.HasField("prompts_needed"):
            console().print(
                f"Ties {'kept' if row.ties == 1 else 'dropped'}: a difference of {row.detectable_difference:.3f} would "
                f"be told from 0; the one wanted takes {row.prompts_needed} prompts or {row.votes_needed} votes, "
                f"{max(row.votes_needed - row.votes, 0)} more than there are."
            )
    console().print()


def _drift(report: AgreementReport) -> None:
    """What has changed from one judging to the other."""
    if not report.HasField("drift"):
        return
    told, out = report.drift, console()
    known = told.noise.HasField("value")
    words = [f"of verdicts changed {_doubted(f'{told.changed.value:.3f}', told.changed.interval)}"]
    if known:
        words.append(f"of repeats differ {_doubted(f'{told.noise.value:.3f}', told.noise.interval)}")
        words.append(f"beyond that {_value(told.beyond, doubted=True)}")
    out.print(f"From target to source, {told.showings} showings: {', '.join(words)}: {told.answer}.")
    if not known:
        out.print("No showing was judged twice on one side, so noise is not known: judge with --repeats 2.")
    out.print(f"Ties {_value(told.ties, doubted=True)}, first shown wins {_value(told.first, doubted=True)}.")


def _value(found: Estimated, *, doubted: bool) -> str:
    if not found.HasField("value"):
        return "-"
    return _doubted(f"{found.value:+.3f}", found.interval) if doubted else f"{found.value:.3f}"


def _boards(report: AgreementReport) -> None:
    """The two leaderboards, and agreement by how far apart contestants are."""
    if report.HasField("rank_agreement"):
        told = report.rank_agreement
        figures = {"Spearman": told.spearman, "Kendall": told.kendall, "slope of the source's ratings": told.slope}
        words = [f"{name} {_doubted(f'{found.value:.3f}', found.interval)}" for name, found in figures.items()]
        console().print(f"The two leaderboards: {', '.join(words)}.")
        off = sorted(told.residuals, key=lambda row: -abs(row.residual))[:3]
        words = [f"{row.contestant} {row.residual:+.0f}" for row in off]
        console().print(f"Furthest off that line, in rating points: {', '.join(words)}.\n")
    rows = [
        (
            f"{row.low:.0f} to {row.high:.0f}" if math.isfinite(row.high) else f"{row.low:.0f} and more",
            "kept" if row.ties == 1 else "drop",
            _doubted(f"{row.rate.value:.3f}", row.rate.interval) if row.rate.HasField("value") else "-",
            str(row.rate.n),
        )
        for row in report.gaps
    ]
    if rows:
        table("By how far apart the target's ratings are", ("points", "ties", "agreement", "n"), rows)
    for note in report.notes:
        console().print(note)


def _calibrated(report: AgreementReport) -> None:
    """What the source's probabilities are worth."""
    if not report.HasField("calibration"):
        return
    told = report.calibration
    rows = [
        (f"{step.low:.1f} to {step.high:.1f}", str(step.n), f"{step.sure:.3f}", f"{step.right:.3f}")
        for step in told.curve
    ]
    table("How sure the source is, and how often it is right", ("sure", "votes", "on average", "right"), rows)
    figures = {"Brier": told.brier, "log loss": told.log_loss, "calibration error": told.ece}
    words = [f"{name} {_doubted(f'{found.value:.3f}', found.interval)}" for name, found in figures.items()]
    console().print(f"{', '.join(words)}.")
    if told.HasField("temperature"):
        console().print(
            f"Temperature {told.temperature:.2f}: log loss {told.log_loss_after.value:.3f}, calibration error "
            f"{told.ece_after.value:.3f} on prompts it was not fitted on.\n"
        )


def _bias(report: AgreementReport) -> None:
    """What sways the source beyond what the target says."""
    if not report.HasField("bias"):
        return
    told = report.bias
    rows = [(row.name, _doubted(f"{row.value:+.3f}", row.interval)) for row in told.effects]
    if rows:
        table("What sways the source", ("effect", "log odds, fitted together"), rows)
    if told.reason:
        console().print(f"Style: {told.reason}.")
    if told.HasField("self_preference"):
        found = told.self_preference
        value = _doubted(f"{found.value:+.3f}", found.interval) if found.HasField("value") else "-"
        console().print(f"More for its own family than the target gives: {value} of a comparison, over {found.n}.\n")


def _cascade(report: AgreementReport) -> None:
    """Where the source may answer alone."""
    if not report.HasField("cascade"):
        return
    told = report.cascade
    rows = [
        (
            f"{step.threshold:.3f}",
            f"{step.share:.0%}",
            _doubted(f"{step.agreement.value:.3f}", step.agreement.interval),
            f"{step.p:.3f}",
            "yes" if step.held else "no",
            *((_doubted(f"{step.together.value:.3f}", step.together.interval),) if step.HasField("together") else ()),
        )
        for step in told.steps
    ]
    together = ("with its rival",) if any(step.HasField("together") for step in told.steps) else ()
    table("Answer alone where it is sure", ("sure", "answers", "agreement", "p", "guaranteed", *together), rows)
    if told.HasField("threshold"):
        words = (
            f"Where it is at least {told.threshold:.3f} sure ({told.share:.0%}), agreement is {told.target:g} or more"
        )
    else:
        words = f"Nowhere is an agreement of {told.target:g} guaranteed"
    console().print(
        f"{words}, but for a chance of {told.delta:g}, on new prompts of the same source and the same contestants.\n"
    )


def _alternative(report: AgreementReport) -> None:
    """What the alternative-annotator test says."""
    if not report.HasField("alternative_annotator"):
        return
    told, out = report.alternative_annotator, console()
    beaten = sum(row.beaten for row in told.annotators)
    out.print(
        f"May it stand in for these annotators (epsilon {told.epsilon:g}, q {told.q:g})? {told.answer}: better than "
        f"{beaten} of {len(told.annotators)} annotators less epsilon"
        + (f", winning rate {told.winning_rate:.3f}." if told.HasField("winning_rate") else ".")
    )
    if told.HasField("parity_passes"):
        out.print(f"A source exactly at parity would pass with a chance of {told.parity_passes:.0%}.")
    if told.left_out:
        out.print(f"{len(told.left_out)} annotators with fewer than {told.least_items} items are left out.")
    out.print()


def summary(rows: Sequence[tuple[str, AgreementReport]], target: str) -> None:
    """Print how far each judge agrees with *target*, and with itself when the order is swapped."""
    lines = [(name, *_figure(figure)) for name, report in rows for figure in report.figures]
    table(f"Agreement with {target}, each figure with its 95 % interval", ("judge", *AGREEMENT), lines)
    for name, report in rows:
        console().print(f"{name}: {_orders(report)}")
