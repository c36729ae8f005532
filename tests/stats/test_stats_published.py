"""Published figures, and figures of other tools, are reproduced from the same files."""

from collections.abc import Callable
from typing import Any

import pytest

from judge.stats.agreement import Orientation, Ties, agreement
from judge.stats.battles import Battles
from judge.stats.bradley_terry import bradley_terry
from judge.stats.elo import elo
from judge.stats.order_effects import order_consistency
from judge.stats.votes import VoteColumns, pairs_between, pairs_within, plurality
from stats.known import known

Rows = list[dict[str, Any]]

TABLE_5 = [
    # turn, ties: agreeing and counted votes of GPT-4 with experts, then of experts among themselves
    (1, "WITH", (886, 1343), (454, 721)),
    (1, "WITHOUT", (727, 859), (388, 479)),
    (2, "WITH", (871, 1325), (471, 707)),
    (2, "WITHOUT", (731, 864), (388, 474)),
]

RATINGS = {
    # contestant: Bradley-Terry and Elo of human votes, then of GPT-4's verdicts
    "gpt-4": (1177.39, 1221.21, 1314.50, 1299.31),
    "claude-v1": (1111.67, 1130.81, 1171.88, 1194.70),
    "gpt-3.5-turbo": (1104.16, 1085.60, 1091.37, 1068.41),
    "vicuna-13b-v1.2": (990.12, 1029.83, 970.36, 990.61),
    "alpaca-13b": (867.69, 828.77, 786.35, 776.87),
    "llama-13b": (748.96, 703.78, 665.55, 670.09),
}


@pytest.mark.parametrize(("turn", "ties", "with_gpt4", "among_experts"), TABLE_5)
def test_table_5_of_mt_bench_is_reproduced(
    turn: int,
    ties: Ties,
    with_gpt4: tuple[int, int],
    among_experts: tuple[int, int],
    human_rows: Rows,
    gpt4_rows: Rows,
    votes_of: Callable[[Rows], VoteColumns],
) -> None:
    """All eight agreement rates and counts of arXiv:2306.05685, table 5, are reproduced exactly."""
    experts = votes_of([row for row in human_rows if row["turn"] == turn and row["annotator"].startswith("expert_")])
    gpt4 = votes_of(gpt4_rows)

    between = agreement(pairs_between(gpt4, experts), ties)
    within = agreement(pairs_within(experts), ties)

    assert (between.agree, between.n) == with_gpt4
    assert (within.agree, within.n) == among_experts
    assert between.rate.value == pytest.approx(with_gpt4[0] / with_gpt4[1])
    assert known(between.rate.low) < known(between.rate.value) < known(between.rate.high)
    assert between.rate.method == "cr2-wilson"
    # On one of the 80 questions every first-turn pair has a tie, so S2 leaves it out.
    assert between.prompts == (79 if (turn, ties) == (1, "WITHOUT") else 80)


@pytest.mark.parametrize(
    ("ties", "orientation", "n", "rate", "kappa"),
    [
        ("WITH", "sorted", 1814, 0.672, 0.5047),
        ("WITHOUT", "sorted", 1078, 0.884, 0.7670),
        ("WITH", "both", 1814, 0.672, 0.5052),
        ("WITHOUT", "both", 1078, 0.884, 0.7681),
    ],
)
def test_kappa_with_the_plurality_of_people_is_reproduced(
    ties: Ties,
    orientation: Orientation,
    n: int,
    rate: float,
    kappa: float,
    human_rows: Rows,
    gpt4_rows: Rows,
    votes_of: Callable[[Rows], VoteColumns],
) -> None:
    """The kappas of GPT-4 and the plurality of annotators are reproduced, sorted by name and in both orientations."""
    pairs = pairs_between(votes_of(gpt4_rows), plurality(votes_of(human_rows)))

    figure = agreement(pairs, ties, orientation)

    assert figure.n == n
    assert figure.rate.value == pytest.approx(rate, abs=5e-4)
    assert figure.kappa.value == pytest.approx(kappa, abs=5e-5)
    assert known(figure.kappa.low) < known(figure.kappa.value) < known(figure.kappa.high)
    assert figure.reason == ""


@pytest.mark.parametrize(("source", "column"), [("human", 0), ("gpt4", 2)])
def test_ratings_of_mt_bench_are_reproduced(
    source: str, column: int, human_rows: Rows, gpt4_rows: Rows, battles_of: Callable[[Rows], Battles]
) -> None:
    """Bradley-Terry and Elo ratings of people's votes and GPT-4's verdicts equal evalica's to 0.01."""
    battles = battles_of(human_rows if source == "human" else gpt4_rows)

    fitted, online = bradley_terry(battles).ratings, elo(battles).ratings

    for name, rating, moved in zip(battles.contestants, fitted, online, strict=True):
        assert rating == pytest.approx(RATINGS[name][column], abs=0.01)
        assert moved == pytest.approx(RATINGS[name][column + 1], abs=0.01)


def test_llama_is_as_inconsistent_as_was_counted(llama_rows: Rows) -> None:
    """Of the comparisons with both orders parsed, 1,417 have the same outcome in both orders and 610 do not."""
    winners: dict[tuple[Any, ...], dict[str, str]] = {}
    for row in llama_rows:
        key = row["prompt_id"], row["turn"], row["model_a"], row["model_b"]
        winners.setdefault(key, {})[row["order"]] = row["winner"]
    code = {"a": 0, "b": 1, "tie": 2}
    both = [v for v in winners.values() if all(v.get(order) in code for order in ("ab", "ba"))]

    effects = order_consistency([code[v["ab"]] for v in both], [code[v["ba"]] for v in both])

    assert (effects.consistent, effects.n - effects.consistent) == (1417, 610)
    assert (
        effects.prefers_first + effects.prefers_second + effects.leans_first + effects.leans_second
        == effects.n - effects.consistent
    )


def test_clustering_by_prompt_widens_intervals_of_mt_bench(
    human_rows: Rows, battles_of: Callable[[Rows], Battles]
) -> None:
    """Clustering by prompt gives intervals 1.5 to 2 times as wide as treating votes as independent."""
    clustered = battles_of(human_rows)
    independent = type(clustered)(clustered.contestants, clustered.left, clustered.right, clustered.outcome)

    wider = bradley_terry(clustered).interval().standard_error / bradley_terry(independent).interval().standard_error

    assert 1.5 < wider.mean() < 2.0
