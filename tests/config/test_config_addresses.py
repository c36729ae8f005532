"""Which addresses are this machine, and where a key may be sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.app.serve import serve
from judge.config.addresses import loopback
from judge.config.settings import ConfigError, JudgeSettings, load
from judge.domain.errors import InvalidInput


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses_are_this_machine(host: str) -> None:
    """All of 127.0.0.0/8 is, and ::1, and the name localhost."""
    assert loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1.example.org", "127.example.org", "localhost.example.org", ""])  # noqa: S104  # refused below
def test_other_addresses_are_other_machines(host: str) -> None:
    """A name that only looks like loopback is not loopback."""
    assert not loopback(host)


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "127.0.0.1.example.org:1", "[::]:1"])
async def test_the_server_listens_on_loopback_only(tmp_path: Path, listen: str) -> None:
    """The server refuses any other address before it opens the store."""
    config = tmp_path / "judge.toml"
    config.write_text(f'store_url = "sqlite:///{tmp_path}/judge.db"\n', "utf-8")

    with pytest.raises(InvalidInput, match="loopback only"):
        await serve(config, listen)

    assert not (tmp_path / "judge.db").exists()


@pytest.mark.parametrize("url", ["http://example.org/v1", "HTTP://127.0.0.1.example.org/v1", "http://a@example.org"])
def test_a_key_is_not_sent_in_the_clear(tmp_path: Path, url: str) -> None:
    """A key with http:// to another machine is an error that names the judge."""
    config = tmp_path / "judge.toml"
    body = f'[judges.far]\nbackend = "openai"\nmodel = "m"\nbase_url = "{url}"\nkey_env = "KEY"\n'
    config.write_text(body, "utf-8")

    with pytest.raises(ConfigError, match=r"judges\.far.*not sent over http"):
        load(config)


def test_a_key_may_be_sent_to_this_machine() -> None:
    """The traffic does not leave it, so http:// is allowed."""
    named = JudgeSettings(backend="openai", model="m", base_url="http://127.0.0.1:8000/v1", key_env="KEY")

    assert named.names_key
