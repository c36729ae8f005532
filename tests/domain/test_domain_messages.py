"""Messages: what they may hold, what stands for them as text, and what is hashed."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from judge.domain.dataset import BATCH_BYTES, Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.messages import ChatMessage, ChatTurn, Image, Role, TextPart, ToolResult, Turn, turn_body, turn_of
from judge.domain.verdict import digest, prompt_digest, shown_digest
from support.random_messages import chat_turns, texts


@given(st.lists(texts, min_size=1).map(tuple), st.lists(texts).map(tuple))
def test_the_hash_of_texts_is_that_of_before_messages(turns: tuple[str, ...], reference: tuple[str, ...]) -> None:
    """The formula is written out, so that no change to messages changes it."""
    assert prompt_digest(turns, reference) == digest("prompt", str(len(turns)), *turns, *reference)
    assert shown_digest(turns) == digest("output", *turns)


@given(st.one_of(texts, chat_turns), st.one_of(texts, chat_turns))
def test_different_turns_have_different_hashes(first: Turn, second: Turn) -> None:
    """A text that looks like a turn's JSON is not that turn."""
    assume(first != second)

    assert shown_digest((first,)) != shown_digest((second,))
    assert prompt_digest((first,), ()) != prompt_digest((second,), ())
    assert prompt_digest((first,), ("r",)) != prompt_digest((first,), ())


def test_the_hash_of_messages_never_changes() -> None:
    """Verdicts are stored under it."""
    turn = ChatTurn(
        (
            ChatMessage(Role.TOOL, (ToolResult(text="4", call_id="c", name="add"),)),
            ChatMessage(Role.USER, (TextPart("é"), Image(b"\1", "image/png"))),
        )
    )

    assert shown_digest((turn, "x")).hex()[:16] == "6ca6da9f3c30fd13"  # pragma: allowlist secret


@given(chat_turns)
def test_a_turn_is_the_same_after_json(turn: ChatTurn) -> None:
    """The store keeps turns as JSON."""
    assert turn_of(turn_body(turn)) == turn


@pytest.mark.parametrize("role", Role)
def test_a_single_text_is_a_text_only_of_the_usual_role(role: Role) -> None:
    """A prompt's text is a user's, and an output's text is the assistant's."""
    turn = ChatTurn((ChatMessage(role, (TextPart("x"),)),)) if role is not Role.TOOL else "y"

    assert (Prompt("p", (turn,)).turns[0] == "x") == (role is Role.USER)
    assert (Output("p", "m", (turn,)).turns[0] == "x") == (role is Role.ASSISTANT)


@pytest.mark.parametrize(("size", "reason"), [(BATCH_BYTES - 9, None), (BATCH_BYTES - 8, "ROW_TOO_LARGE")])
def test_images_count_towards_the_size_of_a_row(size: int, reason: str | None) -> None:
    """A row must fit a batch. The media type has nine characters."""
    turn = ChatTurn((ChatMessage(Role.USER, (Image(bytes(size), "image/png"),)),))

    if reason is None:
        assert Prompt("p", (turn,)).turns == (turn,)
        return
    with pytest.raises(InvalidInput) as raised:
        Prompt("p", (turn,))
    assert raised.value.reason == reason


def test_an_image_that_no_provider_takes_is_refused() -> None:
    """The error lists the media types there are."""
    with pytest.raises(InvalidInput, match="'image/tiff'; use one of image/png, image/jpeg, image/gif, image/webp"):
        Image(b"x", "image/tiff")
