"""Turns on the wire: as texts, as messages, or as both if they say the same."""

from __future__ import annotations

import pytest
from hypothesis import given

from judge.api.v1 import dataset_service_pb2, turn_pb2
from judge.domain.dataset import Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.messages import turn_texts
from judge.rpc import decode, rows
from judge.rpc.turns import row_bytes
from support.random_messages import outputs, prompts

SYSTEM = turn_pb2.TurnMessage(role=turn_pb2.ROLE_SYSTEM, parts=[turn_pb2.MessagePart(text="Be brief.")])
USER = turn_pb2.TurnMessage(role=turn_pb2.ROLE_USER, parts=[turn_pb2.MessagePart(text="Why?")])


@given(prompts)
def test_prompts_are_the_same_after_encoding_and_decoding(prompt: Prompt) -> None:
    """Older clients read each turn as one text. Messages are sent only if texts do not say all."""
    encoded = rows.prompt(prompt)

    assert decode.prompt(encoded) == prompt
    assert tuple(encoded.turns) == turn_texts(prompt.turns)
    assert bool(encoded.messages) == any(not isinstance(turn, str) for turn in prompt.turns)


@given(outputs)
def test_outputs_are_the_same_after_encoding_and_decoding(output: Output) -> None:
    """So that rows that were read can be uploaded again, with their texts or without them."""
    encoded = rows.output(output)
    alone = dataset_service_pb2.Output.FromString(encoded.SerializeToString())
    if alone.messages:
        alone.ClearField("turns")

    assert decode.output(encoded) == decode.output(alone) == output


def test_a_text_of_the_user_alone_is_a_text() -> None:
    """Both forms of the same prompt are the same row, with the same hash."""
    message = dataset_service_pb2.Prompt(prompt_id="p", messages=[turn_pb2.Turn(messages=[USER])])

    assert decode.prompt(message) == Prompt("p", ("Why?",))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (
            dataset_service_pb2.Prompt(turns=["?"], messages=[turn_pb2.Turn(messages=[SYSTEM, USER])]),
            "CONTRADICTION",
        ),
        (dataset_service_pb2.Prompt(messages=[turn_pb2.Turn()]), "MISSING_TURN"),
        (dataset_service_pb2.Prompt(messages=[turn_pb2.Turn(messages=[turn_pb2.TurnMessage()])]), "INVALID_ENUM"),
        (
            dataset_service_pb2.Prompt(
                messages=[turn_pb2.Turn(messages=[turn_pb2.TurnMessage(role=turn_pb2.ROLE_USER)])]
            ),
            "MISSING_PART",
        ),
        (
            dataset_service_pb2.Prompt(
                messages=[
                    turn_pb2.Turn(
                        messages=[
                            turn_pb2.TurnMessage(
                                role=turn_pb2.ROLE_USER,
                                parts=[turn_pb2.MessagePart(tool_call=turn_pb2.ToolCall(name="f"))],
                            )
                        ]
                    )
                ]
            ),
            "WRONG_ROLE",
        ),
    ],
)
def test_wrong_messages_are_refused(message: dataset_service_pb2.Prompt, reason: str) -> None:
    """Each error has its reason."""
    message.prompt_id = "p"

    with pytest.raises(InvalidInput) as raised:
        decode.prompt(message)

    assert raised.value.reason == reason


def test_the_size_of_a_row_does_not_count_its_texts_twice() -> None:
    """A row of the largest size can be read and uploaded again."""
    both = dataset_service_pb2.Prompt(turns=["x" * 1000], messages=[turn_pb2.Turn(messages=[SYSTEM, USER])])

    assert row_bytes(both) < 100
    assert row_bytes(dataset_service_pb2.Prompt(turns=["x" * 1000])) > 1000
