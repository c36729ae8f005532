"""`judge token`, and a command that presents what it printed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judge.app.local import running
from judge.cli.group import cli
from judge.cli.main import _commands
from judge.config.settings import load
from judge.domain.token import TOKEN
from judge.rpc.server import ListenOptions

_commands()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "judge.toml"
    path.write_text(f'store_url = "sqlite:///{tmp_path}/judge.db"\n[client]\ntoken_file = "token"\n', "utf-8")
    return path


def judge(config: Path, *arguments: str, env: dict[str, str] | None = None) -> Result:
    """Run a command with the configuration."""
    return CliRunner().invoke(cli, [*arguments, "--config", str(config)], env=env)


def test_a_token_is_printed_once_and_listed_without_itself(config: Path, tmp_path: Path) -> None:
    """Standard output has the token alone; no file of the store has it."""
    created = judge(config, "token", "create", "ci", "--scope", "run,read", "--expires", "90d")
    token = created.stdout.strip()
    table = judge(config, "token", "list").stdout
    row = json.loads(judge(config, "token", "list", "--json").stdout)
    revoked = judge(config, "token", "revoke", "ci").stdout
    after = json.loads(judge(config, "token", "list", "--json").stdout)

    assert TOKEN.fullmatch(token)
    assert "not shown again" in created.stderr
    assert "read,run  valid" in table
    assert token not in table
    assert (row["name"], row["scopes"], row["state"], row["last_use_time"]) == ("ci", ["read", "run"], "valid", None)
    assert revoked == "Revoked ci.\n"
    assert after["state"] == "revoked"
    assert not [file for file in tmp_path.glob("judge.db*") if token.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "x", "--scope", "reed"), "scopes are read,run,label,admin"),
        (("create", "x", "--scope", "read", "--expires", "11y"), "12h, 90d, 4w"),
        (("create", "x", "--scope", "read", "--expires", "9999d"), "up to ten years"),
        (("create", "x"), "Missing option '--scope'"),
        (("create", "X y", "--scope", "read"), "must have 1 to 63 characters"),
        (("revoke", "x"), "there is no token 'x'"),
        (("revoke", "judge_" + "s" * 43), "must not begin with judge_"),
        (("revoke", "x", "--server", "127.0.0.1:1"), "--server does not apply to token"),
    ],
)
def test_wrong_use_says_what_is_right(config: Path, arguments: tuple[str, ...], message: str) -> None:
    """A token in the place of its name is not repeated."""
    result = judge(config, "token", *arguments)

    assert result.exit_code != 0
    assert message in result.output + str(result.exception)
    assert "sss" not in result.output + str(result.exception)


async def test_a_command_presents_the_token_of_its_file_or_of_the_environment(config: Path, tmp_path: Path) -> None:
    """Without one, the server's error says where to put it."""
    token = (await asyncio.to_thread(judge, config, "token", "create", "ci", "--scope", "read")).stdout
    _keep(tmp_path / "token", "judge_" + "x" * 43)

    options = ListenOptions(tokens=True)
    async with running(load(config), store_url=None, listen="127.0.0.1:0", options=options) as address:
        command = ("datasets", "--server", address)
        wrong = await asyncio.to_thread(judge, config, *command)
        by_variable = await asyncio.to_thread(judge, config, *command, env={"JUDGE_TOKEN": token})
        _keep(tmp_path / "token", token)
        by_file = await asyncio.to_thread(judge, config, *command)
        _keep(tmp_path / "token", "")
        none = await asyncio.to_thread(judge, config, *command)

    assert "is not known to this server" in str(wrong.exception)
    assert "There are no datasets" in by_variable.stderr
    assert "There are no datasets" in by_file.stderr
    assert "set JUDGE_TOKEN, or token_file" in str(none.exception)


def _keep(file: Path, token: str) -> None:
    file.write_text(token, "utf-8")
