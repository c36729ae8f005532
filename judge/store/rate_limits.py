"""Rate limits of accounts that several processes share. One row holds the time from which calls are allowed again.

Calls and tokens are granted evenly, for LEASE_SECONDS (or one call) at a time. So in no second are there more than the
limit and one permit of each process.
"""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import Connection, select, update

from judge.ports.records import RateLimit
from judge.store import schema as s
from judge.store.dialects import insert_or_skip

LEASE_SECONDS = 0.1


def seconds_until_free(c: Connection, rate_limit: RateLimit, now: float) -> float:
    """Return the seconds until the account allows a call, or 0 if it does now."""
    row = c.execute(select(s.account).where(s.account.c.name == rate_limit.account)).first()
    return 0.0 if row is None else max(_next(row) - now, 0.0)


def take(c: Connection, rate_limit: RateLimit, now: float, upto: int) -> tuple[int, float]:
    """Take at most *upto* calls from the account. Return how many may be made now, and the seconds to wait if none may.

    The account's row is locked until the transaction ends.
    """
    mine = s.account.c.name == rate_limit.account
    c.execute(insert_or_skip(c, s.account), [{"name": rate_limit.account, "calls_at": 0.0, "tokens_at": 0.0}])
    row = c.execute(select(s.account).where(mine).with_for_update()).one()
    if _next(row) > now:
        return 0, _next(row) - now
    rate = min(rate_limit.calls, rate_limit.tokens / max(rate_limit.tokens_each, 1))
    n_calls = upto if math.isinf(rate) else max(1, min(upto, int(rate * LEASE_SECONDS)))
    values = {
        "calls_at": max(row.calls_at, now) + n_calls / rate_limit.calls,
        "tokens_at": max(row.tokens_at, now) + n_calls * rate_limit.tokens_each / rate_limit.tokens,
    }
    c.execute(update(s.account).where(mine).values(values))
    return n_calls, 0.0


def _next(row: Any) -> float:  # noqa: ANN401  # a row
    return float(max(row.calls_at, row.tokens_at))
