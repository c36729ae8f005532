"""A call fingerprint covers what changes the reply, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.app.judges import ConfiguredJudges
from judge.config.settings import load
from judge.domain.judge import JudgeDefinition
from support.clocks import StillClock

BASE = {
    "backend": '"openai"',
    "model": '"gpt-4o"',
    "base_url": '"http://127.0.0.1:9/v1"',
    "rubric": '"likert-5"',
    "temperature": "0.5",
}
OTHERWISE = {
    "backend": '"vllm"',
    "model": '"gpt-4o-mini"',
    "rubric": '"brackets"',
    "temperature": "0.0",
    "seed": "7",
    "max_output_tokens": "99",
}
"""Settings that change the reply, with another value than in BASE."""
ALIKE = {
    "base_url": '"http://127.0.0.1:10/v1"',
    "key_env": '"A_KEY"',
    "price": "{ input = 1.0, output = 2.0 }",
    "account": '"far"',
    "concurrency": "3",
    "deadline_seconds": "7.0",
    "max_failed_share": "0.5",
    "batch": "true",
    "tie_band": "0.4",
}
"""Settings that do not change the reply: endpoint, credential, price and limits, and how the reply is read."""


def definition(folder: Path, name: str = "j", **settings: str) -> JudgeDefinition:
    lines = [f"{field} = {value}" for field, value in {**BASE, **settings}.items()]
    text = "\n".join(["[accounts.far]", "requests_per_minute = 60", f"[judges.{name}]", *lines])
    (folder / "judge.toml").write_text(text, "utf-8")
    return ConfiguredJudges(load(folder / "judge.toml"), StillClock()).cards()[name].definition


@pytest.mark.parametrize("field", OTHERWISE)
def test_the_call_fingerprint_covers_what_changes_the_reply(tmp_path: Path, field: str) -> None:
    """Backend, model, rubric with its answer form, and sampling are covered."""
    other = definition(tmp_path, **{field: OTHERWISE[field]})

    assert other.fingerprint != definition(tmp_path).fingerprint


@pytest.mark.parametrize("field", ALIKE)
def test_the_call_fingerprint_never_covers_parser_url_credential_price_or_limits(tmp_path: Path, field: str) -> None:
    """A verdict is reused even if the judge's price or endpoint has changed."""
    other = definition(tmp_path, **{field: ALIKE[field]})

    assert other.fingerprint == definition(tmp_path).fingerprint


def test_the_call_fingerprint_does_not_cover_the_name(tmp_path: Path) -> None:
    """Two judges that differ only in name share their verdicts."""
    assert definition(tmp_path, "another").fingerprint == definition(tmp_path).fingerprint


def test_another_parser_is_another_definition(tmp_path: Path) -> None:
    """The parser is part of the definition, but not of the call fingerprint."""
    wide = definition(tmp_path, tie_band="0.4")

    assert wide.parser != definition(tmp_path).parser
