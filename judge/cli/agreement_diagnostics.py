"""Diagnostics of an agreement report, at most 80 columns wide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from judge.cli.formatting import TIES, TREATMENTS, bare, change, part, share, with_interval
from judge.cli.tables import console, table

if TYPE_CHECKING:
    from judge.api.v1.agreement_service_pb2 import AgreementReport

MOST_OFF = 3
"""How many of the largest residuals are printed."""


def ceilings(report: AgreementReport, wanted: float) -> None:
    """Compare the source with the target's annotators among themselves, and say what more prompts would show."""
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
            title = f"Compared with the target's annotators among themselves: {name}"
            columns = ("part", "ties", "n", "prompts", "source", "themselves", "difference")
            table(title, columns, rows, whole=True)
    whole = [row for row in report.ceilings if (row.slice, row.annotator) == (report.figures[0].slice, "")]
    for row in whole:
        console().print(
            f"{TREATMENTS[row.ties].capitalize()} ({row.votes:,} votes): the source agrees with "
            f"{share(row.rate.source)}, annotators with each other {share(row.rate.target)}. "
            f"No source can exceed {share(row.largest)}."
        )
        if row.HasField("prompts_needed"):
            console().print(
                f"These prompts can detect a difference of {row.detectable_difference:.3f} (power 0.8). "
                f"Detecting {wanted:g} takes {row.prompts_needed:,} prompts."
            )
    if whole:
        console().print()


def second_sources(report: AgreementReport, wanted: float) -> None:
    """Compare the source and the second source on the same votes."""
    rows = [
        (
            TIES[row.ties],
            str(row.comparisons),
            str(row.votes),
            str(row.prompts),
            bare(row.source),
            bare(row.second_source),
            change(row.difference),
        )
        for row in report.second_sources
    ]
    if not rows:
        return
    columns = ("ties", "n", "votes", "prompts", "source", "second", "difference")
    table("Source and second source on the same votes", columns, rows)
    for row in report.second_sources:
        console().print(
            f"{TREATMENTS[row.ties].capitalize()}: the source {share(row.source)}, the second source "
            f"{share(row.second_source)}."
        )
        if row.HasField("prompts_needed"):
            console().print(
                f"These prompts can detect a difference of {row.detectable_difference:.3f} (power 0.8). "
                f"Detecting {wanted:g} takes {row.prompts_needed:,} prompts, or {row.votes_needed:,} votes (now "
                f"{row.votes:,})."
            )
    console().print()


def leaderboards(report: AgreementReport) -> None:
    """Compare the two leaderboards, and show agreement by rating difference."""
    if report.HasField("rank_agreement"):
        told = report.rank_agreement
        figures = {"Spearman": told.spearman, "Kendall": told.kendall, "slope of the source's ratings": told.slope}
        words = ", ".join(f"{name} {share(found)}" for name, found in figures.items())
        console().print(
            f"The two leaderboards ({told.spearman.n} contestants, {told.spearman.prompts} prompts): {words}."
        )
        off = sorted(told.residuals, key=lambda row: -abs(row.residual))[:MOST_OFF]
        words = ", ".join(f"{row.contestant} {row.residual:+.0f}" for row in off)
        console().print(f"Largest residuals, in rating points: {words}.\n")
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
        table("Agreement by difference of the target's ratings", ("points", "ties", "agreement", "n", "prompts"), rows)


def calibrated(report: AgreementReport) -> None:
    """Show how well the source's probabilities are calibrated."""
    if not report.HasField("calibration"):
        return
    told = report.calibration
    rows = [
        (f"{step.low:.1f} to {step.high:.1f}", str(step.n), f"{step.sure:.3f}", f"{step.right:.3f}")
        for step in told.curve
    ]
    table("Calibration: how sure the source is, and how often it is right", ("sure", "votes", "mean", "right"), rows)
    figures = {"Brier": told.brier, "log loss": told.log_loss, "calibration error": told.ece}
    words = ", ".join(f"{name} {share(found)}" for name, found in figures.items())
    console().print(f"{words}: {told.brier.n:,} votes on {told.brier.prompts:,} prompts.")
    if told.HasField("temperature"):
        console().print(
            f"Temperature {told.temperature:.2f}: log loss {share(told.log_loss_after)}, calibration error "
            f"{share(told.ece_after)}, each on prompts it was not fitted on."
        )
    console().print()


def bias(report: AgreementReport) -> None:
    """Show what influences the source beyond the target's outcomes."""
    if not report.HasField("bias"):
        return
    told = report.bias
    rows = [(row.name, with_interval(f"{row.value:+.3f}", row.interval)) for row in told.effects]
    if rows:
        table("What influences the source", ("effect", "log odds, fitted together"), rows)
        console().print(f"{told.comparisons:,} comparisons on {told.prompts:,} prompts.")
    if told.reason:
        console().print(f"Style: {told.reason}.")
    if told.HasField("self_preference"):
        found = told.self_preference
        console().print(
            f"Self-preference: its own family scores {change(found)} compared with the target, over {found.n:,} "
            f"comparisons on {found.prompts:,} prompts."
        )
    console().print()


def cascade(report: AgreementReport) -> None:
    """Show where the source can answer alone."""
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
    together = ("with second",) if any(step.HasField("together") for step in told.steps) else ()
    columns = ("sure", "answers", "agreement", "n", "p", "guaranteed", *together)
    table("Cascade: the source answers where it is sure", columns, rows)
    if told.HasField("threshold"):
        words = (
            f"Where it is at least {told.threshold:.3f} sure ({told.share:.0%} of comparisons), agreement is at least "
            f"{told.target:g}"
        )
    else:
        words = f"No threshold guarantees an agreement of {told.target:g}"
    console().print(
        f"{words}, with {1 - told.delta:.0%} confidence, for new prompts of the same kind and the same contestants.\n"
    )


def alternative(report: AgreementReport) -> None:
    """Show the alternative-annotator test."""
    if not report.HasField("alternative_annotator"):
        return
    told, out = report.alternative_annotator, console()
    beaten = sum(row.beaten for row in told.annotators)
    out.print(
        f"Alternative-annotator test (epsilon {told.epsilon:g}, q {told.q:g}): {told.answer}. The source wins against "
        f"{beaten} of {len(told.annotators)} annotators"
        + (f", winning rate {told.winning_rate:.3f}." if told.HasField("winning_rate") else ".")
    )
    if told.HasField("parity_passes"):
        out.print(f"A source as good as an annotator would pass with probability {told.parity_passes:.0%}.")
    if told.left_out:
        out.print(f"{len(told.left_out)} annotators with fewer than {told.least_items} items don't count.")
    out.print()


def drift(report: AgreementReport) -> None:
    """Show what changed between two runs of a judge."""
    if not report.HasField("drift"):
        return
    told, out = report.drift, console()
    known = told.noise.HasField("value")
    out.print(
        f"Drift from target to source: {told.answer}. {share(told.changed)} of the verdicts changed "
        f"({told.presentations:,} presentations of {told.changed.prompts:,} prompts)."
    )
    if known:
        out.print(f"Repeated calls differ by {share(told.noise)}; beyond that noise: {change(told.beyond)}.")
    else:
        out.print("No presentation was judged twice, so the noise is unknown: judge with --repeats 2.")
    out.print(f"Share of ties {change(told.ties)}; share won by what was shown first {change(told.first)}.")
