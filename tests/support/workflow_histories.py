"""Workflow histories as files: readable, and without details of the machine that recorded them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "engines" / "histories"
OF_THE_MACHINE = ("identity", "workerVersion", "requestId", "prevAutoResetPoints", "buildId")
QUEUE = "judge"


def history_text(history: dict[str, Any]) -> str:
    """Return the text of a file for *history*, with decoded payloads and one task queue."""
    return json.dumps(_each(history, lambda text: json.loads(base64.b64decode(text))), indent=1) + "\n"


def read_history(path: Path) -> dict[str, Any]:
    """Read a history from a file, in Temporal's format."""
    whole = json.loads(path.read_text("utf-8"))
    made: dict[str, Any] = _each(whole, lambda value: base64.b64encode(json.dumps(value).encode()).decode())
    return made


def _each(value: Any, payload: Callable[[Any], Any]) -> Any:  # noqa: ANN401  # JSON
    if isinstance(value, list):
        return [_each(inner, payload) for inner in value]
    if not isinstance(value, dict):
        return value
    if "data" in value and "encoding" in value.get("metadata", {}):
        return {**value, "data": payload(value["data"])}
    if re.search(r"@|judge_\d", str(value.get("name", value.get("normalName", "")))):
        return {"name": QUEUE, "kind": "TASK_QUEUE_KIND_NORMAL"}
    return {name: _each(inner, payload) for name, inner in value.items() if name not in OF_THE_MACHINE}
