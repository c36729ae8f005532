"""What a run froze when it was created is what it is executed by, whatever the configuration says since."""

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


def service(file: Path, url: str, **said: Any) -> InProcessService:  # noqa: ANN401  # whatever a judge's settings are
    """The house on *file* with `far` as it is configured now."""
    far = {"backend": "openai", "model": "m", "base_url": url, "rubric": "brackets", "max_output_tokens": 100}
    judges = settings(far=JudgeSettings.model_validate({**far, **said}))
    return InProcessService(file, ConfiguredJudges(judges, QuickClock()), QuickClock())


async def closed(service: InProcessService) -> None:
    await service.engine.close()
    await service.store.close()
    await service.judges.close()


async def test_a_worker_takes_endpoint_and_limits_from_its_own_config_and_the_judge_from_the_store(
    tmp_path: Path,
) -> None:
    """Model, rubric and sampling are the run's; where and how fast it is asked is up to whoever asks."""
    seen: list[ProviderCall] = []

    def answer(asked: ProviderCall) -> str:
        seen.append(asked)
        return right_answer(asked)

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
        await closed(second)

    assert (ended.state, ended.counts.by_status) == (RunState.DONE, {"ok": PLANNED})
    rubrics = {"[[A]]" in asked.system and "[[A>>B]]" not in asked.system for asked in seen}
    assert ({asked.model for asked in seen}, rubrics) == ({"m"}, {True})
    assert {asked.body["max_completion_tokens"] for asked in seen} == {100}
    assert provider.most <= 2


async def test_resume_never_takes_a_changed_definition(tmp_path: Path) -> None:
    """Resumed under another configuration a run asks its own judge; a new run asks the new one."""
    models: list[str] = []

    def answer(asked: ProviderCall) -> str:
        models.append(asked.model)
        return right_answer(asked)

    provider = Provider(answer, key="", models=("m", "another"))
    async with serving_provider(provider) as url:
        first = service(tmp_path / "judge.db", url)
        await first.engine.start()
        run = await first.begin(Budget(calls=10))
        stopped = await first.ended(run)
        await closed(first)
        before = len(models)
        second = service(tmp_path / "judge.db", url, model="another")
        await second.engine.start()
        await second.runs.resume(TENANT, run.run_id, Budget(calls=1000))
        resumed = await second.until(run, lambda now: now.state is RunState.DONE and not now.reason)
        mine = models[before:]
        fresh = await second.runs.create(TENANT, run.spec, "", b"")
        await second.ended(fresh)
        await closed(second)

    assert (stopped.reason, before) == ("BUDGET_STOPPED", 10)
    assert resumed.counts.by_status == {"ok": PLANNED}
    assert set(models[:before] + mine) == {"m"}
    assert models[before + len(mine) :] == ["another"] * 10


async def test_a_plan_rebuilt_from_the_seed_must_match_its_stored_hash(tmp_path: Path) -> None:
    """Where it does not, the run has failed as PLAN_CHANGED, and nobody was called."""
    provider = Provider(right_answer, key="")
    async with serving_provider(provider) as url:
        h = service(tmp_path / "judge.db", url)
        run = await h.begin()
        await h.die()
        h = service(tmp_path / "judge.db", url)
        await h.store._db.write(lambda c: c.execute(update(schema.run).values(plan_hash="another")))
        await h.engine.start()
        ended = await h.ended(run)
        await closed(h)

    assert (ended.state, ended.reason) == (RunState.FAILED, "PLAN_CHANGED")
    assert not provider.calls
