"""The errors of the statistics.

StatisticsError(ValueError)     the input has no meaning for this statistic: an unknown rule, a NaN weight
├── Disconnected                the battles do not order the contestants on one scale
├── NoMaximum                   the likelihood rises forever, so that there is no estimate
└── NotConverged                the iterations ended before the estimate settled

Any other ValueError that leaves this package (from NumPy, or `zip(strict=True)`) is a bug. `Abandoned` (in
`cancellation`) is no error of the input: it ends a computation that nobody waits for.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from judge.columns.errors import ColumnError


class StatisticsError(ValueError):
    """A statistic refuses its input. The message says what is wrong with it."""


class Disconnected(StatisticsError):
    """The contestants fall into several components: some never met, or won or lost every battle against the rest.

    *components* are the strongly connected components, as tuples of contestants in the order of their codes.
    """

    def __init__(self, components: tuple[tuple[str, ...], ...]) -> None:
        self.components = components
        parts = shortened([shortened(part, ", ") for part in components], "; ")
        super().__init__(
            f"The contestants cannot be put on one scale: they fall into {len(components):,} components ({parts}), "
            f"between which all wins go one way or there are no battles.",
        )


class NoMaximum(StatisticsError):
    """The tie *rule* has no finite estimate: the likelihood rises as its parameter and the strengths grow together."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(
            f"The tie rule {rule} has no estimate for these battles: its parameter and the strengths have no bound, "
            "because too few wins contradict each other. Count ties as half a win, or use a ridge.",
        )


class NotConverged(StatisticsError):
    """The estimate still moved by more than *tolerance* after *iterations* steps.

    *moving* is the effect that moved most, or empty when that was a strength or the tie parameter.
    """

    def __init__(self, iterations: int, tolerance: float, moving: str = "") -> None:
        self.iterations = iterations
        self.tolerance = tolerance
        self.moving = moving
        why = f": {moving} has no bound in these battles" if moving else ""
        super().__init__(f"The fit did not settle to within {tolerance:g} in {iterations} iterations{why}.")


@contextmanager
def column_errors() -> Iterator[None]:
    """Translate a ColumnError of `judge.columns` into a StatisticsError.

    >>> with column_errors():
    ...     raise ColumnError("The column left holds a code outside 0 to 2.")
    Traceback (most recent call last):
    ...
    judge.stats.errors.StatisticsError: The column left holds a code outside 0 to 2.
    """
    try:
        yield
    except ColumnError as error:
        raise StatisticsError(str(error)) from None


def shortened(words: Sequence[str], comma: str, most: int = 5) -> str:
    """Join *words*; more than *most* of them are counted.

    >>> shortened(["a", "b", "c"], ", ", 2)
    'a, b, and 1 more'
    """
    rest = [f"and {len(words) - most:,} more"] if len(words) > most else []
    return comma.join([*words[:most], *rest])
