"""Addresses in the configuration: what may be one, and when two are the same."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit, urlunsplit

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SPACE = re.compile(r"[\s\x00-\x1f]")


def wrong_address(url: str) -> str:
    """Return what is wrong with *url* as the address of an API, or nothing. The message does not repeat it.

    >>> wrong_address("file:///etc/passwd")
    'base_url must begin with https://, or with http:// for this machine'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "base_url is not an address: its port must be a number from 1 to 65535"
    problems = (
        (parts.scheme not in _DEFAULT_PORTS, "must begin with https://, or with http:// for this machine"),
        (not parts.hostname or port == 0 or _SPACE.search(url), "is not an address: it must look like https://HOST/v1"),
        (parts.username is not None, "must not hold a user or a password. Name the key with key_env or key_file"),
        (parts.query or parts.fragment, "must end with its path. For Azure's api-version, set api_version"),
    )
    return next((f"base_url {problem}" for wrong, problem in problems if url and wrong), "")


def wrong_proxy(url: str, *, named: bool = False) -> str:
    """Return what is wrong with *url* as the address of a proxy, or nothing. The message does not repeat it.

    If it is *named* in the configuration itself, it must not hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "proxy is not an address: its port must be a number from 1 to 65535"
    if named and parts.username is not None:
        return 'proxy must not hold a user or a password. Name a variable that holds the address: proxy = "env:NAME"'
    if url and (parts.scheme not in _DEFAULT_PORTS or not parts.hostname or port == 0 or _SPACE.search(url)):
        return "proxy must look like http://HOST:PORT"
    return ""


def plain_address(url: str) -> str:
    """Return *url* in its plainest form, so that two spellings of one address are equal.

    >>> plain_address("HTTPS://API.openai.com:443/v1/")
    'https://api.openai.com/v1'
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port and parts.port != _DEFAULT_PORTS.get(parts.scheme) else ""
    return urlunsplit((parts.scheme, host + port, parts.path.rstrip("/"), "", ""))


def is_unencrypted(url: str) -> bool:
    """Whether a request to *url* would cross a network without TLS."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not loopback(parts.hostname or "")


def loopback(host: str) -> bool:
    """Whether *host*, a name or an address, can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
