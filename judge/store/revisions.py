"""What the tables of a dataset have in common: their dataset and the revisions at which their rows are valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar

from sqlalchemy import Connection, Table, or_, select

from judge.domain.errors import NotFound
from judge.store import schema as s

CHUNK = 500
GONE = -1
"""The revision of a dataset that is being deleted."""
DELETED = "DELETED"
"""The reason of a run that is being deleted, by itself or with its dataset."""
T = TypeVar("T")
Row = Mapping[str, Any]


def chunks(values: Sequence[T]) -> list[Sequence[T]]:
    """Return *values* in chunks that fit into a statement."""
    return [values[begin : begin + CHUNK] for begin in range(0, len(values), CHUNK)]


def dataset_row(c: Connection, tenant: str, name: str, lock: Literal["", "shared", "alone"] = "") -> Row:
    """Return the dataset's row. Raises NotFound.

    With the *lock* "shared", nobody can delete the dataset until the transaction ends. With "alone", nobody can change
    it.
    """
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


def valid_now(table: Table, dataset: int) -> Any:  # noqa: ANN401  # an SQL expression
    """Return the condition that a row belongs to the *dataset* as it is now."""
    return (table.c.dataset_id == dataset) & table.c.removed.is_(None)


def valid_at(table: Table, dataset: int, revision: int) -> Any:  # noqa: ANN401  # an SQL expression
    """Return the condition that a row belongs to the *dataset* as it was at *revision*."""
    valid = (table.c.added <= revision) & or_(table.c.removed.is_(None), table.c.removed > revision)
    return (table.c.dataset_id == dataset) & valid
