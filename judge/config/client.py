"""The section `[client]`: how commands reach the server that `--server` names. It needs only the base installation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.config.files import ConfigError, config_file, read_toml

FILES = ("ca", "cert", "key", "token_file")


def wrong_client_setting(body: Mapping[str, object]) -> str:
    """Return what is wrong with the settings of a client, or nothing. Values are not repeated.

    >>> wrong_client_setting({"token": "x"})
    'token is not a known setting: a token stands in a file that token_file names, or in JUDGE_TOKEN'
    """
    for name, value in body.items():
        if name == "token":
            return "token is not a known setting: a token stands in a file that token_file names, or in JUDGE_TOKEN"
        if name == "tls":
            if not isinstance(value, bool):
                return "tls must be true or false"
        elif name not in FILES:
            return f"{name} is not a known setting. Choose one of: tls, {', '.join(FILES)}."
        elif not isinstance(value, str):
            return f"{name} must be a path in quotes"
    return ""


def client_settings(given: Path | None, *, tls: bool) -> dict[str, Any]:
    """Return what the section `[client]` of the file says: `tls`, and paths by name. *given* names the file.

    Without *tls*, as for a Unix socket, what concerns TLS is left out.

    Raises ConfigError if the file cannot be read or its section `[client]` is wrong.
    """
    path = config_file(given)
    if path is None:
        return {}
    section = read_toml(path).get("client", {})
    if not isinstance(section, dict):
        message = f"{path}: client must be a section"
        raise ConfigError(message)
    if problem := wrong_client_setting(section):
        message = f"{path}: [client] {problem}"
        raise ConfigError(message)
    names = section.keys() if tls else section.keys() & {"token_file"}
    return {name: section[name] if name == "tls" else path.parent / section[name] for name in names}
