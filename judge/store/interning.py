"""Interning: each hash gets a small integer, once per tenant."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from judge.store.dialects import insert_or_skip
from judge.store.schema import content, tenant

CHUNK = 500
_TENANT = select(tenant.c.id).where(tenant.c.name == bindparam("called"))


def tenant_id(connection: Connection, name: str) -> int:
    """Return the id of a tenant, which is created if it is new."""
    tenant_row = connection.scalar(_TENANT, {"called": name})
    if tenant_row is None:
        connection.execute(insert_or_skip(connection, tenant), [{"name": name}])
        tenant_row = connection.scalar(_TENANT, {"called": name})
    return int(tenant_row or 0)


def intern(connection: Connection, owner: int, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Return the id of each digest, which is created if it is new."""
    wanted = list(dict.fromkeys(digests))
    ids = _known_ids(connection, owner, wanted)
    # All processes insert in the same order, so that no two wait for each other.
    new = sorted(d for d in wanted if d not in ids)
    if new:
        rows = [{"tenant_id": owner, "hash": d} for d in new]
        connection.execute(insert_or_skip(connection, content), rows)
        ids.update(_known_ids(connection, owner, new))
    return ids


def known_ids(connection: Connection, name: str, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Return the ids of those digests that the tenant *name* has."""
    owner = connection.scalar(_TENANT, {"called": name})
    return {} if owner is None else _known_ids(connection, owner, list(dict.fromkeys(digests)))


def _known_ids(connection: Connection, owner: int, digests: Sequence[bytes]) -> dict[bytes, int]:
    ids: dict[bytes, int] = {}
    for begin in range(0, len(digests), CHUNK):
        chunk = digests[begin : begin + CHUNK]
        query = select(content.c.hash, content.c.id).where(content.c.tenant_id == owner, content.c.hash.in_(chunk))
        ids.update({bytes(row.hash): row.id for row in connection.execute(query)})
    return ids
