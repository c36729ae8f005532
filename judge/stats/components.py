"""Components: whether battles order the contestants on one scale, and which contestants are disconnected.

L. R. Ford (1957), "Solution of a ranking problem from binary comparisons", American Mathematical Monthly 64(8): the
Bradley-Terry estimate exists and is unique if and only if, for every split of the contestants into two groups, some
contestant of the second beat one of the first. That is: the digraph of wins (a tie counts both ways) is strongly
connected.

A model of ties needs more: their parameter and the strengths can grow together forever if there are numbers x_i with x
of every winner at least 1 above that of the loser, and those of two that tied at most 1 apart. Along them no battle
becomes less likely. By difference constraints there are none if and only if some cycle, from winner to loser or between
two that tied, has more wins than ties.
"""

from typing import Literal

import numpy as np

from judge.columns.arrays import Flags, Floats

Components = tuple[tuple[int, ...], ...]

NO_BATTLES = "no battles"
WON_ALL = "won every battle"
LOST_ALL = "lost every battle"
WON_AGAINST_RANKED = "won every battle against ranked contestants"
LOST_TO_RANKED = "lost every battle against ranked contestants"
NO_RANKED_OPPONENT = "met no ranked contestant"
WON_OUTSIDE = "won every battle outside its group"
LOST_OUTSIDE = "lost every battle outside its group"
BETWEEN = "won every battle against some groups and lost every battle against others"
NOT_CONNECTED = "not connected to the rest"


def strong_components(wins: Floats) -> Components:
    """The strongly connected components of the digraph of wins, ordered by smallest code.

    *wins* is float64[m, m], wins of row over column with half of the ties.

    >>> strong_components(np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
    ((0, 1), (2,))
    """
    edges = wins > 0
    if _all_reached(edges) and _all_reached(edges.T):
        return (tuple(range(len(wins))),)
    return _components(edges, "strong")


def bounds_ties(won: Floats, tied: Floats) -> bool:
    """Whether battles whose wins and ties connect all contestants give the models of ties a finite estimate.

    *won* and *tied* are float64[m, m]: the wins of row over column without ties, and the ties, in either direction.

    >>> won = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> tied = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]])
    >>> bounds_ties(won, tied), bounds_ties(won + won.T, tied)
    (False, True)
    """
    m = len(won)
    if len(strong_components(won)) < m:
        return True
    step = np.where(won > 0, -1.0, np.where((tied > 0) | (tied.T > 0), 1.0, np.inf))
    # Bellman and Ford's shortest ways from anywhere: they settle unless a cycle is shorter than 0.
    way = np.zeros(m)
    for _ in range(m):
        shorter = np.minimum(way, (way[:, None] + step).min(axis=0))
        if (shorter == way).all():
            return False
        way = shorter
    return True


def weak_components(wins: Floats) -> Components:
    """The groups of contestants that battles connect, whoever won, ordered by smallest code.

    *wins* is float64[m, m], wins of row over column with half of the ties.

    >>> weak_components(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    ((0, 1), (2,))
    """
    edges = wins > 0
    if _all_reached(edges | edges.T):
        return (tuple(range(len(wins))),)
    return _components(edges, "weak")


def rankable(wins: Floats) -> tuple[int, ...]:
    """The contestants that can be ranked together: the largest strong component, of two or more.

    If several components are equally large, the result is empty, because only names could decide between them. *wins*
    is float64[m, m].

    >>> rankable(np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
    (0, 1)
    """
    components = strong_components(wins)
    largest = max(map(len, components), default=0)
    candidates = [part for part in components if len(part) == largest]
    return candidates[0] if largest > 1 and len(candidates) == 1 else ()


def unrankable(wins: Floats) -> dict[int, str]:
    """The contestants that cannot be ranked with the rest, each with the reason. *wins* is float64[m, m].

    A contestant without a battle, or that won or lost every battle, is said to be that. Others are in a group of
    several, or met others that are not ranked: the reason is how they did against the ranked contestants, or, if nobody
    is ranked, against those outside their group. Only those whom no chain of battles connects are not connected.

    >>> unrankable(np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]))
    {2: 'lost every battle'}
    """
    ranked = rankable(wins)
    group = {i: part for part in strong_components(wins) for i in part}
    connected = {i: part for part in weak_components(wins) for i in part}
    reasons = {}
    for i in range(len(wins)):
        if i in ranked:
            continue
        others = ranked or tuple(j for j in range(len(wins)) if j not in group[i])
        joined = not set(connected[i]).isdisjoint(others)
        reasons[i] = _overall(wins, i) or _against(wins, i, others, joined=joined, ranked=bool(ranked))
    return reasons


def _overall(wins: Floats, i: int) -> str:
    """The reason of a contestant without a win or without a loss; empty for others."""
    won, lost = bool(wins[i].any()), bool(wins[:, i].any())
    return {(False, False): NO_BATTLES, (True, False): WON_ALL, (False, True): LOST_ALL}.get((won, lost), "")


def _against(wins: Floats, i: int, others: tuple[int, ...], *, joined: bool, ranked: bool) -> str:
    """How contestant *i* did against *others*, the ranked ones or those outside its group."""
    won, lost = bool(wins[i, list(others)].any()), bool(wins[list(others), i].any())
    if won and lost:
        return BETWEEN
    if won:
        return WON_AGAINST_RANKED if ranked else WON_OUTSIDE
    if lost:
        return LOST_TO_RANKED if ranked else LOST_OUTSIDE
    return NO_RANKED_OPPONENT if joined else NOT_CONNECTED


def _all_reached(edges: Flags) -> bool:
    """Whether there is a first contestant and all others can be reached from it."""
    # One pass per step away from it. Most tables need few steps, and then scipy takes several times as long.
    reached = np.zeros(len(edges), dtype=np.bool_)
    new = np.arange(len(edges)) == 0
    while new.any():
        reached |= new
        new = edges[new].any(axis=0) & ~reached
    return bool(reached.size and reached.all())


def _components(edges: Flags, connection: Literal["strong", "weak"]) -> Components:
    from scipy.sparse import csr_array  # noqa: PLC0415 - a slow import, needed only here
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415 - as above

    count, labels = connected_components(csr_array(edges), directed=True, connection=connection)
    groups: dict[int, list[int]] = {}
    for contestant, label in enumerate(np.asarray(labels).tolist()):
        groups.setdefault(label, []).append(contestant)
    assert len(groups) == count  # noqa: S101 - every label has a contestant
    return tuple(tuple(group) for group in groups.values())
