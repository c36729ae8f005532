"""What a report on agreement says in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1.leaderboard_pb2 import INFERENCE_ANNOTATORS, Leaderboard
from judge.api.v1.outcome_pb2 import Interval
from judge.cli import agreement_diagnostics, agreement_tables
from judge.cli.leaderboard_tables import print_leaderboard
from judge.stats.cluster_intervals import BOOTSTRAP, EXACT, PERCENTILE, WHOLE_RANGE
from judge.stats.rank_agreement import ATTENUATED, UNDETERMINED
from judge.stats.score_intervals import KORN_GRAUBARD, WILSON
from judge.stats.two_way import METHOD

FEW = "none: new has 3 prompts of its own in one leaderboard, at least 5 are needed"
UNRELIABLE = "none: not determined, since a leaderboard's reliability is below 0.6"


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("slope", "pearson", "sentence"),
    [
        (
            pb.Estimated(interval_method=FEW),
            pb.Estimated(interval_method=FEW),
            f"slope of the source's ratings and Pearson's correlation not determined, since {FEW[len('none: ') :]}.",
        ),
        (
            pb.Estimated(value=1.5),
            pb.Estimated(interval_method=UNRELIABLE),
            f"slope of the source's ratings 1.500, Pearson's correlation {UNRELIABLE.removeprefix('none: ')}.",
        ),
    ],
)
def test_why_the_slope_is_unknown_is_said_once(
    slope: pb.Estimated, pearson: pb.Estimated, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ranks = pb.RankAgreement(slope=slope, pearson=pearson)
    agreement_diagnostics.leaderboards(pb.AgreementReport(rank_agreement=ranks))

    assert f"Corrected for it: {sentence}" in printed(capsys)


def test_who_is_left_out_of_the_two_leaderboards_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    ranks = pb.RankAgreement(left_out=["new", "newer"])
    agreement_diagnostics.leaderboards(pb.AgreementReport(rank_agreement=ranks))

    assert "Left out for fewer than 5 prompts of their own: new, newer." in printed(capsys)


def compared(fields: pb.Ceiling) -> pb.AgreementReport:
    """A report on 20 prompts, 9 of which have comparisons with two annotators; without ties unless *fields* say so."""
    rate = pb.PairedEstimate(
        source=pb.Estimated(value=0.663, n=40),
        target=pb.Estimated(value=0.562, n=25),
        difference=pb.Estimated(value=0.101, prompts=9),
    )
    row = pb.Ceiling(ties=pb.TIES_WITHOUT, weighting=pb.WEIGHTING_COMPARISONS, comparisons=12, rate=rate)
    row.MergeFrom(fields)
    figures = [pb.AgreementFigure(ties=row.ties, prompts=20)]
    return pb.AgreementReport(figures=figures, ceilings=[row], orientation="both")


def test_an_alpha_that_repeats_the_agreement_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Krippendorff's correction of it is at most (1 - 0.562) / (2 * 12)."""
    agreement_diagnostics.ceilings(compared(pb.Ceiling()), 0.05)

    assert (
        "The row without ties is left out for alpha: there, alpha is twice the agreement minus 1, plus at most 0.019 "
        "as a correction for small samples."
    ) in printed(capsys)


@pytest.mark.parametrize(
    ("ties", "weighting", "part"),
    [
        (
            pb.TIES_WITH,
            pb.WEIGHTING_COMPARISONS,
            "comparisons with two annotators or more, each counted once: the source agrees with annotators in 66.3%",
        ),
        (
            pb.TIES_WITHOUT,
            pb.WEIGHTING_COMPARISONS,
            "comparisons on which the source and two annotators name a winner, each counted once: the source agrees",
        ),
        (
            pb.TIES_WITH,
            pb.WEIGHTING_VOTES,
            "annotators in 66.3% of 40 votes, and annotators with each other in 56.2% of 25 pairs of votes.",
        ),
    ],
)
def test_agreement_in_percent_says_what_it_is_a_share_of(
    ties: pb.Ties.ValueType, weighting: pb.Weighting.ValueType, part: str, capsys: pytest.CaptureFixture[str]
) -> None:
    agreement_diagnostics.ceilings(compared(pb.Ceiling(ties=ties, weighting=weighting)), 0.05)

    assert part in printed(capsys)


@pytest.mark.parametrize(
    ("needed", "sentence"),
    [
        (1234, "Detecting 0.05 takes 1,234 prompts with such comparisons (9 of these 20 have)."),
        (None, "These prompts and annotators can detect a difference of 0.200 (power 0.8)."),
    ],
)
def test_the_prompts_needed_are_those_that_count(
    needed: int | None, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a number, intervals are for new annotators too."""
    agreement_diagnostics.ceilings(compared(pb.Ceiling(detectable_difference=0.2, prompts_needed=needed)), 0.05)

    assert sentence in printed(capsys)


def test_the_votes_needed_are_on_the_prompts_needed(capsys: pytest.CaptureFixture[str]) -> None:
    row = pb.SecondSourceComparison(ties=pb.TIES_WITH, detectable_difference=0.1, prompts_needed=249, votes_needed=3308)
    report = pb.AgreementReport(figures=[pb.AgreementFigure()], second_sources=[row])
    agreement_diagnostics.second_sources(report, 0.05)

    assert "Detecting 0.05 takes 249 prompts with as many votes each as now (3,308 votes in all)." in printed(capsys)


@pytest.mark.parametrize(
    ("method", "kind"),
    [("cr2-wilson", "new prompts of the same kind"), (METHOD, "new prompts of the same kind judged by new annotators")],
)
def test_a_report_says_what_its_intervals_are_for(method: str, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    again = pb.Estimated(value=0.9, n=93, prompts=20)
    figure = pb.AgreementFigure(
        ties=pb.TIES_WITH,
        rate=0.8,
        interval_method=method,
        level=0.95,
        rate_by_prompt=pb.Estimated(value=0.8, interval=Interval(low=0.7, high=0.9)),
    )
    report = pb.AgreementReport(figures=[figure], orientation="both", target_intra_annotator=again)
    agreement_tables.agreement(report, "a and b", 0.05)

    words = printed(capsys)
    assert f"95% intervals are for {kind}. Methods: {method}." in words
    assert "(93 comparisons that one annotator judged more than once, on 20 prompts)" in words


def test_nothing_to_compare_has_its_reason_first(capsys: pytest.CaptureFixture[str]) -> None:
    """A single annotator's report has no table of dashes."""
    figures = [pb.AgreementFigure(ties=ties, reason="no pairs") for ties in (pb.TIES_WITH, pb.TIES_WITHOUT)]
    agreement_tables.agreement(pb.AgreementReport(figures=figures, notes=["one annotator"]), "carl", 0.05)

    assert capsys.readouterr().out.splitlines()[:3] == [
        "carl: there is nothing to compare.",
        "one annotator",
        "no pairs",
    ]


def test_too_few_annotators_are_not_called_prompts(capsys: pytest.CaptureFixture[str]) -> None:
    few = "none: 3 prompts, at least 5 are needed"
    print_leaderboard(Leaderboard(level=0.95, inference=INFERENCE_ANNOTATORS, interval_method=few), "Ranking")

    assert "intervals: none: 3 annotators, at least 5 are needed" in printed(capsys)


@pytest.mark.parametrize(
    ("unit", "weighting", "words"),
    [
        (pb.AGREEMENT_UNIT_VOTE, pb.WEIGHTING_UNSPECIFIED, "n counts an annotator once on a comparison"),
        (pb.AGREEMENT_UNIT_VOTE, pb.WEIGHTING_COMPARISONS, "n comparisons, each counted once"),
        (pb.AGREEMENT_UNIT_VOTE, pb.WEIGHTING_VOTES, "n votes"),
        (pb.AGREEMENT_UNIT_PLURALITY, pb.WEIGHTING_UNSPECIFIED, "n comparisons, by their most frequent vote"),
        (
            pb.AGREEMENT_UNIT_ANNOTATOR_PAIR,
            pb.WEIGHTING_UNSPECIFIED,
            "n counts a pair of annotators once on a comparison",
        ),
        (pb.AGREEMENT_UNIT_ANNOTATOR_PAIR, pb.WEIGHTING_VOTES, "n pairs of votes"),
    ],
)
def test_the_first_table_says_what_it_counts(
    unit: pb.AgreementUnit.ValueType,
    weighting: pb.Weighting.ValueType,
    words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    figure = pb.AgreementFigure(ties=pb.TIES_WITH, unit=unit, n=9, rate=0.5, confusion=[1.0] * 9)
    agreement_tables.agreement(pb.AgreementReport(figures=[figure], weighting=weighting), "a and b", 0.05)

    assert printed(capsys).startswith(f"a and b ({words}) part ties agreement n prompts kappa")


def test_thresholds_that_look_alike_get_more_digits(capsys: pytest.CaptureFixture[str]) -> None:
    steps = [pb.CascadeStep(threshold=threshold) for threshold in (0.9994, 0.9991, 0.5)]
    agreement_diagnostics.cascade(pb.AgreementReport(cascade=pb.Cascade(steps=steps, threshold=0.9991, target=0.8)))

    words = printed(capsys)
    assert "agreement with the most frequent vote of n comparisons" in words
    assert all(text in words for text in ("0.9994 ", "0.5000 ", "where it is at least 0.9991 sure"))


def test_correlations_of_the_leaderboards_are_said_to_be_too_low(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown slope is put down to the target's ratings."""
    ranks = pb.RankAgreement(
        spearman=pb.Estimated(value=1.0, interval_method=ATTENUATED),
        kendall=pb.Estimated(value=1.0, interval_method=ATTENUATED),
        slope=pb.Estimated(interval_method=UNDETERMINED),
        pearson=pb.Estimated(interval_method=UNRELIABLE),
    )
    agreement_diagnostics.leaderboards(pb.AgreementReport(rank_agreement=ranks))

    words = printed(capsys)
    assert (
        "Spearman 1.000, Kendall 1.000. Noise in the ratings pulls these towards 0 on average; they are not corrected "
        "for it."
    ) in words
    assert "not determined, since the target's ratings hardly differ by more than noise" in words


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (0.002, 0.101, "The source agrees more."),
        (-0.101, -0.002, "The second source agrees more."),
        (-0.002, 0.101, "These votes cannot tell which of the two agrees more."),
    ],
)
def test_a_second_source_is_better_worse_or_cannot_be_told(
    low: float, high: float, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The interval has as many digits as the difference."""
    difference = pb.Estimated(value=(low + high) / 2, interval=Interval(low=low, high=high))
    row = pb.SecondSourceComparison(ties=pb.TIES_WITH, difference=difference)
    report = pb.AgreementReport(figures=[pb.AgreementFigure()], second_sources=[row])
    agreement_diagnostics.second_sources(report, 0.05)

    words = printed(capsys)
    assert f"[{low:.3f}, {high:.3f}]" in words
    assert sentence in words


@pytest.mark.parametrize("prompts", [60, 80])
def test_drift_that_cannot_be_told_has_its_margin(prompts: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The prompts that a margin takes are named where there are fewer."""
    drift = pb.Drift(
        answer="cannot tell",
        presentations=720,
        changed=pb.Estimated(value=0.672, prompts=prompts),
        noise=pb.Estimated(value=0.674),
        beyond=pb.Estimated(value=-0.002, interval=Interval(low=-0.033, high=0.06), prompts=prompts),
        ties=pb.Estimated(value=0.018),
        first=pb.Estimated(value=-0.002),
        margin=0.05,
        least_prompts=72,
    )
    agreement_diagnostics.drift(pb.AgreementReport(drift=drift))

    words = printed(capsys)
    assert "cannot tell. 67.2% of the verdicts differ between the two" in words
    assert "and 67.4% between repeats of one. The excess is -0.2 [-3.3, 6.0] points; the margin is 5 points." in words
    assert ("This margin takes at least 72 prompts with repeats in both, not 60." in words) is (prompts == 60)


def test_what_is_corrected_for_chance_is_counted_and_a_missing_interval_has_its_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    figures = [
        pb.AgreementFigure(
            ties=ties,
            n=n,
            comparisons=n,
            rate=0.8,
            interval_method="cr2-wilson",
            kappa_interval_method=reason,
            level=0.95,
        )
        for ties, n, reason in (
            (pb.TIES_WITH, 360, "none: the figure is not determined"),
            (pb.TIES_WITHOUT, 303, "jackknife-wilson"),
        )
    ]
    agreement_tables.agreement(pb.AgreementReport(figures=figures, orientation="both"), "a and b", 0.05)

    words = printed(capsys)
    assert "Corrected for chance (360 comparisons with ties, 303 without; each counted both ways round)" in words
    assert "Methods: cr2-wilson; of the coefficients: jackknife-wilson." in words
    assert "No interval for Cohen's kappa with ties: the figure is not determined." in words


def test_a_reason_that_the_agreement_has_no_interval_is_not_repeated_for_each_coefficient(
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = "none: 3 prompts, at least 5 are needed"
    figures = [
        pb.AgreementFigure(ties=ties, n=9, rate=0.8, interval_method=few, kappa_interval_method=few)
        for ties in (pb.TIES_WITH, pb.TIES_WITHOUT)
    ]
    agreement_tables.agreement(pb.AgreementReport(figures=figures), "a and b", 0.05)

    words = printed(capsys)
    assert "No interval for agreement with ties and without ties: 3 prompts, at least 5 are needed." in words
    assert words.count("at least 5 are needed") == 1


def test_a_bootstrap_says_where_it_is_too_narrow(capsys: pytest.CaptureFixture[str]) -> None:
    """A share near 1 has fewer resamples that differ than the next prompts may."""
    for method, narrow in ((BOOTSTRAP, True), (PERCENTILE, True), ("cr2-wilson", False)):
        figure = pb.AgreementFigure(ties=pb.TIES_WITH, rate=0.9, n=90, prompts=30, interval_method=method)
        agreement_tables.agreement(pb.AgreementReport(figures=[figure]), "a and b", 0.05)

        assert ("too narrow for shares near 0 or 1" in printed(capsys)) is narrow


@pytest.mark.parametrize(
    ("ties", "words"),
    [(pb.TIES_WITH, "two annotators or more."), (pb.TIES_WITHOUT, "two annotators or more who name a winner.")],
)
def test_annotators_of_one_source_are_not_called_both(
    ties: pb.Ties.ValueType, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    figure = pb.AgreementFigure(ties=ties, unit=pb.AGREEMENT_UNIT_ANNOTATOR_PAIR, comparisons=238)
    agreement_tables.agreement(pb.AgreementReport(figures=[figure], both=360), "people", 0.05)

    assert f"360 comparisons, 238 of them with {words}" in printed(capsys)


@pytest.mark.parametrize(
    "method",
    [
        "cr2",
        f"-{WILSON}",
        f"-{KORN_GRAUBARD}",
        "jackknife",
        EXACT,
        WHOLE_RANGE,
        METHOD.removesuffix("-{}"),
        BOOTSTRAP,
        PERCENTILE,
    ],
)
def test_the_glossary_explains_the_methods_that_are_printed(method: str) -> None:
    glossary = (Path(__file__).parents[2] / "docs" / "glossary.md").read_text("utf-8")

    assert f"**{method}**" in glossary
