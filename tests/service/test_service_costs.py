"""What a run costs at a provider that bills oddly, and what an estimate and a budget make of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from judge.api.v1 import run_service_pb2 as pb
from judge.app.local import running
from judge.cli.tables import print_estimate
from judge.config.settings import JudgeSettings
from judge_client import JudgeClient
from support.demo_data import settings, upload_demo
from support.loopback import serving

PILOT = pb.RunSpec(dataset="datasets/demo", judges=["judges/far"], pairing=pb.Pairing(prompts=1))
WHOLE = pb.RunSpec(dataset="datasets/demo", judges=["judges/far"])
USED = {"prompt_tokens": 100, "completion_tokens": 10}
"""Costs 280 micro-USD."""
WIDTH = 4


class Meter:
    """Answers each call with `[[A]]`, and with the usage of a list in turn. Counts what it billed."""

    def __init__(self, *usages: Mapping[str, Any] | None) -> None:
        self.usages = usages
        self.calls = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        usage = self.usages[self.calls % len(self.usages)]
        self.calls += 1
        message = {"role": "assistant", "content": "[[A]]"}
        return web.json_response({"choices": [{"message": message, "finish_reason": "stop"}], "usage": usage})


@asynccontextmanager
async def service(meter: Meter, **changes: Any) -> AsyncIterator[JudgeClient]:  # noqa: ANN401  # a judge's settings
    """Run a service whose judge `far` calls *meter*, with the demo's answers as a dataset, and yield a client."""
    async with serving(meter.handle) as url:
        far = {"backend": "openai", "model": "m", "base_url": url, "rubric": "brackets", "concurrency": WIDTH}
        far |= {"price": {"input": 2.0, "output": 8.0}, "max_output_tokens": 64, **changes}
        made = settings(far=JudgeSettings.model_validate(far))
        async with running(made, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            await upload_demo(client)
            yield client


def with_budget(spec: pb.RunSpec, usd: float, *, hard: bool = False) -> pb.RunSpec:
    """Return *spec* with a budget in USD."""
    changed = pb.RunSpec()
    changed.CopyFrom(spec)
    changed.budget.CopyFrom(pb.Budget(cost_micros=round(usd * 1e6), hard=hard))
    return changed


@pytest.mark.parametrize(
    ("usage", "each", "words"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 6400}, 51_400, "6,400 output tokens where at most 64 were asked"),
        ({"prompt_tokens": 10**5, "completion_tokens": 10}, 200_080, "100,000 input tokens where at most"),
        ({**USED, "cost": 0.05}, 50_000, "$0.0500 where its tokens cost at most $0.0"),
    ],
)
async def test_a_hard_budget_is_exceeded_by_the_calls_in_flight_at_most(
    usage: Mapping[str, Any], each: int, words: str
) -> None:
    """Once a bill above the maximum is booked, calls reserve as much more. The run says what was billed, once."""
    meter = Meter(usage)
    async with service(meter) as client:
        run = await client.wait_run((await client.create_run(with_budget(WHOLE, 0.3, hard=True))).name)
        resumed = await client.wait_run((await client.resume_run(run.name)).name)

    assert (run.state_reason, run.cost_micros) == ("BUDGET_STOPPED", meter.calls * each)
    assert run.cost_micros <= 300_000 + WIDTH * each
    assert (resumed.counts.calls, resumed.cost_micros) == (run.counts.calls, run.cost_micros)
    assert resumed.state_message.count("the provider billed") == 1
    assert f"is spent. Judge 'far': the provider billed more than a call can cost: {words}" in run.state_message


async def test_what_a_provider_says_that_calls_cost_is_what_they_cost() -> None:
    """If it is more than the price of their tokens, or if the judge has no price."""
    costs = []
    for stated, changes in ((0.0004, {}), (0.0001, {}), (0.0001, {"price": None})):
        async with service(Meter({**USED, "cost": stated}), **changes) as client:
            run = await client.wait_run((await client.create_run(PILOT)).name)
        costs.append((run.cost_micros / run.counts.calls, run.spending[0].uncounted))

    assert costs == [(400, 0), (280, 0), (100, 0)]


async def test_more_cached_input_than_input_is_no_discount() -> None:
    """Such usage is impossible, so each call counts at its maximum and is said to be uncounted."""
    impossible = {**USED, "prompt_tokens_details": {"cached_tokens": 10**6}}
    async with service(Meter(impossible), price={"input": 2.0, "output": 8.0, "cached_input": 0.2}) as client:
        run = await client.wait_run((await client.create_run(PILOT)).name)

    assert run.spending[0].uncounted == run.counts.calls
    assert run.cost_micros > 280 * run.counts.calls


async def test_settling_replaces_what_the_run_said_about_its_budget() -> None:
    """It no longer says "at most", and amounts below 0.0001 USD keep their digits."""
    async with service(Meter(None)) as client:
        stopped = await client.wait_run((await client.create_run(with_budget(WHOLE, 0.1))).name)
        settled = await client.set_run_cost(stopped.name, 23)
        resumed = await client.resume_run(stopped.name, pb.Budget(cost_micros=12))
        again = await client.wait_run(resumed.name)

    done = f"with {stopped.counts.calls} of 960 presentations judged"
    go_on = f"; to go on: `judge resume {stopped.name.removeprefix('runs/')} --budget-usd USD`, the new total including"
    assert stopped.state_message.startswith("stopped after at most $0.0")
    assert f"{done}{go_on}" in stopped.state_message
    assert settled.state_message.startswith(f"stopped at $0.000023 of $0.1000 {done}; to go on: `judge resume ")
    assert settled.state_message.endswith("`, with --budget-usd USD, a new total, if that leaves too little")
    spent = "nothing more was called: the run has already cost $0.000023, more than its budget of $0.000012"
    assert again.state_message.startswith(f"{spent}, {done}{go_on}")


async def test_uncounted_replies_are_not_in_the_mean_of_an_estimate(capsys: pytest.CaptureFixture[str]) -> None:
    """The mean is that of the counted ones, the range is what is possible, and the budget pays the maximum."""
    async with service(Meter(USED, None)) as client:
        pilot = await client.wait_run((await client.create_run(PILOT)).name)
        half = pilot.counts.calls // 2
        estimate = await client.estimate_run(with_budget(WHOLE, 0.6))
        print_estimate(estimate)
        run = await client.wait_run((await client.create_run(with_budget(WHOLE, 0.6))).name)

    row, reach = estimate.judges[0], estimate.reach
    assert (row.pilot, row.uncounted, row.exceeds_maximum) == (half, half, False)
    assert row.cost_micros == 280 * row.calls
    assert (row.cost_interval.low, row.cost_interval.high) == (row.cost_micros, row.most_micros)
    assert reach.at_worst < reach.expected < reach.planned
    assert run.counts.by_status["ok"] == pytest.approx(reach.expected, rel=0.1)
    printed = " ".join(capsys.readouterr().out.split())
    assert f"estimated from {half} of {2 * half} stored replies, because the provider did not count" in printed
    assert "each call costs between the mean of the counted replies and its maximum" in printed
    assert f"enough for {reach.expected:,} of {reach.planned:,}" in printed


async def test_an_estimate_from_uncounted_replies_alone_is_not_0(capsys: pytest.CaptureFixture[str]) -> None:
    """It is made from characters, and a budget that covers only the likely cost is not called enough."""
    async with service(Meter(None)) as client:
        pilot = await client.wait_run((await client.create_run(PILOT)).name)
        likely = (await client.estimate_run(WHOLE)).cost_micros
        estimate = await client.estimate_run(with_budget(WHOLE, 1.1 * likely / 1e6))
        print_estimate(estimate)

    row = estimate.judges[0]
    assert (row.pilot, row.uncounted) == (0, pilot.counts.calls)
    assert 0 < row.cost_interval.low < row.cost_micros < row.cost_interval.high == row.most_micros
    assert estimate.reach.expected < estimate.reach.planned
    assert "charged to a budget at its maximum" in " ".join(capsys.readouterr().out.split())


async def test_a_maximum_that_replies_exceeded_is_not_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    """A budget below the expected cost is never called enough, and the estimate says that its maximum is none."""
    dear = {"prompt_tokens": 100, "completion_tokens": 6400}
    async with service(Meter(dear)) as client:
        await client.wait_run((await client.create_run(PILOT)).name)
        short, long = [await client.estimate_run(with_budget(WHOLE, usd)) for usd in (5, 500)]
        print_estimate(short)
        print_estimate(long)

    row = short.judges[0]
    assert row.cost_micros == row.most_micros == 51_400 * row.calls > 5_000_000
    assert row.exceeds_maximum
    assert short.reach.at_worst <= short.reach.expected < short.reach.planned
    printed = " ".join(capsys.readouterr().out.split())
    assert "used more than a call should be able to, so the maximum cost is not certain" in printed
    assert "if no call costs more than the dearest so far, and none has to be repeated" in printed
    assert "even" not in printed
