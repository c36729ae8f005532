"""A judge's verdicts as columns: a million of them are some arrays, and no text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from judge.domain.outcome import ItemState, VerdictStatus

UNREAD = "unread"
"""The status of a reply that no parser has read yet."""
STATUSES: Sequence[str] = (
    "",
    *(status.name.lower() for status in VerdictStatus),
    *(state.name.lower() for state in ItemState),
    UNREAD,
)
"""The names of the statuses and states, at the places that a column of them holds."""


def state_code(state: int) -> int:
    """The place of an ItemState's name."""
    return len(VerdictStatus) + state


@dataclass(frozen=True, slots=True, eq=False)
class VerdictColumns:
    """n verdicts in their stored order, each with the reading that counts.

    *prompt* is int32[n], places in *prompt_ids*; *left* and *right* are int32[n], places in *contestants*. Both lists
    are sorted and distinct. *turn*, *left_sample*, *right_sample* and *repeat* are int32[n]. *order* is int8[n], an
    Order; *status* int8[n], places in STATUSES; *preference* int8[n], a Preference or 0. *probability_first* and
    *strength* are float64[n], NaN where there is none. *answer* is int64[n], the store's numbers of calls, or 0.
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
