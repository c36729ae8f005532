"""Output items of OpenAI's Evals: one a line, or a page of its API, a list under `data`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from judge.domain.dataset import Prompt
from judge.domain.messages import Turn
from judge.formats import fields
from judge.formats.documents import inside, rows_inside
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, Parser
from judge.formats.messages import chat_messages, prompt_turn, reply_turn, turn_id
from judge.formats.pairs import Pairs

_ITEM = "eval.run.output_item"


def recognize(_: Path, row: Row) -> Format | None:
    """Return the format of a file by its first *row*, an item or a page of them."""
    name = "OpenAI Evals output items"
    if row.get("object") == _ITEM:
        return Format(name=name, parser=_parser)
    if row.get("object") == "list" and any(entry.get("object") == _ITEM for entry in inside(row, "data")):
        return Format(name=name, parser=_parser, rows=partial(rows_inside, names=("data",)))
    return None


def _parser() -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> list[Item]:
        sample, item = fields.needed(row, "sample"), row.get("datasource_item") or {}
        messages = fields.first(sample, "input") or fields.needed(item, "query")
        turn = prompt_turn(messages)
        prompt, model = Prompt(prompt_id=turn_id(turn), turns=(turn,)), fields.name(sample, "model")
        answer = _answer(sample, item)
        if answer is None:
            return pairs.new((prompt,))
        return pairs.new((prompt, pairs.further_output(prompt.prompt_id, model, answer)))

    return items


def _answer(sample: Row, item: Row) -> Turn | None:
    """Return the model's answer, which Azure's files keep with the item; None if the call failed."""
    messages = inside(sample, "output")
    if messages:
        return reply_turn(chat_messages(messages))
    return fields.text(item, "sample.output_text") or fields.text(sample, "output_text")
