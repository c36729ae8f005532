"""Anthropic's messages and its batches.

The API supports neither seeds nor probabilities, and its current models do not support a temperature. A long system
message is marked for Anthropic's cache, since it is the same for every call.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

from judge.backends.http import Endpoint, encodable, failure, no_reply, storable
from judge.backends.sdk import Sdk
from judge.domain.errors import CallFailed, TransportFailed
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.outcome import VerdictStatus
from judge.domain.verdict import Reply, Usage
from judge.ports.backend import BatchItem, BatchProgress, BatchUndecided

BASE_URL: Final = "https://api.anthropic.com"
"""The address of Anthropic's own API."""
CACHED_CHARS: Final = 4000
"""The shortest system message that is marked for the cache. The provider does not cache shorter ones."""
_PATH = "/v1/messages"
_BATCHES = "/v1/messages/batches"
_STATUSES = {
    "max_tokens": VerdictStatus.TRUNCATED,
    "model_context_window_exceeded": VerdictStatus.TRUNCATED,
    "refusal": VerdictStatus.REFUSED,
}
_ERRORS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The HTTP status of each type of error. Errors in the results of a batch have only the type."""
_RECENT = 1000
"""How many of the provider's newest batches are searched."""
_SKEW = 120.0
"""How many seconds the provider's clock may be behind ours."""


def capabilities(model: str) -> Capabilities:  # noqa: ARG001  # the same for all models
    """Return what Anthropic supports for every model."""
    return Capabilities(json_schema=True, batch=True, reasoning=True)


class Anthropic:
    """The *model* at *endpoint*. *can* is what the model supports; parameters that it does not support are not sent."""

    def __init__(self, model: str, endpoint: Endpoint, *, can: Capabilities | None = None) -> None:
        import anthropic  # noqa: PLC0415  # 1.5 s; imported only if there is such a judge
        from anthropic._constants import ANTHROPIC_API_VERSION  # noqa: PLC0415  # the SDK has it only here

        self._model = model
        self._can = can or capabilities(model)
        self._sdk = Sdk(
            anthropic,
            anthropic.AsyncAnthropic,
            endpoint,
            headers={"anthropic-version": ANTHROPIC_API_VERSION},
            webhook_key="",
            open_telemetry=False,
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the model supports."""
        return self._can

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """Return the model's reply to *prompt*, in one attempt. Raises a CallFailed."""
        content, elapsed = await self._sdk.post(_PATH, self._body(prompt), prompt)
        try:
            message = json.loads(content)
        except (ValueError, RecursionError):
            raise no_reply("the endpoint's answer is not a message") from None
        return _reply(message, elapsed)

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()

    def _body(self, prompt: RenderedPrompt) -> dict[str, Any]:
        """Return the request's body."""
        sampling = prompt.sampling
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": sampling.max_output_tokens,
            "messages": [
                {"role": message.role, "content": encodable(message.content)}
                for message in prompt.messages
                if message.role != "system"
            ],
        }
        system = "\n\n".join(encodable(message.content) for message in prompt.messages if message.role == "system")
        if len(system) >= CACHED_CHARS:
            body["system"] = [{"type": "text", "text": system, "cache_control": {"type": "ephemeral"}}]
        elif system.strip():
            body["system"] = system
        if sampling.temperature is not None:
            body["temperature"] = sampling.temperature
        output: dict[str, Any] = {"effort": sampling.effort} if sampling.effort else {}
        if prompt.json_schema and self._can.json_schema:
            output["format"] = {"type": "json_schema", "schema": json.loads(prompt.json_schema)}
        if output:
            body["output_config"] = output
        return body

    async def submit(self, items: Sequence[BatchItem], mark: str) -> str:  # noqa: ARG002  # Anthropic stores no mark
        """Start a batch with *items* and return its id."""
        requests = [{"custom_id": item.custom_id, "params": self._body(item.prompt)} for item in items]
        batch = await self._sdk.request(self._sdk.client.messages.batches.create(requests=requests))
        return str(batch.id)

    async def find(self, mark: str, custom_ids: Collection[str], since: float, known: Collection[str]) -> str:  # noqa: ARG002  # Anthropic stores no mark
        """Return the id of the batch whose results have *custom_ids*, or "" if there is none.

        Raises BatchUndecided while a possible batch has not ended, because only its results have custom ids.
        """
        waiting = ""
        async for batch in self._sdk.list_items(self._sdk.client.messages.batches.list(limit=100), _RECENT):
            if batch.created_at.timestamp() < since - _SKEW:
                break
            counts = batch.request_counts
            n_items = counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
            if batch.id in known or n_items != len(custom_ids):
                continue
            if batch.processing_status != "ended":
                waiting = str(batch.id)
                continue
            async for custom_id, _ in self.results(batch.id):
                if custom_id in custom_ids:
                    return str(batch.id)
                break
        if waiting:
            raise BatchUndecided(f"batch {waiting} may be this one; that is known only when it has ended")
        return ""

    async def progress(self, batch: str) -> BatchProgress:
        """Return the progress of the batch."""
        retrieved = await self._sdk.request(self._sdk.client.messages.batches.retrieve(batch))
        counts = retrieved.request_counts
        finished = counts.succeeded + counts.errored + counts.canceled + counts.expired
        return BatchProgress(retrieved.processing_status == "ended", finished)

    async def results(self, batch: str) -> AsyncIterator[tuple[str, Reply | CallFailed]]:
        """Yield the custom id and the result of each item.

        The results are read at a known address, not at the one that the provider's answer has.
        """
        for line in (await self._sdk.get(f"{_BATCHES}/{batch}/results")).splitlines():
            if line.strip():
                yield _result(line)

    async def cancel(self, batch: str) -> None:
        """Cancel the batch. Items that are already finished keep their results."""
        await self._sdk.request(self._sdk.client.messages.batches.cancel(batch))


def _result(line: bytes) -> tuple[str, Reply | CallFailed]:
    """Return the custom id and the result in a line of a batch's results. Raises TransportFailed if it has none."""
    try:
        entry = json.loads(line)
        custom_id, result = str(entry["custom_id"]), entry["result"]
        kind = result["type"]
    except (ValueError, LookupError, TypeError):
        raise TransportFailed("a line of the batch's results cannot be read") from None
    if kind == "succeeded":
        try:
            return custom_id, _reply(result.get("message"), 0)
        except TransportFailed as error:
            return custom_id, error
    if kind == "errored":
        body = result.get("error") or {}
        inner = body.get("error", body) if isinstance(body, dict) else {}
        return custom_id, failure(_ERRORS.get(str(inner.get("type")), 500), body, {})
    return custom_id, TransportFailed(f"the batch ended before this item was finished: {kind}")


def _reply(message: Any, elapsed_ms: int) -> Reply:  # noqa: ANN401  # what JSON holds
    """Return the reply in a *message*. Raises TransportFailed if *message* is not one."""
    try:
        texts = [block["text"] for block in message["content"] if block.get("type") == "text"]
        stopped = message.get("stop_reason")
        model = message.get("model")
        usage = _usage(message.get("usage") or {}, elapsed_ms)
        raw = "".join(texts)
    except (LookupError, TypeError, AttributeError, ValueError):
        raise no_reply("the endpoint's answer is not a message") from None
    status = _STATUSES.get(stopped, VerdictStatus.OK) if isinstance(stopped, str) else VerdictStatus.OK
    if not texts and status is VerdictStatus.OK:
        raise no_reply("the endpoint's answer contains no text")
    return Reply(raw=storable(raw), status=status, usage=usage, model=storable(model) if isinstance(model, str) else "")


def _usage(usage: dict[str, Any], elapsed_ms: int) -> Usage:
    """Return the provider's counts. Its input tokens exclude those read from and written to its cache; ours do not."""
    fresh, read, written = (
        int(usage.get(name) or 0) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    return Usage(
        input_tokens=fresh + read + written,
        cached_input_tokens=read,
        written_input_tokens=written,
        output_tokens=int(usage.get("output_tokens") or 0),
        latency_ms=elapsed_ms,
    )
