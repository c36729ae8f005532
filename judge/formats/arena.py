"""Votes of Chatbot Arena, LMArena and ComparIA: two conversations with the same user, and which was better.

A vote is on whole conversations, so its label is on the last turn. Votes on the same words of a user are on one prompt,
whose id is their hash, because they are not independent: popular prompts come again and again. Each has its own
replies, which are samples of the models; a sample's number is the hash of its text, whatever file it is in. A vote
without its conversations is on a prompt with the vote's id.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from judge.domain.dataset import Label, Output, Prompt
from judge.domain.messages import ChatMessage, ChatTurn, Role, TextPart, Turn, turn_messages
from judge.domain.outcome import AnnotatorKind, Outcome, TieKind
from judge.formats import fields, words
from judge.formats.battles import winner_by_columns, winner_by_name
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, Parser, RowNote, text_id, text_sample
from judge.formats.json_rows import has_half_character
from judge.formats.messages import chat_message, reply_turn, turn_key, turn_of_messages

ANONYMOUS = "arena-user"
"""The annotator of votes that do not say whose they are."""
_ID = ("question_id", "id")
_LEFT, _RIGHT = ("model_a", "model_a_name"), ("model_b", "model_b_name")
_VOTER = ("judge", "judge_hash", "visitor_id", "session_hash")
_ARENA = ("anony", "language", "evaluation_order", "tstamp", "timestamp")
_RESPONSES = frozenset(("prompt", "response_a", "response_b"))
_CONVERSATIONS = frozenset(("conversation_a", "conversation_b"))
_ALONE = frozenset(("question_id", "judge", "turn"))
"""Votes without their conversations, of which `turn` is the number of turns."""


def recognize(_: Path, row: Row) -> Format | None:
    """Return the format of a file by its first *row*; None if it has no votes of such an arena."""
    keys = row.keys()
    if keys.isdisjoint(_ID) or keys.isdisjoint(("winner", "winner_tie", "chosen_model_name")):
        return None
    if not any(keys >= {left, right} for left, right in zip(_LEFT, _RIGHT, strict=True)):
        return None
    # MT-bench's votes have conversations and judges, too, but are on one of the turns.
    if keys >= _RESPONSES or (not keys.isdisjoint(_ARENA) and (keys >= _CONVERSATIONS or keys >= _ALONE)):
        return Format(name="arena votes", parser=_parser)
    return None


class _Conversation(NamedTuple):
    """What a user said, the reply to each, and what the system said before each; empty if it said nothing."""

    turns: tuple[Turn, ...]
    replies: tuple[Turn, ...]
    system: tuple[tuple[ChatMessage, ...], ...] = ()

    @property
    def prompt(self) -> tuple[Turn, ...]:
        """The turns, each after the messages of the system."""
        if not any(self.system):
            return self.turns
        pairs = zip(self.system, self.turns, strict=True)
        return tuple(ChatTurn((*system, *turn_messages(turn, Role.USER))) if system else turn for system, turn in pairs)


def _parser() -> Parser:
    return partial(_vote, set())


def _vote(prompts: set[str], _: int, row: Row) -> Iterator[Item]:
    """Yield the items of a vote. *prompts* are those of the rows before it."""
    left, right = fields.name(row, *_LEFT), fields.name(row, *_RIGHT)
    if left == right:
        yield RowNote("left out: a contestant compared with itself")
        return
    vote, turn = fields.identifier(row, *_ID), fields.turn(row)
    prompt_id, samples = vote, (0, 0)
    if not row.keys().isdisjoint((*_RESPONSES, *_CONVERSATIONS)):
        ours, theirs = _conversations(row)
        if ours.turns != theirs.turns:
            raise ValueError("has two conversations whose user does not say the same")
        turn, category = len(ours.turns), fields.text(row, "selected_category") or ""
        prompt = ours.prompt if ours.system == theirs.system else ours.turns
        prompt_id = text_id(*map(turn_key, prompt))
        samples = text_sample(*map(turn_key, ours.replies)), text_sample(*map(turn_key, theirs.replies))
        if prompt_id in prompts:
            yield RowNote("on the same text as an earlier vote, so on its prompt, with its tags")
        else:
            yield Prompt(prompt_id=prompt_id, turns=prompt, category=category, tags=_tags(row))
        yield Output(prompt_id=prompt_id, contestant=left, turns=ours.replies, sample=samples[0])
        yield Output(prompt_id=prompt_id, contestant=right, turns=theirs.replies, sample=samples[1])
        if ours.system != theirs.system:
            yield RowNote("without their system messages, which differ")
    outcome, tie_kind = _outcome(row)
    unblinded = row.get("anony") in (False, "False", "false")
    if unblinded:
        yield RowNote("by voters who saw the names, as their notes say")
    yield Label(
        label_id=vote,
        prompt_id=prompt_id,
        left=left,
        right=right,
        outcome=outcome,
        annotator=fields.name(row, *_VOTER) if fields.first(row, *_VOTER) is not None else ANONYMOUS,
        kind=AnnotatorKind.HUMAN,
        turn=turn,
        tie_kind=tie_kind,
        note="; ".join(filter(None, (_session(row), "the voter saw the names" if unblinded else ""))),
        left_sample=samples[0],
        right_sample=samples[1],
    )
    # At the end, so that a wrong row takes nothing from the rows after it.
    prompts.add(prompt_id)


def _outcome(row: Row) -> tuple[Outcome, TieKind | None]:
    if "winner_tie" in row:
        return words.outcome(winner_by_columns(row))
    if "chosen_model_name" in row:
        return words.outcome(winner_by_name(row))
    return words.outcome(fields.needed(row, "winner"))


def _conversations(row: Row) -> tuple[_Conversation, _Conversation]:
    if "response_a" in row:
        turns, *sides = (_texts(row, name) for name in ("prompt", "response_a", "response_b"))
        ours, theirs = (_Conversation(turns, _replies(turns, side)) for side in sides)
        return ours, theirs
    return _conversation(row, "conversation_a"), _conversation(row, "conversation_b")


def _texts(row: Row, field: str) -> tuple[str, ...]:
    """Read texts that may be written as a JSON list. A null is an empty text."""
    value = _parsed(row, field)
    if value is None:
        raise KeyError(field)
    if not isinstance(value, list):
        return (str(value),)
    if not all(entry is None or isinstance(entry, str) for entry in value):
        raise ValueError(f"has an invalid {field}: {value!r:.60} is not a list of texts")
    return tuple(entry or "" for entry in value)


def _replies(turns: tuple[str, ...], replies: tuple[str, ...]) -> tuple[str, ...]:
    if len(replies) > len(turns):
        raise ValueError(f"has {len(replies)} replies to {len(turns)} turns")
    return replies + ("",) * (len(turns) - len(replies))


def _conversation(row: Row, field: str) -> _Conversation:
    """Read the messages of a conversation. A turn without a reply has an empty one."""
    messages = _parsed(row, field)
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise ValueError(f"has an invalid {field}: {messages!r:.60} is not a list of messages")
    turns: list[Turn] = []
    replies: list[list[ChatMessage]] = []
    system: list[list[ChatMessage]] = [[]]
    for message in (ours for row_message in messages for ours in chat_message(row_message)):
        if message.role is Role.USER:
            turns.append(turn_of_messages([message], Role.USER))
            replies.append([])
            system.append([])
        elif message.role is Role.SYSTEM:
            system[-1] += [message] if message.parts != (TextPart(""),) else []
        elif replies:
            replies[-1].append(message)
        else:
            raise ValueError(f"has a message of {message.role.value!r} in {field}: it is before the first of a user")
    # What the system says after the last message of the user was shown to no model.
    before = tuple(map(tuple, system[: len(turns)]))
    return _Conversation(tuple(turns), tuple(reply_turn(reply) if reply else "" for reply in replies), before)


def _parsed(row: Row, field: str) -> Any:  # noqa: ANN401  # JSON
    """Return a value, which may be written as JSON; None if it is missing."""
    value = fields.first(row, field)
    if not isinstance(value, str) or not value.lstrip().startswith(("[", "{")):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    if has_half_character(parsed):
        raise ValueError(f"has half a character (a lone surrogate) in {field}")
    return parsed


def _tags(row: Row) -> tuple[str, ...]:
    """Return the language, and what a vote was tagged with."""
    groups = (_parsed(row, "occupational_tags"), *_values(_parsed(row, "category_tag")), {"code": row.get("is_code")})
    flags = (name for group in groups if isinstance(group, dict) for name, value in group.items() if value is True)
    return tuple(dict.fromkeys(tag for tag in (fields.text(row, "language"), *flags) if tag))


def _session(row: Row) -> str:
    """The session of a vote, which differs between the votes on a prompt; empty if it is not known."""
    session = fields.first(row, "evaluation_session_id")
    return "" if session is None else f"session {session}"


def _values(value: object) -> list[object]:
    return list(value.values()) if isinstance(value, dict) else []
