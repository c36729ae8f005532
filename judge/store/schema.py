"""The tables. Every key includes the tenant. Hashes of texts are interned, so that keys are tuples of integers.

An id is never given twice (hence AUTOINCREMENT), so the id of a deleted row never leads to another row.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()
_Id = BigInteger().with_variant(Integer, "sqlite")

KEY = ("tenant_id", "fingerprint", "prompt", "turn", "first", "second", "cache_tag", "repeat")
"""What makes two calls the same call."""


def _key_columns() -> list[Column[object]]:
    return [Column(name, String if name == "cache_tag" else _Id, nullable=False) for name in KEY]


IDENTITY = {
    "prompt": ("prompt_id",),
    "output": ("prompt_id", "contestant", "sample"),
    "label": ("source", "label_id"),
    "recorded": ("judge", "prompt_id", "turn", "first", "second", "repeat", "first_sample", "second_sample"),
    "comparison": ("comparison_id",),
}
"""What makes two rows of a dataset the same row."""


def _rows(name: str, *columns: Column[object], later: Sequence[Column[object]] = ()) -> Table:
    """Return a table of a dataset's rows. They are append-only, and valid from the revision *added* until *removed*.

    *later* are columns that a migration added.
    """
    now = text("removed IS NULL")
    return Table(
        name,
        metadata,
        Column("id", _Id, primary_key=True),
        Column("tenant_id", _Id, nullable=False),
        Column("dataset_id", _Id, nullable=False),
        *columns,
        Column("added", _Id, nullable=False),
        Column("removed", _Id),
        *later,
        Index(f"uq_{name}_now", "dataset_id", *IDENTITY[name], unique=True, sqlite_where=now, postgresql_where=now),
        Index(f"ix_{name}_dataset", "dataset_id", "id"),
        sqlite_autoincrement=True,
    )


tenant = Table("tenant", metadata, Column("id", _Id, primary_key=True), Column("name", String, unique=True))
content = Table(
    "content",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    UniqueConstraint("tenant_id", "hash"),
    sqlite_autoincrement=True,
)
dataset = Table(
    "dataset",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("name", String, nullable=False),
    Column("revision", _Id, nullable=False),
    Column("create_time", Float, nullable=False),
    UniqueConstraint("tenant_id", "name"),
    sqlite_autoincrement=True,
)
prompt = _rows(
    "prompt",
    Column("prompt_id", String, nullable=False),
    Column("category", String, nullable=False),
    Column("tags", JSON, nullable=False),
    Column("turns", JSON, nullable=False),
    Column("reference", JSON, nullable=False),
    Column("plain", JSON, nullable=False),
    Column("referenced", JSON, nullable=False),
)
output = _rows(
    "output",
    Column("prompt_id", String, nullable=False),
    Column("contestant", String, nullable=False),
    Column("sample", Integer, nullable=False),
    Column("turns", JSON, nullable=False),
    Column("shown", JSON, nullable=False),
)
label = _rows(
    "label",
    Column("source", String, nullable=False),
    Column("label_id", String, nullable=False),
    Column("annotator", String, nullable=False),
    Column("kind", Integer, nullable=False),
    Column("body", JSON, nullable=False),
)
recorded = _rows(
    "recorded",
    Column("judge", String, nullable=False),
    Column("prompt_id", String, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("first", String, nullable=False),
    Column("second", String, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("body", JSON, nullable=False),
    Column("answer_id", _Id, nullable=False),
    later=(
        Column("first_sample", Integer, nullable=False, server_default="0"),
        Column("second_sample", Integer, nullable=False, server_default="0"),
    ),
)
comparison = _rows(
    "comparison",
    Column("comparison_id", String, nullable=False),
    Column("body", JSON, nullable=False),
)
judge_version = Table(
    "judge_version",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("name", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Column("definition", JSON, nullable=False),
    UniqueConstraint("tenant_id", "name", "fingerprint"),
)
run = Table(
    "run",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("run_id", String, nullable=False),
    Column("request_id", String),
    Column("body_hash", String, nullable=False),
    Column("dataset_id", _Id, nullable=False),
    Column("dataset_revision", _Id, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("judges", JSON, nullable=False),
    Column("plan_hash", String, nullable=False),
    Column("state", Integer, nullable=False),
    Column("reason", String, nullable=False, server_default=""),
    Column("message", String, nullable=False, server_default=""),
    Column("never_started", Integer),
    Column("revision", _Id, nullable=False),
    Column("planned", _Id, nullable=False),
    Column("reused", _Id, nullable=False, server_default="0"),
    Column("calls", _Id, nullable=False, server_default="0"),
    Column("repeated", _Id, nullable=False, server_default="0"),
    Column("by_status", JSON, nullable=False),
    Column("budget_micros", _Id, nullable=False),
    Column("budget_calls", _Id, nullable=False),
    Column("cost_micros", _Id, nullable=False, server_default="0"),
    Column("create_time", Float, nullable=False),
    Column("end_time", Float),
    Column("spent", JSON, nullable=False, server_default="{}"),
    Column("metadata", JSON, nullable=False, server_default="{}"),
    Column("recent", JSON, nullable=False, server_default="{}"),
    UniqueConstraint("tenant_id", "run_id"),
    UniqueConstraint("tenant_id", "request_id"),
    sqlite_autoincrement=True,
)
run_judge = Table(
    "run_judge",
    metadata,
    Column("run_id", _Id, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("dataset_id", _Id, nullable=False),
    Column("name", String, nullable=False),
    Column("fingerprint", String, nullable=False),
    Index("ix_run_judge_name", "dataset_id", "name"),
)
run_shard = Table(
    "run_shard",
    metadata,
    Column("run_id", _Id, primary_key=True),
    Column("shard", Integer, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("state", Integer, nullable=False),
    Column("lost", Integer, nullable=False, server_default="0"),
    Column("settled", Integer, nullable=False, server_default="0"),
)
store_clock = Table(
    "store_clock",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Float, nullable=False),
    Column("elapsed", Float, nullable=False),
)
account = Table(
    "account",
    metadata,
    Column("name", String, primary_key=True),
    Column("calls_at", Float, nullable=False),
    Column("tokens_at", Float, nullable=False),
)
run_round = Table(
    "run_round",
    metadata,
    Column("run_id", _Id, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("plan", LargeBinary, nullable=False),
)
provider_batch = Table(
    "provider_batch",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("run_id", _Id, nullable=False),
    Column("provider_id", String),
    Column("state", Integer, nullable=False),
    Column("create_time", Float, nullable=False),
    Column("judge", Integer, nullable=False, server_default="0"),
    Column("mark", String, nullable=False, server_default=""),
    Column("positions", JSON, nullable=False, server_default="[]"),
    Index("ix_provider_batch_run", "run_id", "judge"),
)
run_item = Table(
    "run_item",
    metadata,
    Column("run_id", _Id, primary_key=True),
    Column("position", _Id, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("judge", Integer, nullable=False),
    Column("prompt", _Id, nullable=False),
    Column("turn", Integer, nullable=False),
    Column("left", _Id, nullable=False),
    Column("right", _Id, nullable=False),
    Column("order", Integer, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("comparison_id", String, nullable=False),
    Column("state", Integer),
    Column("answer_id", _Id),
    Column("status", String, nullable=False),
    Column("reused", Boolean, nullable=False),
    Column("revision", _Id, nullable=False),
    Column("reason", String, nullable=False, server_default=""),
    Index("ix_run_item_revision", "run_id", "revision"),
)
answer = Table(
    "answer",
    metadata,
    Column("id", _Id, primary_key=True),
    *_key_columns(),
    Column("raw", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("model", String, nullable=False),
    Column("logprobs", JSON, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("cached_input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cost_micros", _Id, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("create_time", Float, nullable=False),
    Index("uq_answer_key", *KEY, unique=True),
    sqlite_autoincrement=True,
)
parsed_verdict = Table(
    "parsed_verdict",
    metadata,
    Column("answer_id", _Id, primary_key=True),
    Column("parser", String, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("preference", Integer),
    Column("reason", Text, nullable=False),
    Column("probability_first", Float),
    Column("strength", Float),
)
call_attempt = Table(
    "call_attempt",
    metadata,
    Column("id", _Id, primary_key=True),
    *_key_columns(),
    Column("run_id", _Id),
    Column("worst_micros", _Id, nullable=False),
    Column("until", Float, nullable=False),
    Column("state", String, nullable=False),
    Column("cost_micros", _Id, nullable=False, server_default="0"),
    Column("judge", Integer, nullable=False, server_default="0"),
    Column("batch_id", _Id),
    Column("shard", _Id),
    Column("further_calls", Integer, nullable=False, server_default="0"),
    Index("ix_call_attempt_batch", "batch_id"),
    Index(
        "uq_call_attempt_live",
        *KEY,
        unique=True,
        sqlite_where=text("state = 'live'"),
        postgresql_where=text("state = 'live'"),
    ),
    Index("ix_call_attempt_run", "run_id", "state"),
    sqlite_autoincrement=True,
)
token = Table(
    "token",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("tenant_id", _Id, nullable=False),
    Column("name", String, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("create_time", Float, nullable=False),
    Column("expire_time", Float),
    Column("revoke_time", Float),
    Column("last_use_time", Float),
    Column("revision", _Id, nullable=False),
    UniqueConstraint("tenant_id", "name"),
    UniqueConstraint("hash"),
    UniqueConstraint("revision"),
    sqlite_autoincrement=True,
)
LIVE = text("call_attempt.state = 'live'")
"""The condition that an attempt is live, with a literal so that the partial index can be used."""
