"""Requests and replies of chat completions, as OpenAI, vLLM and compatible servers have them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from judge.backends.error_body import error_in, read_error
from judge.backends.failures import failure_in_body, no_reply, readable, without_keys, without_secrets
from judge.backends.finish import STATUSES, Finish, read_finish
from judge.backends.http import encodable, storable
from judge.backends.no_errors import is_error
from judge.backends.reply_text import ReplyText, read_text
from judge.backends.stated_cost import cost_in_headers
from judge.backends.usage import read_usage
from judge.domain.errors import CallFailed, TransportFailed
from judge.domain.judge import Capabilities, Message, RenderedPrompt
from judge.domain.messages import Image
from judge.domain.usage import Usage
from judge.domain.verdict import Reply

TOP_LOGPROBS = 10
"""How many alternatives of a token are requested: A, B and C with and without a space, and some more."""
_WORD_CHARS = 40
"""How much of a server's word for the end of a reply is shown."""
READ_CHARS = 1_000
"""How much of a name or a word that a server made up is read."""
_LARGEST_LOG = 1e308
_DIGITS = 9
_NO_INDEX = 1 << 30
"""Choices without an index come after those with one."""


def request(
    model: str, prompt: RenderedPrompt, can: Capabilities, *, budget: str = "max_completion_tokens"
) -> dict[str, Any]:
    """Return the request's body, without the answer's form. *budget* names the field with the output tokens."""
    sampling = prompt.sampling
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": message.role, "content": content_of(message, _image)} for message in prompt.messages],
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


def content_of(message: Message, image: Callable[[Image], dict[str, Any]]) -> str | list[dict[str, Any]]:
    """Return what is sent of *message*: its text, or a list of texts and of images as *image* makes them."""
    if not message.parts:
        return encodable(message.content)
    return [
        image(part) if isinstance(part, Image) else {"type": "text", "text": encodable(part)} for part in message.parts
    ]


def _image(image: Image) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": image.data_url}}


def completion(
    content: bytes | str | Mapping[str, Any],
    elapsed_ms: int,
    choices: Sequence[str] = (),
    *,
    stated_micros: int = 0,
    **context: Any,  # noqa: ANN401  # the arguments of `failure`
) -> Reply:
    """Return the reply in a chat completion. *choices* are the tokens that may be a verdict.

    *stated_micros* is what the answer's headers say that it costs.
    *context* is what `failure` needs to know for its message: the prompt and the secrets.

    Raises:
        CallFailed: *content* has an error in its body.
        TransportFailed: *content* is no chat completion, or its reply broke off.
    """
    with readable():
        return _completion(parse_json(content, stated_micros), elapsed_ms, choices, stated_micros, **context)


def _completion(
    answer: Any,  # noqa: ANN401  # what JSON holds
    elapsed_ms: int,
    choices: Sequence[str],
    stated_micros: int,
    **context: Any,  # noqa: ANN401  # as above
) -> Reply:
    if (error := error_in(answer)) is not None:
        raise failure_in_body(error, usage=usage_in(answer, elapsed_ms, stated_micros), **context)
    choice, further = _choice(answer, stated_micros)
    message = choice.get("message")
    text = read_text(message) if isinstance(message, Mapping) else ReplyText(str(choice.get("text") or ""))
    # A choice that has ended and has no message is a reply without a text, which was paid for.
    if not isinstance(message, Mapping) and not isinstance(choice.get("text"), str) and not choice.get("finish_reason"):
        raise no_reply("the endpoint's answer is not a chat completion", usage_in(answer, elapsed_ms, stated_micros))
    usage = read_usage(answer, elapsed_ms, has_text=bool(text.text), stated_micros=stated_micros)
    finish = Finish.REFUSED if text.refusal else read_finish(choice.get("finish_reason"))
    error = choice.get("error") if is_error(choice.get("error"), beside_reply=bool(text.text)) else None
    if finish is Finish.BROKEN or error is True or not read_error(error).is_empty:
        raise broken(choice.get("finish_reason"), choice.get("error"), usage, **context)
    return Reply(
        raw=storable(without_keys(text.whole, context.get("secrets", ()))),
        status=STATUSES[finish],
        usage=usage,
        model=model_name(answer.get("model"), context.get("secrets", ())),
        logprobs=_deciding(choice.get("logprobs"), choices) if choices else (),
        further_choices=further,
    )


def model_name(model: object, secrets: Sequence[str]) -> str:
    """Return the name of the *model* that replied, without the *secrets*; empty if there is none."""
    return storable(without_secrets(model[:READ_CHARS], secrets)) if isinstance(model, str) else ""


def parse_json(content: bytes | str | Mapping[str, Any], stated_micros: int = 0) -> Any:  # noqa: ANN401  # what JSON holds
    """Return the JSON in *content*, whose headers state a cost. Raises TransportFailed if there is none."""
    try:
        return json.loads(content) if isinstance(content, bytes | str) else content
    except UnicodeDecodeError:
        # A reply that was paid for is kept, even if its server sends it in another encoding.
        return (
            parse_json(bytes(content).decode("utf-8", "replace"), stated_micros) if isinstance(content, bytes) else None
        )
    except (ValueError, RecursionError):
        raise no_reply(f"the endpoint's answer {_not_json(content)}", usage_in(None, 0, stated_micros)) from None


def _not_json(content: object) -> str:
    """Say what an answer is that is not JSON."""
    text = content.decode("utf-8", "replace") if isinstance(content, bytes) else str(content)
    start = text[:READ_CHARS].lstrip("\ufeff \t\r\n").lower()
    if not start:
        return "is empty"
    if start.startswith("<"):
        return "is a page, not JSON"
    if start.startswith(("data:", "event:")):
        return "is a stream, which was not asked for, not JSON"
    return "is not JSON"


def usage_in(answer: object, elapsed_ms: int, stated_micros: int = 0) -> Usage | None:
    """Return the usage in an *answer* that is no reply, or None if neither it nor its headers state any.

    *stated_micros* is what the headers say that it costs.
    """
    if isinstance(answer, list) and answer:
        answer = answer[0]
    body = answer if isinstance(answer, Mapping) else {}
    usage = read_usage(body, elapsed_ms, has_text=False, stated_micros=stated_micros)
    return usage if usage.counted or usage.stated_micros else None


def usage_of_error(content: bytes, headers: Mapping[str, str]) -> Usage | None:
    """Return the usage that an answer with the status of an error states, in its body or *headers*; None if none."""
    stated_micros = cost_in_headers(headers)
    try:
        with readable():
            return usage_in(parse_json(content), 0, stated_micros)
    except TransportFailed:
        return usage_in(None, 0, stated_micros)


def broken(word: object, error: object, usage: Usage, **context: Any) -> CallFailed:  # noqa: ANN401  # as above
    """Return the error for a reply that ended with the *word* of a server, for the reason in *error* if it has one.

    What it used is booked. The provider's words are read as those of any error.
    """
    reason = read_error(error)
    if reason.status or reason.codes:
        return failure_in_body(reason, usage=usage, **context)
    words = failure_in_body(reason, **context).message.partition(": ")[2]
    shown = without_secrets(str(word)[:READ_CHARS], context.get("secrets", ()))[:_WORD_CHARS]
    message = f"the reply broke off: the endpoint ended it with finish reason {shown!r}"
    return no_reply(f"{message}: {words}" if words else message, usage)


def _choice(answer: object, stated_micros: int) -> tuple[Mapping[str, Any], int]:
    """Return the first choice of a chat completion, by the choices' index if they have one, and how many follow.

    Raises TransportFailed if there is none.
    """
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    listed = [each for each in choices if isinstance(each, Mapping)] if isinstance(choices, Sequence) else []
    if not listed:
        raise no_reply("the endpoint's answer is not a chat completion", usage_in(answer, 0, stated_micros))
    first = min(range(len(listed)), key=lambda place: _index(listed[place], place))
    return listed[first], len(listed) - 1


def _index(choice: Mapping[str, Any], place: int) -> int:
    """Return the index of a *choice*, or its *place* in the list if it has none."""
    index = choice.get("index")
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < _DIGITS:
        index = int(index)
    return index if isinstance(index, int) and index >= 0 else place + _NO_INDEX


def _deciding(logprobs: object, choices: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Return the alternatives of the last token that is one of *choices*, or nothing.

    It is the last one because thinking may come before the answer. Alternatives without a number are left out.
    """
    tokens = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    for token in reversed(tokens) if isinstance(tokens, list) else ():
        if not isinstance(token, Mapping) or str(token.get("token")).strip() not in choices:
            continue
        top = token.get("top_logprobs")
        listed = [_alternative(each) for each in top] if isinstance(top, list) else []
        alternatives = dict(each for each in listed if each is not None)
        own = _alternative(token)
        if own is not None:
            alternatives.setdefault(*own)
        return tuple(alternatives.items())
    return ()


def _alternative(entry: object) -> tuple[str, float] | None:
    """Return a token and its log probability, or None if one of them is missing."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("token"), str):
        return None
    log = entry.get("logprob")
    if isinstance(log, bool) or not isinstance(log, int | float) or not -_LARGEST_LOG <= log <= _LARGEST_LOG:
        return None
    return storable(entry["token"]), float(log)
