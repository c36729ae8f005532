"""What people tell of a judge besides how often it agrees with them, at most 80 columns wide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from judge.cli.formatting import SAID, TIES, bare, change, doubted, part, share
from judge.cli.tables import console, table

if TYPE_CHECKING:
    from judge.api.v1.agreement_service_pb2 import AgreementReport

MOST_OFF = 3
"""Contestants off the line that are named."""


def ceilings(report: AgreementReport, wanted: float) -> None:
    """The source beside the target's votes among themselves, and what more votes would tell."""
    for name, of in (("agreement", "rate"), ("alpha", "alpha")):
        rows = [
            (
                part(row.slice, row.annotator),
                TIES[row.ties],
                str(row.comparisons),
                str(getattr(row, of).difference.prompts),
                *(bare(getattr(getattr(row, of), side)) for side in ("source", "target")),
                change(getattr(row, of).difference),
            )
            for row in report.ceilings
        ]
        if rows:
            title = f"Beside the target's own votes there: {name}"
            columns = ("part", "ties", "n", "prompts", "source", "themselves", "difference")
            table(title, columns, rows, whole=True)
    whole = [row for row in report.ceilings if (row.slice, row.annotator) == (report.figures[0].slice, "")]
    for row in whole:
        told = (
            f"Ties {SAID[row.ties]}, of {row.votes} votes: the source agrees with {share(row.rate.source)}, they among "
            f"themselves {share(row.rate.target)}; the largest agreement they could show is {share(row.largest)}"
        )
        if row.HasField("prompts_needed"):
            told += (
                f". A difference of {row.detectable_difference:.3f} would be told from 0, and one of {wanted:g} with "
                f"{row.prompts_needed} prompts"
            )
        console().print(f"{told}.")
    if whole:
        console().print()


def rivals(report: AgreementReport, wanted: float) -> None:
    """The source and its rival against the same votes."""
    rows = [
        (
            TIES[row.ties],
            str(row.comparisons),
            str(row.votes),
            str(row.prompts),
            bare(row.source),
            bare(row.rival),
            change(row.difference),
        )
        for row in report.rivals
    ]
    if not rows:
        return
    columns = ("ties", "n", "votes", "prompts", "source", "rival", "difference")
    table("Beside its rival, on the same votes", columns, rows)
    for row in report.rivals:
        told = f"Ties {SAID[row.ties]}: the source {share(row.source)}, its rival {share(row.rival)}"
        if row.HasField("prompts_needed"):
            told += (
                f". A difference of {row.detectable_difference:.3f} would be told from 0; one of {wanted:g} takes "
                f"{row.prompts_needed} prompts or {row.votes_needed} votes, "
                f"{max(row.votes_needed - row.votes, 0)} more than there are"
            )
        console().print(f"{told}.")
    console().print()


def boards(report: AgreementReport) -> None:
    """The two leaderboards, and agreement by how far apart contestants are."""
    if report.HasField("rank_agreement"):
        told = report.rank_agreement
        figures = {"Spearman": told.spearman, "Kendall": told.kendall, "slope of the source's ratings": told.slope}
        words = ", ".join(f"{name} {share(found)}" for name, found in figures.items())
        console().print(
            f"The two leaderboards of {told.spearman.n} contestants, {told.spearman.prompts} prompts: {words}."
        )
        off = sorted(told.residuals, key=lambda row: -abs(row.residual))[:MOST_OFF]
        words = ", ".join(f"{row.contestant} {row.residual:+.0f}" for row in off)
        console().print(f"Furthest off that line, in rating points: {words}.\n")
    rows = [
        (
            f"{row.low:.0f} to {row.high:.0f}" if math.isfinite(row.high) else f"{row.low:.0f} and more",
            TIES[row.ties],
            share(row.rate),
            str(row.rate.n),
            str(row.rate.prompts),
        )
        for row in report.gaps
    ]
    if rows:
        table("By how far apart the target's ratings are", ("points", "ties", "agreement", "n", "prompts"), rows)


def calibrated(report: AgreementReport) -> None:
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
    words = ", ".join(f"{name} {share(found)}" for name, found in figures.items())
    console().print(f"{words}, of {told.brier.n} votes on {told.brier.prompts} prompts.")
    if told.HasField("temperature"):
        console().print(
            f"Temperature {told.temperature:.2f}: log loss {share(told.log_loss_after)}, calibration error "
            f"{share(told.ece_after)} on prompts it was not fitted on."
        )
    console().print()


def bias(report: AgreementReport) -> None:
    """What sways the source beyond what the target says."""
    if not report.HasField("bias"):
        return
    told = report.bias
    rows = [(row.name, doubted(f"{row.value:+.3f}", row.interval)) for row in told.effects]
    if rows:
        table("What sways the source", ("effect", "log odds, fitted together"), rows)
        console().print(f"Of {told.comparisons} comparisons on {told.prompts} prompts.")
    if told.reason:
        console().print(f"Style: {told.reason}.")
    if told.HasField("self_preference"):
        found = told.self_preference
        console().print(
            f"More for its own family than the target gives: {change(found)} of a comparison, over {found.n} on "
            f"{found.prompts} prompts."
        )
    console().print()


def cascade(report: AgreementReport) -> None:
    """Where the source may answer alone."""
    if not report.HasField("cascade"):
        return
    told = report.cascade
    rows = [
        (
            f"{step.threshold:.3f}",
            f"{step.share:.0%}",
            share(step.agreement),
            str(step.agreement.n),
            f"{step.p:.3f}",
            "yes" if step.held else "no",
            *((share(step.together),) if step.HasField("together") else ()),
        )
        for step in told.steps
    ]
    together = ("with its rival",) if any(step.HasField("together") for step in told.steps) else ()
    columns = ("sure", "answers", "agreement", "n", "p", "guaranteed", *together)
    table("Answer alone where it is sure", columns, rows)
    if told.HasField("threshold"):
        words = (
            f"Where it is at least {told.threshold:.3f} sure ({told.share:.0%}), agreement is {told.target:g} or more"
        )
    else:
        words = f"Nowhere is an agreement of {told.target:g} guaranteed"
    console().print(
        f"{words}, but for a chance of {told.delta:g}, on new prompts of the same source and the same contestants.\n"
    )


def alternative(report: AgreementReport) -> None:
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


def drift(report: AgreementReport) -> None:
    """What has changed from one judging to the other."""
    if not report.HasField("drift"):
        return
    told, out = report.drift, console()
    known = told.noise.HasField("value")
    words = [f"of verdicts changed {share(told.changed)}"]
    if known:
        words.append(f"of repeats differ {share(told.noise)}")
        words.append(f"beyond that {change(told.beyond)}")
    out.print(
        f"From target to source, {told.showings} showings of {told.changed.prompts} prompts: {', '.join(words)}: "
        f"{told.answer}."
    )
    if not known:
        out.print("No showing was judged twice on one side, so noise is not known: judge with --repeats 2.")
    out.print(f"Ties {change(told.ties)}, first shown wins {change(told.first)}.")
