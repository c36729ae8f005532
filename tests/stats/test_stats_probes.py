"""Probes of a judge: silent without a bias whatever the error of people's votes, and loud with one."""

from dataclasses import replace

import numpy as np
import pytest
from probe_simulations import FAMILY, LENGTH, SHAPES, World, boundary_p_values, tally
from scipy.special import expit, stdtrit

from judge.columns.arrays import Floats
from judge.stats.cluster_intervals import ALIKE
from judge.stats.errors import Disconnected, StatisticsError
from judge.stats.linearized import linearized_mean
from judge.stats.paired_model import Covariates
from judge.stats.probes import NO_OTHERS, ProbeVotes, family_effect, style_effects
from stats.known import known


def fit(columns: Floats, score: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit a logistic regression by brute force: the coefficients, the inverse information and the expected scores."""
    coefficients = np.zeros(columns.shape[1])
    for _ in range(30):
        expected = expit(columns @ coefficients)
        bread = np.linalg.inv((columns * (weight * expected * (1 - expected))[:, None]).T @ columns)
        coefficients = coefficients + bread @ (columns.T @ (weight * (score - expected)))
    return coefficients, bread, expected


def contestant_columns(votes: ProbeVotes) -> Floats:
    columns = np.zeros((votes.left.size, len(votes.contestants)))
    rows = np.arange(votes.left.size)
    columns[rows, votes.left], columns[rows, votes.right] = 1, -1
    return columns[:, 1:]


def quality(votes: ProbeVotes) -> Floats:
    """Z of each vote's left output minus that of the right one, vote by vote."""
    columns, weight = contestant_columns(votes), votes.weight
    expected = fit(columns, votes.people, weight)[2]
    residual, variance = votes.people - expected, expected * (1 - expected)

    def view(row: int, output: int) -> float:
        others = (votes.annotator != votes.annotator[row]) | (votes.annotator == -1)
        others[row] = False
        left, right = others & (votes.left_output == output), others & (votes.right_output == output)
        total = residual[left].sum() - residual[right].sum()
        return float(total / (variance[left].sum() + variance[right].sum() + 1))

    pairs = zip(votes.left_output.tolist(), votes.right_output.tolist(), strict=True)
    return np.array([view(row, left) - view(row, right) for row, (left, right) in enumerate(pairs)])


def test_the_effect_and_its_interval_equal_those_of_brute_force() -> None:
    """The value is a_J - kappa a_H, and at both ends of the interval the test of that effect is at its limit."""
    votes, style = World(prompts=12, votes=2, sizes="Pareto").draw(np.random.default_rng(2))
    votes = replace(votes, annotator=np.arange(votes.left.size, dtype=np.int32) % 5)
    columns = np.column_stack((contestant_columns(votes), style.values, quality(votes)))
    (people, bread_h, expected_h), (judge, bread_j, expected_j) = (
        fit(columns, score, votes.weight) for score in (votes.people, votes.judge)
    )

    result = style_effects(votes, style)

    kappa = judge[-1] / people[-1]
    effect = result.effects[0][1]
    assert known(result.sharpness.value) == pytest.approx(kappa, abs=1e-6)
    assert known(effect.value) == pytest.approx(judge[-2] - kappa * people[-2], abs=1e-6)

    def by_prompt(rows: Floats) -> Floats:
        return np.array([rows[votes.prompt == prompt].sum() for prompt in range(12)])

    axes = np.eye(people.size)
    along = [columns @ bread @ axes[at] for at in (-2, -1) for bread in (bread_h, bread_j)]
    errors = [votes.weight * (votes.people - expected_h), votes.weight * (votes.judge - expected_j)]
    a_h, a_j, b_h, b_j = (by_prompt(errors[i % 2] * x) for i, x in enumerate(along))
    slopes = (judge[-1], people[-1], judge[-2], people[-2])  # of -a_H, a_J, b_H and -b_J
    influence = -slopes[0] * a_h + slopes[1] * a_j + slopes[2] * b_h - slopes[3] * b_j
    leverage = by_prompt(
        votes.weight * expected_h * (1 - expected_h) * (slopes[0] * along[0] - slopes[2] * along[2]) ** 2
        + votes.weight * expected_j * (1 - expected_j) * (slopes[1] * along[1] - slopes[3] * along[3]) ** 2
    )
    share = leverage / leverage.sum()
    limit = stdtrit(1 / (share**2).sum() - 1, 0.975)
    for end in (known(effect.low), known(effect.high)):
        distance = judge[-2] * people[-1] - judge[-1] * people[-2] - end * people[-1]
        error = (((influence - end * b_h) ** 2) / (1 - share)).sum() ** 0.5
        assert abs(distance) / error == pytest.approx(limit, rel=1e-5)


def test_votes_of_one_annotator_do_not_show_what_people_see() -> None:
    """An annotator's own votes share that annotator's taste, so they say nothing about other people's view."""
    votes, style = World(prompts=20).draw(np.random.default_rng(1))
    alone = replace(votes, annotator=np.zeros(votes.left.size, dtype=np.int32))

    result = style_effects(alone, style)

    assert (result.z, result.sharpness.method, result.effects[0][1].value) == (None, NO_OTHERS, None)
    assert known(style_effects(votes, style).z) > 0


def test_weak_votes_allow_no_claim() -> None:
    """With one vote on each of a few comparisons, the probe does not know what people see, and gives the reason."""
    votes, style = World(prompts=20, mean_size=3).draw(np.random.default_rng(1))

    result = style_effects(votes, style)

    assert known(result.z) < 3
    assert result.effects[0][1].value is None
    assert result.effects[0][1].method.startswith("none: people's other votes on an output say too little")


def test_few_prompts_allow_no_claim() -> None:
    votes, style = World(prompts=4, mean_size=200, votes=3).draw(np.random.default_rng(1))

    assert style_effects(votes, style).effects[0][1].method == "none: 4 prompts, at least 5 are needed"
    assert family_effect(votes, [0]).method == "none: 4 prompts, at least 5 are needed"


def test_a_judge_that_repeats_people_has_no_effect() -> None:
    """If the judge says what people say, every effect is 0, and no prompt says otherwise."""
    votes, style = World().draw(np.random.default_rng(1))
    same = replace(votes, judge=votes.people)

    for effect in (style_effects(same, style).effects[0][1], family_effect(same, [0])):
        assert (effect.value, effect.method) == (0.0, ALIKE)


def test_a_family_needs_others_to_compare_by() -> None:
    """Two contestants do not show how sharp a judge is; nobody and everybody are no family."""
    votes, _ = World().draw(np.random.default_rng(1))
    rows = (votes.left == 0) & (votes.right == 5)
    two = replace(
        votes,
        contestants=("a", "f"),
        left=votes.left[rows],
        right=votes.right[rows] - 4,
        left_output=votes.left_output[rows],
        right_output=votes.right_output[rows],
        comparison=np.arange(int(rows.sum()), dtype=np.int32),
        annotator=votes.annotator[rows],
        prompt=votes.prompt[rows],
        people=votes.people[rows],
        judge=votes.judge[rows],
    )

    assert family_effect(two, [0]).method.startswith(
        "none: people see too little difference among the other contestants"
    )
    for family in ((), tuple(range(6))):
        with pytest.raises(StatisticsError, match="some of the contestants"):
            family_effect(votes, family)


def test_a_judge_that_prefers_one_contestant_every_time_has_no_finite_strengths() -> None:
    votes, _ = World().draw(np.random.default_rng(1))

    with pytest.raises(Disconnected):
        family_effect(replace(votes, judge=np.where(votes.left == 0, 1.0, votes.judge)), [0])


def test_a_judge_that_favors_a_family_is_off_the_line_of_the_others() -> None:
    """The effect has the family's sign, and both members count."""
    for own in (-1.0, 1.0):
        votes, _ = World(own=own, family=(0, 3), votes=3).draw(np.random.default_rng(4))
        effect = family_effect(votes, (0, 3))
        assert known(effect.low if own > 0 else effect.high) * own > 0


def test_a_covariate_in_other_units_changes_only_its_own_effect() -> None:
    votes, style = World(prompts=30).draw(np.random.default_rng(3))
    second = np.random.default_rng(4).standard_normal((votes.left.size, 1))
    both = Covariates(("length", "bold"), np.column_stack((style.values, second)))

    plain = dict(style_effects(votes, both).effects)
    scaled = dict(style_effects(votes, replace(both, values=both.values * [10, 1])).effects)

    assert known(plain["length"].value) == pytest.approx(10 * known(scaled["length"].value), abs=1e-7)
    assert known(plain["bold"].low) == pytest.approx(known(scaled["bold"].low), abs=1e-7)


@pytest.mark.parametrize(
    ("world", "probe", "replicates"),
    [
        (World(), LENGTH, 120),
        (World(prompts=40, votes=3, sizes="Pareto", mean_size=8), LENGTH, 120),
        (World(sharpness=4.0, sizes="log-normal"), FAMILY, 250),
        (World(sharpness=1.5, family=(5,)), FAMILY, 250),
    ],
)
def test_a_probe_is_silent_where_there_is_no_bias(world: World, probe: str, replicates: int) -> None:
    """Where length goes with quality, or the judge is merely sharper, about 5 % of intervals leave out 0."""
    estimates = tally(world, probe, replicates)

    assert len(estimates.printed) > 0.8 * replicates
    assert estimates.significant < 0.05 + 2.5 * (0.05 * 0.95 / len(estimates.printed)) ** 0.5


@pytest.mark.parametrize(
    ("world", "probe", "power"),
    [
        (World(length=0.5, correlation=0.0), LENGTH, 0.85),
        (World(length=0.5, votes=3), LENGTH, 0.85),
        (World(own=0.5, votes=3, family=(2,)), FAMILY, 0.6),
    ],
)
def test_a_probe_detects_a_bias(world: World, probe: str, power: float) -> None:
    assert tally(world, probe, 40).significant >= power


def test_the_alternative_annotator_test_holds_by_prompt() -> None:
    """At the boundary of its hypothesis it rejects in about 5 %; with items as independent, far more often."""
    for sizes, prompts, mean_size in SHAPES:
        p = np.array([boundary_p_values(np.random.default_rng([7, n]), sizes, prompts, mean_size) for n in range(300)])
        by_prompt, independent = (p < 0.05).mean(axis=0).tolist()
        assert by_prompt < 0.085
        assert independent > 0.1


def test_a_mean_over_equal_clusters_has_their_variance() -> None:
    """For equal clusters, variance and degrees of freedom are those of the cluster means."""
    values = np.random.default_rng(5).standard_normal((7, 4))

    mean = linearized_mean(values.ravel(), np.repeat(np.arange(7, dtype=np.int32), 4))

    assert mean.variance == pytest.approx(values.mean(axis=1).var(ddof=1) / 7)
    assert mean.freedom == pytest.approx(6.0)
    assert mean.clusters == 7
