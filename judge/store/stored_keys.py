"""The keys of calls that have an answer, as columns. A page is one row of texts, as it is for verdicts."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, select

from judge.store import schema as s
from judge.store.connections import Connections
from judge.store.text_columns import as_numbers, as_texts

PROMPTS = 200
"""The number of prompts that are looked up in one transaction."""


class StoredKeys:
    """The part of RunStore about keys that have an answer."""

    _db: Connections

    async def stored_keys(
        self, tenant: str, fingerprints: Collection[int], prompts: Collection[int], cache_tag: str
    ) -> NDArray[np.int64]:
        """Return the keys with these *fingerprints* and *prompts* that have an answer, int64[6, n]."""
        wanted = sorted(prompts)
        pages = [np.empty((6, 0), dtype=np.int64)]
        for begin in range(0, len(wanted), PROMPTS):
            asked = wanted[begin : begin + PROMPTS]
            pages.append(await self._db.read(lambda c, asked=asked: _page(c, tenant, fingerprints, asked, cache_tag)))  # type: ignore[misc]  # bound here
        return np.concatenate(pages, axis=1)


def _page(
    c: Connection, tenant: str, fingerprints: Collection[int], prompts: Collection[int], cache_tag: str
) -> NDArray[np.int64]:
    a = s.answer.c
    owner = select(s.tenant.c.id).where(s.tenant.c.name == tenant).scalar_subquery()
    key = (a.fingerprint, a.prompt, a.turn, a.first, a.second, a.repeat)
    mine = (
        a.tenant_id == owner,
        a.fingerprint.in_(sorted(fingerprints)),
        a.prompt.in_(prompts),
        a.cache_tag == cache_tag,
    )
    row = c.execute(select(*as_texts(key)).where(*mine)).one()
    return np.stack(as_numbers(row))
