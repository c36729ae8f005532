"""A batch of rows: sorted into new, duplicate, replacing and rejected rows, and written in one revision."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, insert, update

from judge.domain.dataset import BatchResult, Rejection
from judge.store import schema as s
from judge.store.many_rows import ids_among
from judge.store.revisions import Row, chunks
from judge.store.rows import by_id

Identity = tuple[Any, ...]
Added = Mapping[Identity, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to add: its identity and content. If it is refused: the field, the reason and the message."""

    identity: Identity
    values: dict[str, Any]
    refused: tuple[str, str, str] | None = None


def add_batch(
    c: Connection,
    dataset: Row,
    table: Table,
    new: list[NewRow],
    *,
    replace: bool,
    meaning: Callable[[Row], Any] | None = None,
    complete: Callable[[Added], None] | None = None,
) -> BatchResult:
    """Write the rows that are new or replace others.

    Two rows are equal if *meaning* returns the same for both. *complete* adds values to the rows that are written.
    """
    identity = s.IDENTITY[table.name]
    existing = _existing(c, table, dataset["id"], identity, [row.identity for row in new])
    batch = _SortedBatch(kind=table.name, identity=identity, existing=existing, meaning=meaning)
    for number, row in enumerate(new):
        batch.take(number, row, replace=replace)
    rejections = tuple(batch.rejections)
    if not batch.added:
        return BatchResult(
            accepted=0,
            duplicates=batch.duplicates,
            replaced=0,
            rejections=rejections,
            revision=dataset["revision"],
        )
    revision = dataset["revision"] + 1
    for chunk in chunks(batch.closed):
        c.execute(update(table).where(table.c.id.in_(chunk)).values(removed=revision))
    if complete:
        complete(batch.added)
    own = {"tenant_id": dataset["tenant_id"], "dataset_id": dataset["id"], "added": revision}
    c.execute(insert(table), [{**own, **values} for values in batch.added.values()])
    c.execute(update(s.dataset).where(s.dataset.c.id == dataset["id"]).values(revision=revision))
    return BatchResult(
        accepted=batch.accepted,
        duplicates=batch.duplicates,
        replaced=batch.replaced,
        rejections=rejections,
        revision=revision,
    )


class _SortedBatch:
    """Sorts the rows of a batch. Earlier rows of the batch count as existing."""

    def __init__(
        self, kind: str, identity: tuple[str, ...], existing: Added, meaning: Callable[[Row], Any] | None
    ) -> None:
        self._kind = {"recorded": "verdict"}.get(kind, kind)
        self._identity, self._existing, self._meaning = identity, existing, meaning
        self.added: dict[Identity, dict[str, Any]] = {}
        self.closed: list[int] = []
        self.rejections: list[Rejection] = []
        self.accepted = self.duplicates = self.replaced = 0

    def take(self, number: int, fresh: NewRow, *, replace: bool) -> None:
        """Sort the row with this *number* in the batch."""
        if fresh.refused:
            self.rejections.append(Rejection(number, *fresh.refused))
            return
        old = self.added.get(fresh.identity) or self._existing.get(fresh.identity)
        if old is None:
            self.accepted += 1
        elif self._equal(old, fresh.values):
            self.duplicates += 1
            return
        elif not replace:
            self.rejections.append(self._differs(number, fresh))
            return
        else:
            self.replaced += 1
            if "id" in old:
                self.closed.append(old["id"])
        self.added[fresh.identity] = fresh.values

    def _equal(self, old: Row, new: Row) -> bool:
        if self._meaning:
            return bool(self._meaning(old) == self._meaning(new))
        return all(old[name] == value for name, value in new.items())

    def _differs(self, number: int, fresh: NewRow) -> Rejection:
        key = " ".join(str(part) for part in fresh.identity)
        message = f"{self._kind} {key} already exists with different content; upload with replace to change it"
        return Rejection(row=number, field=self._identity[-1], reason=f"{self._kind.upper()}_DIFFERS", message=message)


def _existing(
    c: Connection, table: Table, dataset: int, identity: tuple[str, ...], wanted: list[Identity]
) -> dict[Identity, dict[str, Any]]:
    keys = [(dataset, *row_identity) for row_identity in dict.fromkeys(wanted)]
    ids = ids_among(c, table, ("dataset_id", *identity), keys, condition=f"{table.name}.removed IS NULL")
    rows = [row._asdict() for row in by_id(c, (table,), ids).values()]
    return {tuple(row[name] for name in identity): row for row in rows}
