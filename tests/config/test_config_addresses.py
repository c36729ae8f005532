"""Which addresses are this machine, and where a key may be sent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from judge.config.addresses import loopback
from judge.config.files import ConfigError
from judge.config.settings import JudgeSettings, load


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses_are_this_machine(host: str) -> None:
    """All of 127.0.0.0/8 is, and ::1, and the name localhost."""
    assert loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1.example.org", "127.example.org", "localhost.example.org", ""])  # noqa: S104  # refused below
def test_other_addresses_are_other_machines(host: str) -> None:
    """A name that only looks like loopback is not loopback."""
    assert not loopback(host)


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


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///etc/passwd", "base_url must begin with https://"),
        ("ftp://far.example/v1", "base_url must begin with https://"),
        ("far.example/v1", "base_url must begin with https://"),
        ("https://far.example:99999/v1", "its port must be a number from 1 to 65535"),
        ("https://far.example:0/v1", "base_url is not an address"),
        ("https:///v1", "base_url is not an address"),
        ("https://far.example/v1 x", "base_url is not an address"),
        (
            "https://me:hunter2@far.example/v1",  # pragma: allowlist secret
            "base_url must not hold a user or a password",
        ),
        ("https://far.example/v1?api-version=1", "set api_version"),
    ],
)
def test_what_is_no_address_is_refused_at_start(tmp_path: Path, url: str, message: str) -> None:
    """The message says what is wrong and does not repeat the address, which may hold a password."""
    (tmp_path / "judge.toml").write_text(f'[judges.j]\nbackend = "openai"\nmodel = "m"\nbase_url = "{url}"\n', "utf-8")

    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        load(tmp_path / "judge.toml")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("value", "missing"),
    [("sk-x\n", ""), (" sk-x ", ""), ("", "no key in K"), ("\n", "no key in K"), ("sk\nx", "holds a line break")],
)
def test_a_key_with_a_line_break_at_its_end_is_stripped_and_another_one_is_named(
    monkeypatch: pytest.MonkeyPatch, value: str, missing: str
) -> None:
    """A variable often ends in a line break. One inside the key is a mistake that is said at once."""
    monkeypatch.setenv("K", value)
    judge = JudgeSettings(backend="openai", model="m", key_env="K")

    assert missing in judge.missing()
    assert bool(judge.missing()) == bool(missing)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('extra_body = { model = "x" }', "extra_body: model is not a further field"),
        ('extra_headers = { Authorization = "x" }', "extra_headers: Authorization is not a further header"),
        ('extra_headers = { "a b" = "x" }', "extra_headers: 'a b' is not the name of a header"),
        ('identity = "x"\nbackend = "vllm"', "identity: the weights"),
        ('api_version = "x"\nbackend = "anthropic"', "api_version: only backend"),
        ('identity = "x"\nbackend = "vllm_engine"', "backend vllm_engine has none"),
    ],
)
def test_what_a_request_cannot_have_is_refused_at_start(tmp_path: Path, lines: str, message: str) -> None:
    """Keys, models and texts have settings of their own."""
    backend = "" if "backend" in lines else 'backend = "openai"\n'
    (tmp_path / "judge.toml").write_text(
        f'[judges.j]\n{backend}model = "m"\nbase_url = "http://127.0.0.1:9/v1"\n{lines}\n', "utf-8"
    )

    with pytest.raises(ConfigError, match=re.escape(message)):
        load(tmp_path / "judge.toml")
