"""A judge's verdicts as columns: a million verdicts are a few arrays, without texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judge.domain.outcome import ItemState, VerdictStatus

UNREAD = "unread"
"""The status of a reply that has no parsed verdict yet."""
STATUSES: Sequence[str] = (
    "",
    *(status.name.lower() for status in VerdictStatus),
    *(state.name.lower() for state in ItemState),
    UNREAD,
)
"""The names of statuses and states. A column of statuses holds places in this list."""


def state_code(state: int) -> int:
    """Return the place of an ItemState in STATUSES."""
    return len(VerdictStatus) + state


@dataclass(frozen=True, slots=True, eq=False)
class VerdictColumns:
    """n verdicts in their stored order, each with the parsed verdict that counts.

    *prompt* is int32[n], places in *prompt_ids*. *left* and *right* are int32[n], places in *contestants*. Both lists
    are sorted and distinct. *turn*, *left_sample*, *right_sample* and *repeat* are int32[n]. *order* is int8[n], an
    Order. *status* is int8[n], places in STATUSES. *preference* is int8[n], a Preference or 0. *probability_first* and
    *strength* are float64[n], NaN if there is none. *answer* is int64[n], the ids of answers, 0 if there is none.
    """

    prompt_ids: Sequence[str]
    contestants: Sequence[str]
    prompt: NDArray[np.int32]
    turn: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    left_sample: NDArray[np.int32]
    right_sample: NDArray[np.int32]
    order: NDArray[np.int8]
    repeat: NDArray[np.int32]
    status: NDArray[np.int8]
    preference: NDArray[np.int8]
    probability_first: NDArray[np.float64]
    strength: NDArray[np.float64]
    answer: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.answer)
