"""Preference pairs for training (DPO, reward models): a prompt with a chosen and a rejected answer.

Both answers are texts, messages, or whole conversations that share their beginning, which is then the prompt. Files
rarely name the models, so the sides are `chosen` and `rejected` unless they do.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from judge.domain.dataset import Prompt
from judge.domain.messages import Turn
from judge.domain.outcome import AnnotatorKind, Outcome
from judge.formats import fields
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, Parser
from judge.formats.messages import chat_messages, prompt_turn, reply_turn, turn_id
from judge.formats.pairs import Pairs

_SIDES = ("chosen", "rejected")
_ANNOTATOR = "preference"
_NOTE = "the file does not say who chose, so its labels count as a person's"
_HUMAN, _ASSISTANT = "\n\nHuman:", "\n\nAssistant:"
_SPEAKERS = re.compile(f"({_HUMAN}|{_ASSISTANT})")
_ROLES = {"human": "user", "gpt": "assistant", _HUMAN: "user", _ASSISTANT: "assistant"}
Conversation = list[Row]


def recognize(_: Path, row: Row) -> Format | None:
    """Return the format of a file by its first *row*."""
    is_pair = all(isinstance(row.get(side), (str, list, dict)) for side in _SIDES)
    return Format(name="preference pairs", parser=_parser, note=_NOTE) if is_pair else None


def _parser() -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> list[Item]:
        chosen, rejected = (_conversation(fields.needed(row, side)) for side in _SIDES)
        common = _common(chosen, rejected)
        shared, answers = chosen[:common], [_answer(each[common:]) for each in (chosen, rejected)]
        turn = prompt_turn(shared or _question(row) or fields.needed(row, "prompt"))
        prompt_id = fields.identifier(row, "prompt_id") if row.get("prompt_id") else turn_id(turn)
        models = [fields.text(row, f"{side}_model") or side for side in _SIDES]
        left, right = (pairs.output(prompt_id, *each) for each in zip(models, answers, strict=True))
        label = pairs.label(left, right, Outcome.LEFT, annotator=_ANNOTATOR, kind=AnnotatorKind.HUMAN)
        return pairs.new((Prompt(prompt_id=prompt_id, turns=(turn,)), left, right, label))

    return items


def _question(row: Row) -> Conversation:
    """Return what both answers answer if the row has it beside them."""
    given: Any = fields.first(row, "prompt", "conversations", "instruction", "question")
    extra = fields.text(row, "input")
    asked = _conversation(f"{given}\n\n{extra}" if isinstance(given, str) and extra else given)
    system = fields.text(row, "system")
    return [{"role": "system", "content": system}, *asked] if system and asked else asked


def _conversation(given: object) -> Conversation:
    r"""Return a text, a message, a list of messages, or a transcript of `Human:` and `Assistant:` as messages.

    >>> _conversation("\n\nHuman: Hi\n\nAssistant: Hello")
    [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]
    """
    if not given:
        return []
    if isinstance(given, str):
        parts = _SPEAKERS.split(given)
        if len(parts) > 1 and not parts[0].strip():
            return [
                {"role": _ROLES[speaker], "content": content.strip()}
                for speaker, content in zip(parts[1::2], parts[2::2], strict=True)
                if content.strip()
            ]
        return [{"role": "user", "content": given}]
    return [_message(entry) for entry in (given if isinstance(given, list) else [given])]


def _message(entry: object) -> Row:
    if isinstance(entry, str):
        return {"role": "assistant", "content": entry}
    if not isinstance(entry, dict):
        raise ValueError(f"has no message: {entry!r:.60}")  # noqa: TRY004  # as other wrong rows
    role = str(fields.first(entry, "role", "from") or "assistant")
    return {**entry, "role": _ROLES.get(role, role), "content": fields.first(entry, "content", "value")}


def _common(left: Conversation, right: Conversation) -> int:
    """Return how many messages two conversations share at their beginning, up to the last message of either."""
    most = min(len(left), len(right)) - 1
    return next((at for at in range(most) if left[at] != right[at]), max(most, 0))


def _answer(messages: Conversation) -> Turn:
    """Return an answer. A single message is the model's, also if it was a text, which does not say whose it is."""
    if len(messages) == 1:
        messages = [{**messages[0], "role": "assistant"}]
    return reply_turn(chat_messages(messages)) if messages else ""
