"""OpenAI's chat completions and batches, at OpenAI or at an endpoint with the same API."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Final

from judge.backends.chat import completion, request, usage_in
from judge.backends.failures import failure
from judge.backends.http import REPLY_BYTES, Endpoint, too_large
from judge.backends.sdk import Sdk
from judge.domain.errors import CallFailed, TransportFailed
from judge.domain.judge import CHOICES, Capabilities, RenderedPrompt
from judge.domain.verdict import Reply
from judge.ports.backend import BatchItem, BatchProgress

BASE_URL: Final = "https://api.openai.com/v1"
"""The address of OpenAI's own API."""
_PATH = "/chat/completions"
_PLAIN = re.compile(r"gpt-(?:3|4)|chatgpt-4|gpt-5(?:\.\d+)?-chat", re.ASCII)
"""Families of models that take a temperature, a seed and logprobs."""
_REASONING = re.compile(r"o\d|gpt-5|codex", re.ASCII)
"""Families of reasoning models, which refuse a temperature, a seed and logprobs."""
_LATER = re.compile(r"gpt-(?:[6-9]|\d\d)", re.ASCII)
"""Later families of reasoning models, which refuse them unless their effort is none."""
_IMAGES = re.compile(
    r"gpt-4(?:o|\.\d|\.5|-turbo|-vision)|chatgpt-4o|gpt-5|o1(?!-mini|-preview)|o3(?!-mini)|o4", re.ASCII
)
"""Families of models that take images; all later ones do."""
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_MARK = "judge_batch"
_RECENT = 1000
"""How many of the provider's newest batches are searched for a mark."""


def capabilities(model: str, effort: str = "", *, strict: bool = False) -> Capabilities:
    """Return what *model* supports at *effort*, judging by its name. The configuration can override it.

    A router's prefix of the name, as in `openai/o3`, is ignored. A model with an unknown name takes whatever compatible
    servers take; if *strict*, as at OpenAI and Azure, it is sent nothing optional.

    >>> capabilities("gpt-6").temperature, capabilities("gpt-6", "none").temperature
    (False, True)
    >>> capabilities("gpt-4o").images, capabilities("o3-mini").images
    (True, False)
    >>> capabilities("openai/o3-mini").reasoning, capabilities("my-deployment", strict=True).json_schema
    (True, False)
    """
    name = model.lower().removeprefix("ft:").rpartition("/")[2]
    later = _LATER.match(name) is not None
    images = _IMAGES.match(name) is not None or later
    reasoning = later or (_REASONING.match(name) is not None and not _PLAIN.match(name))
    if strict and not reasoning and not _PLAIN.match(name):
        return Capabilities(batch=True, reasoning=True, images=images)
    plain = not reasoning or (later and effort == "none")
    return Capabilities(
        temperature=plain,
        seed=plain,
        logprobs=plain,
        json_schema=True,
        batch=True,
        reasoning=reasoning,
        images=images,
    )


class OpenAI:
    """The *model* at *endpoint*. *can* is what the model supports; parameters that it does not support are not sent.

    *legacy_max_tokens* is for endpoints that call the output budget max_tokens instead of max_completion_tokens.
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
        import openai  # noqa: PLC0415  # 0.8 s; imported only if there is such a judge

        self._model = model
        self._can = can or capabilities(model)
        self._budget = "max_tokens" if legacy_max_tokens else "max_completion_tokens"
        self._further = endpoint.body
        headers = {"OpenAI-Organization": organization, "OpenAI-Project": project}
        if endpoint.api_version:
            headers["api-key"] = endpoint.api_key
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
        """What the model supports."""
        return self._can

    async def reply(self, prompt: RenderedPrompt) -> Reply:
        """Return the model's reply to *prompt*, in one attempt. Raises a CallFailed."""
        answer = await self._sdk.post(_PATH, self._body(prompt), prompt)
        return completion(
            answer.content,
            answer.elapsed_ms,
            prompt.choices,
            stated_micros=answer.stated_micros,
            prompt=prompt,
            secrets=self._sdk.secrets,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._sdk.close()

    def _body(self, prompt: RenderedPrompt) -> dict[str, Any]:
        """Return the request's body."""
        body = request(self._model, prompt, self._can, budget=self._budget)
        if prompt.json_schema and self._can.json_schema:
            schema = {"name": "verdict", "strict": True, "schema": json.loads(prompt.json_schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        return {**body, **self._further}

    async def submit(self, items: Sequence[BatchItem], mark: str) -> str:
        """Upload *items* as a file, start a batch with it, and return the batch's id."""
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
        """Return the id of the newest batch with *mark*, or "" if there is none."""
        async for batch in self._sdk.list_items(self._sdk.client.batches.list(limit=100), _RECENT):
            if (batch.metadata or {}).get(_MARK) == mark:
                return str(batch.id)
        return ""

    async def progress(self, batch: str) -> BatchProgress:
        """Return the progress of the batch."""
        retrieved = await self._sdk.request(self._sdk.client.batches.retrieve(batch))
        counts = retrieved.request_counts
        return BatchProgress(retrieved.status in _ENDED, counts.completed + counts.failed if counts else 0)

    async def results(self, batch: str) -> AsyncIterator[tuple[str, Reply | CallFailed]]:
        """Yield the custom id and the result of each item, from the batch's two files."""
        retrieved = await self._sdk.request(self._sdk.client.batches.retrieve(batch))
        for file in (retrieved.output_file_id, retrieved.error_file_id):
            if not file:
                continue
            for line in (await self._sdk.get(f"/files/{file}/content")).splitlines():
                if line.strip():
                    yield _result(line, self._sdk.secrets)

    async def cancel(self, batch: str) -> None:
        """Cancel the batch. Items that are already finished keep their results."""
        await self._sdk.request(self._sdk.client.batches.cancel(batch))


def _result(line: bytes, secrets: Sequence[str]) -> tuple[str, Reply | CallFailed]:
    """Return the custom id and the result in a line of a batch's files. Raises TransportFailed if it has none."""
    try:
        entry = json.loads(line)
        custom_id = str(entry["custom_id"])
        response = entry.get("response") or {}
        status, body = int(response.get("status_code") or 0), response.get("body")
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        raise TransportFailed("a line of the batch's results cannot be read") from None
    if len(line) > REPLY_BYTES:
        return custom_id, too_large(REPLY_BYTES)
    ok = 200
    if status == ok:
        try:
            return custom_id, completion(body or {}, 0, CHOICES, secrets=secrets)
        except CallFailed as error:
            return custom_id, error
    if status:
        return custom_id, failure(status, body, {}, usage=usage_in(body, 0))
    return custom_id, TransportFailed("the batch ended before this item was finished")
