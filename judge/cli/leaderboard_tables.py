"""Leaderboards as tables of at most 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from judge.cli.formatting import NOTABLE
from judge.cli.report_tables import AVERAGE
from judge.cli.tables import console, spread, table
from judge.domain.levels import level_text
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from collections.abc import Sequence

    from judge.api.v1.leaderboard_pb2 import ContestantStanding, Equivalence, Leaderboard, LeftOut, Rating

Unknown = TypeVar("Unknown", str, None)
STANDINGS = {0: "-", 1: "ahead", 2: "behind", 3: "cannot tell"}
ANSWERS = {0: "-", 1: "yes", 2: "no", 3: "cannot tell"}
TIES = {
    "half-win": "ties count as half a win",
    "input": "ties count as given",
    "davidson": "ties by the model of Davidson",
    "rao-kupper": "ties by the model of Rao and Kupper",
}
INFERENCES = {
    "new-prompts": "for new prompts",
    "fixed-prompts": "for the same prompts again",
    "annotators": "for new annotators",
    "prompts-and-annotators": "for new prompts and new annotators",
    "unclustered": "as if all battles were independent",
}
ADJUSTMENTS = {"none": "not adjusted", "holm": "adjusted by Holm's method", "max-t": "adjusted by max-t"}
RECONCILE = {
    "tie": "A comparison whose two orders disagree is a tie.",
    "drop": "A comparison whose two orders disagree is dropped.",
    "each": "Each order counts on its own.",
    "both": "Each order counts on its own, if both have an outcome.",
    "soft": "A comparison whose two orders disagree is a fractional win.",
}
"""What the values of these fields mean, in words."""


def print_leaderboard(leaderboard: Leaderboard, title: str) -> None:
    """Print a leaderboard with its intervals, standings and notes, and the contestants that could not be ranked."""
    digits = {"share": 3, "natural": 2}.get(word(leaderboard, "scale"), 0)
    rows = [
        (
            rating.contestant,
            str(rating.rank),
            _ranks(rating, "-"),
            f"{rating.rating:.{digits or 1}f}",
            spread(rating.interval, digits),
            f"{rating.expected_score:.3f}" if rating.HasField("expected_score") else "-",
            f"{rating.n:,}",
            f"{rating.prompts:,}",
        )
        for rating in leaderboard.ratings
    ]
    level = f"{level_text(leaderboard.level)} interval"
    against = leaderboard.expected_against or AVERAGE
    table(title, ("contestant", "rank", "ranks", "rating", level, f"win rate\nvs. {against}", "n", "prompts"), rows)
    out = console()
    for row in leaderboard.unranked:
        out.print(f"not ranked: {row.contestant} ({row.reason})")
    _standings(leaderboard, digits)
    _equivalences(leaderboard, digits)
    for effect in leaderboard.effects:
        interval = f"{level} {spread(effect.interval, 3)}"
        if effect.name == "ties":
            out.print(f"Tie parameter: its log is {effect.value:+.3f} ({interval}); higher means more ties.")
        else:
            name = "Advantage of the left side" if effect.name == "position" else effect.name
            out.print(f"{name}: {effect.value:+.3f} log odds ({interval})")
    for rating in leaderboard.ratings:
        if rating.HasField("order_sd"):
            out.print(f"{rating.contestant}: the rating varies by {rating.order_sd:.1f} over random orders (SD)")
        if rating.HasField("by_prompt") and abs(rating.by_prompt - rating.rating) >= NOTABLE:
            known = rating.HasField("by_prompt_interval")
            interval = f" ({level} {spread(rating.by_prompt_interval, digits)})" if known else ""
            by_prompt = f"{rating.by_prompt:.{digits}f}{interval}"
            out.print(f"{rating.contestant}: if each prompt counts once, the win rate is {by_prompt}.")
        if rating.HasField("length_controlled_win_rate"):
            error = f" (standard error {rating.length_controlled_error:.3f})" * rating.HasField(
                "length_controlled_error"
            )
            controlled = f"{rating.length_controlled_win_rate:.{digits}f}{error}"
            out.print(f"{rating.contestant}: length-controlled, the win rate is {controlled}.")
    for finding in leaderboard.goodness_of_fit.findings:
        out.print(finding)
    _print_methods(leaderboard)
    _print_anchoring(leaderboard)
    _print_extras(leaderboard, title, digits)


def _interval_method(leaderboard: Leaderboard) -> str:
    """The method of the intervals, or why there are none; with annotators as clusters, they are what is counted."""
    method = leaderboard.interval_method
    inference = word(leaderboard, "inference")
    if not method.startswith("none: "):
        return f"{method}, {INFERENCES.get(inference, inference)}"
    return method.replace("prompt", "annotator") if inference == "annotators" else method


def _print_methods(leaderboard: Leaderboard) -> None:
    """Print how the figures were computed, and from how many verdicts."""
    out = console()
    methods = [
        f"Method: {word(leaderboard, 'method')}",
        f"intervals: {_interval_method(leaderboard)}",
        TIES.get(leaderboard.ties, f"ties: {leaderboard.ties}"),
    ]
    if leaderboard.adaptive:
        methods.append("pairs chosen adaptively")
    if leaderboard.ridge:
        methods.append(f"ridge {leaderboard.ridge:g}")
    if leaderboard.anchor:
        methods.append(f"the rating of {leaderboard.anchor} is fixed")
    if leaderboard.anchors:
        methods.append(f"the mean of {', '.join(leaderboard.anchors)} is fixed")
    out.print(f"{'; '.join(methods)}.")
    if leaderboard.HasField("coverage"):
        coverage = leaderboard.coverage
        of_labels = leaderboard.parser == "label"
        used = f"{'Labels' if of_labels else 'Verdicts'} used: {coverage.usable:,} of {coverage.planned:,}."
        rule = "" if of_labels else RECONCILE.get(leaderboard.reconcile, "")
        out.print(f"{used} {rule}".rstrip())
    if leaderboard.replicates:
        out.print(
            f"Bootstrap: {leaderboard.replicates:,} resamples; {leaderboard.replicates_apart:,} of them could not be "
            "ranked."
        )
    for note in leaderboard.notes:
        out.print(note)
    out.print()


def _ranks(rating: Rating, unknown: Unknown) -> str | Unknown:
    """Format the ranks that cannot be ruled out, such as 2-3, or return *unknown*."""
    if not rating.HasField("rank_interval"):
        return unknown
    ranks = rating.rank_interval
    return f"{ranks.low}-{ranks.high}" if ranks.low < ranks.high else str(ranks.low)


def _standings(leaderboard: Leaderboard, digits: int) -> None:
    if not leaderboard.standings:
        return
    wanted = [row.difference_to_detect for row in leaderboard.standings if row.HasField("prompts_needed")]
    rows = [
        (
            standing.contestant,
            STANDINGS[standing.standing],
            f"{standing.difference:+.{digits or 1}f}",
            spread(standing.interval, digits),
            f"{standing.detectable_difference:.{digits}f}" if standing.HasField("detectable_difference") else "-",
            *([f"{standing.prompts_needed:,}" if standing.HasField("prompts_needed") else "-"] if wanted else []),
        )
        for standing in leaderboard.standings
    ]
    first = leaderboard.standings[0]
    adjustment = word(first, "adjustment")
    adjusted = ADJUSTMENTS[adjustment] + " for multiple comparisons" * (adjustment != "none")
    title = f"Compared with {first.reference_contestant}, at the {level_text(leaderboard.level)} level, {adjusted}"
    needed = [f"prompts needed\n{_wanted(wanted[0], word(leaderboard, 'scale'))}"] if wanted else []
    table(title, ("contestant", "is", "by", "interval", "detectable", *needed), rows)
    _print_meaning(leaderboard, adjustment, needed=bool(wanted))


def _print_meaning(leaderboard: Leaderboard, adjustment: str, *, needed: bool) -> None:
    """Say what the intervals of the standings, and what can be detected, mean; nothing if there is neither."""
    if not any(row.HasField("detectable_difference") for row in leaderboard.standings):
        return
    wrong = f"All answers together are wrong in at most {level_text(1 - leaderboard.level)} of reports."
    at_once = {"holm": f"{wrong} The intervals belong to the answers, and do not hold all at once.", "max-t": wrong}
    lines = [at_once.get(adjustment, ""), "Ranks are adjusted for all pairs, so they can be wider."]
    lines.append("A detectable difference would be seen with a power of 80%.")
    if needed:
        lines.append(
            "Prompts needed are prompts of the present mix, whether or not the contestant answers all of them."
        )
    console().print(" ".join(filter(None, lines)) + "\n")


def _wanted(difference: float, scale: str) -> str:
    """Name the difference that a number of prompts would detect, as the end of a column's title."""
    if scale == "share":
        return f"for a win rate\nof {0.5 + difference:.3f}"
    return f"for {difference:.3g}{'' if scale == 'natural' else ' points'}"


def _equivalences(leaderboard: Leaderboard, digits: int) -> None:
    """Print whether contestants are as good as the reference contestant within the margins asked for."""
    points = "on the natural scale" if word(leaderboard, "scale") == "natural" else "rating points"
    rows = leaderboard.standings
    _equivalence([(row, row.within) for row in rows if row.HasField("within")], points, digits)
    win_rates = [(row, row.within_win_rate) for row in rows if row.HasField("within_win_rate")]
    _equivalence(win_rates, "of a win rate of 0.5", 3)


def _equivalence(tests: Sequence[tuple[ContestantStanding, Equivalence]], unit: str, digits: int) -> None:
    if not tests:
        return
    rows = [
        (row.contestant, ANSWERS[test.equivalent], ANSWERS[test.non_inferior], spread(test.interval, digits))
        for row, test in tests
    ]
    first, test = tests[0]
    adjusted = ADJUSTMENTS["none" if word(first, "adjustment") == "none" else "holm"]
    title = f"As good as {first.reference_contestant}, within {test.margin:.3g} {unit}, {adjusted}"
    table(title, ("contestant", "as good", "not worse", "interval"), rows)


def _print_extras(leaderboard: Leaderboard, title: str, digits: int) -> None:
    """Print the parts of a leaderboard that it has only on request."""
    if leaderboard.differences:
        rows = [
            (pair.left, pair.right, f"{pair.difference:+.{digits or 1}f}", spread(pair.interval, digits))
            for pair in leaderboard.differences
        ]
        table(
            "Differences (intervals are not adjusted for multiple comparisons)",
            ("left", "right", "by", "interval"),
            rows,
        )
    if leaderboard.target_shares:
        rows = [
            (row.contestant, str(row.ahead), str(row.behind), str(row.categories - row.ahead - row.behind))
            for row in leaderboard.target_shares
        ]
        table("Number of target categories", ("contestant", "ahead in", "behind in", "cannot tell in"), rows)
    if leaderboard.variance:
        components = [
            (row.level, f"{row.variance:.4f}", f"{row.share:.0%}")
            if row.HasField("variance")
            else (row.level, "-", "-")
            for row in leaderboard.variance
        ]
        table("Variance of verdicts", ("level", "variance", "share"), components)
    for what in ("category", "judge"):
        left_out = [out for out in leaderboard.left_out if bool(out.judge) == (what == "judge")]
        if left_out:
            ranks = [(row.contestant, str(row.rank), *_rank_changes(left_out, row)) for row in leaderboard.ratings]
            table(f"Ranks with one {what} left out", ("contestant", "rank", "best", "worst", "changed by"), ranks)
    for inner in leaderboard.slices:
        print_leaderboard(inner, f"{title}: {inner.slice.category or '(no category)'}")
    if leaderboard.HasField("uniform_sample"):
        print_leaderboard(leaderboard.uniform_sample, f"{title}, uniform sample only")
    if leaderboard.HasField("without_style"):
        print_leaderboard(leaderboard.without_style, f"{title}, without style control")


def _print_anchoring(leaderboard: Leaderboard) -> None:
    """Print what the judge adds to the labels, and which further labels would help most."""
    if not leaderboard.HasField("anchoring"):
        return
    anchoring, out = leaderboard.anchoring, console()
    gain = f"{anchoring.gain:.2f}" if anchoring.HasField("gain") else "unknown, because labels alone rank nobody"
    out.print(
        f"Anchored to {anchoring.labels_source}: {anchoring.labeled:,} of {anchoring.comparisons:,} comparisons have "
        f"labels, on {anchoring.labeled_prompts:,} prompts. The judge's weight is {anchoring.judge_weight:.2f}."
    )
    out.print(f"Effective sample size, relative to the labels alone: {gain}.")
    if anchoring.labeled >= anchoring.comparisons:
        out.print("Every comparison has a label; only more prompts help.")
    else:
        more, wider = anchoring.twice_the_labels, anchoring.twice_the_prompts
        better = "More labels per prompt help more." if more < wider else "More prompts help more."
        out.print(
            f"If you double the labels, standard errors are multiplied by {more:.2f} with the new labels on the same "
            f"prompts, and by {wider:.2f} with them on new prompts. {better}"
        )
    if anchoring.assumed_random:
        out.print("No label has a selection probability, so labels are treated as drawn at random.")
    if anchoring.unused:
        out.print(f"{anchoring.unused:,} labeled comparisons have no outcome of the judge and are not used.")
    out.print()


def _rank_changes(left_out: Sequence[LeftOut], rating: Rating) -> tuple[str, str, str]:
    """Return a contestant's best and worst rank with something left out, and the names of what changes its rank."""
    ranks = {
        out.judge or out.category: out.ranks[rating.contestant] for out in left_out if rating.contestant in out.ranks
    }
    if not ranks:
        return "-", "-", "-"
    changed = [name or "(none)" for name, rank in sorted(ranks.items()) if rank != rating.rank]
    return str(min(ranks.values())), str(max(ranks.values())), ", ".join(changed) or "none"
