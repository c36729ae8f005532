"""One TOML file and the environment, read once, at the door.

`--config`, else `$JUDGE_CONFIG`, else `./judge.toml`, else `$JUDGE_HOME/judge.toml`, else the yardsticks alone, with
`openai` and `anthropic` where `OPENAI_API_KEY` and `JUDGE_OPENAI_MODEL` (or theirs) are in the environment.
"""

from __future__ import annotations

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from judge.domain.judge import BASELINE_JUDGES, BaselineName

DEFAULT_LISTEN = "127.0.0.1:50051"


class ConfigError(ValueError):
    """The configuration is wrong; the message names the file and the field, never a value."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PriceSettings(_Strict):
    """Prices in USD per million tokens. *batch* is the share of them that a batch costs."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    cache_write: float | None = Field(default=None, ge=0)
    batch: float = Field(default=0.5, gt=0, le=1)


class AccountSettings(_Strict):
    """An account at a provider: what all judges that use it may ask for together. 0 means no limit of ours."""

    requests_per_minute: int = Field(default=0, ge=0)
    tokens_per_minute: int = Field(default=0, ge=0)
    single_share: float = Field(default=0.1, ge=0, lt=1)
    """The share kept for single comparisons, which never wait behind runs."""


class CapabilitySettings(_Strict):
    """What a model takes, where the backend's own table is wrong about it."""

    temperature: bool | None = None
    seed: bool | None = None
    logprobs: bool | None = None
    json_schema: bool | None = None
    choice: bool | None = None
    batch: bool | None = None
    reasoning: bool | None = None


class JudgeSettings(_Strict):
    """One judge, as `[judges.NAME]` has it. A credential is named, never held."""

    backend: Literal["openai", "anthropic", "vllm", "vllm_engine", BaselineName]
    model: str = ""
    rubric: str = "reasoned"
    tie_band: float | None = Field(default=None, ge=0)
    base_url: str = ""
    key_env: str = ""
    key_file: Path | None = None
    account: str = ""
    organization: str = ""
    project: str = ""
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = None
    effort: str = ""
    max_output_tokens: int | None = Field(default=None, ge=1)
    legacy_max_tokens: bool = False
    capabilities: CapabilitySettings = CapabilitySettings()
    revision: str = ""
    batch: bool = False
    concurrency: int = Field(default=16, ge=1, le=2000)
    deadline_seconds: float = Field(default=120.0, gt=0)
    max_failed_share: float = Field(default=0.05, ge=0, le=1)
    price: PriceSettings | None = None

    @model_validator(mode="after")
    def _complete(self) -> JudgeSettings:
        wrong = ""
        if self.backend not in BASELINE_JUDGES and not self.model:
            wrong = f"a judge of backend {self.backend} needs a model"
        elif self.backend == "vllm" and not self.base_url:
            wrong = "a judge of backend vllm needs the base_url of its server"
        elif self.names_key and _in_the_clear(self.base_url):
            wrong = "a key is not sent over http:// to another machine; use https://"
        if wrong:
            raise ValueError(wrong)
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


class TemporalSettings(_Strict):
    """The Temporal that hands out shards: its frontend, and what is ours there."""

    address: str = Field(default="127.0.0.1:7233", pattern=r"^(\[[0-9A-Fa-f:]+\]|[^\s:/]+):\d{1,5}$")
    """HOST:PORT."""
    namespace: str = Field(default="default", min_length=1)
    task_queue: str = Field(default="judge", min_length=1, max_length=200)
    window: int = Field(default=4, ge=1, le=100)
    """Shards of each judge of a run that are at work at once, over all workers."""


class Settings(_Strict):
    """Everything that can be set."""

    listen: str = DEFAULT_LISTEN
    store_url: str = ""
    engine: Literal["local", "temporal"] = "local"
    """Who executes runs: the server itself, or `judge worker` processes that Temporal hands shards to."""
    temporal: TemporalSettings = TemporalSettings()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False
    rubrics: Path | None = None
    """The folder of own rubrics; without it, `rubrics` beside the file, if there is one."""
    accounts: dict[str, AccountSettings] = Field(default_factory=dict)
    prices: dict[str, PriceSettings] = Field(default_factory=dict)
    """Prices by model, for judges that name none of their own."""
    judges: dict[str, JudgeSettings] = Field(default_factory=dict)
    families: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The contestants of a judge's own family, by the name of the judge or annotator."""

    @model_validator(mode="after")
    def _shared_store(self) -> Settings:
        if self.engine == "temporal" and not self.store_url.startswith("postgresql://"):
            message = 'engine "temporal" needs a store that processes share: store_url = "postgresql://..."'
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _accounts_exist(self) -> Settings:
        for name, judge in self.judges.items():
            if judge.account and judge.account not in self.accounts:
                message = f"judge {name} is of account {judge.account}, which no [accounts.{judge.account}] describes"
                raise ValueError(message)
        return self


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
    update: dict[str, object] = {"judges": {**_from_environment(), **settings.judges}}
    if path is not None:
        folder = path.parent / (settings.rubrics or "rubrics")
        if settings.rubrics is not None and not folder.is_dir():
            message = f"config {path}: rubrics: there is no folder {folder}"
            raise ConfigError(message)
        update["rubrics"] = folder if folder.is_dir() else None
    return settings.model_copy(update=update)


def _from_environment() -> dict[str, JudgeSettings]:
    baselines = {
        name: JudgeSettings.model_validate({"backend": name, "rubric": "brackets"}) for name in BASELINE_JUDGES
    }
    for vendor in ("openai", "anthropic"):
        prefix, key_env = f"JUDGE_{vendor.upper()}", f"{vendor.upper()}_API_KEY"
        model, url = os.environ.get(f"{prefix}_MODEL", ""), os.environ.get(f"{prefix}_BASE_URL", "")
        key = os.environ.get(key_env, "")
        if model and (url or key):
            said = {"backend": vendor, "model": model, "base_url": url, "key_env": key_env if key else ""}
            baselines[vendor] = JudgeSettings.model_validate(said)
    return baselines
