"""What calls cost while it is not certain: those that have not settled, and those that exceeded their maximum."""

from __future__ import annotations

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
        """What was billed, and why it is more than the call can cost."""
        if self.output_tokens > self.most_output_tokens:
            details = f"{self.output_tokens:,} output tokens where at most {self.most_output_tokens:,} were asked for"
        elif self.input_tokens > self.most_input_tokens:
            details = f"{self.input_tokens:,} input tokens where at most {self.most_input_tokens:,} were expected"
        else:
            details = f"${usd(self.cost_micros)} where its tokens cost at most ${usd(self.most_micros)}"
        return f"the provider billed more than a call can cost: {details}"
