"""A whole service with a provider that fails in every way: runs recover, judges stop, failures are counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import stamina

from judge.api.v1 import dataset_service_pb2 as ds
from judge.api.v1 import outcome_pb2, verdict_pb2
from judge.api.v1 import run_service_pb2 as pb
from judge.app.local import running
from judge.config.settings import JudgeSettings
from judge_client import JudgeClient
from support.demo_data import settings, upload_demo
from support.example_prompts import right_answer
from support.provider import KEY, PASSING, Provider, ProviderCall, rotating
from support.provider_server import anthropic_url, serving_provider

DEMO = pb.RunSpec(dataset="datasets/demo", judges=["judges/far"])
THREE = pb.Pairing(contestants=["concise", "padded", "subtle"])
"""Every prompt, with three of the five contestants."""


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Retry without delay, as often as in production."""
    monkeypatch.setenv("FAR_KEY", KEY)
    stamina.set_testing(True, attempts=5)
    yield
    stamina.set_testing(False)


@asynccontextmanager
async def service(provider: Provider, vendor: str = "openai", **judge_settings: Any) -> AsyncIterator[JudgeClient]:  # noqa: ANN401  # a judge's settings
    """Run a service whose judge `far` calls *provider* through the API of *vendor*, and yield a client."""
    async with serving_provider(provider) as url:
        address = anthropic_url(url) if vendor == "anthropic" else url
        far = {"backend": vendor, "model": "m", "base_url": address, "rubric": "brackets", "key_env": "FAR_KEY"}
        if vendor != "vllm":
            # The port, which differs each time, would be part of what is sent, and so of which calls fail.
            far["identity"] = "far"
        made = settings(far=JudgeSettings.model_validate({**far, "concurrency": 16, **judge_settings}))
        async with running(made, store_url="sqlite://", listen=None) as address, JudgeClient(address) as client:
            yield client


async def table(client: JudgeClient, run: str) -> list[tuple[object, ...]]:
    """Return a run's verdicts without usage and times, which may differ between runs."""
    verdicts = client.list_verdicts(run, view=verdict_pb2.VERDICT_VIEW_FULL, page_size=1000)
    return [
        (v.position, v.status, v.state, v.outcome, v.raw, v.presentation.SerializeToString()) async for v in verdicts
    ]


async def upload_datasets(client: JudgeClient) -> None:
    """Upload 200 prompts with five contestants: 2,000 comparisons, and as many calls in one order."""
    await client.create_dataset("d")
    prompts = [ds.Prompt(prompt_id=f"p{n}", turns=[f"question {n}"]) for n in range(200)]
    outputs = [
        ds.Output(prompt_id=f"p{n}", contestant=who, turns=[f"{who} says {(n * 7 + at) % 400} to {n}"])
        for n in range(200)
        for at, who in enumerate(("ann", "ben", "cat", "dan", "eve"))
    ]
    await client.upload_prompts("d", prompts)
    await client.upload_outputs("d", outputs)


@pytest.mark.parametrize(("vendor", "prompts"), [("vllm", 200), ("openai", 30), ("anthropic", 30)])
async def test_a_run_at_a_failing_provider_ends_equal_to_a_clean_one(vendor: str, prompts: int) -> None:
    """When 30 % of the calls fail with transient faults, the verdicts equal those of a run without faults.

    There are 2,000 verdicts for one vendor and 300 for each of the others.
    """
    one_order = pb.Pairing(orders=pb.ORDER_POLICY_ONE, prompts=prompts)
    spec = pb.RunSpec(dataset="datasets/d", judges=["judges/far"], pairing=one_order)
    tables = []
    provider = Provider(right_answer, drip=3600.0)
    rotation, failed = rotating(0.3), set[str]()

    def faults(asked: ProviderCall, before: int) -> str:
        fault = rotation(asked, before)
        failed.update({asked.hash} if fault else ())
        return fault

    async with service(provider, vendor, deadline_seconds=1.0, concurrency=32) as client:
        await upload_datasets(client)
        for cache_tag in ("clean", "failing"):
            spec.pairing.cache_tag = cache_tag
            provider.faults = faults if cache_tag == "failing" else lambda *_: ""
            run = await client.wait_run((await client.create_run(spec)).name)
            tables.append(await table(client, run.name))

    assert set(provider.faulted) == set(PASSING)
    assert len(tables[0]) == prompts * 10
    # Calls that a busy machine delays beyond their deadline are made again, too, but are no faults.
    assert len(failed) == pytest.approx(0.3 * prompts * 10, rel=0.25)
    assert tables[0] == tables[1]


@pytest.mark.parametrize("vendor", ["openai", "anthropic"])
@pytest.mark.parametrize("wrong", ["key", "model"])
async def test_an_unusable_judge_stops_at_the_first_call(vendor: str, wrong: str) -> None:
    """A wrong key or model stops the judge after one call, with a reason; the run's other judge finishes."""
    provider = Provider(right_answer, key="other" if wrong == "key" else KEY)  # pragma: allowlist secret
    if wrong == "model":
        provider.models = ("another",)
    spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/far", "judges/longest"])
    async with service(provider, vendor) as client:
        await upload_demo(client)

        run = await client.wait_run((await client.create_run(spec)).name)

    assert len([path for method, path, _ in provider.requests if method == "POST"]) == 1
    assert (run.state, run.state_reason) == (pb.RUN_STATE_FAILED, "JUDGE_UNUSABLE")
    assert "'far'" in run.state_message
    assert run.counts.by_status["ok"] == run.counts.planned // 2


async def test_an_overlong_prompt_fails_only_that_presentation() -> None:
    """Presentations of an overlong prompt have the status too_long, and all others have a verdict."""

    def fault(asked: ProviderCall, _: int) -> str:
        return "overflow" if "17 times 23" in asked.user else ""

    async with service(Provider(right_answer, faults=fault)) as client:
        await upload_demo(client)
        spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/far"], pairing=THREE)
        run = await client.wait_run((await client.create_run(spec)).name)

    assert run.state == pb.RUN_STATE_DONE
    assert run.counts.by_status == {"ok": 48 * 6 - 6, "too_long": 6}


async def test_a_judge_that_fails_more_than_its_share_is_stopped() -> None:
    """If the provider rejects every fourth call, the judge stops early, and the run says why."""
    provider = Provider(right_answer, faults=lambda asked, _: "rejected" if asked.drawn < 0.25 else "")
    async with service(provider, concurrency=8) as client:
        await upload_demo(client)
        run = await client.wait_run((await client.create_run(DEMO)).name)

    failed = run.counts.by_status["rejected"]
    assert (run.state, run.state_reason) == (pb.RUN_STATE_FAILED, "TOO_MANY_FAILED")
    assert 48 < failed <= 48 + 8
    assert run.counts.pending > 600


async def test_refusals_and_truncations_are_verdicts_and_no_failures() -> None:
    """Refused, truncated and filtered replies count as verdicts with their own statuses, however many there are."""
    kinds = ("refusal", "truncated", "filtered", "")
    provider = Provider(right_answer, faults=lambda asked, _: kinds[int(asked.drawn * 4)])
    async with service(provider) as client:
        await upload_demo(client)
        spec = pb.RunSpec(dataset="datasets/demo", judges=["judges/far"], pairing=THREE)
        run = await client.wait_run((await client.create_run(spec)).name)
        raws = {v.status: v.raw async for v in client.list_verdicts(run.name, view=verdict_pb2.VERDICT_VIEW_FULL)}

    assert run.state == pb.RUN_STATE_DONE
    assert set(run.counts.by_status) == {"ok", "refused", "truncated", "filtered"}
    assert sum(run.counts.by_status.values()) == run.counts.planned
    assert raws[outcome_pb2.VERDICT_STATUS_REFUSED].endswith("I will not.")
    assert raws[outcome_pb2.VERDICT_STATUS_TRUNCATED].startswith("So: [[")
