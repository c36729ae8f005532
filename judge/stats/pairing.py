"""Which outputs are compared, and in which order they are shown: integers and a seeded generator, nothing else.

Where every contestant answered every prompt, balanced random pairs come from a round robin by the circle method (T. P.
Kirkman (1847), "On a problem in combinations"): the rounds hold each pair once, and each contestant once in a round
(or one rests, if their number is odd). Dealing that cycle out to prompts in turn, each prompt sees a pair at most once,
and at any point contestants differ by at most two in how often they were dealt. Where outputs are missing, the next
pair of a prompt is always the least used contestant with the least used partner it has not met there.
"""

import heapq
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Flags, Ints

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
    """k showings: *comparison* is int32[k], a row of the comparisons; *left_first* is bool[k], which side comes first.

    Rows are ordered by comparison, left first before right first.
    """

    comparison: Ints
    left_first: Flags


def how_many(present: Flags) -> int:
    """The number of pairs on all prompts. *present* is bool[prompts, contestants].

    >>> how_many(np.array([[True, True, False], [True, True, True]]))
    4
    """
    return int(_pairs_of(_answers(present)).sum())


def all_pairs(present: Flags) -> PairColumns:
    """Every pair of contestants, on every prompt that both answered. *present* is bool[prompts, contestants].

    >>> found = all_pairs(np.array([[True, True, False], [True, True, True]]))
    >>> list(zip(found.prompt.tolist(), found.left.tolist(), found.right.tolist()))
    [(0, 0, 1), (1, 0, 1), (1, 0, 2), (1, 1, 2)]
    """
    many = _answers(present)
    offset = np.append(0, np.cumsum(_pairs_of(many)))
    prompt = np.repeat(np.arange(len(many), dtype=np.int32), _pairs_of(many))
    left, right = np.empty(offset[-1], dtype=np.int32), np.empty(offset[-1], dtype=np.int32)
    for k in np.unique(many[many > 1]).tolist():
        first, second = np.triu_indices(k, 1)
        prompts = np.flatnonzero(many == k)
        for block in np.array_split(prompts, 1 + prompts.size * first.size // _BLOCK):
            who = np.nonzero(present[block])[1].reshape(block.size, k).astype(np.int32)
            at = offset[block][:, None] + np.arange(first.size)
            left[at], right[at] = who[:, first], who[:, second]
    return PairColumns(prompt, left, right)


def against(present: Flags, reference: int) -> PairColumns:
    """Every other contestant against the *reference* (a code), on every prompt for which both have an output.

    *present* is bool[prompts, contestants]. Raises ValueError for an unknown reference.

    >>> found = against(np.array([[True, True, False], [True, True, True]]), 1)
    >>> list(zip(found.prompt.tolist(), found.left.tolist(), found.right.tolist()))
    [(0, 0, 1), (1, 0, 1), (1, 1, 2)]
    """
    _answers(present)
    if not 0 <= reference < present.shape[1]:
        raise ValueError(f"There is no contestant with the code {reference} to compare with.")
    both = present & present[:, [reference]]
    both[:, reference] = False
    prompt, other = (column.astype(np.int32) for column in np.nonzero(both))
    return _ordered(prompt, np.minimum(other, reference), np.maximum(other, reference), present.shape[1])


def random_balanced(present: Flags, n: int, rng: np.random.Generator) -> PairColumns:
    """*n* random pairs, none twice on a prompt, with prompts and contestants used as evenly as the outputs allow.

    *present* is bool[prompts, contestants]. Every prompt has the same number of pairs but for one, or all its pairs
    where it has fewer. If no output is missing, every contestant has the same number of pairs but for two. The draw
    depends on *rng* alone. Raises ValueError where there are fewer than *n* pairs, or n is negative.

    >>> found = random_balanced(np.ones((2, 4), dtype=bool), 4, np.random.default_rng(0))
    >>> found.prompt.tolist(), np.bincount(np.concatenate((found.left, found.right))).tolist()
    ([0, 0, 1, 1], [2, 2, 2, 2])
    """
    many = _answers(present)
    exist = int(_pairs_of(many).sum())
    if not 0 <= n <= exist:
        raise ValueError(f"{n} pairs were asked for, and {exist} exist.")
    quota = _quotas(_pairs_of(many), n, rng)
    if (present[many > 0][:, present.any(axis=0)]).all():
        return _dealt(present, quota, rng)
    return _least_used(present, quota, rng)


def orders(n: int, policy: Literal["both", "one", "random"], rng: np.random.Generator) -> PresentationOrders:
    """In which order each of *n* comparisons is shown.

    By *policy*: "both" shows each twice, left first and then right first; "one" shows left first; "random" tosses a
    coin of *rng* for each. Raises ValueError for another policy.

    >>> found = orders(2, "both", np.random.default_rng(0))
    >>> found.comparison.tolist(), found.left_first.tolist()
    ([0, 0, 1, 1], [True, False, True, False])
    """
    rows = np.arange(n, dtype=np.int32)
    if policy == "both":
        return PresentationOrders(np.repeat(rows, 2), np.tile(np.array([True, False]), n))
    if policy == "one":
        return PresentationOrders(rows, np.ones(n, dtype=bool))
    if policy == "random":
        return PresentationOrders(rows, rng.integers(0, 2, n, dtype=np.int8) == 0)
    raise ValueError(f"The order policy {policy!r} is unknown: there are both, one and random.")


def _answers(present: Flags) -> Wide:
    """How many contestants answered each prompt, int64[prompts]."""
    if present.ndim != 2 or present.dtype != np.bool_:  # noqa: PLR2004 - prompts by contestants
        raise ValueError("What is present must be a table of booleans, prompts by contestants.")
    many: Wide = np.count_nonzero(present, axis=1).astype(np.int64)
    return many


def _pairs_of(many: Wide) -> Wide:
    pairs: Wide = many * (many - 1) // 2
    return pairs


def _quotas(capacity: Wide, n: int, rng: np.random.Generator) -> Wide:
    """How many of *n* pairs each prompt gets: equally many, but at most its *capacity*; the odd ones fall by lot."""
    ascending = np.sort(capacity)
    below = np.append(0, np.cumsum(ascending))
    # With every prompt filled up to the level ascending[i], this many pairs are dealt:
    dealt = below[:-1] + ascending * np.arange(capacity.size, 0, -1)
    full = int(np.searchsorted(dealt, n, side="right"))
    if full == capacity.size:
        return capacity
    level, odd = divmod(n - int(below[full]), capacity.size - full)
    quota = np.minimum(capacity, level)
    quota[rng.permutation(np.flatnonzero(capacity > level))[:odd]] += 1
    return quota


def _dealt(present: Flags, quota: Wide, rng: np.random.Generator) -> PairColumns:
    """Pairs dealt from the round robin, where whoever answers anything answers everything."""
    who = rng.permutation(np.flatnonzero(present.any(axis=0))).astype(np.int32)
    first, second = _round_robin(who.size, rng)
    prompts = rng.permutation(quota.size)
    prompt = np.repeat(prompts.astype(np.int32), quota[prompts])
    if prompt.size == 0:
        return PairColumns(prompt, prompt.copy(), prompt.copy())
    at = np.arange(prompt.size) % first.size
    one, other = who[first][at], who[second][at]
    return _ordered(prompt, np.minimum(one, other), np.maximum(one, other), present.shape[1])


def _round_robin(m: int, rng: np.random.Generator) -> tuple[Wide, Wide]:
    """The pairs of *m* players by rounds (in random order) of the circle method: each pair once."""
    seats = m + m % 2
    rounds = rng.permutation(max(seats - 1, 0))[:, None]
    steps = np.arange(1, seats // 2)
    last = np.full_like(rounds, seats - 1)
    first = np.hstack((rounds, (rounds + steps) % max(seats - 1, 1))).ravel()
    second = np.hstack((last, (rounds - steps) % max(seats - 1, 1))).ravel()
    playing = second < m
    return first[playing], second[playing]


def _least_used(present: Flags, quota: Wide, rng: np.random.Generator) -> PairColumns:
    """Pairs of the least used, prompt by prompt: fewest outputs first, while the others can still make up for it."""
    many = _answers(present)
    prompts = rng.permutation(quota.size)
    prompts = prompts[np.argsort(many[prompts], kind="stable")]
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
    """*size* distinct pairs of *who*, each of the least *used* so far (earlier in *who* first); counts them in."""
    k = len(who)
    # An entry is k * uses + place: one integer compares, and is kept, much faster than a tuple.
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
    for one, other in pairs:
        used[one] += 1
        used[other] += 1
    return pairs


def _ordered(prompt: Ints, left: Ints, right: Ints, m: int) -> PairColumns:
    key = (prompt.astype(np.int64) * m + left) * m + right
    key.sort()
    rest, right_sorted = np.divmod(key, m)
    prompt_sorted, left_sorted = np.divmod(rest, m)
    return PairColumns(*(column.astype(np.int32) for column in (prompt_sorted, left_sorted, right_sorted)))
