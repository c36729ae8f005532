"""The fake provider's server: which request is what, on both wires, and its batches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import web

from loopback import serving
from provider import FAULTS, Asked, Batch, Provider, asked_of, problem

CREATED = 1_790_000_000
BATCHES = {"openai": "/v1/batches", "anthropic": "/v1/messages/batches"}


@asynccontextmanager
async def provided(provider: Provider) -> AsyncIterator[str]:
    """*provider* on loopback; its base URL for OpenAI's wire. Anthropic's is the same without /v1."""
    async with serving(partial(handle, provider)) as url:
        try:
            yield url
        finally:
            provider.closing.set()


def anthropic_url(url: str) -> str:
    """The base URL for Anthropic's wire."""
    return url.removesuffix("/v1")


async def handle(provider: Provider, request: web.Request) -> web.StreamResponse:
    """Answer any request of either wire."""
    provider.requests.append((request.method, request.path, dict(request.headers)))
    wire = "anthropic" if request.path.startswith("/v1/messages") or "x-api-key" in request.headers else "openai"
    given = request.headers.get("x-api-key") or request.headers.get("Authorization", "").removeprefix("Bearer ")
    if provider.key and given != provider.key:
        return problem(wire, 401, "invalid_api_key", "authentication_error", f"Incorrect API key: {given}")
    if (answered := await _on_batches(provider, request, wire)) is not None:
        return answered
    if request.path == "/v1/models":
        return web.json_response({"object": "list", "data": [{"id": name, "root": name} for name in provider.models]})
    if request.path not in ("/v1/chat/completions", "/v1/messages"):
        return problem(wire, 404, "not_found", "not_found_error", f"no such path: {request.path}")
    return await _called(provider, request, wire)


async def _called(provider: Provider, request: web.Request, wire: str) -> web.StreamResponse:
    raw = await request.read()
    asked = asked_of(wire, json.loads(raw), hashlib.sha256(raw).hexdigest())
    before = provider.calls[asked.hash]
    provider.calls[asked.hash] += 1
    provider.in_flight += 1
    provider.most = max(provider.most, provider.in_flight)
    try:
        if asked.model not in provider.models:
            return problem(wire, 404, "model_not_found", "not_found_error", f"no model {asked.model}")
        if fault := provider.faults(asked, before):
            provider.faulted[fault] += 1
            return await FAULTS[fault](provider, request, asked)
        return web.json_response(provider.reply(asked))
    finally:
        provider.in_flight -= 1


async def _on_batches(provider: Provider, request: web.Request, wire: str) -> web.StreamResponse | None:
    """The answer to a request about files or batches, or None if it is about neither."""
    path, parts = request.path, request.path.strip("/").split("/")
    if path == "/v1/files":
        return await _uploaded(provider, request)
    if parts[:2] == ["v1", "files"]:
        return _results(provider, wire, provider.files[parts[2]])
    base = BATCHES[wire]
    if not path.startswith(base):
        return None
    if path == base:
        return await _submitted(provider, request, wire) if request.method == "POST" else _listed(provider, wire)
    batch_id, _, what = path.removeprefix(base + "/").partition("/")
    batch = next((batch for batch in provider.batches if batch.id == batch_id), None)
    if batch is None:
        return problem(wire, 404, "not_found", "not_found_error", "no such batch")
    return _about(provider, batch, what)


def _about(provider: Provider, batch: Batch, what: str) -> web.Response:
    if what == "results":
        return _results(provider, batch.wire, "\n".join(_lines(provider, batch)))
    if what == "cancel":
        batch.ended = batch.cancelled = True
    else:
        batch.polls += 1
        batch.ended = batch.ended or (provider.auto_finish and batch.polls > 1)
    return web.json_response(_told(provider, batch))


def _results(provider: Provider, wire: str, text: str) -> web.Response:
    if provider.broken_results:
        provider.broken_results -= 1
        return problem(wire, 500, "server_error", "api_error", "no")
    return web.Response(text=text)


async def _uploaded(provider: Provider, request: web.Request) -> web.Response:
    form = await request.post()
    file: Any = form["file"]
    file_id = f"file-{len(provider.files)}"
    provider.files[file_id] = file.file.read().decode()
    told = {"id": file_id, "object": "file", "bytes": 1, "created_at": CREATED, "filename": "f", "purpose": "batch"}
    return web.json_response(told | {"status": "processed"})


async def _submitted(provider: Provider, request: web.Request, wire: str) -> web.Response:
    if provider.before_submit is not None:
        await provider.before_submit()
    body = await request.json()
    if wire == "openai":
        items = [json.loads(line) for line in provider.files[body["input_file_id"]].splitlines()]
    else:
        items = body["requests"]
    batch = Batch(f"batch_{len(provider.batches)}", wire, items, body.get("metadata") or {})
    provider.batches.append(batch)
    if provider.after_submit is not None:
        await provider.after_submit()
    return web.json_response(_told(provider, batch))


def _listed(provider: Provider, wire: str) -> web.Response:
    mine = [_told(provider, batch) for batch in reversed(provider.batches) if batch.wire == wire]
    ends = {"first_id": mine[0]["id"], "last_id": mine[-1]["id"]} if mine else {"first_id": None, "last_id": None}
    return web.json_response({"object": "list", "data": mine, "has_more": False, **ends})


def _lines(provider: Provider, batch: Batch) -> list[str]:
    """The results of a batch, in an order of their own, as its wire writes them."""
    lines = []
    for item in sorted(batch.items, key=lambda item: str(item["custom_id"])):
        custom_id = item["custom_id"]
        wrong = "canceled" if batch.cancelled else provider.spoiled(custom_id)
        body = item["body"] if batch.wire == "openai" else item["params"]
        asked = asked_of(batch.wire, body, hashlib.sha256(json.dumps(body).encode()).hexdigest())
        if not wrong:
            provider.calls[f"batch {custom_id}"] += 1
        lines.append(json.dumps({"custom_id": custom_id, **_outcome(provider, batch, wrong, asked)}))
    return lines


def _outcome(provider: Provider, batch: Batch, wrong: str, asked: Asked) -> dict[str, Any]:
    if batch.wire == "openai":
        if wrong == "errored":
            return {"id": "r", "response": {"status_code": 500, "body": {"error": {"code": "server_error"}}}}
        if wrong:
            return {"id": "r", "response": None, "error": {"code": f"batch_{wrong}", "message": "not finished"}}
        return {"id": "r", "response": {"status_code": 200, "body": provider.reply(asked)}, "error": None}
    if wrong == "errored":
        error = {"type": "error", "error": {"type": "api_error", "message": "no"}}
        return {"result": {"type": "errored", "error": error}}
    if wrong:
        return {"result": {"type": wrong}}
    return {"result": {"type": "succeeded", "message": provider.reply(asked)}}


def _told(provider: Provider, batch: Batch) -> dict[str, Any]:
    many = len(batch.items)
    if batch.wire == "openai":
        status = "cancelled" if batch.cancelled else "completed" if batch.ended else "in_progress"
        if batch.ended and f"out-{batch.id}" not in provider.files:
            provider.files[f"out-{batch.id}"] = "\n".join(_lines(provider, batch))
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "created_at": CREATED,
            "input_file_id": "file-0",
            "status": status,
            "metadata": batch.metadata,
            "output_file_id": f"out-{batch.id}" if batch.ended else None,
            "error_file_id": None,
            "request_counts": {"total": many, "completed": many if batch.ended else 0, "failed": 0},
        }
    counts = {"processing": 0, "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
    counts["succeeded" if batch.ended else "processing"] = many
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else "in_progress",
        "request_counts": counts,
        "created_at": "2100-01-01T00:00:00Z",
        "expires_at": "2100-01-02T00:00:00Z",
        "archived_at": None,
        "cancel_initiated_at": None,
        "ended_at": "2100-01-01T01:00:00Z" if batch.ended else None,
        "results_url": f"https://nowhere.invalid/{batch.id}" if batch.ended else None,
    }
