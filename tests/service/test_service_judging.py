"""Judging through a whole service: estimates, spending, streams of comparisons, and other parsers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from aiohttp import web

from judge.api.v1 import judge_service_pb2 as js
from judge.api.v1 import outcome_pb2, verdict_pb2
from judge.api.v1 import run_service_pb2 as pb
from judge.app.local import running
from judge.config.settings import JudgeSettings
from judge_client import JudgeClient, JudgeClientError
from support.demo_data import settings, upload_demo
from support.loopback import Handler, serving

PRICE = {"input": 2.0, "output": 8.0, "cached_input": 1.0}
SPEC = pb.RunSpec(dataset="datasets/demo", judges=["judges/far"], pairing=pb.Pairing(prompts=6))


class Endpoint:
    """Answers every call with a chat completion: its text from *answer*, one input token per character."""

    def __init__(self, answer: Callable[[str], str] = lambda _: "[[A]]", gate: asyncio.Event | None = None) -> None:
        self._answer, self._gate = answer, gate
        self.bodies: list[dict[str, Any]] = []
        self.in_flight = self.max_in_flight = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        if self._gate is not None:
            await self._gate.wait()
        self.in_flight -= 1
        requests = body["messages"][-1]["content"]
        message = {"role": "assistant", "content": self._answer(requests)}
        usage = {
            "prompt_tokens": len(requests),
            "completion_tokens": 10,
            "prompt_tokens_details": {"cached_tokens": 100},
        }
        return web.json_response({"model": "m", "choices": [{"message": message}], "usage": usage})


@asynccontextmanager
async def service(endpoint: Endpoint | Handler, **judge_settings: Any) -> AsyncIterator[JudgeClient]:  # noqa: ANN401  # a judge's settings
    """Run a service whose judge `far` calls *endpoint*, and yield a client."""
    async with serving(endpoint.handle if isinstance(endpoint, Endpoint) else endpoint) as url:
        far = {
            "backend": "openai",
            "model": "m",
            "base_url": url,
            "rubric": "brackets",
            "price": PRICE,
            **judge_settings,
        }
        with_far = settings(far=JudgeSettings.model_validate(far))
        async with running(with_far, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            yield client


def texts(number: int) -> js.JudgeInput:
    return js.JudgeInput(texts=js.InlineComparison(prompt=[f"question {number}"], left=["x"], right=["y"]))


async def test_an_estimate_counts_calls_exactly_and_spends_nothing() -> None:
    """The estimated calls equal those of the run; without a pilot, the real cost lies within the estimated bounds."""
    endpoint = Endpoint()
    async with service(endpoint) as client:
        await upload_demo(client)

        estimate = await client.estimate_run(SPEC)

        assert endpoint.bodies == []
        run = await client.wait_run((await client.create_run(SPEC)).name)
        again = await client.estimate_run(SPEC)

    assert estimate.calls == run.counts.calls == len(endpoint.bodies) == 6 * 10 * 2
    assert estimate.cost_interval.low < run.cost_micros < estimate.cost_interval.high
    assert estimate.judges[0].pilot == 0
    assert (again.calls, again.reused, again.cost_micros) == (0, run.counts.planned, 0)


async def test_an_estimate_extrapolates_the_costs_of_a_pilot() -> None:
    """The cost of a few judged prompts predicts the cost of all prompts within 20 %."""
    async with service(Endpoint()) as client:
        await upload_demo(client)
        pilot = await client.wait_run((await client.create_run(SPEC)).name)
        whole = pb.RunSpec(dataset="datasets/demo", judges=["judges/far"])

        estimate = await client.estimate_run(whole)

        run = await client.wait_run((await client.create_run(whole)).name)
    assert (estimate.judges[0].pilot, estimate.reused) == (pilot.counts.calls, pilot.counts.calls)
    assert estimate.calls == run.counts.calls
    assert estimate.cost_micros == pytest.approx(run.cost_micros, rel=0.2)


async def test_the_spending_of_each_judge_matches_the_providers_count() -> None:
    """Calls, tokens and cost by judge match the provider's counts and add up to the run's cost."""
    endpoint = Endpoint()
    spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/longest", "judges/far"], pairing=pb.Pairing(prompts=6))
    async with service(endpoint) as client:
        await upload_demo(client)

        run = await client.wait_run((await client.create_run(spec)).name)

    requests = sum(len(body["messages"][-1]["content"]) for body in endpoint.bodies)
    longest, far = run.spending
    assert (longest.judge, longest.calls, longest.cost_micros) == ("judges/longest", 120, 0)
    assert (far.judge, far.calls, far.input_tokens) == ("judges/far", 120, requests)
    assert (far.cached_input_tokens, far.output_tokens) == (120 * 100, 120 * 10)
    exact = (requests - 12000) * 2 + 12000 * 1 + 1200 * 8
    assert exact <= far.cost_micros <= exact + 120
    assert run.cost_micros == far.cost_micros


async def test_other_parsed_verdicts_cost_no_call_and_are_stored_with_the_first() -> None:
    """Parsing replies with another parser makes no call and keeps the first parsed verdict."""
    endpoint = Endpoint(lambda requests: "[[A>B]]" if "concise" in requests or len(requests) % 2 else "[[4]]")
    async with service(endpoint, rubric="likert-5") as client:
        await upload_demo(client)
        run = await client.wait_run((await client.create_run(SPEC)).name)
        calls = len(endpoint.bodies)
        fives = run.counts.by_status["ok"]

        eight = await client.reparse_run(run.name, "likert-8")
        wide = await client.reparse_run(run.name, "likert-5~1")
        own = await client.reparse_run(run.name)

        full = verdict_pb2.VERDICT_VIEW_FULL
        verdicts = [verdict async for verdict in client.list_verdicts(run.name, view=full)]
        with pytest.raises(JudgeClientError) as unknown:
            await client.reparse_run(run.name, "tarot")
    assert len(endpoint.bodies) == calls
    assert 0 < fives < 120
    assert (eight.read, eight.unreadable) == (120, fives)
    assert (wide.read, wide.changed) == (120, fives)
    assert (own.read, own.changed, own.unreadable) == (120, 0, 120 - fives)
    assert unknown.value.reason == "UNKNOWN_PARSER"
    for verdict in verdicts:
        assert {parsed_verdict.parser for parsed_verdict in verdict.parsed_verdicts} == {
            "likert-5/4",
            "likert-8/4",
            "likert-5/4~1",
        }
        assert verdict.parser == "likert-5/4"
        if verdict.status == outcome_pb2.VERDICT_STATUS_OK:
            assert verdict.strength == 0.5


async def test_a_stream_of_comparisons_gets_a_verdict_each() -> None:
    """Responses carry the caller's ids, and an invalid comparison does not affect the others."""
    bad = js.JudgeComparisonsRequest(id="bad", comparison=js.JudgeComparisonRequest(judge="judges/nobody"))

    async def requests() -> AsyncIterator[js.JudgeComparisonsRequest]:
        for number in range(100):
            comparison = js.JudgeComparisonRequest(judge="judges/far", input=texts(number))
            yield js.JudgeComparisonsRequest(id=str(number), comparison=comparison)
        yield bad

    async with service(Endpoint()) as client:
        responses = {response.id: response async for response in client.judge_comparisons(requests())}

    assert responses.keys() == {"bad", *map(str, range(100))}
    refused = responses.pop("bad")
    assert refused.state == outcome_pb2.ITEM_STATE_REJECTED
    assert "nobody" in refused.message
    assert {response.verdict.outcome for response in responses.values()} == {outcome_pb2.OUTCOME_LEFT}


async def test_a_stream_of_comparisons_is_read_only_as_fast_as_it_is_judged() -> None:
    """While calls hang, the service reads 64 requests and no more; it goes on when they end."""
    gate = asyncio.Event()
    endpoint = Endpoint(gate=gate)
    sent = 0

    async def requests() -> AsyncIterator[js.JudgeComparisonsRequest]:
        nonlocal sent
        for number in range(400):
            sent += 1
            long = js.InlineComparison(prompt=[f"question {number}"], left=["x" * 20_000], right=["y"])
            comparison = js.JudgeComparisonRequest(judge="judges/far", input=js.JudgeInput(texts=long))
            yield js.JudgeComparisonsRequest(id=str(number), comparison=comparison)

    async def wait_until_held() -> int:
        """Wait until no more requests are read, and return the calls in flight."""
        async with asyncio.timeout(30):
            while endpoint.in_flight < 64 or sent == 400:  # noqa: ASYNC110  # there is no event to wait for
                await asyncio.sleep(0.01)
        return endpoint.in_flight

    async with service(endpoint, concurrency=200) as client:
        answered: list[str] = []

        async def read_answers() -> None:
            async for response in client.judge_comparisons(requests()):
                answered.append(response.id)  # noqa: PERF401  # counted while it grows

        taking = asyncio.create_task(read_answers())
        in_flight = await wait_until_held()
        before = list(answered)
        gate.set()
        await taking

    assert (in_flight, before) == (64, [])
    assert sorted(map(int, answered)) == list(range(400))
    assert endpoint.max_in_flight == 64


async def test_a_soft_preference_is_stored_with_its_probability() -> None:
    """A verdict of a choice rubric keeps the probability that left is better, in both orders."""

    async def sure_of_the_first(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        assert (body["logprobs"], body["max_completion_tokens"]) == (True, 16)
        top = [{"token": "A", "logprob": -0.1054}, {"token": "B", "logprob": -2.3026}]
        choice = {
            "message": {"content": "A"},
            "logprobs": {"content": [{"token": "A", "logprob": -0.1054, "top_logprobs": top}]},
        }
        return web.json_response({"choices": [choice]})

    async with service(sure_of_the_first, rubric="choice") as client:
        await upload_demo(client)
        run = await client.wait_run((await client.create_run(SPEC)).name)
        verdicts = [verdict async for verdict in client.list_verdicts(run.name)]

    probabilities = {(verdict.presentation.order, round(verdict.probability_left, 3)) for verdict in verdicts}
    assert probabilities == {(outcome_pb2.ORDER_LEFT_FIRST, 0.9), (outcome_pb2.ORDER_RIGHT_FIRST, 0.1)}


async def test_rubrics_in_a_folder_are_used_and_previewed_as_sent(tmp_path: Path) -> None:
    """A judge can use a rubric from the folder, and a preview shows what the endpoint receives."""
    own = 'form = "brackets"\nversion = 7\ncriteria = ["Kindness: it is kind."]\n[[variants]]\n'
    own += (
        'name = "mine"\ncategories = ["{c}"]\nsystem = "Judge."\nuser = "{{{{ answer_a }}}} or {{{{ answer_b }}}}?"\n'
    )
    (tmp_path / "kind.toml").write_text(own.format(c="special"), "utf-8")
    endpoint = Endpoint()
    async with serving(endpoint.handle) as url:
        far = JudgeSettings(backend="openai", model="m", base_url=url, rubric="kind")
        made = settings(far=far).model_copy(update={"rubrics": tmp_path})
        async with running(made, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            plain, special = texts(1), texts(1)
            special.texts.category = "special"
            previews = [await client.preview_prompt("far", judged) for judged in (plain, special)]
            for judged in (plain, special):
                await client.judge_comparison("far", judged)
            card = await client.get_judge("far")

    sent = [[message["content"] for message in body["messages"]] for body in endpoint.bodies]
    assert [[message.content for message in preview.messages] for preview in previews] == sent
    assert "Kindness: it is kind." in sent[0][0]
    assert (previews[1].variant, sent[1][0]) == ("mine", "Judge.")
    assert (card.rubric, card.rubric_version, card.variants[0].variant) == ("kind", 7, "mine")


async def test_a_providers_error_is_reported_and_stores_no_verdict() -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(text=json.dumps({"error": {"code": "invalid_api_key"}}), status=401)

    async with service(refuse) as client:
        with pytest.raises(JudgeClientError) as refused:
            await client.judge_comparison("far", texts(1))

    assert refused.value.code == grpc.StatusCode.FAILED_PRECONDITION
    assert "401" in str(refused.value)
