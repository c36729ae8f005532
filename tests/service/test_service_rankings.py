"""Rankings over the wire: what a caller may ask for, and what is refused by name."""

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


def drawn(prompts: int, seed: int) -> list[ds.Label]:
    """Labels of every pair on every prompt by two people; the better one wins more often, and ties are common.

    Prompts of category "code" are those where dull is as good as able.
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
async def leaderboard(client: JudgeClient) -> JudgeClient:
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
    await client.upload_labels("d", drawn(60, 3), source="drawn")
    return client


def by_name(found: leaderboard_pb2.Leaderboard) -> dict[str, leaderboard_pb2.Rating]:
    return {rating.contestant: rating for rating in found.ratings}


@pytest.mark.parametrize("method", ["bradley-terry", "davidson", "rao-kupper", "elo-permuted"])
async def test_every_method_ranks_with_its_own_rule(leaderboard: JudgeClient, method: str) -> None:
    found = await leaderboard.leaderboard(
        "d", "people", RankingOptions(method=value(RankingMethod, method), permutations=20)
    )

    assert word(found, "method") == method
    assert found.ties == (method if method in {"davidson", "rao-kupper"} else "half-win")
    assert found.ratings[0].contestant == "able"
    for rating in found.ratings:
        assert rating.interval.low < rating.rating < rating.interval.high
        assert rating.HasField("order_sd") == (method == "elo-permuted")
        assert rating.HasField("rank_interval") == (method != "elo-permuted")
    if method != "elo-permuted":
        assert sum(rating.probability_best for rating in found.ratings) == pytest.approx(1)
        assert all(r.rank_interval.low <= r.rank <= r.rank_interval.high for r in found.ratings)
    assert [effect.name for effect in found.effects] == (["ties"] if found.ties == method else [])


async def test_an_anchor_and_a_natural_scale(leaderboard: JudgeClient) -> None:
    """The anchor's rating is fixed and has no width; the others are as far from it as ever."""
    plain = by_name(await leaderboard.leaderboard("d", "people", RankingOptions()))
    options = RankingOptions(scale=RATING_SCALE_NATURAL, anchor=Anchor(contestant="base", rating=2.0), pairs=True)
    natural = await leaderboard.leaderboard("d", "people", options)

    told = by_name(natural)
    assert (natural.scale, natural.anchor) == (RATING_SCALE_NATURAL, "base")
    assert (told["base"].rating, told["base"].interval.low, told["base"].interval.high) == (2.0, 2.0, 2.0)
    apart = (plain["able"].rating - plain["base"].rating) * np.log(10) / 400
    assert told["able"].rating - 2.0 == pytest.approx(apart, abs=1e-5)
    pair = next(d for d in natural.differences if (d.left, d.right) == ("able", "base"))
    assert pair.difference == pytest.approx(apart, abs=1e-5)
    assert pair.interval.low + 2 == pytest.approx(told["able"].interval.low, abs=1e-5)
    assert len(natural.differences) == 6


async def test_a_scorecard_says_where_who_is_ahead(leaderboard: JudgeClient) -> None:
    """Dull is ahead of base in code and behind in prose; adjusted intervals are wider than those of one cell alone."""
    o = RankingOptions
    adjusted, alone = [
        await leaderboard.leaderboard(
            "d", "people", o(reference_contestant="base", by_category=True, adjustment=value(Adjustment, adjustment))
        )
        for adjustment in ("max-t", "none")
    ]
    holm = await leaderboard.leaderboard(
        "d", "people", o(reference_contestant="base", target_categories=["code"], adjustment=ADJUSTMENT_HOLM)
    )

    standing = {(inner.slice.category, one.contestant): one for inner in adjusted.slices for one in inner.standings}
    assert standing["code", "dull"].standing == leaderboard_pb2.STANDING_AHEAD
    assert standing["prose", "dull"].standing == leaderboard_pb2.STANDING_BEHIND
    assert {word(one, "adjustment") for one in standing.values()} == {"max-t"}
    for inner in alone.slices:
        for one in inner.standings:
            wider = standing[inner.slice.category, one.contestant].interval
            assert wider.low < one.interval.low < one.interval.high < wider.high
    shares = {share.contestant: share for share in adjusted.target_shares}
    assert (shares["dull"].ahead, shares["dull"].behind, shares["dull"].categories) == (1, 1, 2)
    only_code = {share.contestant: share for share in holm.target_shares}
    assert (only_code["dull"].ahead, only_code["dull"].categories) == (1, 1)


async def test_what_it_would_take_to_tell(leaderboard: JudgeClient) -> None:
    """The smallest difference to be told now, and the prompts for the one wanted: half of it takes four times."""
    told = []
    for wanted in (30.0, 15.0):
        options = RankingOptions(reference_contestant="base", difference_to_detect=wanted)
        found = await leaderboard.leaderboard("d", "people", options)
        told.append({one.contestant: one for one in found.standings})

    for name, one in told[0].items():
        half = one.interval.high - one.difference
        assert half < one.detectable_difference < 3 * half
        assert told[1][name].prompts_needed == pytest.approx(4 * one.prompts_needed, abs=4)


async def test_inference_changes_the_uncertainty_and_not_the_ratings(leaderboard: JudgeClient) -> None:
    found = {
        name: await leaderboard.leaderboard("d", "people", RankingOptions(inference=value(Inference, name)))
        for name in ("new-prompts", "fixed-prompts", "annotators", "unclustered")
    }
    found["strata"] = await leaderboard.leaderboard("d", "people", RankingOptions(strata=True))

    width = {
        name: by_name(said)["dull"].interval.high - by_name(said)["dull"].interval.low for name, said in found.items()
    }
    assert len({tuple((r.contestant, r.rating) for r in said.ratings) for said in found.values()}) == 1
    assert len(set(width.values())) == 5
    assert width["strata"] < 0.8 * width["new-prompts"]
    assert width["fixed-prompts"] < width["new-prompts"]
    assert {name: word(said, "inference") for name, said in found.items() if name != "strata"} == {
        name: name for name in found if name != "strata"
    }


async def test_style_control_gives_both_leaderboards_and_what_style_is_worth(leaderboard: JudgeClient) -> None:
    found = await leaderboard.leaderboard("d", "people", RankingOptions(style=True))
    plain = await leaderboard.leaderboard("d", "people", RankingOptions())

    assert [effect.name for effect in found.effects] == ["length", "lists", "bold"] or [
        effect.name for effect in found.effects
    ] == ["length", "bold"]
    assert all(e.interval.low < e.value < e.interval.high for e in found.effects)
    assert [r.rating for r in found.without_style.ratings] == [r.rating for r in plain.ratings]
    assert [r.rating for r in found.ratings] != [r.rating for r in plain.ratings]


async def test_ranks_without_each_category(leaderboard: JudgeClient) -> None:
    found = await leaderboard.leaderboard("d", "people", RankingOptions(leave_one_out=True))

    without = {out.category: dict(out.ranks) for out in found.left_out}
    assert sorted(without) == ["code", "prose"]
    assert without["code"]["dull"] == 4
    assert without["prose"]["dull"] < 4


async def test_law_5_the_same_request_gives_the_same_bytes(leaderboard: JudgeClient) -> None:
    options = RankingOptions(reference_contestant="base", by_category=True, style=True, pairs=True, seed=4)
    one, two = [await leaderboard.leaderboard("d", "people", options) for _ in range(2)]

    assert one.SerializeToString(deterministic=True) == two.SerializeToString(deterministic=True)


async def test_battles_with_a_position_effect_and_a_ridge(client: JudgeClient) -> None:
    """The left side is worth something, told apart from strengths; a ridge ranks the unbeaten and is named."""
    rng = np.random.default_rng(1)
    battles = []
    for prompt in range(200):
        left, right = rng.permutation(NAMES)[:2]
        chance = 1 / (1 + np.exp(STRENGTH[right] - STRENGTH[left] - 0.8))
        outcome = OUTCOMES[0 if rng.random() < chance else 1]
        battles.append(Battle(left=left, right=right, outcome=outcome, prompt_id=f"p{prompt}"))
    found = await client.rank_battles(battles, RankingOptions(position_effect=True))
    unbeaten = [
        Battle(left="able", right="base", outcome=outcome_pb2.OUTCOME_LEFT),
        Battle(left="base", right="calm", outcome=outcome_pb2.OUTCOME_LEFT),
    ]
    with pytest.raises(JudgeClientError) as refused:
        await client.rank_battles(unbeaten, RankingOptions())
    ridged = await client.rank_battles(unbeaten, RankingOptions(ridge=1.0))

    [effect] = found.effects
    assert effect.name == "position"
    assert effect.interval.low < 0.8 < effect.interval.high
    assert refused.value.reason == "NOT_COMPARABLE"
    assert (ridged.ridge, [r.contestant for r in ridged.ratings]) == (1.0, ["able", "base", "calm"])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (RankingOptions(method=99), "options.method must be one of bradley-terry"),  # type: ignore[arg-type]
        (RankingOptions(scale=99), "options.scale must be one of elo"),  # type: ignore[arg-type]
        (RankingOptions(inference=99), "options.inference must be one of new-prompts"),  # type: ignore[arg-type]
        (RankingOptions(adjustment=99), "options.adjustment must be one of none, holm"),  # type: ignore[arg-type]
        (RankingOptions(ridge=-1), "ridge"),
        (RankingOptions(difference_to_detect=-3), "difference_to_detect"),
        (RankingOptions(permutations=1), "permutations"),
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
async def test_senseless_options_are_named(leaderboard: JudgeClient, options: RankingOptions, said: str) -> None:
    """In labels the smaller name is on the left, whatever was shown first: they tell of no position either."""
    with pytest.raises(JudgeClientError) as refused:
        await leaderboard.leaderboard("d", "people", options)

    assert said in refused.value.message


async def test_a_judge_that_always_says_first_is_ranked_without_its_position(client: JudgeClient) -> None:
    """Both orders balance a position effect that has no bound, and the leaderboard says so."""
    await upload_demo(client)
    spec = run_service_pb2.RunSpec(dataset="datasets/demo", judges=["judges/first"])
    await client.wait_run((await client.create_run(spec)).name)

    found = await client.leaderboard("demo", "judge:first", RankingOptions(reconcile=outcome_pb2.RECONCILE_EACH))

    assert {rating.rating for rating in found.ratings} == {1000.0}
    assert any("position effect" in note for note in found.notes)
