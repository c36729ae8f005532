"""Batches of the fake provider: their states, and files, batches, listings and results in the vendors' formats."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from support.provider import Batch, Provider, parse_call

CREATED = 4_102_444_800
"""When everything is created, as a Unix time: in the year 2100, so that no test's clock is ahead of it."""
_CREATED, _ENDED, _EXPIRES = "2100-01-01T00:00:00Z", "2100-01-01T01:00:00Z", "2100-01-02T00:00:00Z"
_STATUSES = {"errored": 500}
_CODES = {"expired": "batch_expired", "canceled": "batch_cancelled"}


def poll(provider: Provider, batch: Batch) -> None:
    """Advance *batch* as one poll does: it leaves validation, ends if it may end by itself, or is cancelled."""
    batch.polls += 1
    if batch.cancelled:
        batch.ended = batch.ended or batch.polls > batch.cancelled_at
    elif provider.auto_finish and batch.polls > 1:
        batch.ended = True


def cancel(batch: Batch) -> None:
    """Ask *batch* to stop. It has stopped at the second poll after that."""
    if not batch.ended:
        batch.cancelled, batch.cancelled_at = True, batch.polls + 1


def outcomes(provider: Provider, batch: Batch) -> dict[str, str]:
    """Return the status of each item by custom id: processing, succeeded, errored, expired or canceled."""
    names = [str(item["custom_id"]) for item in batch.items]
    if not batch.ended:
        return dict.fromkeys(names, "processing")
    if batch.cancelled:
        return dict.fromkeys(names, "canceled")
    return {name: provider.spoiled(name) or "succeeded" for name in names}


def batch_object(provider: Provider, batch: Batch) -> dict[str, Any]:
    """Return *batch* in the format of its API."""
    became = outcomes(provider, batch)
    return (_openai if batch.wire == "openai" else _anthropic)(batch, Counter(became.values()))


def _openai(batch: Batch, counts: Mapping[str, int]) -> dict[str, Any]:
    if batch.ended:
        state = "cancelled" if batch.cancelled else "expired" if counts.get("expired") else "completed"
    else:
        state = "cancelling" if batch.cancelled else "in_progress" if batch.polls else "validating"
    total, finished, waiting = len(batch.items), counts.get("succeeded", 0), counts.get("processing", 0)
    failed = total - finished - waiting
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": "/v1/chat/completions",
        "errors": None,
        "completion_window": "24h",
        "created_at": CREATED,
        "input_file_id": batch.input_file_id,
        "status": state,
        "metadata": batch.metadata,
        "output_file_id": f"out-{batch.id}" if finished else None,
        "error_file_id": f"err-{batch.id}" if failed else None,
        "request_counts": {"total": total, "completed": finished, "failed": failed},
    }


def _anthropic(batch: Batch, counts: Mapping[str, int]) -> dict[str, Any]:
    names = ("processing", "succeeded", "errored", "canceled", "expired")
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if batch.ended else "canceling" if batch.cancelled else "in_progress",
        "request_counts": {name: counts.get(name, 0) for name in names},
        "created_at": _CREATED,
        "expires_at": _EXPIRES,
        "archived_at": None,
        "cancel_initiated_at": _CREATED if batch.cancelled else None,
        "ended_at": _ENDED if batch.ended else None,
        "results_url": f"https://nowhere.invalid/{batch.id}" if batch.ended else None,
    }


def page(objects: Sequence[Mapping[str, Any]], limit: int, after: str) -> dict[str, Any] | None:
    """Return a page of at most *limit* objects after the one with the id *after*; None if there is no such object."""
    ids = [batch["id"] for batch in objects]
    if after and after not in ids:
        return None
    rest = objects[ids.index(after) + 1 :] if after else objects
    data = rest[:limit]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
    return {"object": "list", "data": data, "has_more": len(rest) > limit, **ends}


def results(provider: Provider, batch: Batch, *, failed: bool | None = None) -> str:
    """Return the lines of a batch's results, not in the order of its items.

    *failed* selects the lines of the error file (true) or of the output file (false); None selects all.
    """
    became = outcomes(provider, batch)
    lines = []
    for item in sorted(batch.items, key=lambda item: str(item["custom_id"])):
        name = str(item["custom_id"])
        if failed is not None and failed == (became[name] == "succeeded"):
            continue
        if became[name] == "succeeded":
            provider.calls[f"batch {name}"] += 1
        lines.append(json.dumps(_line(provider, batch, item, became[name])))
    return "\n".join(lines)


def _line(provider: Provider, batch: Batch, item: Mapping[str, Any], became: str) -> dict[str, Any]:
    name, openai = item["custom_id"], batch.wire == "openai"
    request_body = item["body" if openai else "params"]
    reply: dict[str, Any] = {}
    if became == "succeeded":
        digest = hashlib.sha256(json.dumps(request_body).encode()).hexdigest()
        reply = provider.reply(parse_call(batch.wire, request_body, digest))
    if not openai:
        error = {"type": "error", "error": {"type": "api_error", "message": "no"}, "request_id": None}
        more = {"succeeded": {"message": reply}, "errored": {"error": error}}.get(became, {})
        return {"custom_id": name, "result": {"type": became, **more}}
    line: dict[str, Any] = {"id": f"batch_req_{name}", "custom_id": name, "response": None, "error": None}
    if became in _CODES:
        return line | {"error": {"code": _CODES[became], "message": "This request could not be executed."}}
    if became == "errored":
        reply = {"error": {"message": "no", "type": "server_error", "param": None, "code": "server_error"}}
    return line | {"response": {"status_code": _STATUSES.get(became, 200), "request_id": f"req_{name}", "body": reply}}


def store_file(provider: Provider, name: str, content: str) -> dict[str, Any]:
    """Store an uploaded file and return its description in OpenAI's format."""
    file_id = f"file-{len(provider.files)}"
    provider.files[file_id] = content
    about = {"id": file_id, "object": "file", "bytes": len(content.encode()), "created_at": CREATED}
    return about | {"filename": name, "purpose": "batch", "status": "processed"}
