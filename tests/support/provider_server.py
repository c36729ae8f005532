"""The server of the fake provider: it routes the requests of both APIs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from aiohttp import web
from anthropic._constants import ANTHROPIC_API_VERSION

from support import provider_batches as batches
from support.loopback import serving
from support.provider import FAULTS, Batch, Provider, parse_call, problem

BATCHES = {"openai": "/v1/batches", "anthropic": "/v1/messages/batches"}
AFTER = {"openai": "after", "anthropic": "after_id"}
PAGE = 20
"""The default page size of a listing."""
MOST = 100
"""The largest page size of a listing."""


@asynccontextmanager
async def serving_provider(provider: Provider) -> AsyncIterator[str]:
    """Serve *provider* on loopback and yield its base URL for OpenAI's API. Anthropic's is the same without /v1."""
    async with serving(partial(handle, provider)) as url:
        try:
            yield url
        finally:
            provider.closing.set()


def anthropic_url(url: str) -> str:
    """Return the base URL for Anthropic's API."""
    return url.removesuffix("/v1")


async def handle(provider: Provider, request: web.Request) -> web.StreamResponse:
    """Answer a request of either API. Both take the key as a bearer token; Anthropic's also requires its version."""
    provider.requests.append((request.method, request.path, dict(request.headers)))
    wire = "anthropic" if request.path.startswith("/v1/messages") else "openai"
    if (refused := _refused(provider, request, wire)) is not None:
        return refused
    parts = request.path.strip("/").split("/")
    if parts[:2] == ["v1", "files"]:
        return await _handle_files(provider, request, parts[2:])
    if request.path.startswith(BATCHES[wire]):
        return await _handle_batches(provider, request, wire)
    if request.path == "/v1/models":
        about = {"object": "model", "created": batches.CREATED, "owned_by": "provider"}
        models = [{"id": name, "root": name, **about} for name in provider.models]
        return web.json_response({"object": "list", "data": models})
    if request.path not in ("/v1/chat/completions", "/v1/messages"):
        return problem(wire, 404, "not_found", "not_found_error", f"no such path: {request.path}")
    return await _complete(provider, request, wire)


def _refused(provider: Provider, request: web.Request, wire: str) -> web.Response | None:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if provider.key and (scheme, given) != ("Bearer", provider.key):
        return problem(wire, 401, "invalid_api_key", "authentication_error", f"Incorrect API key: {given}")
    if wire == "anthropic" and request.headers.get("anthropic-version") != ANTHROPIC_API_VERSION:
        return problem(wire, 400, "", "invalid_request_error", "anthropic-version: not a version")
    return None


async def _complete(provider: Provider, request: web.Request, wire: str) -> web.StreamResponse:
    raw = await request.read()
    asked = parse_call(wire, json.loads(raw), hashlib.sha256(raw).hexdigest())
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


async def _handle_files(provider: Provider, request: web.Request, parts: list[str]) -> web.Response:
    """Store an uploaded file or return the content of one. A batch's files exist only after the batch has ended."""
    if not parts:
        form = await request.post()
        file: Any = form["file"]
        return web.json_response(batches.store_file(provider, file.filename, file.file.read().decode()))
    kind, _, batch_id = parts[0].partition("-")
    batch = _batch(provider, "openai", batch_id)
    if kind in {"out", "err"} and batch is not None and batch.ended:
        return _results(provider, batch, failed=kind == "err")
    if parts[0] not in provider.files:
        return problem("openai", 404, "", "invalid_request_error", f"No such File object: {parts[0]}")
    return web.Response(text=provider.files[parts[0]])


async def _handle_batches(provider: Provider, request: web.Request, wire: str) -> web.StreamResponse:
    path = request.path.removeprefix(BATCHES[wire]).strip("/")
    if not path:
        return (
            await _submit_batch(provider, request, wire)
            if request.method == "POST"
            else _list_batches(provider, request, wire)
        )
    batch_id, _, what = path.partition("/")
    batch = _batch(provider, wire, batch_id)
    if batch is None or (what == "results" and not batch.ended):
        return problem(wire, 404, "", "not_found_error", f"no such batch: {path}")
    if what == "results":
        return _results(provider, batch)
    if what == "cancel":
        batches.cancel(batch)
    else:
        batches.poll(provider, batch)
    return web.json_response(batches.batch_object(provider, batch))


def _batch(provider: Provider, wire: str, batch_id: str) -> Batch | None:
    return next((batch for batch in provider.batches if (batch.wire, batch.id) == (wire, batch_id)), None)


def _results(provider: Provider, batch: Batch, *, failed: bool | None = None) -> web.Response:
    if provider.broken_results:
        provider.broken_results -= 1
        return problem(batch.wire, 500, "server_error", "api_error", "no")
    return web.Response(text=batches.results(provider, batch, failed=failed))


async def _submit_batch(provider: Provider, request: web.Request, wire: str) -> web.Response:
    if provider.before_submit is not None:
        await provider.before_submit()
    body = await request.json()
    file = body.get("input_file_id", "")
    if wire == "openai":
        if file not in provider.files:
            return problem(wire, 400, "", "invalid_request_error", f"No such File object: {file}")
        items = [json.loads(line) for line in provider.files[file].splitlines()]
    else:
        items = body["requests"]
    batch = Batch(
        id=f"batch_{len(provider.batches)}",
        wire=wire,
        items=items,
        metadata=body.get("metadata") or {},
        input_file_id=file,
    )
    provider.batches.append(batch)
    if provider.after_submit is not None:
        await provider.after_submit()
    return web.json_response(batches.batch_object(provider, batch))


def _list_batches(provider: Provider, request: web.Request, wire: str) -> web.Response:
    """Return one page of batches, newest first."""
    after, limit = request.query.get(AFTER[wire], ""), int(request.query.get("limit", PAGE))
    mine = [batches.batch_object(provider, batch) for batch in reversed(provider.batches) if batch.wire == wire]
    page_of_batches = batches.page(mine, limit, after) if 1 <= limit <= MOST else None
    if page_of_batches is None:
        return problem(wire, 400, "", "invalid_request_error", f"no such page: {request.query_string}")
    return web.json_response(page_of_batches)
