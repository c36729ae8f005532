"""Hashes to small integers, once per tenant."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select

from judge.store.dialects import adding
from judge.store.schema import content, tenant

CHUNK = 500
_TENANT = select(tenant.c.id).where(tenant.c.name == bindparam("called"))


def tenant_id(connection: Connection, name: str) -> int:
    """The id of a tenant, made when it is first seen."""
    found = connection.scalar(_TENANT, {"called": name})
    if found is None:
        connection.execute(adding(connection, tenant), [{"name": name}])
        found = connection.scalar(_TENANT, {"called": name})
    return int(found or 0)


def interned(connection: Connection, owner: int, digests: Sequence[bytes]) -> dict[bytes, int]:
    """The id of each digest, made where it is new."""
    wanted = list(dict.fromkeys(digests))
    found = _known(connection, owner, wanted)
    # In one order for everybody, so that no two wait for each other.
    new = sorted(d for d in wanted if d not in found)
    if new:
        rows = [{"tenant_id": owner, "hash": d} for d in new]
        connection.execute(adding(connection, content), rows)
        found.update(_known(connection, owner, new))
    return found


def known(connection: Connection, name: str, digests: Sequence[bytes]) -> dict[bytes, int]:
    """The ids of those digests that the tenant *name* has."""
    owner = connection.scalar(_TENANT, {"called": name})
    return {} if owner is None else _known(connection, owner, list(dict.fromkeys(digests)))


def _known(connection: Connection, owner: int, digests: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for begin in range(0, len(digests), CHUNK):
        chunk = digests[begin : begin + CHUNK]
        query = select(content.c.hash, content.c.id).where(content.c.tenant_id == owner, content.c.hash.in_(chunk))
        found.update({bytes(row.hash): row.id for row in connection.execute(query)})
    return found
