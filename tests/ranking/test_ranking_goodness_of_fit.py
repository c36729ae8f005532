"""Findings about the goodness of fit, in sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fit_simulations import World

from judge.domain.errors import InvalidInput
from judge.domain.source import Source
from judge.ranking.battles import design_from_battles
from judge.ranking.goodness_of_fit import FitReport
from judge.ranking.options import RankOptions
from judge.ranking.rank import rank
from judge.rpc.encode_leaderboard import encode_leaderboard
from judge.stats.battles import Battles

OPTIONS = RankOptions(goodness_of_fit=True)


def report_on(battles: Battles) -> FitReport:
    leaderboard = rank(design_from_battles(battles, OPTIONS), OPTIONS)
    assert leaderboard.goodness_of_fit is not None
    return leaderboard.goodness_of_fit


def test_a_cycle_is_one_sentence_with_its_condition() -> None:
    """The sentence names the three contestants in the direction of the cycle, their scores and the adjustment."""
    report = report_on(World(np.zeros(4), 60, cycle=1.0).battles(np.random.default_rng(1)))
    pairs, cycles, prompts = report.findings
    row = report.triads[0]

    assert row.cyclic
    assert row.contestants == ("c00", "c01", "c02")
    assert cycles.startswith(f"Cycles: c00 beats c01 ({row.scores[0]:.2f}), c01 beats c02 ({row.scores[1]:.2f}) and ")
    assert "c02 beats c00" in cycles
    assert "adjusted for 4 triads" in cycles
    assert "scores differ significantly from what the ratings predict (adjusted for 6 pairs)" in pairs
    assert "of the variance of outcomes lies between prompts (95% interval" in prompts


def test_three_residuals_that_are_the_same_are_told_once() -> None:
    """With three contestants, the pairs and the triad are the same test, and their sentences do not contradict."""
    rows = [("c", "b", word) for word in ["left"] * 3 + ["right"] * 2]
    rows += [("b", "a", word) for word in ["left"] * 3 + ["right"] * 2]
    rows += [("a", "c", word) for word in ["left"] * 3 + ["right"] * 2]
    left, right, words = zip(*rows * 8, strict=True)
    report = report_on(
        Battles.from_names(left, right, words, cluster=np.arange(120) % 15 // 5 + np.arange(120) // 15 * 3)
    )
    pairs, cycles, prompts = report.findings

    assert len(report.pairs) == 3
    assert pairs.count("predicted") == 1
    assert "The residuals of the three pairs are one and the same" in pairs
    assert "by itself" not in cycles or "compared with 0.50 instead of the prediction" in cycles
    assert "(95% interval 0%" not in prompts


def test_pairs_that_met_on_few_prompts_are_counted() -> None:
    """A new contestant that met each of three others on four prompts is in none of the tests."""
    rows = [(left, right, prompt) for prompt in range(20) for left, right in (("a", "b"), ("b", "c"), ("c", "a"))]
    rows += [("new", other, prompt) for prompt in range(4) for other in "abc"]
    left, right, cluster = zip(*rows, strict=True)
    words = np.random.default_rng(0).choice(["left", "right"], len(rows)).tolist()
    battles = Battles.from_names(left, right, words, cluster=cluster)
    message = encode_leaderboard(rank(design_from_battles(battles, OPTIONS), OPTIONS)).goodness_of_fit

    assert message.untested_pairs == 3
    assert message.findings[0].endswith(" 3 pairs met on fewer than 8 prompts and could not be tested.")


def test_nothing_significant_is_not_called_a_fit() -> None:
    """A test that finds nothing says that it shows nothing."""
    report = report_on(World(np.array([0.5, 0.0, -0.5]), 20, clustering=0.0).battles(np.random.default_rng(3)))
    pairs, cycles, prompts = report.findings

    assert report.triads == ()
    assert pairs.startswith(
        "Pairs: none of 3 scores differs significantly from what the ratings predict (smallest p = "
    )
    assert pairs.endswith("Smaller misfits may remain.")
    assert cycles.endswith("adjusted for 1 triad). Weaker cycles may remain.")
    assert prompts.startswith("Prompts: at most ")


def test_too_few_prompts_cannot_tell() -> None:
    """Each question that the data cannot answer has its reason."""
    battles = Battles.from_names(["a", "b"] * 20, ["b", "a"] * 20, ["left", "left", "right", "tie"] * 10)

    reason = "there are only as many pairs as the strengths need, so that they fit every outcome"
    assert report_on(battles).findings == (
        f"Pairs: cannot tell whether their scores are what the ratings predict: {reason}.",
        f"Cycles: cannot tell whether there are any: {reason}.",
        "Prompts: cannot tell how far strengths vary between prompts: no two pairs on one prompt share a contestant.",
    )


@pytest.mark.parametrize(
    ("outcomes", "prompts_finding"),
    [
        (["tie"] * 6, "Prompts: cannot tell how far strengths vary between prompts: every battle is a tie"),
        (["left"] * 6, "Prompts: about 0% of the variance of outcomes lies between prompts, without an interval"),
    ],
)
def test_outcomes_that_do_not_vary_cannot_tell(outcomes: list[str], prompts_finding: str) -> None:
    """Where all battles are ties, or the left side wins in both orders, nothing is tested, and there is no warning."""
    left, right = ["a", "b", "a", "b", "c", "c"] * 12, ["b", "c", "c", "a", "b", "a"] * 12
    cluster = np.repeat(np.arange(12, dtype=np.int32), 6)
    pairs, cycles, prompts = report_on(Battles.from_names(left, right, outcomes * 12, cluster=cluster)).findings
    reason = "on every prompt, each pair scores just what the ratings predict, so that nothing varies."

    assert pairs == f"Pairs: cannot tell whether their scores are what the ratings predict: {reason}"
    assert cycles == f"Cycles: cannot tell whether there are any: {reason}"
    assert prompts.startswith(prompts_finding)


def test_the_message_has_what_the_report_has() -> None:
    """The findings go over the wire with the figures behind them, all tested pairs among them."""
    battles = World(np.zeros(4), 60, cycle=1.0).battles(np.random.default_rng(1))
    report = report_on(battles)
    message = encode_leaderboard(rank(design_from_battles(battles, OPTIONS), OPTIONS)).goodness_of_fit

    assert tuple(message.findings) == report.findings
    assert [(row.left, row.right, row.observed, row.p) for row in message.pairs] == [
        (row.left, row.right, row.observed, row.p) for row in report.pairs
    ]
    assert len(message.pairs) == 6
    assert [tuple(row.contestants) for row in message.triads] == [row.contestants for row in report.triads]
    assert (message.triads_tested, message.triads_reason) == (4, "")
    assert message.share_between_prompts == report.between_prompts.value
    assert message.share_interval.low == report.between_prompts.low


@pytest.mark.parametrize(
    ("others", "named"),
    [
        ({"ridge": 1.0}, "leave out ridge"),
        ({"inference": "annotators"}, "leave out inference"),
        ({"anchored_to": Source.parse("people")}, "leave out anchored_to"),
        ({"method": "elo"}, "has no goodness_of_fit"),
    ],
)
def test_options_without_a_goodness_of_fit_are_refused(others: dict[str, Any], named: str) -> None:
    """A penalized fit, other labels or other clusters would answer another question."""
    with pytest.raises(InvalidInput, match=named):
        RankOptions(goodness_of_fit=True, **others)


def test_expected_scores_say_against_whom() -> None:
    """A leaderboard names what expected scores are against: the reference contestant if ranked, or the average."""
    battles = World(np.array([0.5, 0.0, -0.5]), 20).battles(np.random.default_rng(3))

    def against(**options: Any) -> str:  # noqa: ANN401  # options of several types
        chosen = RankOptions(**options)
        return encode_leaderboard(rank(design_from_battles(battles, chosen), chosen)).expected_against

    assert against() == ""
    assert against(reference="c01") == "c01"
    assert against(reference="c01", method="win-rate") == "c01"


def test_win_rates_count_the_battles_that_they_are_of() -> None:
    """The win rate against a reference counts the battles against it, not all battles of a contestant."""
    battles = World(np.array([0.5, 0.0, -0.5]), 20).battles(np.random.default_rng(3))
    options = RankOptions(reference="c01", method="win-rate")

    assert {(row.n, row.prompts) for row in rank(design_from_battles(battles, options), options).ratings} == {(20, 20)}


def test_an_interval_from_none_to_all_of_the_variance_says_that_nothing_is_known() -> None:
    """The few outcomes on five prompts do not limit how much of the variance lies between prompts."""
    rng, pairs = np.random.default_rng(0), ("ab", "bc", "ac")
    rows = [(*pair, "left" if rng.random() < 0.5 else "right", prompt) for prompt in range(5) for pair in pairs]
    left, right, words, prompts = zip(*rows, strict=True)
    *_, finding = report_on(Battles.from_names(left, right, words, cluster=prompts)).findings

    assert finding == ("Prompts: cannot tell how much of the variance lies between prompts (95% interval 0% to 100%).")
