"""Messages in the product's own files: the shapes of OpenAI and of Anthropic, and what is written of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from judge.domain.dataset import Output, Prompt
from judge.domain.messages import (
    ChatMessage,
    ChatTurn,
    Document,
    Image,
    Part,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
    Turn,
)
from judge.formats import own
from judge.formats.detect import read
from judge.formats.fields import TextRow
from judge.formats.importing import count
from judge.formats.message_rows import message_rows
from judge.formats.messages import chat_turn, reply_turn
from support.random_messages import chat_turns

PNG = "data:image/png;base64,aGk="
IMAGE = Image(b"hi", "image/png")


def turn(*messages: tuple[Role, *tuple[Part, ...]]) -> ChatTurn:
    return ChatTurn(tuple(ChatMessage(role, tuple(parts)) for role, *parts in messages))


def _read(folder: Path, name: str, *rows: dict[str, Any]) -> Any:  # noqa: ANN401  # an import
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return read(folder / name)


@given(chat_turns)
def test_formats_messages_are_read_as_they_were_written(given_turn: ChatTurn) -> None:
    """Any turn goes through a file, with the order of its parts."""
    written = json.loads(json.dumps(message_rows(given_turn)))

    assert chat_turn(written, Role.SYSTEM if len(given_turn.messages) > 1 else Role.TOOL) == given_turn


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chat_turns)
def test_formats_messages_of_one_turn_or_of_several(given_turn: ChatTurn) -> None:
    """A list of messages is one turn; a list of texts and lists has one entry per turn."""
    parse = own.format_of("prompts").parser()
    messages = message_rows(given_turn)

    (single,) = parse(1, {"prompt_id": "p", "messages": messages})
    (several,) = parse(1, {"prompt_id": "p", "messages": ["first", messages]})

    assert (single, several) == (Prompt("p", (given_turn,)), Prompt("p", ("first", given_turn)))


def test_formats_messages_in_openai_shape(tmp_path: Path) -> None:
    """Texts, images as data URLs, documents, tool calls and their results."""
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    prompt = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": PNG}},
                {"type": "input_image", "image_url": PNG.replace("png", "jpg")},
                {"type": "document", "title": "T", "text": "D", "source": "https://x"},
            ],
        },
    ]
    output = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "2"},
        {"role": "assistant", "content": "Two."},
    ]

    (read_prompt,) = _read(tmp_path, "a.jsonl", {"prompt_id": "p", "messages": prompt}).rows(Prompt)
    (read_output,) = _read(tmp_path, "b.jsonl", {"prompt_id": "p", "model": "m", "messages": output}).rows(Output)

    parts = (
        TextPart("What is it?"),
        IMAGE,
        Image(b"hi", "image/jpeg"),
        Document(text="D", title="T", source="https://x"),
    )
    assert read_prompt.turns == (turn((Role.SYSTEM, TextPart("Be brief.")), (Role.USER, *parts)),)
    assert read_output.turns == (
        turn(
            (Role.ASSISTANT, ToolCall(name="add", arguments='{"a": 1}', call_id="c1")),
            (Role.TOOL, ToolResult(text="2", call_id="c1")),
            (Role.ASSISTANT, TextPart("Two.")),
        ),
    )


def test_formats_messages_in_anthropic_shape() -> None:
    """Results of tools are in messages of the user there, and are messages of the tool here. Thoughts are left out."""
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    document = {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "D"}}
    messages = [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "text", "text": "Wait."},
                {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "sky"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "blue"}, image]},
                {"type": "text", "text": "And?"},
                document,
            ],
        },
    ]

    assert chat_turn(messages, Role.ASSISTANT) == turn(
        (Role.ASSISTANT, TextPart("Wait."), ToolCall(name="look", arguments='{"at": "sky"}', call_id="t1")),
        (Role.TOOL, ToolResult(text="blue", call_id="t1"), IMAGE),
        (Role.USER, TextPart("And?"), Document(text="D", title="T")),
    )


def test_formats_messages_of_the_responses_api() -> None:
    """Calls and their outputs are items of their own there."""
    items = [
        {"type": "reasoning", "summary": []},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "1"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "One."}]},
    ]

    assert chat_turn(items, Role.ASSISTANT) == turn(
        (Role.ASSISTANT, ToolCall(name="f", arguments="{}", call_id="c")),
        (Role.TOOL, ToolResult(text="1", call_id="c")),
        (Role.ASSISTANT, TextPart("One.")),
    )


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}], "a\n\nb"),
        ([{"role": "assistant", "content": None}], ""),
        ([{"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}], "a\n\nb"),
    ],
)
def test_formats_messages_that_are_texts_are_one_text(messages: list[Any], expected: Turn) -> None:
    """So their hashes are those of texts."""
    (ours, *more) = [message for row in messages for message in own_messages(row)]

    assert reply_turn([ours, *more]) == expected


def _image(url: object) -> list[Any]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]


def own_messages(row: dict[str, Any]) -> list[ChatMessage]:
    made = chat_turn([row], Role.SYSTEM)
    assert isinstance(made, ChatTurn)
    return list(made.messages)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        (_image({"url": "https://x/y.png"}), "not fetched"),
        (_image("data:image/png;base64,?"), "in base64"),
        (_image("data:image/bmp;base64,aGk="), "image/bmp"),
        ([{"role": "user", "content": [{"type": "input_audio", "data": ""}]}], "a part of type 'input_audio'"),
        ([{"role": "critic", "content": "x"}], "the role 'critic'; the roles are system, user, assistant, tool"),
        ([{"role": "user", "tool_calls": [{"function": {"name": "f"}}]}], "calls a tool"),
        ([{"role": "assistant", "tool_calls": ["f"]}], "invalid tool call"),
        ([{"role": "user", "content": [{"type": "document", "source": {"type": "url"}}]}], "a document of type 'url'"),
        ([], "has no list of messages"),
    ],
)
def test_formats_messages_that_cannot_be_kept_are_refused(tmp_path: Path, messages: list[Any], problem: str) -> None:
    """The row is named, and the others go in."""
    wrong = {"prompt_id": "q", "messages": messages}
    content = _read(tmp_path, "prompts.jsonl", {"prompt_id": "p", "text": "x"}, wrong)

    account = count(content.files[0])

    assert account.items == {"prompts": 1}
    (error,) = account.wrong
    assert "line 2" in error.message
    assert problem in error.message


def test_formats_messages_beside_texts_are_refused(tmp_path: Path) -> None:
    """Nothing says which of them counts."""
    row = {"prompt_id": "p", "text": "x", "messages": [{"role": "user", "content": "y"}]}

    (error,) = count(_read(tmp_path, "prompts.jsonl", row).files[0]).wrong

    assert "has both messages and turns or text" in error.message


def test_formats_messages_in_a_table_are_json() -> None:
    """As `judge export` writes them into CSV and Parquet."""
    row = TextRow(prompt_id="p", messages='[{"role": "system", "content": "s"}]')

    (prompt,) = own.format_of("prompts").parser()(1, row)

    assert prompt == Prompt("p", (turn((Role.SYSTEM, TextPart("s"))),))
