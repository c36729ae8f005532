"""Which engine executes runs, and which settings it needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from judge.app.judges import ConfiguredJudges
from judge.config.files import ConfigError
from judge.config.settings import Settings, load
from support.clocks import StillClock

STORE = 'store_url = "postgresql://judge@localhost/judge"\n'
FAR = """
[accounts.team]
requests_per_minute = 600
[judges.far]
backend = "openai"
model = "m"
base_url = "http://127.0.0.1:9/v1"
account = "team"
"""


def loaded(folder: Path, text: str) -> Settings:
    (folder / "judge.toml").write_text(text, "utf-8")
    return load(folder / "judge.toml")


def test_temporal_has_defaults(tmp_path: Path) -> None:
    """Nothing but the engine and the store has to be set."""
    settings = loaded(tmp_path, f'engine = "temporal"\n{STORE}')

    assert (settings.temporal.address, settings.temporal.namespace) == ("127.0.0.1:7233", "default")
    assert (settings.temporal.task_queue, settings.temporal.window) == ("judge", 4)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('engine = "ray"', "engine"),
        ('engine = "temporal"', "store_url"),
        ('engine = "temporal"\nstore_url = "sqlite:///judge.db"', "store_url"),
        (f'{STORE}[temporal]\naddress = "localhost"', '[temporal] address must look like "127.0.0.1:7233"'),
        (f'{STORE}[temporal]\naddress = "http://localhost:7233"', "[temporal] address"),
        (f'{STORE}[temporal]\nnamespace = ""', "[temporal] namespace"),
        (f'{STORE}[temporal]\ntask_queue = ""', "[temporal] task_queue"),
        (f"{STORE}[temporal]\nwindow = 0", "[temporal] window = 0"),
        (f'{STORE}[temporal]\nhost = "localhost"', "[temporal] host"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    """The message has its section and its name."""
    with pytest.raises(ConfigError, match=re.escape(named)):
        loaded(tmp_path, text)


@pytest.mark.parametrize("address", ["temporal:7233", "10.0.0.7:7233", "[::1]:7233"])
def test_an_address_is_a_host_and_a_port(tmp_path: Path, address: str) -> None:
    """The host is a name, an IPv4 address or an IPv6 address in brackets."""
    assert loaded(tmp_path, f'[temporal]\naddress = "{address}"').temporal.address == address


@pytest.mark.parametrize(("shared", "account"), [(True, "team"), (False, None)])
def test_accounts_are_kept_in_the_store_where_processes_share_them(
    tmp_path: Path, shared: bool, account: str | None
) -> None:
    """Several processes share an account's rate limit through the store. A single process keeps it in memory."""
    judges = ConfiguredJudges(loaded(tmp_path, FAR), StillClock(), shared=shared)

    rate_limit = judges.at_work(judges.cards()["far"].definition).account.shared_rate_limit(10)

    assert (rate_limit.account if rate_limit else None) == account
