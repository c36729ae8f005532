"""The settings and what is said about them have one set of defaults."""

from __future__ import annotations

import re
from pathlib import Path

from judge.app.temporal import temporal_connection
from judge.config.settings import AccountSettings, JudgeSettings, Settings, TemporalSettings
from judge.domain.defaults import LISTEN_ADDRESS
from judge.domain.judge import SINGLE_SHARE, Limits
from judge.domain.temporal_connection import TemporalConnection

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_documentation_states_the_defaults_of_settings() -> None:
    """A number beside a setting's name in the documentation is the setting's default."""
    text = "".join(path.read_text("utf-8") for path in sorted(DOCS.glob("*.md")))
    stated = {
        name: float(number) / (100 if percent else 1)
        for name, number, percent in re.findall(r"`(\w+)`[ ,(]+default (\d+(?:\.\d+)?)(%?)", text)
        if name in JudgeSettings.model_fields
    }

    assert {"deadline_seconds", "max_failed_share"} <= set(stated)
    assert stated == {name: JudgeSettings.model_fields[name].default for name in stated}


def test_settings_that_are_not_given_are_those_of_the_service() -> None:
    """An empty configuration leaves every limit and address as the service has it."""
    judge, limits = JudgeSettings(backend="first"), Limits()

    assert (limits.concurrency, limits.deadline_seconds, limits.max_failed_share) == (
        judge.concurrency,
        judge.deadline_seconds,
        judge.max_failed_share,
    )
    assert TemporalConnection() == temporal_connection(TemporalSettings())
    assert (LISTEN_ADDRESS, SINGLE_SHARE) == (Settings().listen, AccountSettings().single_share)
