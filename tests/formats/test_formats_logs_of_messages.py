"""Logs with roles, tools, documents and images become messages: Arena, Inspect, lm-evaluation-harness, OpenAI Evals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from judge.domain.dataset import Output, Prompt
from judge.domain.messages import ChatMessage, ChatTurn, Image, Part, Role, TextPart, ToolCall, ToolResult
from judge.formats.detect import read
from judge.formats.importing import Import, count

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
INSPECT_CALL = {"id": "c", "type": "function", "function": "f", "arguments": {}}
AGENT = (
    ("assistant", ToolCall(name="f", arguments="{}", call_id="c")),
    ("tool", ToolResult(text="17", call_id="c", name="f")),
    ("assistant", TextPart("Seventeen.")),
)
USER, SYSTEM = {"role": "user", "content": "Why?"}, {"role": "system", "content": "Be brief."}
TOOL = {"role": "tool", "tool_call_id": "c", "name": "f", "content": "17"}
ANSWER = {"role": "assistant", "content": "Seventeen."}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def turn(*messages: tuple[str, *tuple[Part, ...]]) -> ChatTurn:
    return ChatTurn(tuple(ChatMessage(Role(role), tuple(parts)) for role, *parts in messages))


def _read(folder: Path, name: str, rows: object) -> Import:
    (folder / name).write_text(json.dumps(rows))
    return read(folder / name)


def _vote(left: list[Any], right: list[Any]) -> dict[str, Any]:
    pair = {"model_a": "m", "model_b": "n", "conversation_a": left, "conversation_b": right}
    return {"question_id": "v", "winner": "model_a", "judge": "u", "anony": True, **pair}


def test_formats_arena_roles_and_tools_are_messages(tmp_path: Path) -> None:
    """The system message is the first of the prompt's turn; a reply has its calls, and what the tools returned."""
    again = {"role": "user", "content": "And?"}
    called = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    left = [SYSTEM, USER, called, TOOL, ANSWER, again, ANSWER]
    right = [SYSTEM, USER, ANSWER, again, ANSWER]

    content = _read(tmp_path, "votes.json", [_vote(left, right)])

    (prompt,) = content.rows(Prompt)
    assert prompt.turns == (turn(("system", TextPart("Be brief.")), ("user", TextPart("Why?"))), "And?")
    assert [output.turns for output in content.rows(Output)] == [
        (turn(*AGENT), "Seventeen."),
        ("Seventeen.", "Seventeen."),
    ]
    assert count(content.files[0]).notes == {}


def test_formats_arena_an_image_with_its_bytes_is_kept(tmp_path: Path) -> None:
    """It stands among the parts of the user's message."""
    asked = {"role": "user", "content": [{"type": "text", "text": "What?"}, IMAGE]}

    (prompt,) = _read(tmp_path, "votes.json", [_vote([asked, ANSWER], [asked, ANSWER])]).rows(Prompt)

    assert prompt.turns == (turn(("user", TextPart("What?"), Image(b"hi", "image/png"))),)


def _log(sample: dict[str, Any]) -> dict[str, Any]:
    return {"eval": {"model": "m", "task": "t"}, "samples": [{"id": 1, "target": "", **sample}]}


def test_formats_inspect_an_agents_calls_are_in_its_output(tmp_path: Path) -> None:
    """From its first message after the input, which may have messages of an assistant; attachments are put in."""
    shot = {"role": "assistant", "content": "An example."}
    called = {"role": "assistant", "content": "", "tool_calls": [INSPECT_CALL]}
    returned = {"role": "tool", "tool_call_id": "c", "function": "f", "content": "attachment://a"}
    sample = {
        "input": [USER, shot, USER],
        "messages": [SYSTEM, USER, shot, USER, called, returned, ANSWER],
        "attachments": {"a": "17"},
        "output": {"choices": [{"message": ANSWER}]},
    }

    content = _read(tmp_path, "log.json", _log(sample))

    (prompt,), (output,) = content.rows(Prompt), content.rows(Output)
    why = ("user", TextPart("Why?"))
    assert prompt.turns == (turn(why, ("assistant", TextPart("An example.")), why),)
    assert output.turns == (turn(*AGENT),)


def test_formats_inspect_without_tools_the_last_answer_is_the_output(tmp_path: Path) -> None:
    """As before: a critique and a second attempt are not part of it."""
    sample = {
        "input": "Why?",
        "messages": [USER, {"role": "assistant", "content": "Hm."}, {"role": "user", "content": "Sure?"}, ANSWER],
        "output": {"choices": [{"message": ANSWER}]},
    }

    (output,) = _read(tmp_path, "log.json", _log(sample)).rows(Output)

    assert output.turns == ("Seventeen.",)


def test_formats_inspect_choices_follow_the_last_message(tmp_path: Path) -> None:
    """They are in the user's message, after its text."""
    sample = {"input": [SYSTEM, USER], "choices": ["x", "y"], "output": {"choices": [{"message": ANSWER}]}}

    (prompt,) = _read(tmp_path, "log.json", _log(sample)).rows(Prompt)

    assert prompt.turns == (turn(("system", TextPart("Be brief.")), ("user", TextPart("Why?\n\nA) x\nB) y"))),)


def test_formats_lm_eval_a_chat_with_a_system_message_is_messages(tmp_path: Path) -> None:
    """The harness writes the chat as a JSON text."""
    arguments = {"gen_args_0": {"arg_0": json.dumps([SYSTEM, USER]), "arg_1": {"until": []}}}
    row = {"doc_id": 0, "doc": {}, "target": "", "arguments": arguments, "resps": [["So."]], "filtered_resps": ["So."]}

    (prompt,) = _read(tmp_path, "samples_t.jsonl", row).rows(Prompt)

    assert prompt.turns == (turn(("system", TextPart("Be brief.")), ("user", TextPart("Why?"))),)


def test_formats_openai_evals_calls_are_kept_and_prompts_without_ids_stay_apart(tmp_path: Path) -> None:
    """The id of a prompt is made of its messages: the text alone, and with an image, are two prompts."""

    def item(given: list[Any], answer: list[Any]) -> dict[str, Any]:
        return {"object": "eval.run.output_item", "sample": {"input": given, "output": answer, "model": "m"}}

    called = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    pictured = {"role": "user", "content": [{"type": "text", "text": "Why?"}, IMAGE]}
    page = {"object": "list", "data": [item([USER], [called, TOOL, ANSWER]), item([pictured], [ANSWER])]}

    content = _read(tmp_path, "items.json", page)

    assert [prompt.turns for prompt in content.rows(Prompt)] == [
        ("Why?",),
        (turn(("user", TextPart("Why?"), Image(b"hi", "image/png"))),),
    ]
    assert len({prompt.prompt_id for prompt in content.rows(Prompt)}) == 2
    assert [output.turns for output in content.rows(Output)] == [(turn(*AGENT),), ("Seventeen.",)]
