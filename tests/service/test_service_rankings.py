"""Rankings over the wire: all options, and rejected options."""

from __future__ import annotations

import numpy as np
import pytest

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import leaderboard_pb2, outcome_pb2, run_service_pb2
from judge.api.v1.leaderboard_pb2 import (
    ADJUSTMENT_HOLM,
    INFERENCE_ANNOTATORS,
    RANKING_METHOD_ELO,
    RANKING_METHOD_ELO_PERMUTED,
    RANKING_METHOD_WIN_RATE,
    RATING_SCALE_ELO,
    RATING_SCALE_NATURAL,
    Adjustment,
    Inference,
    RankingMethod,
)
from judge.api.v1.ranking_service_pb2 import Anchor, Battle, RankingOptions
from judge.rpc.enum_words import value, word
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import upload_demo

NAMES = ("able", "base", "calm", "dull")
STRENGTH = {"able": 1.0, "base": 0.3, "calm": 0.0, "dull": -1.0}
OUTCOMES = (outcome_pb2.OUTCOME_LEFT, outcome_pb2.OUTCOME_RIGHT, outcome_pb2.OUTCOME_TIE)


def draw_labels(prompts: int, seed: int) -> list[ds.Label]:
    """Return labels of every pair on every prompt by two people; the stronger wins more often, and ties are common.

    On prompts of category "code", dull is as good as able.
    """
    rng = np.random.default_rng(seed)
    labels = []
    for prompt in range(prompts):
        effect = dict(zip(NAMES, rng.normal(0, 0.3, len(NAMES)), strict=True))
        code = 2.0 if prompt % 2 else 0.0
        for i, left in enumerate(NAMES):
            for right in NAMES[i + 1 :]:
                ahead = STRENGTH[left] + effect[left] - STRENGTH[right] - effect[right] - code * (right == "dull")
                chance = 1 / (1 + np.exp(-ahead))
                for annotator in range(2):
                    outcome = rng.choice(3, p=[chance * 0.8, (1 - chance) * 0.8, 0.2])
                    labels.append(
                        ds.Label(
                            label_id=f"{prompt}-{left}-{right}-{annotator}",
                            prompt_id=f"p{prompt}",
                            turn=1,
                            left=left,
                            right=right,
                            outcome=OUTCOMES[outcome],
                            annotator=f"person-{annotator + 2 * (prompt % 5)}",
                            kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
                        )
                    )
    return labels


@pytest.fixture
async def service(client: JudgeClient) -> JudgeClient:
    """A service with labels of 60 prompts in two categories."""
    await client.create_dataset("d")
    prompts = [
        ds.Prompt(prompt_id=f"p{n}", turns=[f"question {n}"], category="code" if n % 2 else "prose") for n in range(60)
    ]
    await client.upload_prompts("d", prompts)
    outputs = [
        ds.Output(prompt_id=f"p{n}", contestant=name, turns=["- **word** " * (1 + (n * k) % 7) + "text"])
        for n in range(60)
        for k, name in enumerate(NAMES, 1)
    ]
    await client.upload_outputs("d", outputs)
    await client.upload_labels("d", draw_labels(60, 3), source="drawn")
    return client


def by_name(leaderboard: leaderboard_pb2.Leaderboard) -> dict[str, leaderboard_pb2.Rating]:
    return {rating.contestant: rating for rating in leaderboard.ratings}


@pytest.mark.parametrize("method", ["bradley-terry", "davidson", "rao-kupper", "elo-permuted"])
async def test_every_method_ranks_with_its_own_rule(service: JudgeClient, method: str) -> None:
    leaderboard = await service.leaderboard(
        "d", "people", RankingOptions(method=value(RankingMethod, method), permutations=20)
    )

    assert word(leaderboard, "method") == method
    assert leaderboard.ties == (method if method in {"davidson", "rao-kupper"} else "half-win")
    assert leaderboard.ratings[0].contestant == "able"
    for rating in leaderboard.ratings:
        assert rating.interval.low < rating.rating < rating.interval.high
        assert rating.HasField("order_sd") == (method == "elo-permuted")
        assert rating.HasField("rank_interval") == (method != "elo-permuted")
    if method != "elo-permuted":
        assert sum(rating.probability_best for rating in leaderboard.ratings) == pytest.approx(1)
        assert all(r.rank_interval.low <= r.rank <= r.rank_interval.high for r in leaderboard.ratings)
    assert [effect.name for effect in leaderboard.effects] == (["ties"] if leaderboard.ties == method else [])


async def test_an_anchor_and_a_natural_scale(service: JudgeClient) -> None:
    """The anchor's rating is fixed with an interval of width 0; differences to the others do not change."""
    plain_ratings = by_name(await service.leaderboard("d", "people", RankingOptions()))
    options = RankingOptions(scale=RATING_SCALE_NATURAL, anchor=Anchor(contestant="base", rating=2.0), pairs=True)
    natural = await service.leaderboard("d", "people", options)

    ratings = by_name(natural)
    assert (natural.scale, natural.anchor) == (RATING_SCALE_NATURAL, "base")
    assert (ratings["base"].rating, ratings["base"].interval.low, ratings["base"].interval.high) == (2.0, 2.0, 2.0)
    apart = (plain_ratings["able"].rating - plain_ratings["base"].rating) * np.log(10) / 400
    assert ratings["able"].rating - 2.0 == pytest.approx(apart, abs=1e-5)
    pair = next(d for d in natural.differences if (d.left, d.right) == ("able", "base"))
    assert pair.difference == pytest.approx(apart, abs=1e-5)
    assert pair.interval.low + 2 == pytest.approx(ratings["able"].interval.low, abs=1e-5)
    assert len(natural.differences) == 6


async def test_a_scorecard_shows_who_is_ahead_in_each_category(service: JudgeClient) -> None:
    """Dull is ahead of base in code and behind in prose; adjusted intervals are wider than unadjusted ones."""
    o = RankingOptions
    adjusted, alone = [
        await service.leaderboard(
            "d", "people", o(reference_contestant="base", by_category=True, adjustment=value(Adjustment, adjustment))
        )
        for adjustment in ("max-t", "none")
    ]
    holm = await service.leaderboard(
        "d", "people", o(reference_contestant="base", target_categories=["code"], adjustment=ADJUSTMENT_HOLM)
    )

    standing = {(inner.slice.category, row.contestant): row for inner in adjusted.slices for row in inner.standings}
    assert standing["code", "dull"].standing == leaderboard_pb2.STANDING_AHEAD
    assert standing["prose", "dull"].standing == leaderboard_pb2.STANDING_BEHIND
    assert {word(row, "adjustment") for row in standing.values()} == {"max-t"}
    for inner in alone.slices:
        for row in inner.standings:
            wider = standing[inner.slice.category, row.contestant].interval
            assert wider.low < row.interval.low < row.interval.high < wider.high
    shares = {share.contestant: share for share in adjusted.target_shares}
    assert (shares["dull"].ahead, shares["dull"].behind, shares["dull"].categories) == (1, 1, 2)
    only_code = {share.contestant: share for share in holm.target_shares}
    assert (only_code["dull"].ahead, only_code["dull"].categories) == (1, 1)


async def test_prompts_needed_to_detect_a_difference(service: JudgeClient) -> None:
    """Detecting half the difference needs about four times as many prompts; t is wider with few of them."""
    standings = []
    for difference in (30.0, 15.0):
        options = RankingOptions(reference_contestant="base", difference_to_detect=difference)
        leaderboard = await service.leaderboard("d", "people", options)
        standings.append({row.contestant: row for row in leaderboard.standings})

    for name, row in standings[0].items():
        half = row.interval.high - row.difference
        assert half < row.detectable_difference < 3 * half
        assert standings[1][name].prompts_needed == pytest.approx(4 * row.prompts_needed, rel=0.03)


@pytest.mark.parametrize("method", ["bradley-terry", "davidson", "win-rate"])
async def test_as_good_as_the_reference_within_a_margin(service: JudgeClient, method: str) -> None:
    """Equivalence and non-inferiority are answers of their own: a contestant can be ahead and not worse."""
    options = RankingOptions(
        method=value(RankingMethod, method),
        reference_contestant="base",
        within_win_rate=0.2,
        adjustment=ADJUSTMENT_HOLM,
    )
    leaderboard = await service.leaderboard("d", "people", options)

    rows = {row.contestant: row for row in leaderboard.standings}
    assert rows["able"].standing == leaderboard_pb2.STANDING_AHEAD
    assert rows["able"].within_win_rate.non_inferior == leaderboard_pb2.ANSWER_YES
    assert rows["calm"].within_win_rate.equivalent == leaderboard_pb2.ANSWER_YES
    assert rows["calm"].within_win_rate.margin == 0.2
    assert -0.2 < rows["calm"].within_win_rate.interval.low < rows["calm"].within_win_rate.interval.high < 0.2
    assert not rows["calm"].HasField("within")


@pytest.mark.parametrize("scale", [RATING_SCALE_ELO, RATING_SCALE_NATURAL])
async def test_a_margin_in_points_follows_the_scale(
    service: JudgeClient, scale: leaderboard_pb2.RatingScale.ValueType
) -> None:
    """A margin is given in points and reported on the scale asked for, with the same answers."""
    options = RankingOptions(reference_contestant="base", within=200.0, scale=scale, by_category=True)
    leaderboard = await service.leaderboard("d", "people", options)

    rows = {row.contestant: row.within for row in leaderboard.standings}
    unit = np.log(10) / 400 if scale == RATING_SCALE_NATURAL else 1.0
    assert rows["calm"].margin == pytest.approx(200 * unit, abs=1e-5)
    assert rows["calm"].equivalent == leaderboard_pb2.ANSWER_YES
    assert -200 * unit < rows["calm"].interval.low < rows["calm"].interval.high < 200 * unit
    assert all(row.HasField("within") for part in leaderboard.slices for row in part.standings)


async def test_win_rates_are_compared_with_even_chances(service: JudgeClient) -> None:
    """The standings of win rates are differences to 0.5, and are adjusted like those of ratings."""
    options = RankingOptions(method=RANKING_METHOD_WIN_RATE, reference_contestant="base", difference_to_detect=30.0)
    leaderboard = await service.leaderboard("d", "people", options)

    rates = by_name(leaderboard)
    for row in leaderboard.standings:
        rate = rates[row.contestant]
        assert row.difference == pytest.approx(rate.rating - 0.5, abs=1e-6)
        assert rate.by_prompt_interval.low < rate.by_prompt < rate.by_prompt_interval.high
        assert row.interval.low < rate.interval.low - 0.5
        assert 5 < row.prompts_needed
        assert row.interval.high - row.difference < row.detectable_difference < 0.5
    standings = {row.contestant: row.standing for row in leaderboard.standings}
    assert standings["able"] == leaderboard_pb2.STANDING_AHEAD


async def test_inference_changes_the_uncertainty_and_not_the_ratings(service: JudgeClient) -> None:
    leaderboards = {
        name: await service.leaderboard("d", "people", RankingOptions(inference=value(Inference, name)))
        for name in ("new-prompts", "fixed-prompts", "annotators", "unclustered", "prompts-and-annotators")
    }
    leaderboards["strata"] = await service.leaderboard("d", "people", RankingOptions(strata=True))

    width = {
        name: by_name(leaderboard)["dull"].interval.high - by_name(leaderboard)["dull"].interval.low
        for name, leaderboard in leaderboards.items()
    }
    assert (
        len({tuple((r.contestant, r.rating) for r in leaderboard.ratings) for leaderboard in leaderboards.values()})
        == 1
    )
    assert len(set(width.values())) == 6
    assert width["prompts-and-annotators"] > width["new-prompts"]
    assert leaderboards["prompts-and-annotators"].interval_method == "two-way-sandwich-t"
    assert width["strata"] < 0.8 * width["new-prompts"]
    assert width["fixed-prompts"] < width["new-prompts"]
    assert {name: word(leaderboard, "inference") for name, leaderboard in leaderboards.items() if name != "strata"} == {
        name: name for name in leaderboards if name != "strata"
    }


async def test_labels_of_one_annotator_on_one_comparison_count_once(client: JudgeClient) -> None:
    """Half of the labels, sent three times, change neither ratings nor intervals, except in online Elo.

    How well the variance of a win rate is known depends on the number of rows, so its interval may change a little.
    """
    labels = draw_labels(20, seed=3)
    again = [
        ds.Label(**{f.name: v for f, v in label.ListFields()} | {"label_id": f"{label.label_id}-again-{n}"})
        for label in labels[: len(labels) // 2]
        for n in range(2)
    ]
    for name, rows in (("once", labels), ("repeated", [*labels, *again])):
        await client.create_dataset(name)
        await client.upload_labels(name, rows, source="drawn")

    for method in ("bradley-terry", "davidson", "win-rate"):
        for inference in (leaderboard_pb2.INFERENCE_NEW_PROMPTS, leaderboard_pb2.INFERENCE_FIXED_PROMPTS):
            options = RankingOptions(
                method=value(RankingMethod, method), inference=inference, reference_contestant="dull"
            )
            once, repeated = [
                {row.contestant: row for row in (await client.leaderboard(name, "people", options)).ratings}
                for name in ("once", "repeated")
            ]
            for contestant, row in once.items():
                assert repeated[contestant].rating == pytest.approx(row.rating, abs=1e-4)
                # A battle of weight 1 and two of weight a half have the same variance, of slightly other precision.
                slack = 0.01 if method == "win-rate" else 0.5
                assert repeated[contestant].interval.low == pytest.approx(row.interval.low, abs=slack)
    elo = RankingOptions(method=RANKING_METHOD_ELO)
    once_elo, repeated_elo = [
        (await client.leaderboard(name, "people", elo)).ratings[0].rating for name in ("once", "repeated")
    ]
    assert once_elo != repeated_elo


async def test_style_control_gives_both_leaderboards_and_the_effects_of_style(service: JudgeClient) -> None:
    styled = await service.leaderboard("d", "people", RankingOptions(style=True))
    plain = await service.leaderboard("d", "people", RankingOptions())

    assert [effect.name for effect in styled.effects] == ["length", "lists", "bold"] or [
        effect.name for effect in styled.effects
    ] == ["length", "bold"]
    assert all(e.interval.low < e.value < e.interval.high for e in styled.effects)
    assert [r.rating for r in styled.without_style.ratings] == [r.rating for r in plain.ratings]
    assert [r.rating for r in styled.ratings] != [r.rating for r in plain.ratings]


async def test_ranks_without_each_category(service: JudgeClient) -> None:
    leaderboard = await service.leaderboard("d", "people", RankingOptions(leave_one_out=True))

    without = {out.category: dict(out.ranks) for out in leaderboard.left_out}
    assert sorted(without) == ["code", "prose"]
    assert without["code"]["dull"] == 4
    assert without["prose"]["dull"] < 4


async def test_law_5_the_same_request_gives_the_same_bytes(service: JudgeClient) -> None:
    options = RankingOptions(reference_contestant="base", by_category=True, style=True, pairs=True, seed=4)
    first, second = [await service.leaderboard("d", "people", options) for _ in range(2)]

    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


async def test_battles_with_a_position_effect_and_a_ridge(client: JudgeClient) -> None:
    """The position effect is estimated separately from strengths, and a ridge ranks unbeaten contestants."""
    rng = np.random.default_rng(1)
    battles = []
    for prompt in range(200):
        left, right = rng.permutation(NAMES)[:2]
        chance = 1 / (1 + np.exp(STRENGTH[right] - STRENGTH[left] - 0.8))
        outcome = OUTCOMES[0 if rng.random() < chance else 1]
        battles.append(Battle(left=left, right=right, outcome=outcome, prompt_id=f"p{prompt}"))
    leaderboard = await client.rank_battles(battles, RankingOptions(position_effect=True))
    unbeaten = [
        Battle(left="able", right="base", outcome=outcome_pb2.OUTCOME_LEFT),
        Battle(left="base", right="calm", outcome=outcome_pb2.OUTCOME_LEFT),
    ]
    with pytest.raises(JudgeClientError) as refused:
        await client.rank_battles(unbeaten, RankingOptions())
    ridged = await client.rank_battles(unbeaten, RankingOptions(ridge=1.0))

    [effect] = leaderboard.effects
    assert effect.name == "position"
    assert effect.interval.low < 0.8 < effect.interval.high
    assert refused.value.reason == "NOT_COMPARABLE"
    assert (ridged.ridge, [r.contestant for r in ridged.ratings]) == (1.0, ["able", "base", "calm"])


async def test_a_contestant_on_four_prompts_has_a_rating_only(client: JudgeClient) -> None:
    """Below 5 prompts of its own, a contestant has no interval, ranks or standing, and each place says why."""
    rng = np.random.default_rng(2)
    battles = []
    for prompt in range(60):
        for left, right in (("able", "base"), ("able", "calm"), ("base", "calm"), ("calm", "dull")):
            chance = 1 / (1 + np.exp(STRENGTH[right] - STRENGTH[left]))
            if right != "dull" or prompt < 4:
                outcome = OUTCOMES[prompt % 2 if right == "dull" else 0 if rng.random() < chance else 1]
                battles.append(Battle(left=left, right=right, outcome=outcome, prompt_id=f"p{prompt}"))
    leaderboard = await client.rank_battles(battles, RankingOptions(reference_contestant="base", pairs=True))
    anchored = await client.rank_battles(battles, RankingOptions(anchor=Anchor(contestant="dull", rating=1000)))

    ratings, standings = by_name(leaderboard), {row.contestant: row for row in leaderboard.standings}
    reason = "none: 4 prompts of its own, at least 5 are needed"
    assert [ratings[name].interval_method for name in NAMES] == ["sandwich-cr2"] * 3 + [reason]
    dull = ratings["dull"]
    assert not dull.interval.HasField("low")
    assert not dull.HasField("rank_interval")
    assert not dull.HasField("probability_best")
    assert standings["dull"].standing == leaderboard_pb2.STANDING_UNSPECIFIED
    assert (standings["dull"].no_interval, standings["able"].no_interval) == (reason, "")
    assert not standings["dull"].HasField("probability_better")
    assert sum(ratings[name].probability_best for name in NAMES[:3]) == pytest.approx(1)
    assert all(ratings[name].interval.low < ratings[name].rating for name in NAMES[:3])
    assert any("dull (4 prompts of its own, at least 5 are needed)" in note for note in leaderboard.notes)
    assert sum(rating.rating for rating in leaderboard.ratings) / 4 == pytest.approx(1000)
    unknown = "no anchor has an interval: dull (4 prompts of its own, at least 5 are needed)"
    assert by_name(anchored)["able"].interval_method == anchored.interval_method == f"none: {unknown}"
    assert not any(row.interval.HasField("low") for row in anchored.ratings)
    assert list(anchored.notes) == [f"No rating has an interval, because {unknown}."]


@pytest.mark.parametrize(
    ("options", "phrase"),
    [
        (RankingOptions(method=99), "options.method must be one of bradley-terry"),  # type: ignore[arg-type]
        (RankingOptions(scale=99), "options.scale must be one of elo"),  # type: ignore[arg-type]
        (RankingOptions(inference=99), "options.inference must be one of new-prompts"),  # type: ignore[arg-type]
        (RankingOptions(adjustment=99), "options.adjustment must be one of none, holm"),  # type: ignore[arg-type]
        (RankingOptions(ridge=-1), "ridge"),
        (RankingOptions(difference_to_detect=-3), "difference_to_detect"),
        (RankingOptions(permutations=1), "permutations"),
        (RankingOptions(within=20), "within needs a reference contestant"),
        (RankingOptions(within=-1, reference_contestant="base"), "within must be 0 or more"),
        (RankingOptions(within_win_rate=0.5, reference_contestant="base"), "within_win_rate must be from 0 to less"),
        (RankingOptions(within=20, reference_contestant="base", level=0.5), "level of more than 0.5"),
        (RankingOptions(within=20, reference_contestant="base", method=RANKING_METHOD_WIN_RATE), "has no within"),
        (RankingOptions(method=RANKING_METHOD_ELO, style=True), "style"),
        (RankingOptions(method=RANKING_METHOD_ELO_PERMUTED, pairs=True), "pairs"),
        (RankingOptions(anchor=Anchor(contestant="nobody", rating=1)), "nobody"),
        (RankingOptions(anchor=Anchor(contestant="base", rating=float("nan"))), "anchor"),
        (RankingOptions(target_categories=["maths"], reference_contestant="base"), "maths"),
        (RankingOptions(strata=True, inference=INFERENCE_ANNOTATORS), "strata"),
        (RankingOptions(reference_contestant="nobody"), "nobody"),
        (RankingOptions(position_effect=True), "position"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_invalid_ranking_options_are_rejected(service: JudgeClient, options: RankingOptions, phrase: str) -> None:
    """An invalid option is named in the error. Labels have no position effect, because they store no order."""
    with pytest.raises(JudgeClientError) as refused:
        await service.leaderboard("d", "people", options)

    assert phrase in refused.value.message


async def test_a_judge_that_always_says_first_is_ranked_without_its_position(client: JudgeClient) -> None:
    """A judge that always prefers the first output rates all contestants equally, and a note says why."""
    await upload_demo(client)
    spec = run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/first"])
    await client.wait_run((await client.create_run(spec)).name)

    leaderboard = await client.leaderboard("demo", "judge:first", RankingOptions(reconcile=outcome_pb2.RECONCILE_EACH))

    assert {rating.rating for rating in leaderboard.ratings} == {1000.0}
    assert any("position effect" in note for note in leaderboard.notes)
