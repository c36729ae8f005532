"""What a run spent, and what its calls cost while that is not certain: not settled yet, or beyond their maximum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

from judge.domain.money import usd

_MOST_MICROS: Final = 10**12
"""The most that a bill raises the maximum cost of a call to, so that sums of them can be stored."""


class OpenCalls(NamedTuple):
    """Calls that have not settled: they are in flight, or their process died.

    None of them is in a run's calls and costs yet.
    """

    calls: int = 0
    cost_micros: int = 0
    """The most that they cost, with what their earlier tries may have cost."""
    batched: int = 0
    """How many of the calls are in a batch at a provider, which a process that dies does not lose."""


NONE_OPEN = OpenCalls()


class EnteredCost(NamedTuple):
    """What somebody entered as the cost of a judge in a run, and what had been counted for it call by call.

    Costs are in micro-USD, and the time in seconds since 1970.
    """

    cost_micros: int
    counted_micros: int
    time: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What a judge used in a run: calls, micro-USD, and tokens as the provider counts them."""

    calls: int = 0
    cost_micros: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    failed: int = 0
    """Presentations without a verdict because the judge or its provider failed."""
    uncounted: int = 0
    """Calls whose tokens are not known, so that the most is booked for them: their process died before the answer was
    stored, they ended without an answer and may have to be paid, or the provider did not count."""
    entered: EnteredCost | None = None
    """What somebody entered as the cost. *cost_micros* is that, and what calls since then cost."""

    @property
    def counted_micros(self) -> int:
        """What was counted call by call, whatever was entered."""
        return self.cost_micros - (self.entered.cost_micros - self.entered.counted_micros if self.entered else 0)

    def __add__(self, other: Spent) -> Spent:
        """Return the sum of both, field by field, with the cost that was entered last."""
        return Spent(
            calls=self.calls + other.calls,
            cost_micros=self.cost_micros + other.cost_micros,
            input_tokens=self.input_tokens + other.input_tokens,
            cached_input_tokens=self.cached_input_tokens + other.cached_input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            failed=self.failed + other.failed,
            uncounted=self.uncounted + other.uncounted,
            entered=other.entered or self.entered,
        )


class Overrun(NamedTuple):
    """What a provider billed for a call, and the most that such a call can cost and use. Costs are in micro-USD."""

    cost_micros: int
    most_micros: int
    input_tokens: int = 0
    most_input_tokens: int = 0
    output_tokens: int = 0
    most_output_tokens: int = 0

    def exceeds(self, other: Overrun | None) -> bool:
        """Whether the bill is a larger multiple of the maximum than that of *other*."""
        return other is None or self.cost_micros * other.most_micros > other.cost_micros * self.most_micros

    def raised(self, worst_micros: int) -> int:
        """Return what a call may cost whose maximum is *worst_micros*, if it is exceeded by as much, rounded up.

        It is at most a million USD, unless *worst_micros* is more.

        >>> Overrun(cost_micros=300, most_micros=200).raised(1001)
        1502
        """
        if not self.most_micros:
            return max(worst_micros, self.cost_micros)
        return max(worst_micros, min(-(-worst_micros * self.cost_micros // self.most_micros), _MOST_MICROS))

    @property
    def message(self) -> str:
        """What was billed, why it is more than the call can cost, and what follows for the judge's calls in its run.

        >>> print(Overrun(300, 200, output_tokens=150, most_output_tokens=100).message.partition("; ")[2])
        the largest excess in this run, whose further calls of the judge count as up to 1.5 times their maximum
        """
        if self.output_tokens > self.most_output_tokens:
            details = f"{self.output_tokens:,} output tokens where at most {self.most_output_tokens:,} were asked for"
        elif self.input_tokens > self.most_input_tokens:
            details = f"{self.input_tokens:,} input tokens where at most {self.most_input_tokens:,} were expected"
        else:
            details = f"${usd(self.cost_micros)} where its tokens cost at most ${usd(self.most_micros)}"
        effect = "the largest excess in this run"
        if self.most_micros:
            factor = f"{math.ceil(10 * self.cost_micros / self.most_micros) / 10:,.1f}".removesuffix(".0")
            effect += f", whose further calls of the judge count as up to {factor} times their maximum"
        return f"the provider billed more than a call can cost: {details}; {effect}"
