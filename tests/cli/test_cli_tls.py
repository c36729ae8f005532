"""The options of TLS on the command line, in the environment, and in the configuration."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from judge.cli.group import cli
from judge.cli.main import _commands
from support.authority import Authority, serving_tls

_commands()


async def judge(*arguments: str, env: dict[str, str] | None = None) -> str:
    """Run a command in a thread beside the server, and return what it prints or why it fails."""
    result = await asyncio.to_thread(CliRunner().invoke, cli, arguments, env=env)
    return result.output + str(result.exception or "")


def _client_section(file: Path, files: dict[str, Path]) -> Path:
    """Write a configuration with paths relative to its own folder."""
    lines = [f'{name} = "{path.relative_to(file.parent)}"' for name, path in files.items()]
    file.write_text("\n".join(["[client]", *lines, ""]), "utf-8")
    return file


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "judge.toml"
    path.touch()
    return path


async def test_each_place_of_a_setting_leads_to_tls(tmp_path: Path, config: Path) -> None:
    """Options before and after the command, variables, and the section `[client]` do the same."""
    authority = Authority(tmp_path / "authority")
    mine = authority.issue("client", "me")
    files = {"ca": authority.ca, "cert": mine.cert, "key": mine.key}
    with_files = _client_section(tmp_path / "with-files.toml", files)
    options = [word for name, path in files.items() for word in (f"--{name}", str(path))]

    async with serving_tls(authority.issue("server", "127.0.0.1"), client_ca=authority.ca) as address:
        plain = await judge("datasets", "--server", address, "--config", str(config))
        before = await judge(*options, "--server", address, "datasets")
        after = await judge("judges", "--server", address, *options)
        variables = {f"JUDGE_{name.upper()}": str(path) for name, path in files.items()}
        environment = await judge("datasets", "--server", address, env=variables)
        section = await judge("datasets", "--server", address, "--config", str(with_files))

    assert "expects TLS" in plain
    assert before == environment == section == "There are no datasets.\n"
    assert "longest" in after


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('token = "judge_x"', "a token stands in a file that token_file names"),
        ('tls = "yes"', "tls must be true or false"),
        ("ca = 1", "ca must be a path in quotes"),
        ('cacert = "x"', "cacert is not a known setting"),
        ('ca = "none.pem"', "none.pem cannot be read"),
        ('cert = "none.pem"', "needs both its file and its key"),
    ],
)
def test_a_wrong_setting_of_the_client_is_said(config: Path, line: str, message: str) -> None:
    """Wrong settings fail with the file and the setting, and never with a value that may be a token."""
    config.write_text(f"[client]\n{line}\n", "utf-8")

    output = asyncio.run(judge("datasets", "--server", "127.0.0.1:1", "--config", str(config)))

    assert message in output
    assert "judge_x" not in output


@pytest.mark.parametrize(("token", "place"), [("judge_x", "JUDGE_TOKEN"), ("judge_x", "JUDGE_TOKEN_FILE")])
async def test_a_token_is_not_sent_in_plaintext_to_another_machine(tmp_path: Path, token: str, place: str) -> None:
    """The command stops before it connects."""
    file = tmp_path / "token"
    file.write_text(token, "utf-8")

    output = await judge(
        "datasets", "--server", "judge.example:1", env={place: token if place == "JUDGE_TOKEN" else str(file)}
    )

    assert "a token is not sent to judge.example:1 in plaintext" in output
    assert "judge_x" not in output
