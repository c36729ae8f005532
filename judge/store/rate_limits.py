"""An account's limits where several processes call: the time from which it has room again, kept in one row.

Calls and tokens are handed out evenly, LEASE_SECONDS' worth (or one call) at a time: no second sees more than the limit
and one permit of each process.
"""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import Connection, select, update

from judge.ports.records import RateLimit
from judge.store import schema as s
from judge.store.dialects import adding

LEASE_SECONDS = 0.1


def seconds_until_free(c: Connection, rate_limit: RateLimit, now: float) -> float:
    """Seconds until the account has room; 0 if it has now."""
    row = c.execute(select(s.account).where(s.account.c.name == rate_limit.account)).first()
    return 0.0 if row is None else max(_next(row) - now, 0.0)


def taken(c: Connection, rate_limit: RateLimit, now: float, upto: int) -> tuple[int, float]:
    """How many calls, at most *upto*, may be made now; with the seconds until there is room, if none may.

    The account's row is held until the transaction ends.
    """
    mine = s.account.c.name == rate_limit.account
    c.execute(adding(c, s.account), [{"name": rate_limit.account, "calls_at": 0.0, "tokens_at": 0.0}])
    row = c.execute(select(s.account).where(mine).with_for_update()).one()
    if _next(row) > now:
        return 0, _next(row) - now
    rate = min(rate_limit.calls, rate_limit.tokens / max(rate_limit.tokens_each, 1))
    many = upto if math.isinf(rate) else max(1, min(upto, int(rate * LEASE_SECONDS)))
    values = {
        "calls_at": max(row.calls_at, now) + many / rate_limit.calls,
        "tokens_at": max(row.tokens_at, now) + many * rate_limit.tokens_each / rate_limit.tokens,
    }
    c.execute(update(s.account).where(mine).values(values))
    return many, 0.0


def _next(row: Any) -> float:  # noqa: ANN401  # a row
    return float(max(row.calls_at, row.tokens_at))
