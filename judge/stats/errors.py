"""What a statistic can refuse.

ValueError
├── (plain)         an input that has no meaning: a NaN weight, an unknown outcome, a contestant against itself
└── Disconnected    the battles do not order the contestants on one scale
ArithmeticError
└── NotConverged    the iterations ended before the estimate stood still
"""


class Disconnected(ValueError):
    """The contestants fall into several components: some never met, or won or lost every battle against the rest.

    *components* are the strongly connected components, as tuples of contestants in the order of their codes.
    """

    def __init__(self, components: tuple[tuple[str, ...], ...]) -> None:
        self.components = components
        parts = _shortened([_shortened(list(part), ", ") for part in components], "; ")
        super().__init__(
            f"The contestants cannot be put on one scale: they fall into {len(components)} components ({parts}), "
            f"between which all wins go one way or there are no battles.",
        )


class NotConverged(ArithmeticError):
    """The estimate still moved by more than *tolerance* after so many *iterations*; most of all that of *moving*."""

    def __init__(self, iterations: int, tolerance: float, moving: str = "") -> None:
        self.iterations = iterations
        self.tolerance = tolerance
        self.moving = moving
        why = f": {moving} has no bound in these battles" if moving else ""
        super().__init__(f"The fit did not settle to within {tolerance:g} in {iterations} iterations{why}.")


def _shortened(words: list[str], comma: str, most: int = 5) -> str:
    rest = [f"and {len(words) - most} more"] if len(words) > most else []
    return comma.join(words[:most] + rest)
