"""The models that an endpoint lists: a request that costs nothing and shows whether the endpoint and the key work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from judge.backends.chat import parse_json
from judge.backends.error_body import error_in
from judge.backends.failures import failure, failure_in_body
from judge.backends.http import ACCEPT_ENCODING, REPLY_BYTES, Endpoint, bounded, no_answer, request_errors

_ANTHROPIC: Final = {"anthropic-version": "2023-06-01"}
_OK, _NOT_FOUND, _NOT_ALLOWED = 200, 404, 405


@dataclass(frozen=True, slots=True)
class ListedModels:
    """The *models* that an endpoint lists, by name, each with the day on which it is shut down, or "".

    It is empty if the endpoint answers but has no list.
    """

    models: Mapping[str, str]


async def list_models(endpoint: Endpoint, vendor: str) -> ListedModels:
    """Ask *endpoint*, which has the API of *vendor*, for its models.

    Raises:
        TransportFailed: It gives no answer.
        JudgeUnusable: It refuses the key, or says that the account cannot be used.
    """
    import aiohttp  # noqa: PLC0415  # imported only if there is such a judge

    headers = {"User-Agent": "judge", "Accept-Encoding": ACCEPT_ENCODING, **endpoint.headers}
    if endpoint.api_key:
        headers |= {"Authorization": f"Bearer {endpoint.api_key}"}
    if endpoint.api_version:
        headers |= {"api-key": endpoint.api_key}
    if vendor == "anthropic":
        headers |= _ANTHROPIC
    url = endpoint.base_url.rstrip("/") + ("/v1/models" if vendor == "anthropic" else "/models")
    timeout = aiohttp.ClientTimeout(total=endpoint.timeout_seconds, sock_connect=endpoint.connect_timeout_seconds)
    try:
        async with (
            aiohttp.ClientSession(trust_env=False, auto_decompress=False, timeout=timeout) as session,
            session.get(
                url,
                headers=headers,
                params={"api-version": endpoint.api_version} if endpoint.api_version else None,
                proxy=endpoint.proxy or None,
                allow_redirects=False,
            ) as response,
        ):
            encoding = response.headers.get("Content-Encoding", "")
            chunks = bounded(response.content.iter_any(), encoding, REPLY_BYTES)
            content = b"".join([chunk async for chunk in chunks])
    except request_errors() as error:
        raise no_answer(error) from None
    if response.status == _OK:
        answer = parse_json(content)
        if isinstance(answer, Mapping) and (problem := error_in(answer)) is not None:
            raise failure_in_body(problem, secrets=endpoint.secrets, quotes_nothing=True)
        return ListedModels(_models(answer))
    if response.status in (_NOT_FOUND, _NOT_ALLOWED):
        return ListedModels({})
    lowered = {name.lower(): value for name, value in response.headers.items()}
    raise failure(response.status, content, lowered, secrets=endpoint.secrets, quotes_nothing=True)


def _models(answer: Any) -> dict[str, str]:  # noqa: ANN401  # what JSON holds
    """Return the names in a list of models, and the day on which each is shut down, if the list has it."""
    entries = answer.get("data", answer.get("models")) if isinstance(answer, Mapping) else answer
    return {
        str(entry.get("id") or entry.get("name")): str(entry.get("shutdown_date") or "")
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, Mapping)
    }
