"""OpenAI's chat completions, at OpenAI or at any endpoint that speaks the same way, and its batches."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

from judge.backends.chat import completion, request
from judge.backends.http import Endpoint, failure
from judge.backends.sdk import Sdk
from judge.domain.errors import CallFailed, TransportFailed
from judge.domain.judge import CHOICES, Capabilities, RenderedPrompt
from judge.domain.verdict import Reply
from judge.ports.backend import BatchItem, BatchProgress

BASE_URL: Final = "https://api.openai.com/v1"
"""Where OpenAI itself answers."""
_PATH = "/chat/completions"
_REASONING = ("o1", "o3", "o4", "gpt-5")
"""Families of models that think first, and refuse a temperature, a seed and logprobs."""
_PLAIN = ("gpt-5-chat",)
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_MARK = "judge_batch"
_RECENT = 1000
"""So many of the provider's newest batches are looked through for a mark."""


def capabilities(model: str) -> Capabilities:
    """What *model* takes, as far as its name tells; the config knows better."""
    reasoning = model.startswith(_REASONING) and not model.startswith(_PLAIN)
    return Capabilities(
        temperature=not reasoning,
        seed=not reasoning,
        logprobs=not reasoning,
        json_schema=True,
        batch=True,
        reasoning=reasoning,
    )


class OpenAI:
    """The *model* behind *endpoint*. *can* says what the model takes; nothing else is sent.

    *legacy_max_tokens* is for endpoints that want the output budget as max_tokens instead of max_completion_tokens.
    """

    def __init__(
        self,
        model: str,
        endpoint: Endpoint,
        *,
        organization: str = "",
        project: str = "",
        can: Capabilities | None = None,
        legacy_max_tokens: bool = False,
    ) -> None:
        import openai  # noqa: PLC0415  # 0.8 s: whoever has no such judge does not wait for it

        self._model = model
        self._can = can or capabilities(model)
        self._budget = "max_tokens" if legacy_max_tokens else "max_completion_tokens"
        headers = {"OpenAI-Organization": organization, "OpenAI-Project": project}
        self._sdk = Sdk(
            openai,
            openai.AsyncOpenAI,
            endpoint,
            headers={name: value for name, value in headers.items() if value},
            admin_api_key="",
            organization=organization,
            project=project,
            webhook_secret="",
        )

    @property
    def capabilities(self) -> Capabilities:
        """What the model takes."""
        return self._can

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """The model's reply to *prompt*, in one attempt."""
        content, elapsed = await self._sdk.post(_PATH, self._body(prompt), prompt)
        return completion(content, elapsed, prompt.choices)

    async def close(self) -> None:
        """Let go of connections."""
        await self._sdk.close()

    def _body(self, prompt: RenderedPrompt) -> dict[str, Any]:
        """The request's body."""
        body = request(self._model, prompt, self._can, budget=self._budget)
        if prompt.json_schema and self._can.json_schema:
            schema = {"name": "verdict", "strict": True, "schema": json.loads(prompt.json_schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return body

    async def submit(self, items: Sequence[BatchItem], mark: str) -> str:
        """Upload *items* as a file and make a batch of it."""
        lines = [
            json.dumps(
                {"custom_id": item.custom_id, "method": "POST", "url": "/v1" + _PATH, "body": self._body(item.prompt)}
            )
            for item in items
        ]
        client = self._sdk.client
        content = "\n".join(lines).encode()
        file = await self._sdk.request(client.files.create(file=(f"{mark}.jsonl", content), purpose="batch"))
        batch = await self._sdk.request(
            client.batches.create(
                input_file_id=file.id, endpoint="/v1" + _PATH, completion_window="24h", metadata={_MARK: mark}
            )
        )
        return str(batch.id)

    async def find(self, mark: str, custom_ids: Collection[str], since: float, known: Collection[str]) -> str:  # noqa: ARG002  # a mark is enough here
        """The newest batch with *mark*."""
        async for batch in self._sdk.listed(self._sdk.client.batches.list(limit=100), _RECENT):
            if (batch.metadata or {}).get(_MARK) == mark:
                return str(batch.id)
        return ""

    async def progress(self, batch: str) -> BatchProgress:
        """How far the batch is."""
        told = await self._sdk.request(self._sdk.client.batches.retrieve(batch))
        counts = told.request_counts
        return BatchProgress(told.status in _ENDED, counts.completed + counts.failed if counts else 0)

    async def results(self, batch: str) -> AsyncIterator[tuple[str, Reply | CallFailed]]:
        """The lines of the batch's two files."""
        told = await self._sdk.request(self._sdk.client.batches.retrieve(batch))
        for file in (told.output_file_id, told.error_file_id):
            if not file:
                continue
            for line in (await self._sdk.get(f"/files/{file}/content")).splitlines():
                if line.strip():
                    yield _result(line)

    async def cancel(self, batch: str) -> None:
        """Ask for no more of it."""
        await self._sdk.request(self._sdk.client.batches.cancel(batch))


def _result(line: bytes) -> tuple[str, Reply | CallFailed]:
    """What a line of a batch's files says. Raises TransportFailed where it says nothing."""
    try:
        said = json.loads(line)
        custom_id = str(said["custom_id"])
        response = said.get("response") or {}
        status, body = int(response.get("status_code") or 0), response.get("body")
    except (ValueError, LookupError, TypeError, AttributeError):
        raise TransportFailed("a line of the batch's results cannot be read") from None
    ok = 200
    if status == ok:
        try:
            return custom_id, completion(body or {}, 0, CHOICES)
        except TransportFailed as none:
            return custom_id, none
    if status:
        return custom_id, failure(status, body, {})
    return custom_id, TransportFailed("the batch ended before this item was finished")
