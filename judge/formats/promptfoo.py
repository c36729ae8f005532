"""Results of promptfoo: `promptfoo export`, its JSON output, or its JSON lines.

A column of promptfoo is a prompt and a provider. Here the prompt is what was sent for one test, and the provider is
the contestant.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from judge.domain.dataset import Prompt
from judge.formats import fields
from judge.formats.documents import inside, rows_inside
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, Parser, text_id
from judge.formats.messages import chat_or_text
from judge.formats.pairs import Pairs

_KEYS = frozenset(("promptIdx", "testIdx", "provider", "prompt"))
_NAME = "promptfoo results"


def recognize(_: Path, row: Row) -> Format | None:
    """Return the format of a file by its first *row*, a result or a document of them."""
    if row.keys() >= _KEYS:
        return Format(name=_NAME, parser=_parser)
    for names in (("results", "results"), ("results",)):
        results = inside(row, *names)
        if any(entry.keys() >= _KEYS for entry in results):
            return Format(name=_NAME, parser=_parser, rows=partial(rows_inside, names=names))
    return None


def _parser() -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> list[Item]:
        raw = fields.needed_text(fields.needed(row, "prompt"), "raw")
        prompt = Prompt(
            prompt_id=text_id(str(fields.whole(row, "testIdx")), raw),
            turns=(chat_or_text(raw),),
        )
        answer = (row.get("response") or {}).get("output")
        if answer is None:
            return pairs.new((prompt,))
        text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        return pairs.new((prompt, pairs.further_output(prompt.prompt_id, _contestant(row), text)))

    return items


def _contestant(row: Row) -> str:
    """Return the provider's label, which distinguishes two with one id, or else its id."""
    provider = fields.needed(row, "provider")
    if isinstance(provider, str):
        return provider
    return fields.text(provider, "label") or fields.name(provider, "id")
