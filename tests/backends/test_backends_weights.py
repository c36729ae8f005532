"""Weights that take the place of others during a run stop the judge."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from judge.backends.http import Endpoint
from judge.backends.vllm import Vllm
from judge.backends.vllm_engine import VllmEngine
from judge.backends.weights import CHECK_SECONDS, WeightFolder, check_weights
from judge.domain.errors import JudgeUnusable
from support.example_prompts import prompt
from support.fake_vllm import fake_vllm

ANSWER = {
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "[[A]]"}}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a model."""
    model = tmp_path / "model"
    (model / "original").mkdir(parents=True)
    (model / "config.json").write_text('{"hidden_size": 8}')
    (model / "model.safetensors").write_bytes(bytes(5_000))
    (model / "original" / "params.json").write_text("{}")
    (model / "README.md").write_text("A model.")
    return model


def exchange(folder: Path, name: str = "model.safetensors") -> None:
    """Write another byte into a file of the same size, with the same time."""
    file = folder / name
    status, content = file.stat(), bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    other = file.with_suffix(".new")
    other.write_bytes(content)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)


class Server:
    """A vLLM server that serves the model in *root*. Each start closes all connections."""

    def __init__(self, root: str) -> None:
        self.root, self.listings = root, 0
        self.closes_connections = False

    async def list_models(self, _: web.Request) -> web.Response:
        self.listings += 1
        return web.json_response({"object": "list", "data": [{"id": "m", "root": self.root}]})

    async def answer(self, request: web.Request) -> web.Response:
        await request.read()
        response = web.json_response(ANSWER)
        if self.closes_connections:
            response.force_close()
        return response

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.add_routes([web.get("/v1/models", self.list_models), web.post("/v1/chat/completions", self.answer)])
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        finally:
            await runner.cleanup()


class Stopwatch:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "original/params.json"])
def test_another_byte_in_a_file_is_another_model(folder: Path, name: str) -> None:
    """Size and time may be the same: the inode is another."""
    weights = WeightFolder(str(folder))
    before = weights.name()

    exchange(folder, name)

    assert before.startswith(f"{folder}#sha256:")
    assert before != weights.name()
    assert weights.name() == WeightFolder(str(folder)).name()


def test_what_no_engine_reads_may_change(folder: Path) -> None:
    """A README is not part of the model, and neither is the time of a file whose content stays."""
    weights = WeightFolder(str(folder))
    before = weights.name()

    (folder / "README.md").write_text("A better model.")
    os.utime(folder / "config.json", (1, 1))

    assert before == weights.name()


def test_a_further_file_is_another_model(folder: Path) -> None:
    """An adapter changes the answers too."""
    weights = WeightFolder(str(folder))
    before = weights.name()

    (folder / "adapter_model.safetensors").write_bytes(b"1")

    assert before != weights.name()


def test_the_name_of_a_model_on_a_hub_is_its_name() -> None:
    """There is no folder of which a digest could be computed."""
    assert WeightFolder("org/model").name() == "org/model"


def test_a_run_that_began_without_a_digest_goes_on() -> None:
    """Only what is known on both sides is compared."""
    check_weights("m", frozen="/m", now="/m#sha256:1")
    check_weights("m", frozen="/m#sha256:1", now="/m")
    with pytest.raises(JudgeUnusable, match="have changed from /m#sha256:1 to /m#sha256:2"):
        check_weights("m", frozen="/m#sha256:1", now="/m#sha256:2")


async def test_an_engine_stops_when_its_folder_changes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are looked at again at intervals, not at each call."""
    for name, module in fake_vllm().items():
        monkeypatch.setitem(sys.modules, name, module)
    clock = Stopwatch()
    frozen = await VllmEngine(str(folder)).weights()
    engine = VllmEngine(str(folder), weights=frozen, monotonic=clock)

    replies = [await engine.reply(prompt())]
    clock.seconds += CHECK_SECONDS + 1
    replies.append(await engine.reply(prompt()))
    exchange(folder)
    clock.seconds += CHECK_SECONDS + 1
    with pytest.raises(JudgeUnusable, match=r"the weights behind .* have changed from .*Start a new run"):
        await engine.reply(prompt())
    await engine.close()

    assert [reply.raw for reply in replies] == ["[[A]]", "[[A]]"]


async def test_an_engine_does_not_load_other_weights(folder: Path) -> None:
    """A run that goes on after its weights were exchanged is stopped before they are loaded."""
    frozen = await VllmEngine(str(folder)).weights()
    exchange(folder)

    with pytest.raises(JudgeUnusable, match="have changed"):
        await VllmEngine(str(folder), weights=frozen).reply(prompt())


async def test_a_server_is_asked_for_its_weights_at_intervals() -> None:
    """It may serve another root under the same name later."""
    server, clock = Server("/models/first"), Stopwatch()
    async with server.serving() as url:
        backend = Vllm("m", Endpoint(url), weights="/models/first", monotonic=clock)
        for _ in range(5):
            await backend.reply(prompt())
        at_first = server.listings
        server.root = "/models/second"
        clock.seconds += CHECK_SECONDS + 1
        with pytest.raises(JudgeUnusable, match="have changed from /models/first to /models/second"):
            await backend.reply(prompt())
        await backend.close()

    assert at_first == 1


async def test_a_server_that_must_be_connected_to_again_is_asked_again() -> None:
    """A server that starts again with other weights answers no call under the old key, not even the next one."""
    server = Server("/models/first")
    async with server.serving() as url:
        backend = Vllm("m", Endpoint(url), weights="/models/first", monotonic=Stopwatch())
        server.closes_connections = True
        await backend.reply(prompt())
        server.root = "/models/second"
        with pytest.raises(JudgeUnusable, match="have changed") as caught:
            await backend.reply(prompt())
        await backend.close()

    assert caught.value.usage is None or caught.value.usage.output_tokens == 2


async def test_the_files_of_a_server_on_this_machine_are_its_weights(folder: Path) -> None:
    """The root stays the same when they are exchanged."""
    server, clock = Server(str(folder)), Stopwatch()
    async with server.serving() as url:
        first = Vllm("m", Endpoint(url))
        frozen = await first.weights()
        await first.close()
        backend = Vllm("m", Endpoint(url), weights=frozen, monotonic=clock)
        await backend.reply(prompt())
        exchange(folder)
        clock.seconds += CHECK_SECONDS + 1
        with pytest.raises(JudgeUnusable, match="have changed"):
            await backend.reply(prompt())
        await backend.close()

    assert frozen.startswith(f"{folder}#sha256:")
