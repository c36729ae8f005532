"""Batches at a provider. The intent to submit a batch is stored as a row before anything is sent."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, insert, select, update

from judge.domain.verdict import CallKey
from judge.ports.records import BatchState, PermitRequest, ProviderBatch
from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.rows import key_of

OPEN = (BatchState.SUBMITTING.value, BatchState.SUBMITTED.value)


class ProviderBatches:
    """The part of RunStore about batches at a provider."""

    _db: Connections

    async def open_batches(self, run: int, judge: int) -> list[ProviderBatch]:
        """Return the batches of a run's *judge* that are neither collected nor abandoned, oldest first."""
        b, a = s.provider_batch.c, s.call_attempt.c

        def work(c: Connection) -> list[ProviderBatch]:
            query = select(s.provider_batch).where(b.run_id == run, b.judge == judge, b.state.in_(OPEN))
            batches = []
            for row in c.execute(query.order_by(b.id)).all():
                live = c.execute(select(s.call_attempt).where(a.batch_id == row.id, s.LIVE)).all()
                batches.append(_batch(row, {key_of(attempt): attempt.id for attempt in live}))
            return batches

        return await self._db.read(work)

    async def move_batch(self, row: int, state: BatchState, *, provider_id: str = "") -> None:
        """Set the state of a batch. Calls of a collected or abandoned one that have no answer end as failed."""
        b, a = s.provider_batch.c, s.call_attempt.c
        values: dict[str, Any] = {"state": state.value}
        if provider_id:
            values["provider_id"] = provider_id

        def work(c: Connection) -> None:
            c.execute(update(s.provider_batch).where(b.id == row).values(values))
            if state.value not in OPEN:
                c.execute(update(s.call_attempt).where(a.batch_id == row, s.LIVE).values(state="failed"))

        await self._db.write(work)

    async def provider_batches(self, tenant: str) -> set[str]:
        """Return the provider's ids of all batches that are known."""
        b = s.provider_batch.c
        owner = select(s.tenant.c.id).where(s.tenant.c.name == tenant).scalar_subquery()
        query = select(b.provider_id).where(b.tenant_id == owner, b.provider_id.is_not(None))
        return await self._db.read(lambda c: set(c.scalars(query)))


def add_batch(c: Connection, owner: int, request: PermitRequest, granted: set[CallKey], wall: float) -> int:
    """Insert the batch of a *request*, with the positions of the *granted* keys, and return its row."""
    batch = request.batch
    if batch is None:
        raise AssertionError("the request has no batch")
    positions = [position for key, position in zip(request.keys, batch.positions, strict=True) if key in granted]
    made = c.execute(
        insert(s.provider_batch).values(
            tenant_id=owner,
            run_id=request.run,
            judge=request.judge,
            state=BatchState.SUBMITTING.value,
            create_time=wall,
            mark=batch.mark,
            positions=positions,
        )
    )
    return int(made.inserted_primary_key[0])  # type: ignore[index]  # an insert of one row has one


def _batch(row: Any, attempts: dict[CallKey, int]) -> ProviderBatch:  # noqa: ANN401  # a row
    return ProviderBatch(
        row=row.id,
        state=BatchState(row.state),
        mark=row.mark,
        provider_id=row.provider_id or "",
        create_time=row.create_time,
        positions=tuple(row.positions),
        attempts=attempts,
    )
