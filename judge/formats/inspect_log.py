"""Logs of Inspect: a JSON document (`inspect log dump`), or an .eval archive with a file for each sample.

A sample's id is unique in its task, so a prompt's id is both. An epoch is a further sample of the model's output.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from judge.domain.dataset import Output, Prompt
from judge.domain.errors import InvalidInput
from judge.domain.messages import ChatMessage, ChatTurn, Role, TextPart, Turn
from judge.formats import fields, zip_rows
from judge.formats.containers import FileRow, rows_of
from judge.formats.documents import inside
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, LeftOut, Parser
from judge.formats.messages import chat_message, chat_messages, prompt_turn, reply_turn, turn_of_messages
from judge.formats.pairs import Pairs

_HEADERS = ("header.json", "_journal/start.json")
"""Where an archive says which model did which task. The first is missing if the evaluation was interrupted."""
_SAMPLES = "samples/"
_ATTACHMENT = "attachment://"


def recognize(path: Path, row: Row) -> Format | LeftOut | None:
    """Return the format of a file by its first *row*, a document or the first file of an archive."""
    is_log = isinstance(row.get("eval"), dict) and {"model", "task"} <= row["eval"].keys()
    if not is_log and not (_is_archive(path) and row.keys() >= {"id", "epoch", "input", "output"}):
        return None
    if not _is_archive(path) and not inside(row, "samples"):
        return LeftOut(path.name, "an Inspect log without samples, whose results compare nothing")
    return Format(name="Inspect log", parser=_parser, rows=_rows)


def _is_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(zip_rows.MAGIC)) == zip_rows.MAGIC


def _rows(path: Path) -> Iterator[FileRow]:
    """Yield a row for each sample, with what the log says about the evaluation."""
    if _is_archive(path):
        with zip_rows.opened(path) as archive:
            yield from _of_archive(path, archive)
        return
    for place, number, row in rows_of(path):
        if isinstance(row, InvalidInput):
            yield FileRow(place, number, row)
        else:
            for position, sample in enumerate(inside(row, "samples"), 1):
                yield FileRow(f"sample {position}", position, {"eval": row["eval"], "sample": sample})


def _of_archive(path: Path, archive: zip_rows.JsonArchive) -> Iterator[FileRow]:
    header = next((archive.read(name) for name in _HEADERS if name in archive.names), None)
    if header is None or isinstance(header, InvalidInput):
        message = f"{path} has no header" if header is None else header.message
        raise InvalidInput(path.name, message, reason="DAMAGED_FILE")
    for number, name in enumerate((name for name in archive.names if name.startswith(_SAMPLES)), 1):
        sample = archive.read(name)
        row = sample if isinstance(sample, InvalidInput) else {"eval": header.get("eval"), "sample": sample}
        yield FileRow(repr(name), number, row)


def _parser() -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> list[Item]:
        evaluation, sample = row["eval"], row["sample"]
        task = fields.name(evaluation, "task")
        prompt = _prompt(task, sample)
        return pairs.new((prompt, *_outputs(prompt.prompt_id, fields.name(evaluation, "model"), sample)))

    return items


def _prompt(task: str, sample: Row) -> Prompt:
    turn = prompt_turn(_attached(fields.needed(sample, "input"), sample))
    choices = fields.texts(sample, "choices")
    listed = "\n".join(f"{chr(ord('A') + number)}) {choice}" for number, choice in enumerate(choices))
    return Prompt(
        prompt_id=f"{task}/{fields.name(sample, 'id')}",
        turns=(_with_choices(turn, listed) if listed else turn,),
        category=task,
        reference=(target,) if (target := _target(sample)) else (),
    )


def _with_choices(turn: Turn, listed: str) -> Turn:
    """Add the *listed* choices of a question to the end of its *turn*."""
    if isinstance(turn, str):
        return f"{turn}\n\n{listed}"
    *earlier, last = turn.messages
    further = (TextPart(listed),)
    if last.role is not Role.USER:
        return ChatTurn((*turn.messages, ChatMessage(Role.USER, further)))
    return turn_of_messages([*earlier, ChatMessage(Role.USER, (*last.parts, *further))], Role.USER)


def _attached(value: Any, sample: Row) -> Any:  # noqa: ANN401  # JSON
    """Return a *value* with the texts that the log keeps among the attachments."""
    if isinstance(value, str) and value.startswith(_ATTACHMENT):
        return (sample.get("attachments") or {}).get(value.removeprefix(_ATTACHMENT), value)
    if isinstance(value, list):
        return [_attached(entry, sample) for entry in value]
    if isinstance(value, dict):
        return {name: _attached(entry, sample) for name, entry in value.items()}
    return value


def _target(sample: Row) -> str:
    """Return the right answer; several that are right stand in lines."""
    target = sample.get("target")
    return "\n".join(fields.texts(sample, "target")) if isinstance(target, list) else str(target or "")


def _outputs(prompt_id: str, model: str, sample: Row) -> Iterator[Output]:
    """Yield the model's answer, if it gave one: a sample may have ended with an error or at a limit."""
    choices = inside(sample, "output", "choices")
    if choices:
        turn = _answer(fields.needed(choices[0], "message"), sample)
        epoch = fields.whole(sample, "epoch", missing=1, least=1)
        yield Output(prompt_id=prompt_id, contestant=model, turns=(turn,), sample=epoch - 1)


def _answer(message: Row, sample: Row) -> Turn:
    """Return the model's last *message*, or if it used tools, all that it did after what it was given."""
    given = sample.get("input")
    skipped = sum(entry.get("role") == "assistant" for entry in given) if isinstance(given, list) else 0
    messages = inside(sample, "messages")
    places = [place for place, entry in enumerate(messages) if entry.get("role") == "assistant"]
    own = messages[places[skipped] :] if len(places) > skipped else []
    if any(entry.get("role") == "tool" or entry.get("tool_calls") for entry in own):
        return reply_turn(chat_messages(_attached(list(own), sample)))
    return reply_turn(chat_message(_attached(message, sample)))
