"""Anthropic's messages and its batches.

The API supports neither seeds nor probabilities, and its current models do not support a temperature. A long system
message is marked for Anthropic's cache, since it is the same for every call.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, Final

from judge.backends.chat import broken, content_of, model_name, parse_json, usage_in
from judge.backends.error_body import error_in
from judge.backends.failures import failure_in_body, no_reply, readable, without_keys
from judge.backends.finish import STATUSES, Finish, read_finish
from judge.backends.http import REPLY_BYTES, Endpoint, encodable, storable, too_large
from judge.backends.reply_text import read_text
from judge.backends.sdk import Sdk
from judge.backends.usage import read_usage
from judge.domain.errors import CallFailed, TransportFailed
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.messages import Image
from judge.domain.verdict import Reply
from judge.ports.backend import BatchItem, BatchProgress, BatchUndecided

BASE_URL: Final = "https://api.anthropic.com"
"""The address of Anthropic's own API."""
CACHED_CHARS: Final = 4000
"""The shortest system message that is marked for the cache. The provider does not cache shorter ones."""
_PATH = "/v1/messages"
_BATCHES = "/v1/messages/batches"
_RECENT = 1000
"""How many of the provider's newest batches are searched."""
_SKEW = 120.0
"""How many seconds the provider's clock may be behind ours."""


def capabilities(model: str) -> Capabilities:  # noqa: ARG001  # the same for all models
    """Return what Anthropic supports for every model."""
    return Capabilities(json_schema=True, batch=True, reasoning=True, images=True)


class Anthropic:
    """The *model* at *endpoint*. *can* is what the model supports; parameters that it does not support are not sent."""

    def __init__(self, model: str, endpoint: Endpoint, *, can: Capabilities | None = None) -> None:
        import anthropic  # noqa: PLC0415  # 1.5 s; imported only if there is such a judge
        from anthropic._constants import ANTHROPIC_API_VERSION  # noqa: PLC0415  # the SDK has it only here

        self._model = model
        self._can = can or capabilities(model)
        self._further = endpoint.body
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
        answer = await self._sdk.post(_PATH, self._body(prompt), prompt)
        with readable():
            return _reply(
                parse_json(answer.content, answer.stated_micros),
                answer.elapsed_ms,
                stated_micros=answer.stated_micros,
                prompt=prompt,
                secrets=self._sdk.secrets,
            )

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
                {"role": message.role, "content": content_of(message, _image)}
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
        return {**body, **self._further}

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
                yield _result(line, self._sdk.secrets)

    async def cancel(self, batch: str) -> None:
        """Cancel the batch. Items that are already finished keep their results."""
        await self._sdk.request(self._sdk.client.messages.batches.cancel(batch))


def _image(image: Image) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.base64}}


def _result(line: bytes, secrets: Sequence[str]) -> tuple[str, Reply | CallFailed]:
    """Return the custom id and the result in a line of a batch's results. Raises TransportFailed if it has none."""
    try:
        entry = json.loads(line)
        custom_id, result = str(entry["custom_id"]), entry["result"]
        kind = result["type"]
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise TransportFailed("a line of the batch's results cannot be read") from None
    if len(line) > REPLY_BYTES:
        return custom_id, too_large(REPLY_BYTES)
    if kind == "succeeded":
        try:
            with readable():
                return custom_id, _reply(result.get("message"), 0, secrets=secrets)
        except CallFailed as error:
            return custom_id, error
    if kind == "errored":
        return custom_id, failure_in_body(result.get("error"), usage=usage_in(result.get("error"), 0))
    return custom_id, TransportFailed(f"the batch ended before this item was finished: {kind}")


def _reply(message: Any, elapsed_ms: int, *, stated_micros: int = 0, **context: Any) -> Reply:  # noqa: ANN401  # what JSON holds
    """Return the reply in a *message*. *stated_micros* is what the answer's headers say that it costs.

    *context* is what `failure` needs to know for its message.

    Raises:
        CallFailed: *message* has an error in its place.
        TransportFailed: It is not a message, or the reply broke off.
    """
    if (error := error_in(message)) is not None:
        raise failure_in_body(error, usage=usage_in(message, elapsed_ms, stated_micros), **context)
    if not isinstance(message, Mapping) or "content" not in message:
        raise no_reply("the endpoint's answer is not a message", usage_in(message, elapsed_ms, stated_micros))
    text = read_text(message)
    usage = read_usage(message, elapsed_ms, has_text=bool(text.text), stated_micros=stated_micros)
    finish = Finish.REFUSED if text.refusal else read_finish(message.get("stop_reason"))
    if finish is Finish.BROKEN:
        raise broken(message.get("stop_reason"), None, usage, **context)
    model = message.get("model")
    return Reply(
        raw=storable(without_keys(text.whole, context.get("secrets", ()))),
        status=STATUSES[finish],
        usage=usage,
        model=model_name(model, context.get("secrets", ())),
    )
