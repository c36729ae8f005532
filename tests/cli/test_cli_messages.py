"""Prompts and outputs of messages through the commands: in and out again, judged, shown, bundled, in other files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Judge = Callable[..., subprocess.CompletedProcess[str]]
CALL = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"at": "sky"}'}}
ASKED = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
            {"type": "document", "text": "D", "title": "T"},
        ],
    },
]
AGENT = [
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c", "content": "blue"},
    {"role": "assistant", "content": "The sky is blue."},
]
PROMPTS: list[dict[str, Any]] = [{"prompt_id": "p", "messages": ASKED}, {"prompt_id": "q", "messages": [ASKED, "And?"]}]
OUTPUTS: list[dict[str, Any]] = [
    {"prompt_id": "p", "contestant": "agent", "messages": AGENT},
    {"prompt_id": "p", "contestant": "plain", "text": "Blue."},
    {"prompt_id": "q", "contestant": "agent", "messages": [AGENT, "More."]},
    {"prompt_id": "q", "contestant": "plain", "turns": ["Blue.", "No."]},
]
LABELS: list[dict[str, Any]] = [
    {"prompt_id": name, "left": "agent", "right": "plain", "outcome": "right", "annotator": "ann", "turn": turn}
    for name, turn in (("p", 1), ("q", 2))
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of prompts, outputs and labels."""
    made = tmp_path_factory.mktemp("messages")
    kinds: list[tuple[str, list[dict[str, Any]]]] = [("prompts", PROMPTS), ("outputs", OUTPUTS), ("labels", LABELS)]
    for name, rows in kinds:
        write(made / f"{name}.jsonl", rows)
    return made


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_messages_come_out_as_they_went_in(served: Judge, folder: Path, tmp_path: Path, form: str) -> None:
    """In every form, and again after another import."""
    assert served("import", folder, "--dataset", f"chats-{form}").returncode == 0

    for kind in ("prompts", "outputs"):
        assert served("export", kind, "--dataset", f"chats-{form}", "-o", tmp_path / f"{kind}.{form}").returncode == 0
    again = served("import", tmp_path, "--dataset", f"chats-{form}-2")
    for kind in ("prompts", "outputs"):
        served("export", kind, "--dataset", f"chats-{form}-2", "-o", tmp_path / f"{kind}-2.jsonl")

    assert again.returncode == 0, again.stdout + again.stderr
    texts = {"turns": ["Blue."]}
    assert lines(tmp_path / "prompts-2.jsonl") == [
        PROMPTS[0],
        {"prompt_id": "q", "messages": [ASKED, [{"role": "user", "content": "And?"}]]},
    ]
    assert lines(tmp_path / "outputs-2.jsonl")[:2] == [
        OUTPUTS[0],
        {"prompt_id": "p", "contestant": "plain", **texts},
    ]


def test_a_bundle_holds_messages_and_can_be_verified(served: Judge, folder: Path, tmp_path: Path) -> None:
    """With its texts, or with their hashes alone."""
    served("import", folder, "--dataset", "chats-bundle")
    run = served("run", "chats-bundle", "--judge", "longest", "--json")
    assert run.returncode == 0, run.stderr
    name = json.loads(run.stdout)["name"]

    for arguments in ((), ("--without-texts",)):
        bundle = tmp_path / f"bundle{len(arguments)}.zip"
        exported = served("export", "bundle", "--run", name, "-o", bundle, *arguments)
        assert exported.returncode == 0, exported.stderr
        verified, replayed = served("verify", bundle), served("replay", bundle)
        assert (verified.returncode, replayed.returncode) == (0, 0), verified.stdout + replayed.stderr


def test_disagreements_show_roles(served: Judge, folder: Path) -> None:
    """The prompt and the outputs are texts with marks."""
    served("import", folder, "--dataset", "chats-show")
    served("run", "chats-show", "--judge", "longest")

    shown = served("disagreements", "judge:longest", "people", "--dataset", "chats-show")

    assert shown.returncode == 0, shown.stderr
    flat = " ".join(shown.stdout.split())
    assert "[system] Be brief. [user] What is it? [user: image] image/png, 4 bytes [user: document] T D" in flat
    assert "[assistant: tool call] look (c)" in flat


def test_other_tools_get_messages_or_are_told_what_is_lost(served: Judge, folder: Path, tmp_path: Path) -> None:
    """Arena battles have messages, without marks. Pairs for training are texts, and counted."""
    served("import", folder, "--dataset", "chats-tools")

    battles = served("export", "arena-battles", "--dataset", "chats-tools", "-o", tmp_path / "battles.json")
    pairs = served("export", "dpo", "--dataset", "chats-tools", "-o", tmp_path / "pairs.jsonl")

    assert (battles.returncode, pairs.returncode) == (0, 0), battles.stderr + pairs.stderr
    assert "have messages" not in battles.stderr
    assert "4 prompts and outputs of the dataset have messages" in pairs.stderr
    (pair,) = lines(tmp_path / "pairs.jsonl")
    assert pair["prompt"].startswith("[system]\nBe brief.\n\n[user]\nWhat is it?")
    assert pair["rejected"].endswith("[assistant]\nThe sky is blue.")
    first, second = json.loads((tmp_path / "battles.json").read_text("utf-8"))
    assert first["conversation_a"] == [*ASKED, *AGENT]
    assert second["conversation_b"] == [
        *ASKED,
        {"role": "assistant", "content": "Blue."},
        {"role": "user", "content": "And?"},
        {"role": "assistant", "content": "No."},
    ]


def test_a_preview_shows_messages_as_an_export_writes_them(embedded: Judge, folder: Path) -> None:
    """Nothing is stored."""
    shown = embedded("import", folder / "outputs.jsonl", "--dataset", "chats-preview", "--preview")

    assert shown.returncode == 0, shown.stderr
    assert '"messages": [{"role": "assistant", "content": null, "tool_calls": [{"id": "c"' in shown.stdout
    assert '"turns": ["Blue."]' in shown.stdout
