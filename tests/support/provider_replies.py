"""Servers that answer each call with a given body, and the backends that read it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from judge.backends.anthropic import Anthropic
from judge.backends.http import Endpoint
from judge.backends.openai import OpenAI
from judge.backends.vllm import Vllm
from judge.domain.verdict import Reply
from judge.ports.backend import Backend
from support.example_prompts import prompt
from support.loopback import Handler, serving
from support.provider_server import anthropic_url

MAKE: Mapping[str, Callable[[str], Backend]] = {
    "anthropic": lambda url: Anthropic("m", Endpoint(anthropic_url(url), timeout_seconds=20.0)),
    "openai": lambda url: OpenAI("m", Endpoint(url, timeout_seconds=20.0)),
    "vllm": lambda url: Vllm("m", Endpoint(url, timeout_seconds=20.0)),
}
USED = {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107}


def body_of(vendor: str, content: object, finish: object = None, **top: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a reply in the format of *vendor*; *content* is that of its message, *top* are fields beside it."""
    if vendor == "anthropic":
        parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
        return {"type": "message", "model": "m", "content": parts, "stop_reason": finish or "end_turn", **top}
    choice = {"index": 0, "finish_reason": finish or "stop", "message": {"role": "assistant", "content": content}}
    return {"object": "chat.completion", "model": "m", "choices": [choice], **top}


@asynccontextmanager
async def answered(vendor: str, handler: Handler) -> AsyncIterator[Backend]:
    """A backend of *vendor* at a server that answers every call with *handler*."""
    async with serving(handler) as url:
        backend = MAKE[vendor](url)
        try:
            yield backend
        finally:
            await backend.close()


async def reply_to(vendor: str, body: object, *, status: int = 200, form: str = "brackets") -> Reply:
    """Return the backend's reply if its server answers with *body*."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await request.read()
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, status=status, content_type="application/json")

    async with answered(vendor, handler) as backend:
        return await backend.reply(prompt(form=form))
