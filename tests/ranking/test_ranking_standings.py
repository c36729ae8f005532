"""What is said of a contestant against the reference agrees with its pair, its ranks, and the range of its scale."""

from __future__ import annotations

import numpy as np
import pytest

from judge.ranking.battles import design_from_battles
from judge.ranking.leaderboard import UNSPECIFIED, Leaderboard, ShareRow
from judge.ranking.options import RankOptions
from judge.ranking.rank import rank
from judge.ranking.standings import share_rows
from judge.rpc.encode_leaderboard import encode_leaderboard
from judge.stats.battles import Battles
from judge.stats.scorecard import ADJUSTMENTS, HOLM, MAX_T, NONE, WIDEST_LEAD


def rank_battles(battles: Battles, options: RankOptions) -> Leaderboard:
    return rank(design_from_battles(battles, options), options)


def unequal(seed: int) -> Battles:
    """Battles of two contestants on 6 to 20 prompts, of which few have most of the battles."""
    rng = np.random.default_rng(seed)
    prompts = int(rng.choice([6, 8, 10, 15, 20]))
    sizes = np.ceil(3 * rng.pareto(1.1, prompts) + 1).clip(1, 200).astype(int)
    prompt = np.repeat(np.arange(prompts), sizes)
    wins = rng.random(prompt.size) < 1 / (1 + np.exp(-rng.normal(0.8, 1, prompts)[prompt]))
    names = [f"p{code}" for code in prompt]
    return Battles.from_names(
        ["b"] * wins.size, ["a"] * wins.size, np.where(wins, "left", "right").tolist(), None, names
    )


@pytest.mark.parametrize("adjustment", ADJUSTMENTS)
def test_a_single_standing_agrees_with_its_pair_and_its_ranks(adjustment: str) -> None:
    """Its standing has the interval of the pair, which is not adjusted either, however unequal prompts are."""
    options = RankOptions(reference="a", pairs=True, adjustment=adjustment)
    separate = []
    for seed in range(30):
        leaderboard = rank_battles(unequal(seed), options)
        (standing,), (pair,) = leaderboard.standings, leaderboard.pairs
        ranks = {row.ranks for row in leaderboard.ratings}
        separate.append(standing.standing != "CANNOT_TELL")

        assert (standing.low, standing.high) == pytest.approx((-pair.high, -pair.low), abs=1e-4, nan_ok=True)
        assert separate[-1] == (ranks == {(1, 1), (2, 2)})
    assert 5 < sum(separate) < 25


def with_newcomer(wins: int, options: RankOptions) -> Leaderboard:
    """Rank b, with a number of *wins* over a on 40 prompts, and a newcomer that wins 4 of 5."""
    outcomes = ["left"] * wins + ["right"] * (40 - wins) + ["left"] * 4 + ["right"]
    names = [f"p{code}" for code in [*range(40), *range(5)]]
    return rank_battles(Battles.from_names(["b"] * 40 + ["new"] * 5, ["a"] * 45, outcomes, None, names), options)


@pytest.mark.parametrize(("adjustment", "wins"), [(NONE, 28), (HOLM, 30), (MAX_T, 30)])
def test_a_newcomer_on_few_prompts_leaves_the_win_rates_of_others_their_standings(adjustment: str, wins: int) -> None:
    leaderboard = with_newcomer(wins, RankOptions(reference="a", method="win-rate", adjustment=adjustment))

    assert {row.contestant: row.standing for row in leaderboard.standings} == {"b": "AHEAD", "new": "CANNOT_TELL"}


def test_each_win_rate_names_its_own_interval() -> None:
    """The reason why one has none is not that of the others."""
    outcomes = (["left", "right"] * 20, ["left"] * 10, ["left", "right", "left"])
    lefts = [name for name, rows in zip(("b", "sure", "new"), outcomes, strict=True) for _ in rows]
    names = [f"p{code}" for rows in outcomes for code in range(len(rows))]
    battles = Battles.from_names(lefts, ["a"] * 53, [outcome for rows in outcomes for outcome in rows], None, names)
    leaderboard = rank_battles(battles, RankOptions(reference="a", method="win-rate"))

    assert {row.contestant: row.interval_method for row in encode_leaderboard(leaderboard).ratings} == {
        "b": "cr2-wilson",
        "sure": "exact-binomial-over-prompts",
        "new": "none: 3 prompts, at least 5 are needed",
    }
    assert set(leaderboard.interval_method.split(", ")) == {"cr2-wilson", "exact-binomial-over-prompts"}


@pytest.mark.parametrize("method", ["win-rate", "bradley-terry"])
def test_no_win_rate_leads_by_more_than_a_half(method: str) -> None:
    """On 5 prompts, the intervals end where the scale does, and a difference that no prompts can have is absent."""
    options = RankOptions(reference="a", method=method, within_win_rate=0.05)
    newcomer = {row.contestant: row for row in with_newcomer(30, options).standings}["new"]

    assert newcomer.within_win_rate is not None
    assert newcomer.within_win_rate.high == WIDEST_LEAD
    if method == "win-rate":
        assert newcomer.high == WIDEST_LEAD
        assert np.isnan(newcomer.detectable)


@pytest.mark.parametrize("inference", ["new-prompts", "fixed-prompts", "unclustered"])
@pytest.mark.parametrize(("method", "wanted"), [("bradley-terry", 20.0), ("win-rate", 0.028751)])
def test_prompts_are_needed_only_where_intervals_are_over_prompts(inference: str, method: str, wanted: float) -> None:
    """Battles and annotators are not prompts, so their number is not given as one of prompts."""
    options = RankOptions(reference="a", method=method, inference=inference, wanted=20.0)
    outcomes = ["left", "left", "right"] * 20
    battles = Battles.from_names(["b"] * 60, ["a"] * 60, outcomes, None, [f"p{code % 30}" for code in range(60)])
    (row,) = encode_leaderboard(rank_battles(battles, options)).standings

    assert row.HasField("prompts_needed") is row.HasField("difference_to_detect") is (inference == "new-prompts")
    assert row.difference_to_detect == (wanted if inference == "new-prompts" else 0.0)
    assert row.HasField("detectable_difference")


def test_a_category_without_a_standing_counts_in_no_share() -> None:
    """Three prompts give no interval, and so no answer that could be counted."""
    options = RankOptions(reference="a")
    categories = []
    for prompts in (40, 3):
        outcomes = (["left"] * 3 + ["right"]) * 10
        names = [f"p{code % prompts}" for code in range(40)]
        categories.append(rank_battles(Battles.from_names(["b"] * 40, ["a"] * 40, outcomes, None, names), options))

    assert [row.standing for category in categories for row in category.standings] == ["AHEAD", UNSPECIFIED]
    assert share_rows(categories, options) == (ShareRow("b", ahead=1, behind=0, cells=1),)
