"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
works_with = "0001"

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table."""
    op.create_table(
        "answer",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("fingerprint", ID, nullable=False),
        sa.Column("prompt", ID, nullable=False),
        sa.Column("turn", ID, nullable=False),
        sa.Column("first", ID, nullable=False),
        sa.Column("second", ID, nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("repeat", ID, nullable=False),
        sa.Column("raw", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("logprobs", sa.JSON(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("cached_input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("cost_micros", ID, nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "uq_answer_key",
        "answer",
        ["tenant_id", "fingerprint", "prompt", "turn", "first", "second", "epoch", "repeat"],
        unique=True,
    )
    op.create_table(
        "call_attempt",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("fingerprint", ID, nullable=False),
        sa.Column("prompt", ID, nullable=False),
        sa.Column("turn", ID, nullable=False),
        sa.Column("first", ID, nullable=False),
        sa.Column("second", ID, nullable=False),
        sa.Column("epoch", sa.String(), nullable=False),
        sa.Column("repeat", ID, nullable=False),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("worst_micros", ID, nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("cost_micros", ID, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_call_attempt_run", "call_attempt", ["run_id", "state"])
    op.create_index(
        "uq_call_attempt_live",
        "call_attempt",
        ["tenant_id", "fingerprint", "prompt", "turn", "first", "second", "epoch", "repeat"],
        unique=True,
        sqlite_where=sa.text("state = 'live'"),
        postgresql_where=sa.text("state = 'live'"),
    )
    op.create_table(
        "comparison",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("dataset_id", ID, nullable=False),
        sa.Column("comparison_id", sa.String(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("added", ID, nullable=False),
        sa.Column("removed", ID, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_comparison_dataset", "comparison", ["dataset_id", "id"])
    op.create_index(
        "uq_comparison_now",
        "comparison",
        ["dataset_id", "comparison_id"],
        unique=True,
        sqlite_where=sa.text("removed IS NULL"),
        postgresql_where=sa.text("removed IS NULL"),
    )
    op.create_table(
        "content",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "hash"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "dataset",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("revision", ID, nullable=False),
        sa.Column("create_time", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "judge_version",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("definition", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "name", "fingerprint"),
    )
    op.create_table(
        "label",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("dataset_id", ID, nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("label_id", sa.String(), nullable=False),
        sa.Column("annotator", sa.String(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("added", ID, nullable=False),
        sa.Column("removed", ID, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_label_dataset", "label", ["dataset_id", "id"])
    op.create_index(
        "uq_label_now",
        "label",
        ["dataset_id", "source", "label_id"],
        unique=True,
        sqlite_where=sa.text("removed IS NULL"),
        postgresql_where=sa.text("removed IS NULL"),
    )
    op.create_table(
        "output",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("dataset_id", ID, nullable=False),
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("contestant", sa.String(), nullable=False),
        sa.Column("sample", sa.Integer(), nullable=False),
        sa.Column("turns", sa.JSON(), nullable=False),
        sa.Column("shown", sa.JSON(), nullable=False),
        sa.Column("added", ID, nullable=False),
        sa.Column("removed", ID, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_output_dataset", "output", ["dataset_id", "id"])
    op.create_index(
        "uq_output_now",
        "output",
        ["dataset_id", "prompt_id", "contestant", "sample"],
        unique=True,
        sqlite_where=sa.text("removed IS NULL"),
        postgresql_where=sa.text("removed IS NULL"),
    )
    op.create_table(
        "prompt",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("dataset_id", ID, nullable=False),
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("turns", sa.JSON(), nullable=False),
        sa.Column("reference", sa.JSON(), nullable=False),
        sa.Column("plain", sa.JSON(), nullable=False),
        sa.Column("referenced", sa.JSON(), nullable=False),
        sa.Column("added", ID, nullable=False),
        sa.Column("removed", ID, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_prompt_dataset", "prompt", ["dataset_id", "id"])
    op.create_index(
        "uq_prompt_now",
        "prompt",
        ["dataset_id", "prompt_id"],
        unique=True,
        sqlite_where=sa.text("removed IS NULL"),
        postgresql_where=sa.text("removed IS NULL"),
    )
    op.create_table(
        "provider_batch",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("provider_id", sa.String(), nullable=True),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("create_time", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "reading",
        sa.Column("answer_id", ID, nullable=False),
        sa.Column("parser", sa.String(), nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("preference", sa.Integer(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("probability_first", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("answer_id", "parser"),
    )
    op.create_table(
        "recorded",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("dataset_id", ID, nullable=False),
        sa.Column("judge", sa.String(), nullable=False),
        sa.Column("prompt_id", sa.String(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("first", sa.String(), nullable=False),
        sa.Column("second", sa.String(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("answer_id", ID, nullable=False),
        sa.Column("added", ID, nullable=False),
        sa.Column("removed", ID, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_recorded_dataset", "recorded", ["dataset_id", "id"])
    op.create_index(
        "uq_recorded_now",
        "recorded",
        ["dataset_id", "judge", "prompt_id", "turn", "first", "second", "repeat"],
        unique=True,
        sqlite_where=sa.text("removed IS NULL"),
        postgresql_where=sa.text("removed IS NULL"),
    )
    op.create_table(
        "run",
        sa.Column("id", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("dataset_id", ID, nullable=False),
        sa.Column("dataset_revision", ID, nullable=False),
        sa.Column("spec", sa.JSON(), nullable=False),
        sa.Column("judges", sa.JSON(), nullable=False),
        sa.Column("plan_hash", sa.String(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("message", sa.String(), server_default="", nullable=False),
        sa.Column("rest", sa.Integer(), nullable=True),
        sa.Column("revision", ID, nullable=False),
        sa.Column("planned", ID, nullable=False),
        sa.Column("reused", ID, server_default="0", nullable=False),
        sa.Column("calls", ID, server_default="0", nullable=False),
        sa.Column("repeated", ID, server_default="0", nullable=False),
        sa.Column("by_status", sa.JSON(), nullable=False),
        sa.Column("budget_micros", ID, nullable=False),
        sa.Column("budget_calls", ID, nullable=False),
        sa.Column("cost_micros", ID, server_default="0", nullable=False),
        sa.Column("create_time", sa.Float(), nullable=False),
        sa.Column("end_time", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "request_id"),
        sa.UniqueConstraint("tenant_id", "run_id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "run_item",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("position", ID, nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("judge", sa.Integer(), nullable=False),
        sa.Column("prompt", ID, nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("left", ID, nullable=False),
        sa.Column("right", ID, nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
        sa.Column("repeat", sa.Integer(), nullable=False),
        sa.Column("comparison_id", sa.String(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=True),
        sa.Column("answer_id", ID, nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.Column("revision", ID, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "position"),
    )
    op.create_index("ix_run_item_revision", "run_item", ["run_id", "revision"])
    op.create_table(
        "run_judge",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("dataset_id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "number"),
    )
    op.create_index("ix_run_judge_name", "run_judge", ["dataset_id", "name"])
    op.create_table(
        "run_round",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "round"),
    )
    op.create_table(
        "run_shard",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("tenant_id", ID, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "shard"),
    )
    op.create_table(
        "tenant",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
