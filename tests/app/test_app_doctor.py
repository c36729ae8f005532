"""`judge doctor` checks keys, models, endpoints and prices without a call, and makes one only when asked to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web

from judge.app.doctor import CheckResult, DoctorRequest, Level, examine
from support.clocks import StillClock
from support.loopback import serving
from support.provider import KEY, Provider
from support.provider_server import anthropic_url, serving_provider

NOV_30, DEC_12 = 1_796_000_000.0, 1_797_050_000.0
"""Seconds of those days in 2026."""


class _Day(StillClock):
    """A clock that stands still on a day."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def now(self) -> float:
        return self.seconds


async def results_of(
    folder: Path, toml: str, *, call: bool = False, now: float = NOV_30, names: tuple[str, ...] = ()
) -> list[CheckResult]:
    """Return the results of all checks of a configuration."""
    file = folder / "judge.toml"
    file.write_text(f"store_url = 'sqlite:///{folder / 'judge.db'}'\n{toml}", "utf-8")
    request = DoctorRequest(config=file, names=names, call=call)
    return [result async for result in examine(request, _Day(now))]


def of(results: list[CheckResult], check: str) -> CheckResult:
    [result] = [result for result in results if result.check == check]
    return result


TOML = """
[judges.j]
backend = "{backend}"
model = "m"
base_url = "{url}"
key_env = "DOCTOR_KEY"
rubric = "brackets"
"""
BACKENDS: Mapping[str, bool] = {"openai": True, "vllm": True, "anthropic": False}
"""Whether the backend's address ends in /v1."""


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_judge_that_works_is_found_to_work_without_a_call(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The endpoint is asked for its models, and the key is never part of a result."""
    monkeypatch.setenv("DOCTOR_KEY", KEY)
    provider = Provider(lambda _: "[[A]]")
    async with serving_provider(provider) as url:
        address = url if BACKENDS[backend] else anthropic_url(url)
        results = await results_of(tmp_path, TOML.format(backend=backend, url=address))

    assert {result.level for result in results if result.check != "price"} == {Level.OK}
    assert "lists m" in of(results, "endpoint").message
    assert of(results, "key").message == "set in DOCTOR_KEY"
    assert of(results, "price").level is Level.WARNING
    assert not provider.calls
    assert KEY not in str(results)
    assert not (tmp_path / "judge.db").exists()


@pytest.mark.parametrize("backend", BACKENDS)
async def test_a_call_is_made_on_request(backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one call, and its verdict, tokens and cost are told."""
    monkeypatch.setenv("DOCTOR_KEY", KEY)
    provider = Provider(lambda _: "[[A]]")
    async with serving_provider(provider) as url:
        address = url if BACKENDS[backend] else anthropic_url(url)
        toml = TOML.format(backend=backend, url=address) + "price = { input = 1.0, output = 2.0 }"
        results = await results_of(tmp_path, toml, call=True)

    assert sum(provider.calls.values()) == 1
    assert of(results, "call").level is Level.OK
    assert "prefers the first output" in of(results, "call").message
    assert "$0.0" in of(results, "call").message


async def test_a_call_without_a_verdict_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint that answers something else works, but not as a judge."""
    monkeypatch.setenv("DOCTOR_KEY", KEY)
    async with serving_provider(Provider(lambda _: "Hello!")) as url:
        results = await results_of(tmp_path, TOML.format(backend="openai", url=url), call=True)

    assert of(results, "call").level is Level.WARNING


async def _another_model(request: web.Request) -> web.StreamResponse:
    """Answer with a reply of another model and a choice too many, and with no list of models."""
    await request.read()
    if request.method == "GET":
        return web.json_response({"success": False, "message": "insufficient credit"})
    choices = [{"index": index, "message": {"content": "[[A]]"}} for index in (0, 1)]
    return web.json_response({"model": "m-mini", "choices": choices})


async def test_a_list_of_models_that_is_an_error_is_one(tmp_path: Path) -> None:
    """A 200 may say that the account cannot be used, and no call follows."""
    async with serving(_another_model) as url:
        toml = TOML.format(backend="openai", url=url).replace('key_env = "DOCTOR_KEY"', "")
        results = await results_of(tmp_path, toml, call=True)

    assert of(results, "endpoint").level is Level.ERROR
    assert "insufficient credit" in of(results, "endpoint").message
    assert [result for result in results if result.check == "call"] == []


async def test_a_call_that_another_model_answers_is_a_warning(tmp_path: Path) -> None:
    """The endpoint may have replaced the model, so that its verdicts are those of another judge."""

    async def handler(request: web.Request) -> web.StreamResponse:
        return web.json_response({"data": [{"id": "m"}]}) if request.method == "GET" else await _another_model(request)

    async with serving(handler) as url:
        toml = TOML.format(backend="openai", url=url).replace('key_env = "DOCTOR_KEY"', "")
        results = await results_of(tmp_path, toml, call=True)

    assert of(results, "call").level is Level.WARNING
    assert "asked for the model 'm', the endpoint answered with 'm-mini'" in of(results, "call").message
    assert "2 choices" in of(results, "call").message


async def test_a_refused_key_is_an_error_that_does_not_repeat_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The provider repeats the key in its answer; the result does not, and no call follows."""
    monkeypatch.setenv("DOCTOR_KEY", "another-key-9876543210")  # pragma: allowlist secret
    provider = Provider(lambda _: "[[A]]")
    async with serving_provider(provider) as url:
        results = await results_of(tmp_path, TOML.format(backend="openai", url=url), call=True)

    assert of(results, "endpoint").level is Level.ERROR
    assert "401" in of(results, "endpoint").message
    assert "9876543210" not in str(results)
    assert not provider.calls


async def test_a_missing_key_and_a_dead_endpoint_are_errors(tmp_path: Path) -> None:
    """A judge whose key is missing is asked for nothing further."""
    without_key = await results_of(tmp_path, TOML.format(backend="openai", url="http://127.0.0.1:9"))
    dead = await results_of(
        tmp_path, TOML.format(backend="openai", url="http://127.0.0.1:9").replace('key_env = "DOCTOR_KEY"', "")
    )

    assert (of(without_key, "key").level, of(without_key, "key").message) == (Level.ERROR, "no key in DOCTOR_KEY")
    assert [result.check for result in without_key if result.subject == "j"] == ["key", "price"]
    assert of(dead, "endpoint").level is Level.ERROR


@pytest.mark.parametrize(
    ("model", "now", "phrase"),
    [
        ("gpt-4-0613", NOV_30, "was shut down on 2026-10-23"),
        ("openai/o3-mini", NOV_30, "was shut down on 2026-10-23"),
        ("gpt-5", NOV_30, "will be shut down on 2026-12-11"),
        ("gpt-5-2025-08-07", DEC_12, "was shut down on 2026-12-11"),
        ("gpt-6.2-sol", NOV_30, ""),
        ("anthropic/claude-2.1", NOV_30, "was shut down on 2025-07-21"),
        ("claude-3-5-sonnet-20241022", NOV_30, "was shut down on 2025-10-28"),
        ("claude-3-opus-latest", NOV_30, "was shut down on 2026-01-05"),
        ("claude-opus-4-1-20250805", NOV_30, "was shut down on 2026-08-05"),
        ("claude-opus-4-7", NOV_30, ""),
        ("gpt-5.5", NOV_30, ""),
    ],
)
async def test_a_retired_model_is_a_warning_by_date(model: str, now: float, phrase: str, tmp_path: Path) -> None:
    """The list ships with the release and says from which day it is."""
    backend = "anthropic" if model.startswith("claude") else "openai"
    toml = f"[judges.j]\nbackend = '{backend}'\nmodel = '{model}'\nkey_env = 'NOT_SET'\n"

    warnings = [result for result in await results_of(tmp_path, toml, now=now) if result.check == "model"]

    assert len(warnings) == bool(phrase)
    assert all(phrase in result.message and "list of 2026-11-30" in result.message for result in warnings)


async def test_a_name_at_a_server_of_ones_own_is_not_the_vendors_model(tmp_path: Path) -> None:
    """A llama.cpp server may call its model gpt-4."""
    toml = "[judges.j]\nbackend = 'openai'\nmodel = 'gpt-4'\nbase_url = 'http://127.0.0.1:9/v1'\n"

    assert [result for result in await results_of(tmp_path, toml) if result.check == "model"] == []


async def test_a_wrong_configuration_is_one_error(tmp_path: Path) -> None:
    """Nothing else is checked then."""
    results = await results_of(tmp_path, "[judges.j]\nbackend = 'openai'\n")

    assert [result.level for result in results] == [Level.OK, Level.ERROR]
    assert "needs a model" in results[-1].message


async def test_an_unknown_name_is_an_error(tmp_path: Path) -> None:
    """The error lists the judges that exist."""
    results = await results_of(tmp_path, "", names=("nobody",))

    assert results[-1].level is Level.ERROR
    assert "there is no such judge; there are first, longest" in results[-1].message
