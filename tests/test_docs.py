"""Tests of the documentation: its settings load, its commands parse, its examples run, its links have targets."""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from aiohttp import web

from judge.app.judges import ConfiguredJudges
from judge.app.local import local_server
from judge.backends.http import Endpoint
from judge.cli import main
from judge.cli.group import cli
from judge.config.settings import Settings, load
from judge.domain.errors import JudgeUnusable
from judge.prompts.library import rubric_of
from support.clocks import StillClock
from support.example_prompts import prompt
from support.loopback import serving

main._commands()
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README_LINES = 150
"""The largest number of lines of the README."""
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|^\$ |\$\(|^time |exec serve )judge (?=\S)([^)\n]*)", re.MULTILINE)
INLINE = re.compile(r"`(?:time )?judge ([^`\n]+)`")
OTHERS_OPTIONS = {"--data-parallel-size-local", "--data-parallel-address"}
"""Options of vLLM that the documentation mentions."""


def _blocks(page: Path, *languages: str) -> list[str]:
    """Return the code blocks of a page in *languages*; "" stands for blocks without a language."""
    return [block for language, block in BLOCK.findall(page.read_text("utf-8")) if language in languages]


SETTINGS = [
    pytest.param(page, block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(_blocks(page, "toml"))
]


def _commands() -> Iterator[tuple[Path, str, bool]]:
    """Yield each command with its page, without the word `judge`, and whether it is complete.

    Commands in code blocks are complete. Commands within sentences may leave out arguments.
    """
    for page in PAGES:
        for block in _blocks(page, "", "console"):
            yield from ((page, command, True) for command in COMMAND.findall(block))
        text = BLOCK.sub("", page.read_text("utf-8"))
        yield from ((page, command, False) for command in INLINE.findall(text))


def _parse(words: list[str]) -> None:
    """Parse the words after `judge` as the command line does, without running anything. Raises UsageError."""
    command: click.Command | None = cli
    name: str | None = "judge"
    context = None
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context, info_name=name)
        _, rest, _ = command.make_parser(context).parse_args(words)
        if not rest and command.invoke_without_command:
            return
        if not rest:
            raise click.UsageError(f"{name} needs a command")
        name, command, words = command.resolve_command(context, rest)
    assert command is not None
    command.make_context(name, words, parent=context)


@pytest.mark.parametrize(("page", "block"), SETTINGS)
def test_settings_in_the_documentation_are_right(page: Path, block: str) -> None:
    """Every TOML block is a valid configuration or a valid rubric."""
    body = tomllib.loads(block)

    if block.startswith("# rubrics/"):
        assert rubric_of("shown", body).variants, page
    else:
        cards = ConfiguredJudges(Settings.model_validate(body), StillClock()).cards()
        assert cards.keys() == body.get("judges", {}).keys(), page


def test_commands_in_the_documentation_parse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `judge` command uses options and arguments that exist."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.zip").touch()
    parsed = 0

    for page, command, complete in _commands():
        words = shlex.split(command, comments=True)
        words = words[: words.index(">")] if ">" in words else words
        try:
            _parse([word for word in words if word != "--help"])
        except click.UsageError as error:
            if complete or not isinstance(error, click.MissingParameter):
                pytest.fail(f"{page.name}: judge {command}: {error.format_message()}")
        parsed += 1

    assert parsed > len(PAGES)


def _options(command: click.Command) -> Iterator[str]:
    """Yield every option of *command* and of its subcommands."""
    for parameter in command.params:
        yield from parameter.opts
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            yield from _options(inner)


def test_options_in_the_documentation_exist() -> None:
    """Every option named in a sentence belongs to a command."""
    known = {*_options(cli), *OTHERS_OPTIONS}

    for page in PAGES:
        text = BLOCK.sub("", page.read_text("utf-8"))
        assert set(re.findall(r"`(--[a-z][a-z-]*)", text)) <= known, page.name


def test_commands_that_do_not_exist_are_found() -> None:
    """The check rejects a wrong option, a wrong command and a missing argument, and accepts a correct command."""
    for words in (["run", "mine", "--jugde", "gpt"], ["rnak", "people"], ["rubric"], ["judges", "a", "b"]):
        with pytest.raises(click.UsageError):
            _parse(words)
    with pytest.raises(click.MissingParameter):
        _parse(["import", "--dataset", "mine"])

    _parse(["--server", "127.0.0.1:50051", "run", "mine", "--judge", "gpt"])


def test_targets_in_the_documentation_exist() -> None:
    """Every `make` command names a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

    for page in PAGES:
        named = set(re.findall(r"(?:^|`)make ([a-z][a-z-]*)", page.read_text("utf-8"), re.MULTILINE))
        assert named <= targets, page.name


def test_python_in_the_documentation_compiles() -> None:
    """Every Python block compiles. Parts of a program may use await at the top level."""
    for page in PAGES:
        for block in _blocks(page, "python"):
            compile(block, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def test_the_program_in_the_readme_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The Python example of the README prints a leaderboard that ranks the contestants by their mistakes."""
    [source] = _blocks(ROOT / "README.md", "python")
    names: dict[str, Any] = {"__name__": "readme"}
    exec(source, names)  # noqa: S102  # our own page

    async with local_server(store_url="sqlite://", listen="127.0.0.1:0") as address:
        await names["main"](address)

    summary, *rows = capsys.readouterr().out.splitlines()
    assert "180 of 180 verdicts" in summary
    assert [row.split()[0] for row in rows] == ["careful", "hasty", "sloppy"]


def test_the_readme_is_short() -> None:
    """The README is short and links to the details."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_LINES


async def test_the_backend_in_the_documentation_answers() -> None:
    """The example backend replies, and raises JudgeUnusable for a wrong key."""
    page = ROOT / "docs" / "backends.md"
    [source] = [block for block in _blocks(page, "python") if "class Echo" in block]
    names: dict[str, type] = {}
    exec(source, names)  # noqa: S102  # our own page

    async def echo(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] != "Bearer right":
            return web.json_response({"error": {"code": "invalid_api_key"}}, status=401)
        text = (await request.json())["text"]
        return web.json_response({"text": f"{len(text) > 100}: [[A]]", "tokens": 7})

    async with serving(echo) as url:
        right, wrong = (names["Echo"]("m", Endpoint(url, key)) for key in ("right", "wrong"))
        reply = await right.reply(prompt())
        with pytest.raises(JudgeUnusable):
            await wrong.reply(prompt())
        await right.close()
        await wrong.close()

    assert (reply.raw, reply.usage.input_tokens) == ("True: [[A]]", 7)


def test_links_in_the_documentation_have_targets() -> None:
    """Every relative link names a file that exists and, after a #, one of its headings."""
    for page in PAGES:
        for link, _, anchor in re.findall(r"\]\(([^)#:]+)(#([^)]+))?\)", page.read_text("utf-8")):
            target = page.parent / link
            assert target.exists(), (page.name, link)
            headings = re.findall(r"^#+ (.+)$", target.read_text("utf-8"), re.MULTILINE) if anchor else []
            slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert not anchor or anchor in slugs, (page.name, link, anchor)


def test_files_in_the_documentation_exist() -> None:
    """Every file of this repository that a sentence names exists."""
    folders = "bench|clients|deploy|docs|judge|proto|tests"
    for page in PAGES:
        for path in re.findall(rf"`((?:{folders})/[\w./-]*)`", page.read_text("utf-8")):
            assert (ROOT / path).exists(), (page.name, path)


def test_the_settings_of_the_deployment_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's settings load with an API key and name the hosts of compose.yaml."""
    monkeypatch.setenv("OPENAI_API_KEY", "-")
    settings = load(ROOT / "deploy" / "judge.toml")
    composed = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")

    cards = ConfiguredJudges(settings, StillClock(), shared=True).cards()

    assert (settings.engine, cards["gpt"].unavailable_reason) == ("temporal", "")
    assert {f"  {host}:\n" for host in (settings.temporal.address.split(":")[0], "postgresql")} <= {
        line + "\n" for line in composed.splitlines()
    }
