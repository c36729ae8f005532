"""The agreement report over the wire: a judge and people on the same comparisons, and rejected options."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import outcome_pb2
from judge.api.v1.leaderboard_pb2 import INFERENCE_ANNOTATORS, INFERENCE_PROMPTS_AND_ANNOTATORS
from judge.api.v1.outcome_pb2 import INTERVAL_METHOD_BOOTSTRAP, INTERVAL_METHOD_BOOTSTRAP_T
from judge.app.local import running
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import settings

NAMES = ("able", "base", "calm", "dull")
OUTCOMES = (outcome_pb2.OUTCOME_LEFT, outcome_pb2.OUTCOME_RIGHT, outcome_pb2.OUTCOME_TIE)
PROMPTS, PEOPLE = 40, ("ann", "bob", "cat")


@pytest.fixture
async def service(client: JudgeClient) -> JudgeClient:
    """A service with three people's votes on all pairs of 40 prompts of two categories, and an equally good judge."""
    rng = np.random.default_rng(11)
    strength = dict(zip(NAMES, (1.0, 0.4, -0.2, -1.2), strict=True))
    await client.create_dataset("d")
    prompts = [
        ds.Prompt(prompt_id=f"p{n}", turns=["question"], category="code" if n % 2 else "prose") for n in range(PROMPTS)
    ]
    await client.upload_prompts("d", prompts)
    outputs = [ds.Output(prompt_id=f"p{n}", contestant=name, turns=["text"]) for n in range(PROMPTS) for name in NAMES]
    await client.upload_outputs("d", outputs)
    labels: list[ds.Label] = []
    verdicts: list[ds.ImportedVerdict] = []
    for prompt in range(PROMPTS):
        for i, left in enumerate(NAMES):
            for right in NAMES[i + 1 :]:
                chance = 1 / (1 + math.exp(strength[right] - strength[left]))
                truth_code = int(rng.choice(3, p=[chance * 0.8, (1 - chance) * 0.8, 0.2]))

                def draw_outcome(truth: int = truth_code) -> outcome_pb2.Outcome.ValueType:
                    return OUTCOMES[truth if rng.random() < 0.7 else int(rng.integers(3))]

                labels.extend(
                    ds.Label(
                        label_id=f"{prompt}-{left}-{right}-{name}",
                        prompt_id=f"p{prompt}",
                        turn=1,
                        left=left,
                        right=right,
                        outcome=draw_outcome(),
                        annotator=name,
                        kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
                    )
                    for name in PEOPLE
                )
                verdict = ds.ImportedVerdict(
                    prompt_id=f"p{prompt}", left=left, right=right, order=outcome_pb2.ORDER_LEFT_FIRST, judge="good"
                )
                if prompt == 0:
                    verdict.status = outcome_pb2.VERDICT_STATUS_UNREADABLE
                else:
                    verdict.outcome = draw_outcome()
                verdicts.append(verdict)
    await client.upload_labels("d", labels, source="people")
    await client.upload_verdicts("d", verdicts)
    return client


async def test_a_judge_compared_with_people(service: JudgeClient) -> None:
    """A judge as good as people agrees as much as they do: the interval of the difference contains 0."""
    report = await service.agreement("d", "judge:good", "people", pb.AgreementOptions(by_category=True))

    parts = [(row.slice.category, row.ties) for row in report.ceilings]
    assert parts == [(part, ties) for part in ("", "code", "prose") for ties in (pb.TIES_WITH, pb.TIES_WITHOUT)]
    whole = report.ceilings[0]
    assert (whole.comparisons, whole.votes) == (39 * 6, 39 * 6 * 3)
    for beside in (whole.rate, whole.alpha):
        assert beside.difference.value == pytest.approx(beside.source.value - beside.target.value, abs=1e-8)
        assert beside.difference.interval.low < 0 < beside.difference.interval.high
    figure = report.figures[0]
    assert figure.alpha_interval.low < figure.alpha < figure.alpha_interval.high
    assert figure.alpha_ordinal > figure.alpha
    assert 0 < figure.macro_f1 < 1
    # Every prompt has as many votes, so each counts once anyway.
    assert figure.rate_by_prompt.value == pytest.approx(figure.rate)
    assert (figure.rate_by_prompt.n, figure.rate_by_prompt.prompts) == (39, 39)


async def test_a_judge_may_replace_annotators(service: JudgeClient) -> None:
    report = await service.agreement("d", "judge:good", "people")
    test = report.alternative_annotator

    assert [row.annotator for row in test.annotators] == list(PEOPLE)
    assert all(row.n == 39 * 6 for row in test.annotators)
    assert test.answer == "passes"
    assert test.winning_rate == 1.0
    assert test.parity_passes > 0.9
    few = await service.agreement("d", "judge:good", "people", pb.AgreementOptions(least_items=1000))
    assert few.alternative_annotator.answer == "cannot tell"
    assert list(few.alternative_annotator.left_out) == list(PEOPLE)


async def test_the_rankings_of_judge_and_people_are_compared(service: JudgeClient) -> None:
    report = await service.agreement("d", "judge:good", "people")

    orders = report.rank_agreement
    assert orders.spearman.value > 0.5
    assert not orders.spearman.interval.HasField("low")
    assert 0.8 < orders.source_reliability < 1
    assert 0.8 < orders.target_reliability < 1
    assert orders.pearson.value > 0.9
    assert orders.least_squares_slope == pytest.approx(orders.slope.value, abs=0.1)
    assert orders.slope.interval.low < orders.slope.value < orders.slope.interval.high
    assert sorted(row.contestant for row in orders.residuals) == list(NAMES)
    kept = [row for row in report.gaps if row.ties == pb.TIES_WITH]
    assert sum(row.rate.n for row in kept) == 39 * 6 * 3
    assert [row.low for row in kept] == sorted(row.low for row in kept)


async def test_bootstraps_and_unreadable_verdicts(service: JudgeClient) -> None:
    """The same seed gives the same bytes; unreadable verdicts are left out, or count as ties on request."""
    options = pb.AgreementOptions(intervals=INTERVAL_METHOD_BOOTSTRAP, replicates=200, unreadable_as_tie=True)
    first, second = [await service.agreement("d", "judge:good", "people", options) for _ in range(2)]
    plain = await service.agreement("d", "judge:good", "people")

    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)
    assert first.figures[0].interval_method == "bootstrap-se-t"
    assert (first.figures[0].n, plain.figures[0].n) == (40 * 6 * 3, 39 * 6 * 3)


async def test_figures_that_do_not_apply_are_left_out_with_a_note(service: JudgeClient) -> None:
    """A plurality has no ceiling and no alternative annotator test; people alone have no second leaderboard."""
    merged = await service.agreement("d", "judge:good", "people@plurality")
    alone = await service.agreement("d", "people")

    for report in (merged, alone):
        assert not report.ceilings
        assert not report.HasField("alternative_annotator")
    assert merged.HasField("rank_agreement")
    assert not alone.HasField("rank_agreement")
    options = pb.AgreementOptions(slice=outcome_pb2.Slice(left="able", right="base"))
    pair = await service.agreement("d", "judge:good", "people", options)
    assert NO_CEILING in merged.notes
    assert list(pair.notes) == ["The two leaderboards are not compared: the sources have 2 contestants in common."]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            pb.AgreementOptions(intervals=INTERVAL_METHOD_BOOTSTRAP_T),
            "intervals must be one of sandwich, bootstrap, percentile, not bootstrap-t",
        ),
        (pb.AgreementOptions(intervals=INTERVAL_METHOD_BOOTSTRAP, replicates=1), "replicates must be from 2"),
        (pb.AgreementOptions(epsilon=2), "epsilon must be between 0 and 1"),
        (pb.AgreementOptions(q=1), "q must be between 0 and 1"),
        (pb.AgreementOptions(least_items=1), "least_items must be 2 or more"),
    ],
)
async def test_invalid_agreement_options_are_rejected(
    service: JudgeClient, options: pb.AgreementOptions, sentence: str
) -> None:
    with pytest.raises(JudgeClientError, match=sentence):
        await service.agreement("d", "judge:good", "people", options)


async def test_disagreements_come_with_texts_verdicts_and_labels(service: JudgeClient) -> None:
    """Disagreements are listed by votes against the judge, with texts, verdicts and labels, each on one page only."""
    rows = [row async for row in service.list_disagreements("d", "judge:good", "people", page_size=7)]
    again = [row async for row in service.list_disagreements("d", "judge:good", "people")]

    assert [row.presentation for row in rows] == [row.presentation for row in again]
    assert len({row.presentation.SerializeToString() for row in rows}) == len(rows) > 20
    informative = [row.informative for row in rows]
    assert informative == sorted(informative, reverse=True)
    first = rows[0]
    assert (max(first.votes), sum(first.votes), informative[0]) == (3, 3, 3.0)
    assert first.source_outcome != first.target_outcome
    assert (list(first.prompt), list(first.left), list(first.right)) == (["question"], ["text"], ["text"])
    assert [label.annotator for label in first.labels] == list(PEOPLE)
    assert [verdict.judge for verdict in first.verdicts] == ["judges/good"]


async def test_disagreements_are_filtered(service: JudgeClient) -> None:
    part = outcome_pb2.Slice(category="code", left="able")
    rows = [row async for row in service.list_disagreements("d", "judge:good", "people", part)]

    assert rows
    assert all(row.category == "code" and "able" in (row.presentation.left, row.presentation.right) for row in rows)
    with_four_votes = [row async for row in service.list_disagreements("d", "judge:good", "people", least_votes=4)]
    assert not with_four_votes
    with pytest.raises(JudgeClientError, match="has several votes on a comparison"):
        _ = [row async for row in service.list_disagreements("d", "people", "judge:good")]
    with pytest.raises(JudgeClientError, match="least_votes cannot be negative"):
        _ = [row async for row in service.list_disagreements("d", "judge:good", "people", least_votes=-1)]


async def test_biases_of_a_judge_are_measured_against_people(service: JudgeClient) -> None:
    """The report shows both biases of a judge that prefers longer texts and one contestant; a fair judge shows none."""
    rng = np.random.default_rng(3)
    outputs, verdicts = [], []
    for prompt in range(PROMPTS):
        length = {name: int(rng.integers(5, 200)) for name in NAMES}
        for name in NAMES:
            text = "word " * length[name]
            outputs.append(ds.Output(prompt_id=f"p{prompt}", contestant=name, turns=[text], sample=1))
            outputs.append(ds.Output(prompt_id=f"p{prompt}", contestant=name, turns=[text]))
        for i, left in enumerate(NAMES):
            for right in NAMES[i + 1 :]:
                own = 2.0 * ((left == "dull") - (right == "dull"))
                odds = 1.5 * math.log(length[left] / length[right]) + own
                outcome = OUTCOMES[int(rng.random() > 1 / (1 + math.exp(-odds)))]
                verdicts.append(
                    ds.ImportedVerdict(
                        prompt_id=f"p{prompt}",
                        left=left,
                        right=right,
                        order=outcome_pb2.ORDER_LEFT_FIRST,
                        judge="wordy",
                        outcome=outcome,
                    )
                )
    await service.upload_outputs("d", outputs, replace=True)
    await service.upload_verdicts("d", verdicts)
    options = pb.AgreementOptions(bias=True, family=["dull"])

    wordy = (await service.agreement("d", "judge:wordy", "people", options)).bias
    good = (await service.agreement("d", "judge:good", "people", options)).bias

    effects = {row.name: row for row in wordy.effects}
    assert list(effects) == ["length"]
    assert effects["length"].interval.low > 0.5
    assert wordy.sharpness.interval.low < 0 < wordy.sharpness.interval.high
    assert "headers, lists, bold, code differ on too few prompts" in wordy.reason
    assert wordy.self_preference.interval.low > 0
    plain = {row.name: row for row in good.effects}
    assert good.sharpness.interval.low > 0
    assert good.other_votes_z > 3
    assert plain["length"].interval.low < 0 < plain["length"].interval.high
    assert good.self_preference.interval.low < 0 < good.self_preference.interval.high
    with pytest.raises(JudgeClientError, match="no comparison has the contestant 'nobody'"):
        await service.agreement("d", "judge:good", "people", pb.AgreementOptions(bias=True, family=["nobody"]))
    with pytest.raises(JudgeClientError, match="a family goes with bias"):
        await service.agreement("d", "judge:good", "people", pb.AgreementOptions(family=["dull"]))
    with pytest.raises(JudgeClientError, match="bias is measured against a target"):
        await service.agreement("d", "people", "", pb.AgreementOptions(bias=True))


def labels(**codes_by_annotator: list[int]) -> list[ds.Label]:
    """Return labels from outcome codes by annotator: one code per prompt, -1 for no label."""
    return [
        ds.Label(
            label_id=f"{name}-{n}",
            prompt_id=f"p{n}",
            turn=1,
            left="a",
            right="b",
            outcome=OUTCOMES[code],
            annotator=name,
            kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
        )
        for name, codes in codes_by_annotator.items()
        for n, code in enumerate(codes)
        if code >= 0
    ]


async def test_a_judges_family_may_be_configured() -> None:
    """A family is configured by the name of a judge or annotator; a request may override it; others are ignored."""
    made = settings().model_copy(update={"families": {"mine": ("a", "stranger"), "other": ("stranger",)}})
    options = [pb.AgreementOptions(bias=True, family=family) for family in ((), ("b",))]
    async with running(made, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
        await client.create_dataset("d")
        await client.upload_labels("d", round_robin(mine="a", other="", people=""), source="people")
        own, named = [(await client.agreement("d", "labels:mine", "labels:people", choice)).bias for choice in options]
        other = (await client.agreement("d", "labels:other", "labels:people", options[0])).bias

    assert own.self_preference.interval.low > 0.05
    assert own.self_preference.n == 60
    assert named.self_preference.value < 0
    assert not other.HasField("self_preference")
    assert (own.comparisons, own.prompts) == (120, 20)


async def test_a_probe_that_cannot_tell_says_why() -> None:
    """With two contestants, nothing shows how sharp a judge is, so its preference for one of them means nothing."""
    made = settings().model_copy(update={"families": {"mine": ("a",)}})
    rows = labels(mine=[0, 0, 0, 1] * 10, people=[0, 1] * 20)
    async with running(made, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
        await client.create_dataset("d")
        await client.upload_labels("d", rows, source="people")
        swayed = (await client.agreement("d", "labels:mine", "labels:people", pb.AgreementOptions(bias=True))).bias

    assert not swayed.self_preference.HasField("value")
    assert swayed.self_preference.interval_method.startswith(
        "none: people see too little difference among the other contestants"
    )


def round_robin(**favorites: str) -> list[ds.Label]:
    """Return labels of all pairs of four contestants on 20 prompts: of people alike, but for each one's favorite."""
    rng = np.random.default_rng(8)
    strength = dict(zip("abcd", (0.0, 1.0, 0.0, -1.0), strict=True))
    return [
        ds.Label(
            label_id=f"{name}-{prompt}-{left}{right}",
            prompt_id=f"p{prompt}",
            turn=1,
            left=left,
            right=right,
            outcome=OUTCOMES[
                int(
                    rng.random()
                    > 1
                    / (
                        1
                        + math.exp(strength[right] - strength[left] - 2.0 * ((left == favorite) - (right == favorite)))
                    )
                )
            ],
            annotator=name,
            kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
        )
        for name, favorite in favorites.items()
        for prompt in range(20)
        for left, right in combinations("abcd", 2)
    ]


def numbers(message: Message) -> Iterator[tuple[str, float]]:
    """Yield every double in a message and its submessages, with the name of its field."""
    for field, value in message.ListFields():
        for item in value if field.is_repeated else [value]:
            if field.message_type is not None and not field.message_type.GetOptions().map_entry:
                yield from numbers(item)
            elif field.type == field.TYPE_DOUBLE:
                yield field.name, item


NO_PAIR = "There is no pair of votes on the same comparison."
SAME_VALUE = "Kappa is not determined: all votes are the same, so chance alone would always agree."
NO_CEILING = "No ceiling: no comparison has votes of two of the target's annotators and an outcome of the source."
ITSELF = "Both sides are labels:x, so each vote is compared with itself, which means nothing; leave the target out."


@pytest.mark.parametrize(
    ("codes_by_annotator", "source", "target", "phrases"),
    [
        ({"x": [0, -1], "y": [-1, 0]}, "labels:x", "labels:y", (NO_PAIR, NO_CEILING, "No cascade: the sources have")),
        ({"x": [0, 1, 2]}, "people", "", (NO_PAIR, "people has one annotator, so there is nobody to compare with.")),
        ({"x": [0, 1, 2], "j": [0, 1, 1]}, "labels:j", "people", ("2 contestants in common",)),
        ({"x": [2] * 9, "y": [2] * 9}, "labels:x", "labels:y", (SAME_VALUE, "without a tie on the same comparison")),
        ({"x": [0] * 9, "y": [0] * 9}, "labels:x", "labels:y", (SAME_VALUE, "so its cascade has one step")),
        ({"x": [0, 1, 2] * 3}, "labels:x", "labels:x", (ITSELF,)),
        ({"x": [0, 1], "y": [0, 0], "z": [1, 1]}, "labels:x", "labels:[yz]", ("2 contestants in common",)),
        ({"x": [0, 1], "y": [0, 0]}, "people", "labels:*", ("@plurality to make them one",)),
    ],
)
async def test_a_figure_that_cannot_be_computed_says_why(
    client: JudgeClient, codes_by_annotator: dict[str, list[int]], source: str, target: str, phrases: tuple[str, ...]
) -> None:
    """A figure that cannot be computed has a reason, and no figure is NaN."""
    options = pb.AgreementOptions(orientation=pb.ORIENTATION_SORTED, cascade_target=0.8, by_pair=True)
    report = await client.measure_agreement(labels(**codes_by_annotator), source, target, options)

    texts = [*(figure.reason for figure in report.figures), *report.notes]
    assert [phrase for phrase in phrases if not any(phrase in text for text in texts)] == []
    assert all(figure.HasField("rate") or figure.reason for figure in report.figures)
    assert [name for name, value in numbers(report) if not math.isfinite(value) and name != "high"] == []


async def test_one_annotator_twice_is_not_two_who_agree(client: JudgeClient) -> None:
    """Case: x labels every comparison twice, y once and otherwise; x agrees with itself and never with y."""
    rows = labels(x=[0] * 12, y=[1] * 12)
    rows += [
        ds.Label(**{f.name: v for f, v in row.ListFields()} | {"label_id": f"{row.label_id}-2"}) for row in rows[:12]
    ]

    both = await client.measure_agreement(rows, "people")
    alone = await client.measure_agreement([row for row in rows if row.annotator == "x"], "people")
    beside = await client.measure_agreement(rows, "labels:y", "people")
    by_votes = await client.measure_agreement(rows, "people", "", pb.AgreementOptions(weighting=pb.WEIGHTING_VOTES))

    assert (both.figures[0].agree, both.figures[0].n, both.figures[0].rate) == (0, 12, 0)
    assert (both.source_intra_annotator.value, both.source_intra_annotator.n) == (1, 12)
    assert not alone.figures[0].HasField("rate")
    assert "people has one annotator, so there is nobody to compare with." in alone.notes
    # y is not compared with itself.
    assert (beside.figures[0].agree, beside.figures[0].n, beside.target_only) == (0, 12, 0)
    assert (by_votes.figures[0].agree, by_votes.figures[0].n) == (12, 36)


async def test_outcomes_of_each_add_up_to_what_is_counted(client: JudgeClient) -> None:
    """Case: x votes for either side of five comparisons, and counts once on each, half for either outcome."""
    rows = labels(j=[0] * 5, x=[0] * 5)
    other = [{f.name: v for f, v in row.ListFields()} for row in rows if row.annotator == "x"]
    rows += [
        ds.Label(**row | {"label_id": f"{row['label_id']}-2", "outcome": outcome_pb2.OUTCOME_TIE}) for row in other
    ]
    figure = (await client.measure_agreement(rows, "labels:j", "labels:x")).figures[0]

    assert (figure.n, sum(figure.confusion), sorted(figure.confusion)[-2:]) == (5, 5, [2.5, 2.5])


async def test_intervals_for_new_annotators_are_wider(client: JudgeClient) -> None:
    """Half of six annotators always agree with the judge and half never: another six could be quite different."""
    names = {f"a{n}": [n % 2] * 40 for n in range(6)}
    rows = labels(j=[0] * 40, **names)
    chosen = pb.AgreementOptions(inference=INFERENCE_PROMPTS_AND_ANNOTATORS)

    wide = await client.measure_agreement(rows, "labels:j", "labels:a*", chosen)
    few = await client.measure_agreement(rows, "labels:j", "labels:a[0-3]", chosen)

    figure = wide.figures[0]
    assert (figure.rate, figure.interval_method) == (0.5, "two-way-jackknife-korn-graubard")
    # Six means of 0 or 1 have the standard error 0.224, so the share is worth 5 votes.
    assert (figure.interval.low, figure.interval.high) == pytest.approx((0.036, 0.964), abs=0.001)
    assert wide.ceilings[0].rate.difference.interval.high > wide.ceilings[0].rate.difference.value
    assert few.figures[0].interval_method == "none: 4 annotators with a name, at least 5 are needed"
    for wrong, sentence in (
        ({"inference": INFERENCE_ANNOTATORS}, "inference must be one of new-prompts, prompts-and-annotators"),
        ({"intervals": INTERVAL_METHOD_BOOTSTRAP}, "intervals bootstrap resample prompts alone"),
    ):
        options = pb.AgreementOptions(inference=INFERENCE_PROMPTS_AND_ANNOTATORS)
        options.MergeFrom(pb.AgreementOptions(**wrong))
        with pytest.raises(JudgeClientError, match=sentence):
            await client.measure_agreement(rows, "labels:j", "labels:a*", options)


async def test_the_weighting_of_judge_and_people_may_be_named(client: JudgeClient) -> None:
    """Each comparison counts once by default, and each vote as published on request."""
    rows = labels(j=[0] * 24, a=[0] * 24, b=[0] * 24, c=[-1, 1] * 12, d=[-1, 1] * 12)
    options = [pb.AgreementOptions(weighting=weighting) for weighting in pb.Weighting.values()]
    default, comparisons, votes = [
        await client.measure_agreement(rows, "labels:j", "labels:[a-d]", choice) for choice in options
    ]

    differences = [report.ceilings[0].rate.difference.value for report in (default, comparisons, votes)]
    assert differences == [pytest.approx(1 / 12), pytest.approx(1 / 12), pytest.approx(2 / 3 - 3 / 7)]
    assert [report.ceilings[0].weighting for report in (default, votes)] == [
        pb.WEIGHTING_COMPARISONS,
        pb.WEIGHTING_VOTES,
    ]
    figures = [report.figures[0] for report in (default, comparisons, votes)]
    assert [figure.n for figure in figures] == [72, 24, 72]
    assert [figure.rate for figure in figures] == pytest.approx([2 / 3, 0.75, 2 / 3])


def columns(rows: list[ds.Label]) -> ds.LabelColumns:
    """Return the same labels as columns."""
    names = sorted({name for row in rows for name in (row.prompt_id, row.left, row.right, row.annotator)})
    at = {name: number for number, name in enumerate(names)}
    return ds.LabelColumns(
        names=names,
        kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
        left=[at[row.left] for row in rows],
        right=[at[row.right] for row in rows],
        prompt=[at[row.prompt_id] for row in rows],
        annotator=[at[row.annotator] for row in rows],
        turn=[row.turn for row in rows],
        outcome=[row.outcome for row in rows],
    )


def random_labels(rng: np.random.Generator, n: int) -> list[ds.Label]:
    """Return labels by four people in both orientations, with some comparisons labeled twice by the same person."""
    labels = []
    for row in range(n):
        left, right = rng.permutation(list(NAMES))[:2]
        labels.append(
            ds.Label(
                label_id=str(row),
                prompt_id=f"p{rng.integers(8)}",
                turn=int(rng.integers(3)),
                left=str(left),
                right=str(right),
                outcome=OUTCOMES[int(rng.integers(3))],
                annotator=f"person-{rng.integers(4)}",
                kind=outcome_pb2.ANNOTATOR_KIND_HUMAN,
            )
        )
    return labels


@pytest.mark.parametrize("target", ["", "people", "labels:person-1@plurality", "labels:person-[23]@majority"])
async def test_labels_streamed_as_columns_give_the_same_report_as_rows(client: JudgeClient, target: str) -> None:
    rows = random_labels(np.random.default_rng(8), 500)
    options = pb.AgreementOptions(by_turn=True, by_pair=True, by_annotator=True)
    from_rows = await client.measure_agreement(rows, "labels:person-*", target, options)
    from_columns = await client.measure_agreement(columns(rows), "labels:person-*", target, options)

    assert from_rows.figures[0].n > 100
    assert len(from_rows.figures) >= 18
    assert from_rows == from_columns


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"left": [0, -1]}, "row 1 of columns has a code that is not an index of names"),
        ({"prompt": [0, 99]}, "row 1 of columns has a code that is not an index of names"),
        ({"right": [0]}, "columns.right is not as long as columns.outcome"),
        ({"turn": [1]}, "columns.turn is not as long as columns.outcome"),
        ({"turn": [1, -2]}, "turn -2 is negative"),
        ({"outcome": [1, 0]}, "outcome"),
        ({"outcome": [1, 9]}, "outcome"),
        ({"left": [0, 1], "right": [1, 1]}, "is compared with itself"),
        ({"kind": 0}, "kind"),
        ({"names": ["a", "b", "", "d"]}, "is empty"),
    ],
)
async def test_a_wrong_column_is_named(client: JudgeClient, wrong: dict[str, Any], sentence: str) -> None:
    valid: dict[str, Any] = {
        "left": [0, 0],
        "right": [1, 1],
        "prompt": [2, 2],
        "annotator": [3, 3],
        "turn": [1, 1],
        "outcome": [1, 2],
    }
    columns_message = ds.LabelColumns(**{"names": ["a", "b", "p", "ann"], "kind": 1, **valid, **wrong})
    with pytest.raises(JudgeClientError, match=sentence):
        await client.measure_agreement(columns_message, "labels:*")
