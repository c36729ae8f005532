"""One TOML file and the environment, read once, at the door.

`--config`, else `$JUDGE_CONFIG`, else `./judge.toml`, else `$JUDGE_HOME/judge.toml`, else the yardsticks alone, with
`openai` where `OPENAI_API_KEY` and `JUDGE_OPENAI_MODEL` are in the environment.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

DEFAULT_LISTEN = "127.0.0.1:50051"


class ConfigError(ValueError):
    """The configuration is wrong; the message names the file and the field, never a value."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PriceSettings(_Strict):
    """Prices in USD per million tokens."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)


class JudgeSettings(_Strict):
    """One judge, as `[judges.NAME]` has it. A credential is named, never held."""

    backend: Literal["openai", "longest", "first", "random", "matches-reference"]
    model: str = ""
    rubric: Literal["reasoned", "brackets"] = "reasoned"
    base_url: str = ""
    key_env: str = ""
    key_file: Path | None = None
    temperature: float | None = Field(default=0.0, ge=0, le=2)
    seed: int | None = None
    max_output_tokens: int = Field(default=1024, ge=1)
    json_schema: bool = True
    concurrency: int = Field(default=16, ge=1, le=1000)
    deadline_seconds: float = Field(default=120.0, gt=0)
    price: PriceSettings | None = None

    @model_validator(mode="after")
    def _complete(self) -> JudgeSettings:
        if self.backend == "openai" and not self.model:
            message = "an openai judge needs a model"
            raise ValueError(message)
        named = bool(self.key_env or self.key_file)
        if named and _in_the_clear(self.base_url):
            message = "a key is not sent over http:// to another machine; use https://"
            raise ValueError(message)
        return self

    def key(self) -> SecretStr | None:
        """The credential named, if it is there."""
        if self.key_file is not None:
            return SecretStr(self.key_file.read_text("utf-8").strip()) if self.key_file.is_file() else None
        value = os.environ.get(self.key_env, "") if self.key_env else ""
        return SecretStr(value) if value else None

    @property
    def names_key(self) -> bool:
        """Whether a credential is named at all; keyless endpoints name none."""
        return bool(self.key_env or self.key_file)


class Settings(_Strict):
    """Everything that can be set."""

    listen: str = DEFAULT_LISTEN
    store_url: str = ""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False
    judges: dict[str, JudgeSettings] = Field(default_factory=dict)


def _in_the_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and not loopback(parts.hostname or "")


def loopback(host: str) -> bool:
    """Whether *host*, a name or an address, is this machine and nothing else."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def judge_home() -> Path:
    """`$JUDGE_HOME`, default `~/.judge`."""
    return Path(os.environ.get("JUDGE_HOME", "") or Path.home() / ".judge")


def config_file(given: Path | None = None) -> Path | None:
    """The file that is read: the first that is named or exists."""
    if given is not None:
        return given
    if named := os.environ.get("JUDGE_CONFIG"):
        return Path(named)
    return next((p for p in (Path("judge.toml"), judge_home() / "judge.toml") if p.is_file()), None)


def load(given: Path | None = None) -> Settings:
    """The settings of the file and the environment; ConfigError names what is wrong."""
    path = config_file(given)
    raw: dict[str, object] = {}
    if path is not None:
        try:
            raw = tomllib.loads(path.read_text("utf-8"))
        except OSError as error:
            message = f"config {path} cannot be read: {error.strerror}"
            raise ConfigError(message) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            message = f"config {path} is not TOML: {error}"
            raise ConfigError(message) from None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        message = f"config {path}: {where}: {first['msg']}"
        raise ConfigError(message) from None
    return settings.model_copy(update={"judges": {**_from_environment(), **settings.judges}})


def _from_environment() -> dict[str, JudgeSettings]:
    yardsticks = {
        name: JudgeSettings.model_validate({"backend": name, "rubric": "brackets", "concurrency": 256})
        for name in ("longest", "first", "random", "matches-reference")
    }
    model = os.environ.get("JUDGE_OPENAI_MODEL", "")
    url = os.environ.get("JUDGE_OPENAI_BASE_URL", "")
    key = os.environ.get("OPENAI_API_KEY", "")
    if model and (url or key):
        yardsticks["openai"] = JudgeSettings(
            backend="openai", model=model, base_url=url, key_env="OPENAI_API_KEY" if key else ""
        )
    return yardsticks
