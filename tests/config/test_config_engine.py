"""Which engine executes runs, and what it needs."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.app.judges import ConfiguredJudges
from judge.config.settings import ConfigError, Settings, load
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


def test_temporal_by_its_defaults(tmp_path: Path) -> None:
    settings = loaded(tmp_path, f'engine = "temporal"\n{STORE}')

    assert (settings.temporal.address, settings.temporal.namespace) == ("127.0.0.1:7233", "default")
    assert (settings.temporal.task_queue, settings.temporal.window) == ("judge", 4)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('engine = "ray"', "engine"),
        ('engine = "temporal"', "store_url"),
        ('engine = "temporal"\nstore_url = "sqlite:///judge.db"', "store_url"),
        (f'{STORE}[temporal]\naddress = "localhost"', "temporal.address"),
        (f'{STORE}[temporal]\naddress = "http://localhost:7233"', "temporal.address"),
        (f'{STORE}[temporal]\nnamespace = ""', "temporal.namespace"),
        (f'{STORE}[temporal]\ntask_queue = ""', "temporal.task_queue"),
        (f"{STORE}[temporal]\nwindow = 0", "temporal.window"),
        (f'{STORE}[temporal]\nhost = "localhost"', "temporal.host"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(ConfigError, match=named.replace(".", r"\.")):
        loaded(tmp_path, text)


@pytest.mark.parametrize("address", ["temporal:7233", "10.0.0.7:7233", "[::1]:7233"])
def test_an_address_is_a_host_and_a_port(tmp_path: Path, address: str) -> None:
    assert loaded(tmp_path, f'[temporal]\naddress = "{address}"').temporal.address == address


@pytest.mark.parametrize(("shared", "account"), [(True, "team"), (False, None)])
def test_accounts_are_kept_in_the_store_where_processes_share_them(
    tmp_path: Path, shared: bool, account: str | None
) -> None:
    """With several processes the store keeps the pace of an account, under its name; alone, the process does."""
    judges = ConfiguredJudges(loaded(tmp_path, FAR), StillClock(), shared=shared)

    rate_limit = judges.at_work(judges.cards()["far"].definition).account.shared_rate_limit(10)

    assert (rate_limit.account if rate_limit else None) == account
