"""Diagnostics of an agreement report, at most 80 columns wide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from judge.cli.formatting import TIES, TREATMENTS, bare, change, part, percent, points, share, with_interval
from judge.cli.tables import console, table
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from judge.api.v1.agreement_service_pb2 import AgreementReport, Ceiling, Estimated, RankAgreement

NOT_DETERMINED = "not determined, since "
"""How some reasons begin already."""
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
            if of == "rate" or not _alpha_is_agreement(row, report.orientation)
        ]
        if rows:
            once = "each once" if word(report.ceilings[0], "weighting") == "comparisons" else "by their votes"
            title = f"Compared with the target's annotators: {name} (n comparisons, {once})"
            columns = ("part", "ties", "n", "prompts", "source", "themselves", "difference")
            table(title, columns, rows, whole=True)
    _alpha_left_out(report)
    whole = [row for row in report.ceilings if (row.slice, row.annotator) == (report.figures[0].slice, "")]
    for row in whole:
        console().print(f"{_both_agreements(row)} No source can exceed {percent(row.largest)}.")
        if row.HasField("prompts_needed"):
            prompts = max(figure.prompts for figure in report.figures if figure.ties == row.ties)
            console().print(
                f"These prompts can detect a difference of {row.detectable_difference:.3f} (power 0.8). "
                f"Detecting {wanted:g} takes {row.prompts_needed:,} prompts {_present_mix(row, prompts)}."
            )
        elif row.HasField("detectable_difference"):
            console().print(
                f"These prompts and annotators can detect a difference of {row.detectable_difference:.3f} (power 0.8)."
            )
    if whole:
        console().print()


def _alpha_left_out(report: AgreementReport) -> None:
    """Say why rows have no alpha. Krippendorff's correction adds (1 - agreement) / (2 n) to twice the agreement - 1."""
    left_out = [row for row in report.ceilings if _alpha_is_agreement(row, report.orientation)]
    corrections = [
        (1 - side.value) / (2 * row.comparisons)
        for row in left_out
        for side in (row.rate.source, row.rate.target)
        if side.HasField("value") and row.comparisons
    ]
    if left_out:
        rows = "The row without ties is" if len(left_out) == 1 else "The rows without ties are"
        most = math.ceil(1000 * max(corrections, default=0)) / 1000
        console().print(
            f"{rows} left out for alpha: there, alpha is twice the agreement minus 1, plus at most {most:g} as a "
            "correction for small samples."
        )


def _both_agreements(row: Ceiling) -> str:
    """The agreement of the source with annotators, and of annotators with each other, and what they are shares of."""
    source, people = row.rate.source, row.rate.target
    treatment = TREATMENTS[row.ties].capitalize()
    if word(row, "weighting") == "votes":
        return (
            f"{treatment}, over {row.comparisons:,} comparisons with two votes or more: the source agrees with "
            f"annotators in {percent(source)} of {source.n:,} votes, and annotators with each other in "
            f"{percent(people)} of {people.n:,} pairs of votes."
        )
    with_ties = TREATMENTS[row.ties] == "with ties"
    which = "with two annotators or more" if with_ties else "on which the source and two annotators name a winner"
    return (
        f"{treatment}, over {row.comparisons:,} comparisons {which}, each counted once: the source agrees with "
        f"annotators in {percent(source)}, and annotators with each other in {percent(people)}."
    )


def _present_mix(row: Ceiling, prompts: int) -> str:
    """What prompts are meant where only some of so many *prompts* have comparisons that count."""
    having = row.rate.difference.prompts
    return "of the same kind" if having >= prompts else f"with such comparisons ({having:,} of these {prompts:,} have)"


def _alpha_is_agreement(row: Ceiling, orientation: str) -> bool:
    """Whether alpha is twice the agreement minus 1: two outcomes that chance makes equally frequent, equal weights."""
    two_outcomes = orientation == "both" and TREATMENTS[row.ties] == "without ties"
    return two_outcomes and word(row, "weighting") == "comparisons"


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
    table(f"Source and second source on the same votes ({_counted_votes(report)})", columns, rows)
    for row in report.second_sources:
        console().print(
            f"{TREATMENTS[row.ties].capitalize()}: the source agrees in {percent(row.source)}, the second source in "
            f"{percent(row.second_source)}. {_which_agrees_more(row.difference)}"
        )
        if row.HasField("prompts_needed"):
            console().print(
                f"These prompts can detect a difference of {row.detectable_difference:.3f} (power 0.8). "
                f"Detecting {wanted:g} takes {row.prompts_needed:,} prompts with as many votes each as now "
                f"({row.votes_needed:,} votes in all)."
            )
    console().print()


def _which_agrees_more(difference: Estimated) -> str:
    """Which of two sources agrees more, by the interval of the first less the second."""
    if not difference.interval.HasField("low") or difference.interval.low <= 0 <= difference.interval.high:
        return "These votes cannot tell which of the two agrees more."
    return f"The {'source' if difference.value > 0 else 'second source'} agrees more."


def _counted_votes(report: AgreementReport) -> str:
    """What counts once where two sources have the same votes, whatever the weighting of the figures."""
    plurality = word(report.figures[0], "unit") == "plurality"
    return "the most frequent vote of n comparisons" if plurality else "each annotator once on a comparison"


def leaderboards(report: AgreementReport) -> None:
    """Compare the two leaderboards, and show agreement by rating difference."""
    if report.HasField("rank_agreement"):
        ranks = report.rank_agreement
        console().print(
            f"The two leaderboards ({ranks.spearman.n} contestants, {ranks.spearman.prompts} prompts): Spearman "
            f"{bare(ranks.spearman)}, Kendall {bare(ranks.kendall)}. Noise in the ratings pulls these towards 0 on "
            "average; they are not corrected for it."
        )
        if ranks.left_out:
            console().print(f"Left out for fewer than 5 prompts of their own: {', '.join(ranks.left_out)}.")
        if ranks.HasField("source_reliability"):
            console().print(
                f"Reliability (1 means no noise): source {ranks.source_reliability:.2f}, target "
                f"{ranks.target_reliability:.2f}."
            )
        console().print(f"Corrected for it: {_corrected_both(ranks)}.")
        off = sorted(ranks.residuals, key=lambda row: -abs(row.residual))[:MOST_OFF]
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
        title = "Agreement by difference of the target's ratings (n as in the first table)"
        table(title, ("points", "ties", "agreement", "n", "prompts"), rows)


def _corrected_both(ranks: RankAgreement) -> str:
    """The slope and Pearson's correlation, or why the data do not determine them; a common reason is given once."""
    slope, pearson = "slope of the source's ratings", "Pearson's correlation"
    unknown = not (ranks.slope.HasField("value") or ranks.pearson.HasField("value"))
    if unknown and ranks.slope.interval_method == ranks.pearson.interval_method:
        return f"{slope} and {pearson} {_corrected(ranks.slope)}"
    return f"{slope} {_corrected(ranks.slope)}, {pearson} {_corrected(ranks.pearson)}"


def _corrected(estimate: Estimated) -> str:
    """Format an estimate with its interval, or the reason why the data do not determine it."""
    if estimate.HasField("value"):
        return share(estimate)
    return f"{NOT_DETERMINED}{estimate.interval_method.removeprefix('none: ').removeprefix(NOT_DETERMINED)}"


def calibration_curve(report: AgreementReport) -> None:
    """Show how well the source's probabilities are calibrated."""
    if not report.HasField("calibration"):
        return
    calibration = report.calibration
    rows = [
        (f"{step.low:.1f} to {step.high:.1f}", str(step.n), f"{step.sure:.3f}", f"{step.right:.3f}")
        for step in calibration.curve
    ]
    table("Calibration: how sure the source is, and how often it is right", ("sure", "votes", "mean", "right"), rows)
    if calibration.slope.HasField("value"):
        console().print(
            f"Recalibration slope {share(calibration.slope)}: 1 if the source is calibrated, below 1 if it is "
            "overconfident."
        )
    figures = {"Brier": calibration.brier, "log loss": calibration.log_loss, "calibration error": calibration.ece}
    words = ", ".join(f"{name} {share(estimate)}" for name, estimate in figures.items())
    console().print(f"{words}: {calibration.brier.n:,} votes on {calibration.brier.prompts:,} prompts.")
    if calibration.HasField("temperature"):
        console().print(
            f"Temperature {calibration.temperature:.2f}: log loss {share(calibration.log_loss_after)}, calibration "
            f"error {share(calibration.ece_after)}, each on prompts it was not fitted on."
        )
    console().print()


def bias(report: AgreementReport) -> None:
    """Show what influences the source beyond the target's outcomes."""
    if not report.HasField("bias"):
        return
    influences, out = report.bias, console()
    rows = [(row.name, with_interval(f"{row.value:+.3f}", row.interval)) for row in influences.effects]
    if rows:
        table("What influences the source", ("effect", "log odds"), rows)
    if influences.sharpness.HasField("value"):
        out.print(
            f"Between outputs of one contestant, the source's log odds are {share(influences.sharpness)} times the "
            "target's (below 1: less decisive)."
        )
    out.print(f"{influences.comparisons:,} comparisons on {influences.prompts:,} prompts.")
    if influences.reason:
        out.print(f"Style{'' if rows else ': cannot tell'}: {influences.reason.rstrip('.')}.")
    if influences.HasField("self_preference"):
        _self_preference(influences.self_preference)
    out.print()


def _self_preference(preference: Estimated) -> None:
    if not preference.interval.HasField("low"):
        reason = preference.interval_method.removeprefix("none: ").rstrip(".")
        console().print(f"Self-preference: cannot tell: {reason}.")
        return
    console().print(
        f"Self-preference: the source scores its own family {change(preference)} above what the target's outcomes "
        f"predict, over {preference.n:,} comparisons on {preference.prompts:,} prompts."
    )


def cascade(report: AgreementReport) -> None:
    """Show where the source can answer alone."""
    if not report.HasField("cascade"):
        return
    rule = report.cascade
    thresholds = _apart([step.threshold for step in rule.steps])
    rows = [
        (
            threshold,
            f"{step.share:.0%}",
            share(step.agreement),
            str(step.agreement.n),
            f"{step.p:.3f}",
            "yes" if step.held else "no",
            *((share(step.together),) if step.HasField("together") else ()),
        )
        for threshold, step in zip(thresholds, rule.steps, strict=True)
    ]
    together = ("with second",) if any(step.HasField("together") for step in rule.steps) else ()
    columns = ("sure", "answers", "agreement", "n", "p", "guaranteed", *together)
    title = "Cascade: the source answers where it is sure (agreement with the most frequent vote of n comparisons)"
    table(title, columns, rows)
    if rule.HasField("threshold"):
        chosen = thresholds[[step.threshold for step in rule.steps].index(rule.threshold)]
        words = (
            f"If the source alone answers the {rule.share:.0%} of comparisons where it is at least "
            f"{chosen} sure, its agreement on these is at least {rule.target:g}"
        )
    else:
        words = f"No threshold guarantees an agreement of {rule.target:g}"
    console().print(
        f"{words}, with {1 - rule.delta:.0%} confidence, for the comparisons of new prompts of the same kind and the "
        "same contestants. The confidence is asymptotic: it holds for many prompts.\n"
    )


def _apart(thresholds: Sequence[float]) -> list[str]:
    """The *thresholds* with three digits, or as many more as it takes to make them differ, at most six."""
    for digits in range(3, 6):
        texts = [f"{threshold:.{digits}f}" for threshold in thresholds]
        if len(set(texts)) == len(texts):
            return texts
    return [f"{threshold:.6f}" for threshold in thresholds]


def alternative(report: AgreementReport) -> None:
    """Show the alternative-annotator test."""
    if not report.HasField("alternative_annotator"):
        return
    test, out = report.alternative_annotator, console()
    beaten, paper = sum(row.beaten for row in test.annotators), sum(row.paper_beaten for row in test.annotators)
    out.print(
        f"Alternative-annotator test (epsilon {test.epsilon:g}, q {test.q:g}): {test.answer}. The source wins against "
        f"{beaten} of {len(test.annotators)} annotators"
        + (f", winning rate {test.winning_rate:.3f}." if test.HasField("winning_rate") else ".")
    )
    if test.HasField("paper_winning_rate"):
        out.print(
            f"If items are treated as independent, as in the paper: {paper} of {len(test.annotators)}, winning "
            f"rate {test.paper_winning_rate:.3f}."
        )
    if test.HasField("parity_passes"):
        out.print(f"A source as good as an annotator would pass with probability {test.parity_passes:.0%}.")
    if test.left_out:
        out.print(f"{len(test.left_out)} annotators with fewer than {test.least_items} items don't count.")
    out.print()


def drift(report: AgreementReport) -> None:
    """Show what changed between two runs of a judge."""
    if not report.HasField("drift"):
        return
    changes, out = report.drift, console()
    out.print(
        f"Drift from target to source: {changes.answer}. {percent(changes.changed)} of the verdicts differ between the "
        f"two ({changes.presentations:,} presentations of {changes.changed.prompts:,} prompts)"
        + (f", and {percent(changes.noise)} between repeats of one." if changes.noise.HasField("value") else ".")
    )
    if changes.beyond.HasField("value"):
        out.print(f"The excess is {points(changes.beyond)} points; the margin is {100 * changes.margin:g} points.")
        if changes.answer == "cannot tell" and changes.beyond.prompts < changes.least_prompts:
            out.print(
                f"This margin takes at least {changes.least_prompts:,} prompts with repeats in both, not "
                f"{changes.beyond.prompts:,}."
            )
    else:
        out.print(
            "No presentation was judged twice on both sides, so the noise is unknown: judge both with --repeats 2."
        )
    out.print(
        f"Ties change by {points(changes.ties)} points of the verdicts, and wins of what was shown first by "
        f"{points(changes.first)} points."
    )
