"""Requests and replies of chat completions, as OpenAI, vLLM and compatible servers have them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from judge.backends.http import encodable, no_reply, storable
from judge.domain.judge import Capabilities, RenderedPrompt
from judge.domain.outcome import VerdictStatus
from judge.domain.verdict import Reply, Usage

TOP_LOGPROBS = 10
"""How many alternatives of a token are requested: A, B and C with and without a space, and some more."""
_STATUSES = {"length": VerdictStatus.TRUNCATED, "content_filter": VerdictStatus.FILTERED}


def request(
    model: str, prompt: RenderedPrompt, can: Capabilities, *, budget: str = "max_completion_tokens"
) -> dict[str, Any]:
    """Return the request's body, without the answer's form. *budget* names the field with the output tokens."""
    sampling = prompt.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": encodable(message.content)} for message in prompt.messages],
        budget: sampling.max_output_tokens,
    }
    if sampling.temperature is not None:
        body["temperature"] = sampling.temperature
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.effort:
        body["reasoning_effort"] = sampling.effort
    if prompt.choices and can.logprobs:
        body["logprobs"], body["top_logprobs"] = True, TOP_LOGPROBS
    return body


def completion(content: bytes | str | Mapping[str, Any], elapsed_ms: int, choices: Sequence[str] = ()) -> Reply:
    """Return the reply in a chat completion. *choices* are the tokens that may be a verdict.

    Raises TransportFailed if *content* is no chat completion.
    """
    try:
        answer = json.loads(content) if isinstance(content, bytes | str) else content
        choice = answer["choices"][0]
        message = choice["message"]
        raw, refusal = message.get("content"), message.get("refusal")
        finish = choice.get("finish_reason")
        model = answer.get("model")
        usage = _usage(answer.get("usage"), elapsed_ms)
        logprobs = _deciding(choice.get("logprobs"), choices) if choices else ()
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise no_reply("the endpoint's answer is not a chat completion") from None
    status = _STATUSES.get(finish, VerdictStatus.OK) if isinstance(finish, str) else VerdictStatus.OK
    if isinstance(refusal, str) and refusal:
        raw, status = refusal, VerdictStatus.REFUSED
    if not isinstance(raw, str):
        if status is VerdictStatus.OK:
            raise no_reply("the endpoint's answer contains no text")
        raw = ""
    return Reply(
        raw=storable(raw),
        status=status,
        usage=usage,
        model=storable(model) if isinstance(model, str) else "",
        logprobs=logprobs,
    )


def _usage(usage: Any, elapsed_ms: int) -> Usage:  # noqa: ANN401
    """Return the provider's own counts of tokens, or 0 for those that it does not give."""
    usage = usage or {}
    details = usage.get("prompt_tokens_details") or {}
    input_tokens = int(usage.get("prompt_tokens") or 0)
    return Usage(
        input_tokens=input_tokens,
        cached_input_tokens=min(input_tokens, int(details.get("cached_tokens") or 0)),
        output_tokens=int(usage.get("completion_tokens") or 0),
        latency_ms=elapsed_ms,
    )


def _deciding(logprobs: Any, choices: Sequence[str]) -> tuple[tuple[str, float], ...]:  # noqa: ANN401
    """Return the alternatives of the first token that is one of *choices*, or nothing."""
    for token in (logprobs or {}).get("content") or ():
        if token["token"].strip() in choices:
            alternatives = [
                (storable(each["token"]), float(each["logprob"])) for each in token.get("top_logprobs") or ()
            ]
            if token["token"] not in {name for name, _ in alternatives}:
                alternatives.append((storable(token["token"]), float(token["logprob"])))
            return tuple(alternatives)
    return ()
