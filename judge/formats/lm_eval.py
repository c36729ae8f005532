"""Samples of lm-evaluation-harness: a row is what one filter made of a model's reply to one document of a task.

The rows name neither the task, which is in the file's name, nor the model, which is in the results beside it, or is
the name of the folder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.domain.dataset import Output, Prompt
from judge.domain.errors import InvalidInput
from judge.formats import fields
from judge.formats.containers import first_row
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, LeftOut, Parser
from judge.formats.messages import chat_or_text
from judge.formats.pairs import Pairs

_KEYS = frozenset(("doc_id", "doc", "arguments", "resps"))
_RESULTS = frozenset(("results", "configs", "versions"))
_TASK = re.compile(r"samples_(.+?)(?:_\d{4}-\d\d-\d\dT[\d.:-]+?)?\.jsonl?\b")


def recognize(path: Path, row: Row) -> Format | LeftOut | None:
    """Return the format of a file by its first *row*, or why it is left out."""
    if row.keys() >= _RESULTS:
        return LeftOut(path.name, "summary of lm-evaluation-harness, whose samples have the outputs", loses=False)
    if not row.keys() >= _KEYS:
        return None
    if _generation(row) is None:
        return LeftOut(path.name, "log-likelihoods of lm-evaluation-harness, which are no texts to compare")
    match = _TASK.match(path.name)
    task, model = match[1] if match else path.name.partition(".")[0], _model(path)
    return Format(name="lm-evaluation-harness samples", parser=lambda: _parser(task, model))


def _model(path: Path) -> str:
    """Return the model's name from the results in the file's folder, or else the folder's, where / is written as __."""
    for results in sorted(path.parent.glob("results_*.json")):
        try:
            name = (first_row(results) or {}).get("model_name")
        except InvalidInput:
            continue
        if isinstance(name, str) and name:
            return name
    return path.resolve().parent.name.replace("__", "/")


def _parser(task: str, model: str) -> Parser:
    pairs = Pairs()

    def items(_: int, row: Row) -> list[Item]:
        text = _generation(row)
        if text is None:
            raise ValueError("has log-likelihoods instead of a text")
        prompt_id = f"{task}/{fields.name(row, 'doc_id')}"
        target = row.get("target")
        reference = target if isinstance(target, str) or target is None else json.dumps(target, ensure_ascii=False)
        prompt = Prompt(
            prompt_id=prompt_id,
            turns=(chat_or_text(text),),
            category=task,
            reference=(reference,) if reference else (),
        )
        replies = fields.needed(row, "resps")
        if not isinstance(replies, list) or len(replies) != 1:
            raise ValueError(f"has invalid resps: {replies!r:.60} is not the replies to one request")
        texts = fields.texts({"resps": replies[0]}, "resps")
        # The rows of all filters have the same replies.
        return pairs.new((prompt, *_outputs(prompt_id, model, texts)))

    return items


def _outputs(prompt_id: str, model: str, texts: tuple[str, ...]) -> list[Output]:
    return [
        Output(prompt_id=prompt_id, contestant=model, turns=(text,), sample=number) for number, text in enumerate(texts)
    ]


def _generation(row: Row) -> str | None:
    """Return the prompt of a row's only request; None if it asked for something else than a text."""
    requests: Any = row["arguments"]
    if isinstance(requests, Mapping):
        requests = [list(request.values()) for request in requests.values() if isinstance(request, Mapping)]
    if not isinstance(requests, list) or len(requests) != 1 or not isinstance(requests[0], list):
        return None
    text, settings = (*requests[0], None, None)[:2]
    return text if isinstance(text, str) and isinstance(settings, Mapping) else None
