"""Preference pairs in the shapes in which training data come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from judge.domain.dataset import Output, Prompt
from judge.domain.outcome import Outcome
from judge.formats.detect import read


def message(role: str, content: str) -> dict[str, str]:
    """Return a message."""
    return {"role": role, "content": content}


ASKED = message("user", "Why?")
SHAPES: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "texts": ({"prompt": "Why?", "chosen": "So.", "rejected": "No."}, "Why?", "So.", "No."),
    "an instruction with its input": (
        {"instruction": "Translate", "input": "ja", "chosen": "yes", "rejected": "no"},
        "Translate\n\nja",
        "yes",
        "no",
    ),
    "a system message of its own": (
        {"system": "Be brief.", "question": "Why?", "chosen": "So.", "rejected": "No."},
        "[system]\nBe brief.\n\n[user]\nWhy?",
        "So.",
        "No.",
    ),
    "messages": (
        {"prompt": [ASKED], "chosen": [message("assistant", "So.")], "rejected": [message("assistant", "No.")]},
        "Why?",
        "So.",
        "No.",
    ),
    "conversations without a prompt": (
        {"chosen": [ASKED, message("assistant", "So.")], "rejected": [ASKED, message("assistant", "No.")]},
        "Why?",
        "So.",
        "No.",
    ),
    "conversations beside the last question": (
        {
            "prompt": "Why?",
            "chosen": [message("system", "Be brief."), ASKED, message("assistant", "So.")],
            "rejected": [message("system", "Be brief."), ASKED, message("assistant", "No.")],
        },
        "[system]\nBe brief.\n\n[user]\nWhy?",
        "So.",
        "No.",
    ),
    "transcripts": (
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Why?\n\nAssistant: So.",
            "rejected": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Why?\n\nAssistant: No.",
        },
        "[user]\nHi\n\n[assistant]\nHello\n\n[user]\nWhy?",
        "So.",
        "No.",
    ),
    "one message each": (
        {
            "conversations": [{"from": "human", "value": "Why?"}],
            "chosen": {"from": "gpt", "value": "So."},
            "rejected": {"from": "gpt", "value": "No."},
        },
        "Why?",
        "So.",
        "No.",
    ),
    "an empty answer": ({"prompt": "Why?", "chosen": "So.", "rejected": ""}, "Why?", "So.", ""),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_formats_preferences_a_pair_is_a_prompt_two_outputs_and_a_label(tmp_path: Path, shape: str) -> None:
    """The prompt is what both answers share; the chosen one wins."""
    row, asked, chosen, rejected = SHAPES[shape]
    (tmp_path / "pairs.json").write_text(json.dumps([row]))

    (file,) = read(tmp_path / "pairs.json").files

    (prompt,) = file.rows(Prompt)
    assert prompt.texts == (asked,)
    assert [(each.contestant, each.turns) for each in file.rows(Output)] == [
        ("chosen", (chosen,)),
        ("rejected", (rejected,)),
    ]
    (label,) = (each.label for each in file.labels())
    assert (label.left, label.right, label.outcome) == ("chosen", "rejected", Outcome.LEFT)
    assert "does not say who chose" in file.format.note


def test_formats_preferences_models_that_a_file_names_are_the_contestants(tmp_path: Path) -> None:
    """`judge export dpo` names them, and the prompt."""
    row = {"prompt": "Why?", "chosen": "a", "rejected": "b", "prompt_id": "q7"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps({**row, "chosen_model": "m", "rejected_model": "n"}))

    (file,) = read(tmp_path / "pairs.jsonl").files

    assert {(each.prompt_id, each.contestant) for each in file.rows(Output)} == {("q7", "m"), ("q7", "n")}


def test_formats_preferences_a_pair_without_a_question_is_a_wrong_row(tmp_path: Path) -> None:
    """Two answers to nothing cannot be compared."""
    (tmp_path / "pairs.jsonl").write_text(json.dumps({"chosen": "a", "rejected": "b"}))
    wrong: list[str] = []

    (file,) = read(tmp_path / "pairs.jsonl").files

    assert list(file.items(lambda error: wrong.append(error.message))) == []
    assert "line 1 has no field prompt" in wrong[0]
