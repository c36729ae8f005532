"""The settings, read once at start-up from one TOML file and the environment.

The file is the first of: `--config`, `$JUDGE_CONFIG`, `./judge.toml`, `$JUDGE_HOME/judge.toml`. The baseline judges are
always there. The judge `openai` is added if the environment has `JUDGE_OPENAI_MODEL` and either `OPENAI_API_KEY` or
`JUDGE_OPENAI_BASE_URL`, and the judge `anthropic` likewise.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, SecretStr, ValidationError, model_validator

from judge.config.addresses import is_unencrypted, plain_address, wrong_address, wrong_proxy
from judge.config.client import wrong_client_setting
from judge.config.credentials import is_file, wrong_key_file, wrong_variable
from judge.config.extras import resolved, secret_names, wrong_fields, wrong_headers
from judge.config.files import ConfigError, config_file, read_toml
from judge.config.listening import AuthSettings, ServerSettings
from judge.config.problems import closest, wrong_setting
from judge.config.strict import Strict
from judge.domain.defaults import LISTEN_ADDRESS
from judge.domain.judge import BASELINE_JUDGES, SINGLE_SHARE, BaselineName, Limits
from judge.domain.temporal_connection import TemporalConnection

_LIMITS = Limits()
_TEMPORAL = TemporalConnection()
EXTENDABLE = ("openai", "anthropic", "vllm")
"""The backends that send requests."""


class PriceSettings(Strict):
    """Prices in USD per million tokens. A call in a batch costs the share *batch* of them."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    cache_write: float | None = Field(default=None, ge=0)
    batch: float = Field(default=0.5, gt=0, le=1)


class AccountSettings(Strict):
    """An account at a provider, with the limits that all its judges share. 0 means no limit on our side."""

    requests_per_minute: int = Field(default=0, ge=0)
    tokens_per_minute: int = Field(default=0, ge=0)
    single_share: float = Field(default=SINGLE_SHARE, ge=0, lt=1)
    """The share of the limits that is reserved for single comparisons, so that they never wait for runs."""


class CapabilitySettings(Strict):
    """What a model supports, where the backend's own table is wrong about it. None keeps the table's answer."""

    temperature: bool | None = None
    seed: bool | None = None
    logprobs: bool | None = None
    json_schema: bool | None = None
    choice: bool | None = None
    batch: bool | None = None
    reasoning: bool | None = None
    images: bool | None = None


class JudgeSettings(Strict):
    """One judge: the section `[judges.NAME]`. It names the place of a credential and never holds the credential."""

    backend: Literal["openai", "anthropic", "vllm", "vllm_engine", BaselineName]
    model: str = ""
    rubric: str = "reasoned"
    tie_band: float | None = Field(default=None, ge=0)
    base_url: str = ""
    identity: str = Field(default="", max_length=200)
    """What stands in for base_url in the fingerprint, where several endpoints serve the same thing."""
    api_version: str = Field(default="", max_length=40)
    """Azure's `api-version`. The key is then sent in Azure's own header too."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further fields of each request. A value `env:NAME` is read from the environment."""
    extra_headers: dict[str, str] = Field(default_factory=dict)
    """Further headers of each request. A value `env:NAME` is read from the environment."""
    proxy: str = ""
    """The HTTP proxy through which the endpoint is asked: an address, or `env:NAME`. It is not in the fingerprint."""
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
    concurrency: int = Field(default=_LIMITS.concurrency, ge=1, le=2000)
    deadline_seconds: float = Field(default=_LIMITS.deadline_seconds, gt=0)
    max_failed_share: float = Field(default=_LIMITS.max_failed_share, ge=0, le=1)
    price: PriceSettings | None = None

    @model_validator(mode="after")
    def _complete(self) -> JudgeSettings:
        problem = self._wrong_names() or wrong_address(self.base_url) or self._wrong_extras()
        if not problem and self.backend not in BASELINE_JUDGES and not self.model:
            problem = f'backend = "{self.backend}" needs a model: add model = "NAME"'
        elif self.backend == "vllm" and not self.base_url:
            problem = 'backend = "vllm" needs the address of its server: add base_url = "http://127.0.0.1:8000/v1"'
        elif self.names_key and is_unencrypted(self.base_url):
            problem = "base_url: a key is not sent over http:// to another machine. Use https://"
        if problem:
            raise ValueError(problem)
        return self

    def _wrong_names(self) -> str:
        """Return which setting holds a key where the name of its place belongs, or nothing."""
        if self.key_file is not None and (wrong := wrong_key_file(self.key_file)):
            return wrong
        named = [("key_env", self.key_env)] if self.key_env else []
        for setting in ("extra_body", "extra_headers", "proxy"):
            named += [(f"env: in {setting}", name) for name in secret_names(getattr(self, setting))]
        return next(filter(None, (wrong_variable(setting, name, os.environ) for setting, name in named)), "")

    def key(self) -> SecretStr | None:
        """Read the credential from the file or the environment variable that is named; None if there is none."""
        if self.key_file is not None:
            return SecretStr(self.key_file.read_text("utf-8", "replace").strip()) if is_file(self.key_file) else None
        # Like a file, a variable may end in a line break that was not meant.
        value = os.environ.get(self.key_env, "").strip() if self.key_env else ""
        return SecretStr(value) if value else None

    def extras(self) -> tuple[dict[str, Any], dict[str, str], tuple[str, ...]]:
        """Return the further fields and headers of a request, and the secrets among their values.

        Each value `env:NAME` is replaced by that variable, or by an empty text if it is not set.
        """
        secrets = tuple(value for name in self.secret_names() if (value := os.environ.get(name, "").strip()))
        return resolved(self.extra_body, os.environ), resolved(self.extra_headers, os.environ), secrets

    def missing(self) -> str:
        """Return which credential is named but missing or unusable, or nothing."""
        if self.names_key:
            place, key = self.key_env or self.key_file, self.key()
            if key is None:
                return f"no key in {place}"
            if not (key.get_secret_value().isascii() and key.get_secret_value().isprintable()):
                return f"the key in {place} holds a line break or another character that no key has"
        for name in self.secret_names():
            if not os.environ.get(name, "").strip():
                return f"{name}, which extra_body, extra_headers or proxy names, is not set"
        return f"the address in {self.proxy}: {wrong}" if (wrong := wrong_proxy(self.proxy_address())) else ""

    def secret_names(self) -> tuple[str, ...]:
        """Return the environment variables that values of extra_body, extra_headers and proxy name."""
        return secret_names([self.extra_body, self.extra_headers, self.proxy])

    def proxy_address(self) -> str:
        """Return the address of the proxy, or nothing if there is none."""
        return str(resolved(self.proxy, os.environ))

    @property
    def address(self) -> str:
        """The base_url in its plainest form: no credentials, no default port, no slash at its end."""
        return plain_address(self.base_url) if self.base_url else ""

    def _wrong_extras(self) -> str:
        """Return what is wrong with the settings of a request, or nothing."""
        if self.backend not in EXTENDABLE and (self.identity or self.extra_body or self.extra_headers or self.proxy):
            return f"identity, extra_body, extra_headers and proxy: backend {self.backend} has none of them"
        if self.identity and self.backend == "vllm":
            return "identity: the weights that a vllm server reports identify it. Use revision"
        if self.api_version and self.backend != "openai":
            return 'api_version: only backend = "openai" has one'
        wrong = "" if secret_names(self.proxy) else wrong_proxy(self.proxy, named=True)
        return wrong or wrong_fields(self.extra_body) or wrong_headers(self.extra_headers)

    @property
    def names_key(self) -> bool:
        """Whether a credential is named. An endpoint without keys needs none."""
        return bool(self.key_env or self.key_file)


class TemporalSettings(Strict):
    """The Temporal service that distributes shards: its frontend, and our namespace and task queue there."""

    address: str = Field(
        default=_TEMPORAL.address, pattern=r"^(\[[0-9A-Fa-f:]+\]|[^\s:/]+):\d{1,5}$", examples=["127.0.0.1:7233"]
    )
    """HOST:PORT."""
    namespace: str = Field(default=_TEMPORAL.namespace, min_length=1)
    task_queue: str = Field(default=_TEMPORAL.task_queue, min_length=1, max_length=200)
    window: int = Field(default=_TEMPORAL.window, ge=1, le=100)
    """The most shards of one judge in one run that all workers together execute at the same time."""


class Settings(Strict):
    """All settings."""

    listen: str = LISTEN_ADDRESS
    server: ServerSettings = ServerSettings()
    auth: AuthSettings = AuthSettings()
    client: dict[str, object] = Field(default_factory=dict)
    """How commands reach a server. A client reads it by itself, without the rest of the settings."""
    store_url: str = ""
    engine: Literal["local", "temporal"] = "local"
    """What executes runs: the server itself, or `judge worker` processes that get shards from Temporal."""
    temporal: TemporalSettings = TemporalSettings()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_json: bool = False
    rubrics: Path | None = None
    """The folder of your own rubrics. The default is `rubrics` next to the file, if that folder exists."""
    accounts: dict[str, AccountSettings] = Field(default_factory=dict)
    prices: dict[str, PriceSettings] = Field(default_factory=dict)
    """Prices by model, for judges without a price of their own."""
    judges: dict[str, JudgeSettings] = Field(default_factory=dict)
    families: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """The contestants of a judge's own family, by the name of the judge or annotator."""
    _file: Path | None = PrivateAttr(default=None)

    @property
    def origin(self) -> str:
        """Where the settings come from, for messages: the file, or `configuration` if no file was read."""
        return str(self._file or "configuration")

    def set_file(self, file: Path | None) -> None:
        """Remember the *file* that the settings were read from."""
        self._file = file

    @model_validator(mode="after")
    def _client_right(self) -> Settings:
        if problem := wrong_client_setting(self.client):
            message = f"[client] {problem}"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _shared_store(self) -> Settings:
        if self.engine == "temporal" and not self.store_url.startswith("postgresql://"):
            message = 'engine = "temporal" needs a store that processes can share: set store_url = "postgresql://..."'
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _accounts_exist(self) -> Settings:
        for name, judge in self.judges.items():
            if judge.account and judge.account not in self.accounts:
                message = (
                    f'[judges.{name}] account = "{judge.account}": there is no [accounts.{judge.account}]. '
                    f"{closest(judge.account, self.accounts) or 'Add that section.'}"
                )
                raise ValueError(message)
        return self


def load(given: Path | None = None) -> Settings:
    """Read the settings from the file and the environment.

    Raises ConfigError if the file cannot be read, is not TOML, or has a wrong setting.
    """
    path = config_file(given)
    try:
        settings = Settings.model_validate({} if path is None else read_toml(path))
    except ValidationError as error:
        message = f"{path}: {wrong_setting(error, Settings)}"
        raise ConfigError(message) from None
    update: dict[str, object] = {"judges": {**_baseline_judges(), **_judges_in_environment(), **settings.judges}}
    if path is not None:
        update["rubrics"] = _rubric_folder(path, settings)
        if (tls := settings.server.tls) is not None:
            update["server"] = settings.server.model_copy(update={"tls": tls.below(path.parent)})
    settings = settings.model_copy(update=update)
    settings.set_file(path)
    return settings


def _rubric_folder(path: Path, settings: Settings) -> Path | None:
    folder = path.parent / (settings.rubrics or "rubrics")
    if settings.rubrics is not None and not folder.is_dir():
        message = f"{path}: rubrics: there is no folder {folder}. Create it, or name another one"
        raise ConfigError(message)
    return folder if folder.is_dir() else None


def _baseline_judges() -> dict[str, JudgeSettings]:
    return {name: JudgeSettings.model_validate({"backend": name, "rubric": "brackets"}) for name in BASELINE_JUDGES}


def _judges_in_environment() -> dict[str, JudgeSettings]:
    judges = {}
    for vendor in ("openai", "anthropic"):
        prefix, key_env = f"JUDGE_{vendor.upper()}", f"{vendor.upper()}_API_KEY"
        model, url = os.environ.get(f"{prefix}_MODEL", ""), os.environ.get(f"{prefix}_BASE_URL", "")
        key = os.environ.get(key_env, "")
        if model and (url or key):
            body = {"backend": vendor, "model": model, "base_url": url, "key_env": key_env if key else ""}
            try:
                judges[vendor] = JudgeSettings.model_validate(body)
            except ValidationError as error:
                message = f"environment variables {prefix}_*: {wrong_setting(error, JudgeSettings)}"
                raise ConfigError(message) from None
    return judges
