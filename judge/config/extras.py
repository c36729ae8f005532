"""Further fields and headers of a judge's requests: which are allowed, and how their secrets are named."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_ENV = "env:"
"""How a value begins that names a variable of the environment."""
_OWN_FIELDS = frozenset({"model", "messages", "system", "stream", "n"})
"""Fields of a request's body that cannot be set as further ones."""
_OWN_HEADERS = frozenset(
    {"authorization", "api-key", "x-api-key", "host", "content-length", "content-type", "transfer-encoding"}
    | {"connection", "accept-encoding", "cookie"}
)
"""Headers that cannot be set as further ones."""
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_|~-]{1,100}", re.ASCII)


def wrong_fields(body: Mapping[str, object]) -> str:
    """Return what is wrong with the further fields *body* of a request, or nothing."""
    if taken := sorted(_OWN_FIELDS & body.keys()):
        return f"extra_body: {taken[0]} is not a further field. Use the setting for it, or leave it out"
    return ""


def wrong_headers(headers: Iterable[str]) -> str:
    """Return what is wrong with the names of further *headers*, or nothing."""
    if taken := sorted(name for name in headers if name.lower() in _OWN_HEADERS):
        return f"extra_headers: {taken[0]} is not a further header. A key is named with key_env or key_file"
    if wrong := [name for name in headers if not _HEADER.fullmatch(name)]:
        return f"extra_headers: {wrong[0][:40]!r} is not the name of a header"
    return ""


def secret_names(value: object) -> tuple[str, ...]:
    """Return the variables that the texts `env:NAME` in *value* name."""
    return tuple(text[len(_ENV) :] for text in _texts(value) if _names_secret(text))


def _names_secret(text: str) -> bool:
    return text.startswith(_ENV) and len(text) > len(_ENV)


def _texts(value: object) -> Iterator[str]:
    """Yield every text in a *value* of TOML."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)


def resolved(value: Any, environment: Mapping[str, str]) -> Any:  # noqa: ANN401  # what TOML holds
    """Return *value* with each text `env:NAME` replaced by that variable of the *environment*."""
    if isinstance(value, str):
        return environment.get(value[len(_ENV) :], "").strip() if _names_secret(value) else value
    if isinstance(value, dict):
        return {name: resolved(each, environment) for name, each in value.items()}
    return [resolved(each, environment) for each in value] if isinstance(value, list) else value
