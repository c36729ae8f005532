"""Pairing: which outputs to compare, and in which order to present them. Only integers and a seeded generator.

If every contestant answered every prompt, balanced random pairs come from a round robin by the circle method (T. P.
Kirkman (1847), "On a problem in combinations"). Its rounds contain each pair once, and each round contains each
contestant once (with an odd number, one contestant rests). The cycle is dealt to the prompts in turn, so that a prompt
gets a pair at most once, and the numbers of pairs of two contestants never differ by more than two. If outputs are
missing, the next pair of a prompt is the least used contestant with the least used partner it has not met there.
"""

import heapq
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Flags, Ints
from judge.stats.errors import StatisticsError

_BLOCK = 1 << 18

Wide = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class PairColumns:
    """n comparisons: *prompt*, *left* and *right* are int32[n] codes, with left < right, ordered by all three."""

    prompt: Ints
    left: Ints
    right: Ints

    @property
    def n(self) -> int:
        """The number of comparisons."""
        return self.prompt.size


@dataclass(frozen=True, eq=False)
class PresentationOrders:
    """k presentations of comparisons.

    *comparison* is int32[k], the row of the comparison. *left_first* is bool[k], whether left is shown first.

    Rows are ordered by comparison, left first before right first.
    """

    comparison: Ints
    left_first: Flags


def count_pairs(present: Flags) -> int:
    """Count the pairs on all prompts. *present* is bool[prompts, contestants].

    >>> count_pairs(np.array([[True, True, False], [True, True, True]]))
    4
    """
    return int(_pairs_of(_answers(present)).sum())


def all_pairs(present: Flags) -> PairColumns:
    """All pairs of contestants, on every prompt that both answered. *present* is bool[prompts, contestants].

    >>> pairs = all_pairs(np.array([[True, True, False], [True, True, True]]))
    >>> list(zip(pairs.prompt.tolist(), pairs.left.tolist(), pairs.right.tolist()))
    [(0, 0, 1), (1, 0, 1), (1, 0, 2), (1, 1, 2)]
    """
    answers = _answers(present)
    offset = np.append(0, np.cumsum(_pairs_of(answers)))
    prompt = np.repeat(np.arange(len(answers), dtype=np.int32), _pairs_of(answers))
    left, right = np.empty(offset[-1], dtype=np.int32), np.empty(offset[-1], dtype=np.int32)
    for k in np.unique(answers[answers > 1]).tolist():
        first, second = np.triu_indices(k, 1)
        prompts = np.flatnonzero(answers == k)
        for block in np.array_split(prompts, 1 + prompts.size * first.size // _BLOCK):
            who = np.nonzero(present[block])[1].reshape(block.size, k).astype(np.int32)
            at = offset[block][:, None] + np.arange(first.size)
            left[at], right[at] = who[:, first], who[:, second]
    return PairColumns(prompt, left, right)


def against(present: Flags, reference: int) -> PairColumns:
    """All pairs with the *reference* (a code), on every prompt that both contestants answered.

    *present* is bool[prompts, contestants]. Raises StatisticsError for an unknown reference.

    >>> pairs = against(np.array([[True, True, False], [True, True, True]]), 1)
    >>> list(zip(pairs.prompt.tolist(), pairs.left.tolist(), pairs.right.tolist()))
    [(0, 0, 1), (1, 0, 1), (1, 1, 2)]
    """
    _answers(present)
    if not 0 <= reference < present.shape[1]:
        raise StatisticsError(f"There is no contestant with the code {reference} to compare with.")
    both = present & present[:, [reference]]
    both[:, reference] = False
    prompt, other = (column.astype(np.int32) for column in np.nonzero(both))
    return _ordered(prompt, np.minimum(other, reference), np.maximum(other, reference), present.shape[1])


def random_balanced(present: Flags, n: int, rng: np.random.Generator) -> PairColumns:
    """Draw *n* distinct random pairs that use prompts and contestants as evenly as the outputs allow.

    *present* is bool[prompts, contestants]. The numbers of pairs of two prompts differ by at most one, unless a prompt
    has no more pairs. If no output is missing, those of two contestants differ by at most two. The draw depends only on
    *rng*. Raises StatisticsError if *n* is negative or there are fewer than *n* pairs.

    >>> pairs = random_balanced(np.ones((2, 4), dtype=bool), 4, np.random.default_rng(0))
    >>> pairs.prompt.tolist(), np.bincount(np.concatenate((pairs.left, pairs.right))).tolist()
    ([0, 0, 1, 1], [2, 2, 2, 2])
    """
    answers = _answers(present)
    available = int(_pairs_of(answers).sum())
    if not 0 <= n <= available:
        raise StatisticsError(
            f"The number of random pairs must be from 0 to {available:,} (all that exist), not {n:,}."
        )
    quota = _quotas(_pairs_of(answers), n, rng)
    if (present[answers > 0][:, present.any(axis=0)]).all():
        return _deal(present, quota, rng)
    return _least_used(present, quota, rng)


def orders(n: int, policy: Literal["both", "one", "random"], rng: np.random.Generator) -> PresentationOrders:
    """The presentation orders of *n* comparisons, ordered by comparison.

    The *policy* "both" presents each comparison twice, left first and then right first. "one" presents left first, and
    "random" draws the order of each from *rng*. Raises StatisticsError for any other policy.

    >>> result = orders(2, "both", np.random.default_rng(0))
    >>> result.comparison.tolist(), result.left_first.tolist()
    ([0, 0, 1, 1], [True, False, True, False])
    """
    rows = np.arange(n, dtype=np.int32)
    if policy == "both":
        return PresentationOrders(np.repeat(rows, 2), np.tile(np.array([True, False]), n))
    if policy == "one":
        return PresentationOrders(rows, np.ones(n, dtype=bool))
    if policy == "random":
        return PresentationOrders(rows, rng.integers(0, 2, n, dtype=np.int8) == 0)
    raise StatisticsError(f"Unknown order policy {policy!r}: choose both, one or random.")


def _answers(present: Flags) -> Wide:
    """The number of contestants that answered each prompt, int64[prompts]."""
    if present.ndim != 2 or present.dtype != np.bool_:  # noqa: PLR2004 - prompts by contestants
        raise StatisticsError(
            f"present must be bool[prompts, contestants], not {present.dtype} of shape {present.shape}."
        )
    answers: Wide = np.count_nonzero(present, axis=1).astype(np.int64)
    return answers


def _pairs_of(answers: Wide) -> Wide:
    pairs: Wide = answers * (answers - 1) // 2
    return pairs


def _quotas(capacity: Wide, n: int, rng: np.random.Generator) -> Wide:
    """Distribute *n* pairs over prompts: equally, but at most the *capacity* of each. *rng* draws who gets the rest."""
    ascending = np.sort(capacity)
    below = np.append(0, np.cumsum(ascending))
    # The number of pairs that are dealt when every prompt is filled up to the level ascending[i]:
    dealt = below[:-1] + ascending * np.arange(capacity.size, 0, -1)
    full = int(np.searchsorted(dealt, n, side="right"))
    if full == capacity.size:
        return capacity
    level, odd = divmod(n - int(below[full]), capacity.size - full)
    quota = np.minimum(capacity, level)
    quota[rng.permutation(np.flatnonzero(capacity > level))[:odd]] += 1
    return quota


def _deal(present: Flags, quota: Wide, rng: np.random.Generator) -> PairColumns:
    """Deal pairs from the round robin. Contestants with any output have an output for every prompt."""
    who = rng.permutation(np.flatnonzero(present.any(axis=0))).astype(np.int32)
    first, second = _round_robin(who.size, rng)
    prompts = rng.permutation(quota.size)
    prompt = np.repeat(prompts.astype(np.int32), quota[prompts])
    if prompt.size == 0:
        return PairColumns(prompt, prompt.copy(), prompt.copy())
    at = np.arange(prompt.size) % first.size
    first_code, second_code = who[first][at], who[second][at]
    return _ordered(prompt, np.minimum(first_code, second_code), np.maximum(first_code, second_code), present.shape[1])


def _round_robin(m: int, rng: np.random.Generator) -> tuple[Wide, Wide]:
    """All pairs of *m* contestants, in the rounds of the circle method, which are in random order."""
    seats = m + m % 2
    rounds = rng.permutation(max(seats - 1, 0))[:, None]
    steps = np.arange(1, seats // 2)
    last = np.full_like(rounds, seats - 1)
    first = np.hstack((rounds, (rounds + steps) % max(seats - 1, 1))).ravel()
    second = np.hstack((last, (rounds - steps) % max(seats - 1, 1))).ravel()
    playing = second < m
    return first[playing], second[playing]


def _least_used(present: Flags, quota: Wide, rng: np.random.Generator) -> PairColumns:
    """Pair the least used contestants, prompt by prompt. Prompts with few outputs come first; the others balance."""
    answers = _answers(present)
    prompts = rng.permutation(quota.size)
    prompts = prompts[np.argsort(answers[prompts], kind="stable")]
    ends = np.cumsum(quota[prompts]).tolist()
    used = [0] * present.shape[1]
    pairs = np.empty((ends[-1], 2), dtype=np.int32)
    for prompt, end in zip(prompts.tolist(), ends, strict=True):
        size = int(quota[prompt])
        if size:
            who = rng.permutation(np.flatnonzero(present[prompt])).tolist()
            pairs[end - size : end] = _pairs_on_one_prompt(who, size, used)
    prompt = np.repeat(prompts.astype(np.int32), quota[prompts])
    return _ordered(prompt, pairs.min(axis=1), pairs.max(axis=1), present.shape[1])


def _pairs_on_one_prompt(who: list[int], size: int, used: list[int]) -> list[tuple[int, int]]:
    """Draw *size* distinct pairs of the least *used* in *who* (earlier first), and add them to *used*."""
    k = len(who)
    # An entry is k * uses + place, because integers compare much faster than tuples.
    heap = [k * used[contestant] + place for place, contestant in enumerate(who)]
    heapq.heapify(heap)
    met = [bytearray(k) for _ in who]
    pairs: list[tuple[int, int]] = []
    while len(pairs) < size:
        least = heapq.heappop(heap)
        place = least % k
        seen, passed = met[place], []
        while heap and seen[heap[0] % k]:
            passed.append(heapq.heappop(heap))
        if heap:
            partner = heap[0] % k
            heapq.heapreplace(heap, heap[0] + k)
            passed.append(least + k)
            seen[partner] = met[partner][place] = 1
            pairs.append((who[place], who[partner]))
        for entry in passed:
            heapq.heappush(heap, entry)
    for first, second in pairs:
        used[first] += 1
        used[second] += 1
    return pairs


def _ordered(prompt: Ints, left: Ints, right: Ints, m: int) -> PairColumns:
    key = (prompt.astype(np.int64) * m + left) * m + right
    key.sort()
    rest, right_sorted = np.divmod(key, m)
    prompt_sorted, left_sorted = np.divmod(rest, m)
    return PairColumns(*(column.astype(np.int32) for column in (prompt_sorted, left_sorted, right_sorted)))
