"""Verdicts made elsewhere, stored as answers of a recorded judge.

Their keys are made of their contestants, so they are never merged because of equal content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from judge.domain.dataset import ImportedVerdict
from judge.domain.judge import RECORDED, JudgeDefinition, Rubric
from judge.domain.outcome import Order, Outcome, Preference, VerdictStatus
from judge.domain.verdict import SOURCE_PARSER, CallKey, ParsedVerdict, Reply, digest, recorded_digest
from judge.store import schema as s
from judge.store.definitions import from_definition
from judge.store.dialects import insert_or_skip
from judge.store.interning import intern
from judge.store.many_rows import insert_rows, update_rows
from judge.store.rows import ANSWER, PARSED_VERDICT, answer_row, ids_of, insert_keyed_rows, parsed_verdict_row

FINAL = (VerdictStatus.REFUSED, VerdictStatus.FILTERED, VerdictStatus.TRUNCATED)


def recorded_definition(judge: str, dataset: str) -> JudgeDefinition:
    """Return the judge of the verdicts that are uploaded to *dataset* under the name *judge*."""
    return JudgeDefinition(
        name=judge, backend=RECORDED, rubric=Rubric("brackets", ()), parser="brackets", scope=dataset
    )


def imported_identity(verdict: ImportedVerdict) -> tuple[str, str, int, str, str, int, int, int]:
    """Return what makes two verdicts the same call of a judge: what was shown first, not what is called left."""
    ends = ((verdict.left, verdict.left_sample), (verdict.right, verdict.right_sample))
    (first, first_sample), (second, second_sample) = ends if verdict.order is Order.LEFT_FIRST else ends[::-1]
    call = (verdict.judge, verdict.prompt_id, verdict.turn, first, second, verdict.repeat)
    return (*call, first_sample, second_sample)


def imported_meaning(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what two equal verdicts share, whichever contestant each of them calls left."""
    body = row["body"]
    preference = body["outcome"] and Preference.of(Outcome(body["outcome"]), Order(body["order"]))
    return body["raw"], preference, body["status"], body["reason"]


def store_answers(
    c: Connection,
    dataset: Mapping[str, Any],
    verdicts: Sequence[tuple[ImportedVerdict, ParsedVerdict | None]],
    now: float,
) -> list[int]:
    """Store the answer of each verdict, with the outcome of its source and our parsed verdict, and return its id.

    An existing answer under the same key is moved to another key.
    """
    owner = dataset["tenant_id"]
    definitions = {v.judge: recorded_definition(v.judge, dataset["name"]) for v, _ in verdicts}
    versions = [
        {"tenant_id": owner, "name": name, "fingerprint": d.fingerprint, "definition": from_definition(d)}
        for name, d in definitions.items()
    ]
    c.execute(insert_or_skip(c, s.judge_version), versions)
    keys = _keys(c, owner, {name: bytes.fromhex(d.fingerprint) for name, d in definitions.items()}, verdicts)
    # A run that uses an old answer keeps it, under a key that nobody asks for.
    old = [(answer, -answer) for answer in ids_of(c, s.answer, owner, keys)]
    update_rows(c, s.answer, ("repeat",), old, [s.answer.c.id])
    made = insert_keyed_rows(
        c,
        s.answer,
        ANSWER,
        [answer_row(owner, key, _reply(verdict), now) for key, (verdict, _) in zip(keys, verdicts, strict=True)],
    )
    answers = [made[key] for key in keys]
    parsed_verdicts = [
        parsed_verdict_row(owner, answer, parsed_verdict)
        for answer, (verdict, own) in zip(answers, verdicts, strict=True)
        for parsed_verdict in (_source(verdict), own)
        if parsed_verdict is not None
    ]
    insert_rows(c, s.parsed_verdict, PARSED_VERDICT, parsed_verdicts)
    return answers


def _keys(
    c: Connection,
    owner: int,
    fingerprints: Mapping[str, bytes],
    verdicts: Sequence[tuple[ImportedVerdict, ParsedVerdict | None]],
) -> list[CallKey]:
    parts = []
    for verdict, _ in verdicts:
        judge, prompt, _, first, second, _, first_sample, second_sample = imported_identity(verdict)
        ends = recorded_digest(first, first_sample), recorded_digest(second, second_sample)
        parts.append((fingerprints[judge], digest("prompt-id", prompt), *ends))
    ids = intern(c, owner, [part for four in parts for part in four])
    return [
        CallKey(
            fingerprint=ids[judge],
            prompt=ids[prompt],
            turn=verdict.turn,
            first=ids[first],
            second=ids[second],
            cache_tag="",
            repeat=verdict.repeat,
        )
        for (judge, prompt, first, second), (verdict, _) in zip(parts, verdicts, strict=True)
    ]


def _reply(verdict: ImportedVerdict) -> Reply:
    status = verdict.status if verdict.status in FINAL else None
    return Reply(verdict.raw or "", status or VerdictStatus.OK)


def _source(verdict: ImportedVerdict) -> ParsedVerdict | None:
    if verdict.outcome is not None:
        preference = Preference.of(verdict.outcome, verdict.order)
        return ParsedVerdict(SOURCE_PARSER, preference, verdict.reason, strength=verdict.strength)
    if verdict.status is VerdictStatus.UNREADABLE:
        return ParsedVerdict(SOURCE_PARSER, None, verdict.reason or "unreadable to its source")
    return None
