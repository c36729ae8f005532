"""Verdicts made elsewhere, as answers of a recorded judge: keyed by their contestants, never merged by content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from judge.domain.dataset import ImportedVerdict
from judge.domain.judge import RECORDED, JudgeDefinition, Rubric
from judge.domain.outcome import Order, Preference, VerdictStatus
from judge.domain.verdict import SOURCE_PARSER, Reading, digest, recorded_digest
from judge.store import schema as s
from judge.store.definitions import from_definition
from judge.store.interning import interned
from judge.store.rows import reading_row

FINAL = (VerdictStatus.REFUSED, VerdictStatus.FILTERED, VerdictStatus.TRUNCATED)


def recorded_definition(judge: str, dataset: str) -> JudgeDefinition:
    """The judge that verdicts uploaded to *dataset* under the name *judge* belong to."""
    return JudgeDefinition(judge, RECORDED, Rubric("brackets", ()), "brackets", scope=dataset)


def stored_answer(
    c: Connection, dataset: Mapping[str, Any], verdict: ImportedVerdict, own: Reading | None, now: float
) -> int:
    """The answer's id; its readings are the source's outcome and our own."""
    owner = dataset["tenant_id"]
    definition = recorded_definition(verdict.judge, dataset["name"])
    version = {
        "tenant_id": owner,
        "name": verdict.judge,
        "fingerprint": definition.fingerprint,
        "definition": from_definition(definition),
    }
    c.execute(upsert(s.judge_version).on_conflict_do_nothing(), version)
    left, right = recorded_digest(verdict.left, 0), recorded_digest(verdict.right, 0)
    first, second = (left, right) if verdict.order is Order.LEFT_FIRST else (right, left)
    parts = [bytes.fromhex(definition.fingerprint), digest("prompt-id", verdict.prompt_id), first, second]
    ids = interned(c, owner, parts)
    key = dict(
        zip(
            s.KEY,
            (owner, ids[parts[0]], ids[parts[1]], verdict.turn, ids[first], ids[second], "", verdict.repeat),
            strict=True,
        )
    )
    status = verdict.status if verdict.status in FINAL else VerdictStatus.OK
    values = {"raw": verdict.raw or "", "status": int(status or VerdictStatus.OK)}
    found = c.scalar(select(s.answer.c.id).where(*(s.answer.c[name] == value for name, value in key.items())))
    if found is None:
        empty = dict.fromkeys(("input_tokens", "cached_input_tokens", "output_tokens", "cost_micros", "latency_ms"), 0)
        row = {**key, **values, **empty, "model": "", "logprobs": [], "tries": 1, "create_time": now}
        found = c.execute(insert(s.answer).values(row)).inserted_primary_key[0]  # type: ignore[index]
    else:
        c.execute(update(s.answer).where(s.answer.c.id == found).values(values))
        c.execute(delete(s.reading).where(s.reading.c.answer_id == found))
    readings = [r for r in (_source(verdict), own) if r is not None]
    if readings:
        c.execute(insert(s.reading), [reading_row(owner, found, r) for r in readings])
    return int(found)


def _source(verdict: ImportedVerdict) -> Reading | None:
    if verdict.outcome is not None:
        return Reading(SOURCE_PARSER, Preference.of(verdict.outcome, verdict.order), verdict.reason)
    if verdict.status is VerdictStatus.UNREADABLE:
        return Reading(SOURCE_PARSER, None, verdict.reason or "unreadable to its source")
    return None
