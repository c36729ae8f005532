"""Amounts in USD, and the options that limit what a run may cost."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from judge.domain.money import MICROS

if TYPE_CHECKING:
    from judge.api.v1.run_service_pb2 import Budget

_MOST_USD = 1_000_000_000.0


class Usd(click.ParamType[float]):
    """An amount in USD: 0, or from a millionth to a billion."""

    name = "usd"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the amount. Fails for anything else."""
        try:
            amount = float(value)
        except ValueError:
            amount = math.nan
        if amount != 0 and not 1 / MICROS <= amount <= _MOST_USD:
            self.fail(f"{value!r} is not an amount from 0.000001 to 1,000,000,000, or 0", param, ctx)
        return amount


def micros(usd: float) -> int:
    """Return an amount in micro-USD."""
    return round(usd * MICROS)


def budget(usd: float, *, calls: int = 0, hard: bool = False) -> Budget:
    """Build the message. Raises UsageError for a hard budget without an amount."""
    from judge.api.v1.run_service_pb2 import Budget  # noqa: PLC0415  # grpc's messages when needed

    if hard and not usd:
        raise click.UsageError("--budget-hard needs --budget-usd: it is the amount that is never exceeded")
    return Budget(cost_micros=micros(usd), calls=calls, hard=hard)
