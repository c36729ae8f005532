from __future__ import annotations

import pytest

from judge.domain.model_names import is_same_model


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("m", "m"),
        ("gpt-5", "gpt-5-2026-01-01"),
        ("gpt-5-2026-01-01", "gpt-5"),
        ("GPT-5", "gpt-5"),
        ("x", "openai/x"),
        ("openai/x", "x"),
        ("gemini-2.5-flash", "models/gemini-2.5-flash-preview-09-2025"),
        ("claude-sonnet-4-5-latest", "claude-sonnet-4-5-20250929"),
        ("anthropic/claude-opus-4", "us.anthropic.claude-opus-4-20250514-v1:0"),
        ("gpt-4", "gpt-4-0613"),
        ("mistral-large-latest", "mistral-large-2411"),
        ("deepseek/deepseek-r1:free", "deepseek/deepseek-r1"),
    ],
)
def test_a_dated_or_prefixed_form_is_the_same_model(asked: str, answered: str) -> None:
    """Providers answer with the snapshot behind an alias, and routers with the vendor before the name."""
    assert is_same_model(asked, answered)


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("gpt-5", "gpt-5-mini"),
        ("gpt-5", "gpt-5.1"),
        ("gpt-4o", "gpt-4"),
        ("gpt-5-2026-01-01", "gpt-5-2026-02-02"),
        ("llama3:8b", "llama3:70b"),
        ("m", "/models/other.gguf"),
    ],
)
def test_another_name_is_another_model(asked: str, answered: str) -> None:
    """A smaller model, another version, and another snapshot than the one that was asked for are others."""
    assert not is_same_model(asked, answered)
