"""The documentation is tested: its settings load, its rubric is one, its backend answers."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from aiohttp import web

from judge.app.judges import ConfiguredJudges
from judge.backends.http import Endpoint
from judge.config.settings import Settings, load
from judge.domain.errors import JudgeUnusable
from judge.prompts.library import rubric_of
from support.clocks import StillClock
from support.example_prompts import prompt
from support.loopback import serving

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(page, block, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL))
]


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_settings_in_the_documentation_are_right(page: Path, block: str) -> None:
    """Every TOML block is a configuration that starts, or a rubric."""
    body = tomllib.loads(block)

    if block.startswith("# rubrics/"):
        assert rubric_of("shown", body).variants, page
    else:
        cards = ConfiguredJudges(Settings.model_validate(body), StillClock()).cards()
        assert cards.keys() == body.get("judges", {}).keys(), page


async def test_the_backend_in_the_documentation_answers() -> None:
    """The example is a whole backend: it replies, and a wrong key makes it unusable."""
    page = (ROOT / "docs" / "backends.md").read_text("utf-8")
    [source] = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "class Echo" in block]
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


def test_links_in_the_documentation_lead_somewhere() -> None:
    """Every relative link names a file that is there."""
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (page.parent / link).exists(), (page.name, link)


def test_the_settings_of_the_deployment_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """They start, with a key; and their words are those of the composition."""
    monkeypatch.setenv("OPENAI_API_KEY", "-")
    settings = load(ROOT / "deploy" / "judge.toml")
    composed = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")

    cards = ConfiguredJudges(settings, StillClock(), shared=True).cards()

    assert (settings.engine, cards["gpt"].unavailable_reason) == ("temporal", "")
    assert {f"  {host}:\n" for host in (settings.temporal.address.split(":")[0], "postgresql")} <= {
        line + "\n" for line in composed.splitlines()
    }
