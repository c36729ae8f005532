"""The agreement report for people, at most 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from judge.cli import agreement_diagnostics as diagnostics
from judge.cli import gold_accuracy
from judge.cli.formatting import NOTABLE, NOTHING, TIES, TREATMENTS, part, share, with_interval
from judge.cli.tables import console, table
from judge.domain.levels import level_text
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from judge.api.v1.agreement_service_pb2 import AgreementFigure, AgreementReport

AGREEMENT = ("ties", "agreement", "n", "prompts", "kappa")
OUTCOMES = ("left", "right", "tie")
PLURALITY, ANNOTATOR_PAIR = 2, 3
_WHOLE = 1e-6
"""Counts that are closer to a whole number are whole."""
AS_KAPPA = "as kappa"
RATE = "agreement"
NONE = "none: "
"""How the reason for a missing interval begins."""
TWO_WAY = "two-way"
BOOTSTRAP = "bootstrap"
"""How the names of intervals over prompts and annotators begin."""
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
    rate = with_interval(f"{figure.rate:.3f}", figure.interval) if figure.HasField("rate") else NOTHING
    return TIES[figure.ties], rate, str(figure.n), str(figure.prompts), _coefficient(figure, "kappa")


def _count(count: float) -> str:
    """Format a count; a fraction with one digit."""
    return f"{count:.0f}" if abs(count - round(count)) < _WHOLE else f"{count:.1f}"


def _coefficient(figure: AgreementFigure, name: Coefficient) -> str:
    if not figure.HasField(name):
        return NOTHING
    return with_interval(f"{getattr(figure, name):.3f}", getattr(figure, f"{name}_interval"))


def agreement(report: AgreementReport, title: str, wanted: float) -> None:
    """Print every figure with its interval, n and prompts, then the diagnostics.

    *wanted* is the difference that the report says how to detect.
    """
    gold_accuracy.accuracy(report)
    # The whole comes first: a figure for each treatment of ties.
    first = report.figures[0]
    whole = [figure for figure in report.figures if (figure.slice, figure.annotator) == (first.slice, first.annotator)]
    if any(figure.n for figure in report.figures):
        rows = [(part(figure.slice, figure.annotator), *_figure(figure)) for figure in report.figures]
        table(f"{title} ({_counted(first, word(report, 'weighting'))})", ("part", *AGREEMENT), rows, whole=True)
        _by_prompt(whole)
        _beyond(whole, report.orientation)
        _confusion(first)
    else:
        console().print(f"{title}: there is nothing to compare.")
    diagnostics.ceilings(report, wanted)
    diagnostics.second_sources(report, wanted)
    diagnostics.leaderboards(report)
    diagnostics.calibration_curve(report)
    diagnostics.bias(report)
    diagnostics.cascade(report)
    diagnostics.alternative(report)
    for line in dict.fromkeys((*report.notes, *(figure.reason for figure in whole))):
        if line:
            console().print(line)
    if report.order_consistency.n:
        console().print(_orders(report))
    if report.HasField("repeats_agree"):
        repeats = report.repeats_agree
        console().print(
            f"Repeated calls agree {share(repeats)} of the time ({repeats.n:,} presentations on {repeats.prompts:,} "
            "prompts)."
        )
    _intra_annotator(report)
    diagnostics.drift(report)
    console().print(_comparisons(report))
    _coverage(report)
    _intervals(whole)


def _counted(figure: AgreementFigure, weighting: str) -> str:
    """What the *n* of figures counts."""
    if figure.unit == PLURALITY:
        return "n comparisons, by their most frequent vote"
    if weighting == "comparisons":
        return "n comparisons, each counted once"
    among = figure.unit == ANNOTATOR_PAIR
    if weighting == "votes":
        return "n pairs of votes" if among else "n votes"
    return f"n counts {'a pair of annotators' if among else 'an annotator'} once on a comparison"


def _by_prompt(whole: Sequence[AgreementFigure]) -> None:
    """Print the mean agreement of the prompts where it is not that of all pairs of votes."""
    for figure in whole:
        if abs(figure.rate_by_prompt.value - figure.rate) >= NOTABLE:
            console().print(
                f"{TREATMENTS[figure.ties].capitalize()}, if each prompt counts once, the agreement is "
                f"{share(figure.rate_by_prompt)}. Above, prompts with more votes count more.\n"
            )


def _beyond(whole: Sequence[AgreementFigure], orientation: str) -> None:
    """Print the chance-corrected coefficients, one a row; a coefficient that always equals kappa is not printed."""
    alike = [orientation == "both" and TREATMENTS[figure.ties] == "without ties" for figure in whole]
    rows = []
    for name, words in BEYOND.items():
        cells = [
            AS_KAPPA if repeats and _is_kappa(figure, name) else _coefficient(figure, name)
            for figure, repeats in zip(whole, alike, strict=True)
        ]
        if set(cells) != {AS_KAPPA}:
            rows.append((words, *cells))
    columns = ("coefficient", *(TREATMENTS[figure.ties] for figure in whole))
    first, *others = [(f"{figure.comparisons:,}", TREATMENTS[figure.ties]) for figure in whole]
    of = ", ".join((" comparisons ".join(first), *(f"{n} {ties.removesuffix(' ties')}" for n, ties in others)))
    names = "each counted both ways round" if orientation == "both" else "left is the first name in the alphabet"
    table(f"Corrected for chance ({of}; {names})", columns, rows)
    if any(alike):
        between = any(figure.unit != ANNOTATOR_PAIR for figure in whole)
        console().print(
            f"Without ties, in both orientations: kappa{', AC1 and alpha are' if between else ' and AC1 are'} one "
            "finding, twice the agreement minus 1."
        )


def _is_kappa(figure: AgreementFigure, name: Coefficient) -> bool:
    """Whether a coefficient equals kappa with two outcomes that chance makes equally frequent.

    Among annotators, alpha gives a comparison with m votes the weight m, and agreement the weight m (m - 1) / 2.
    """
    return name == "ac1" or (name in ("alpha", "alpha_ordinal") and figure.unit != ANNOTATOR_PAIR)


def _confusion(figure: AgreementFigure) -> None:
    """Print the source's outcomes by the target's. Among annotators, each pair of votes counts once, unordered."""
    if figure.n == 0:
        return
    ours, theirs = ("one", "other") if figure.unit == ANNOTATOR_PAIR else ("source", "target")
    lines = [figure.confusion[at : at + 3] for at in (0, 3, 6)]
    rows = [(f"{ours} {name}", *map(_count, (*line, sum(line)))) for name, line in zip(OUTCOMES, lines, strict=True)]
    title = f"Outcomes of each, {TREATMENTS[figure.ties]} (left is the first name in the alphabet)"
    table(title, ("", *(f"{theirs} {name}" for name in OUTCOMES), "all"), rows)


def _intra_annotator(report: AgreementReport) -> None:
    """Print how often annotators who voted again on a comparison gave the same outcome."""
    for name, again in (("source", report.source_intra_annotator), ("target", report.target_intra_annotator)):
        if again.HasField("value"):
            console().print(
                f"Intra-annotator agreement of the {name}: {share(again)} of repeated votes are the same ({again.n:,} "
                f"comparison{'' if again.n == 1 else 's'} that one annotator judged more than once, on "
                f"{again.prompts:,} prompt{'' if again.prompts == 1 else 's'})."
            )


def _coverage(report: AgreementReport) -> None:
    """Print how much of each source could be used, and the status of the rest."""
    for name, coverage in (("source", report.source_coverage), ("target", report.target_coverage)):
        if coverage.usable < coverage.planned:
            statuses = ", ".join(f"{status} {n:,}" for status, n in sorted(coverage.by_status.items()))
            console().print(f"{name}: {coverage.usable:,} of {coverage.planned:,} usable ({statuses}).")


def _comparisons(report: AgreementReport) -> str:
    """The number of comparisons; of a single source, those on which annotators can be compared with each other."""
    first = report.figures[0]
    if first.unit != ANNOTATOR_PAIR:
        return (
            f"Comparisons with both: {report.both:,}; only with the source: {report.source_only:,}; only with the "
            f"target: {report.target_only:,}."
        )
    two = "two votes" if word(report, "weighting") == "votes" else "two annotators"
    winner = " who name a winner" if TREATMENTS[first.ties] == "without ties" else ""
    return f"{report.both:,} comparisons, {first.comparisons:,} of them with {two} or more{winner}."


def _intervals(whole: Sequence[AgreementFigure]) -> None:
    """Print what intervals are for, how they were computed, and why some are missing."""
    rates = [figure.interval_method for figure in whole if figure.HasField("rate")]
    if any(not method.startswith(NONE) for method in rates):
        console().print(_methods(whole, rates))
    for reason, figures in _missing_intervals(whole).items():
        names = [f"{name} {' and '.join(treatments)}" for name, treatments in figures.items()]
        # The reason that the agreement has none holds for its coefficients too.
        of = next((name for name in names if name.startswith(RATE)), ", ".join(names))
        console().print(f"No interval for {of}: {reason}.")


def _missing_intervals(whole: Sequence[AgreementFigure]) -> dict[str, dict[str, list[str]]]:
    """By reason, the figures without an interval, and with which treatments of ties."""
    missing: dict[str, dict[str, list[str]]] = {}
    for figure in whole:
        methods = {words: getattr(figure, f"{name}_interval_method") for name, words in BEYOND.items()}
        for words, method in {RATE: figure.interval_method, **methods}.items():
            if method.startswith(NONE) and figure.HasField("rate"):
                figures = missing.setdefault(method.removeprefix(NONE).rstrip("."), {})
                figures.setdefault(words.replace("the same, ", "alpha, "), []).append(TREATMENTS[figure.ties])
    return missing


def _methods(whole: Sequence[AgreementFigure], rates: Sequence[str]) -> str:
    """What intervals are for, and their methods: of the agreement, and of coefficients if there are others."""
    others = [getattr(figure, f"{name}_interval_method") for figure in whole for name in BEYOND]
    ways = [method for method in dict.fromkeys(rates) if not method.startswith(NONE)]
    beyond = [method for method in dict.fromkeys(others) if method and not method.startswith(NONE)]
    further = [method for method in beyond if method not in ways]
    for_coefficients = f"; of the coefficients: {', '.join(further)}" if further else ""
    two_way = any(method.startswith(TWO_WAY) for method in ways)
    kind = "new prompts of the same kind" + (" judged by new annotators" if two_way else "")
    rest = " Further figures have intervals for new prompts alone." if two_way else ""
    if any(method.startswith(BOOTSTRAP) for method in ways):
        rest += " From resampled prompts, they are too narrow for shares near 0 or 1 and for prompts of unequal size."
    level = level_text(whole[0].level)
    return f"{level} intervals are for {kind}. Methods: {', '.join(ways)}{for_coefficients}.{rest}"


def _orders(report: AgreementReport) -> str:
    order = report.order_consistency
    rate = with_interval(f"{order.rate:.3f}", order.interval) if order.HasField("rate") else NOTHING
    sentence = f"Same outcome in both orders: {rate} of {order.n:,} comparisons on {order.prompts:,} prompts."
    if order.inconsistent:
        sentence += f" Otherwise the first won {order.prefers_first:,} times, the second {order.prefers_second:,}."
        if order.first_share.HasField("value"):
            sentence += f" Share won by what was shown first: {share(order.first_share)}."
    return f"{sentence} {order.incomplete:,} comparisons lack one order." if order.incomplete else sentence


def summary(rows: Sequence[tuple[str, AgreementReport]], target: str) -> None:
    """Print how far each judge agrees with *target*, and with itself when the order is swapped."""
    lines = [(name, *_figure(figure)) for name, report in rows for figure in report.figures]
    table(f"Agreement with {target}, with 95% intervals", ("judge", *AGREEMENT), lines)
    for name, report in rows:
        console().print(f"{name}: {_orders(report)}")
