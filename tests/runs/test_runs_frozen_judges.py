"""A run is executed with what it froze when it was created, even if the configuration has changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import update

from judge.app.judges import ConfiguredJudges
from judge.config.settings import JudgeSettings
from judge.domain.run import Budget, RunState
from judge.store import schema
from support.clocks import QuickClock
from support.demo_data import settings
from support.example_prompts import right_answer
from support.in_process_service import PLANNED, TENANT, InProcessService
from support.provider import Provider, ProviderCall
from support.provider_server import serving_provider


def service(file: Path, url: str, **options: Any) -> InProcessService:  # noqa: ANN401  # whatever a judge's settings are
    """A service on *file* whose judge `far` is configured with *options*."""
    far = {"backend": "openai", "model": "m", "base_url": url, "identity": "far", "rubric": "brackets"}
    judges = settings(far=JudgeSettings.model_validate({**far, "max_output_tokens": 100, **options}))
    return InProcessService(file, ConfiguredJudges(judges, QuickClock()), QuickClock())


async def close(service: InProcessService) -> None:
    await service.engine.close()
    await service.store.close()
    await service.judges.close()


async def test_a_worker_takes_endpoint_and_limits_from_its_own_config_and_the_judge_from_the_store(
    tmp_path: Path,
) -> None:
    """Model, rubric and sampling come from the run; limits, and an address of the same identity, from the worker."""
    seen: list[ProviderCall] = []

    def answer(call: ProviderCall) -> str:
        seen.append(call)
        return right_answer(call)

    provider = Provider(answer, key="", models=("m",))
    async with serving_provider(provider) as url:
        first = service(tmp_path / "judge.db", "http://127.0.0.1:9/v1")
        run = await first.begin()
        await first.die()
        second = service(
            tmp_path / "judge.db", url, model="another", rubric="likert-5", max_output_tokens=7, concurrency=2
        )
        await second.engine.start()
        ended = await second.ended(run)
        await close(second)

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    rubrics = {"[[A]]" in call.system and "[[A>>B]]" not in call.system for call in seen}
    assert ({call.model for call in seen}, rubrics) == ({"m"}, {True})
    assert {call.body["max_completion_tokens"] for call in seen} == {100}
    assert provider.most <= 2


async def test_resume_never_takes_a_changed_definition(tmp_path: Path) -> None:
    """A run resumed under another configuration calls its own judge; a new run calls the new one."""
    models: list[str] = []

    def answer(call: ProviderCall) -> str:
        models.append(call.model)
        return right_answer(call)

    provider = Provider(answer, key="", models=("m", "another"))
    async with serving_provider(provider) as url:
        first = service(tmp_path / "judge.db", url)
        await first.engine.start()
        run = await first.begin(Budget(calls=10))
        stopped = await first.ended(run)
        await close(first)
        before = len(models)
        second = service(tmp_path / "judge.db", url, model="another")
        await second.engine.start()
        await second.runs.resume(TENANT, run.run_id, Budget(calls=1000))
        resumed = await second.until(run, lambda now: now.state is RunState.DONE and not now.reason)
        after_resume = models[before:]
        fresh = await second.runs.create(TENANT, run.spec, "", b"")
        await second.ended(fresh)
        await close(second)

    assert (stopped.reason, before) == ("BUDGET_STOPPED", 10)
    assert resumed.counts.by_status == {"ok": PLANNED}
    assert set(models[:before] + after_resume) == {"m"}
    assert models[before + len(after_resume) :] == ["another"] * 10


async def test_a_plan_rebuilt_from_the_seed_must_match_its_stored_hash(tmp_path: Path) -> None:
    """If the hash differs, the run fails as PLAN_CHANGED and makes no call."""
    provider = Provider(right_answer, key="")
    async with serving_provider(provider) as url:
        h = service(tmp_path / "judge.db", url)
        run = await h.begin()
        await h.die()
        h = service(tmp_path / "judge.db", url)
        await h.store._db.write(lambda c: c.execute(update(schema.run).values(plan_hash="another")))
        await h.engine.start()
        ended = await h.ended(run)
        await close(h)

    assert (ended.state, ended.reason) == (RunState.FAILED, "PLAN_CHANGED")
    assert not provider.calls
