"""What a dataset's tables have in common: whose rows they are, and at which revisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Table, or_, select

from judge.domain.errors import NotFound
from judge.store import schema as s

CHUNK = 500
GONE = -1
"""The revision of a dataset that is being deleted."""
T = TypeVar("T")
Row = Mapping[str, Any]


def chunks(values: Sequence[T]) -> list[Sequence[T]]:
    """*values* in pieces that fit a statement."""
    return [values[begin : begin + CHUNK] for begin in range(0, len(values), CHUNK)]


def found(c: Connection, tenant: str, name: str, lock: Literal["", "shared", "alone"] = "") -> Row:
    """The dataset's row; NotFound otherwise. With a *lock* nobody deletes it meanwhile, or nobody writes it at all."""
    query = (
        select(s.dataset)
        .join(s.tenant, s.tenant.c.id == s.dataset.c.tenant_id)
        .where(s.tenant.c.name == tenant, s.dataset.c.name == name, s.dataset.c.revision != GONE)
    )
    if lock:
        query = query.with_for_update(read=lock == "shared", of=s.dataset)
    row = c.execute(query).mappings().first()
    if row is None:
        raise NotFound(f"there is no dataset {name!r}", reason="UNKNOWN_DATASET", dataset=name)
    return dict(row)


def live(table: Table, dataset: int) -> Any:  # noqa: ANN401  # an SQL expression
    """That a row is of the *dataset* as it is now."""
    return (table.c.dataset_id == dataset) & table.c.removed.is_(None)


def at(table: Table, dataset: int, revision: int) -> Any:  # noqa: ANN401  # an SQL expression
    """That a row is of the *dataset* as it was at *revision*."""
    valid = (table.c.added <= revision) & or_(table.c.removed.is_(None), table.c.removed > revision)
    return (table.c.dataset_id == dataset) & valid
