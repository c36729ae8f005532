"""From votes to a leaderboard: ratings with their doubt, the same by category, standings against a reference."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from judge.domain.errors import Busy, Incomparable, InvalidInput, NotBuilt, Precondition
from judge.domain.outcome import Outcome, Reconcile
from judge.runs.sources import LEFT_SHARE, WHOLE, Part, Votes
from judge.stats.battles import Battles
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.components import strong_components, unrankable
from judge.stats.elo import elo
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.ranks import ranks
from judge.stats.win_rate import win_rates

T = TypeVar("T")
METHODS = ("bradley-terry", "elo", "win-rate")
LATER = ("davidson", "rao-kupper", "elo-permuted")
QUEUE = 8
"""Fits that may wait for the one thread; more are refused."""


@dataclass(frozen=True, slots=True)
class RankOptions:
    """How to rank."""

    method: str = "bradley-terry"
    k: float = 4.0
    start: float = 1000.0
    level: float = 0.95
    reference: str = ""
    reconcile: Reconcile = Reconcile.TIE
    by_category: bool = False
    part: Part = WHOLE
    largest: bool = False
    reading: str = ""

    def __post_init__(self) -> None:
        if self.method in LATER:
            raise NotBuilt(f"method {self.method} is not built yet; {', '.join(METHODS)} are")
        if self.method not in METHODS:
            raise InvalidInput("options.method", f"method {self.method!r} is none of {', '.join((*METHODS, *LATER))}")
        if not 0 < self.level < 1:
            raise InvalidInput("options.level", f"level {self.level} is not between 0 and 1")
        if self.method == "win-rate" and not self.reference:
            raise InvalidInput("options.reference_contestant", "win-rate needs a reference contestant")


@dataclass(frozen=True, slots=True)
class RatingRow:
    """One contestant's place. NaN where there is no interval."""

    contestant: str
    rating: float
    low: float
    high: float
    rank: int
    n: int
    prompts: int
    expected: float | None = None


@dataclass(frozen=True, slots=True)
class StandingRow:
    """One contestant against the reference contestant."""

    contestant: str
    difference: float
    low: float
    high: float
    probability_better: float

    @property
    def standing(self) -> str:
        """AHEAD, BEHIND or CANNOT_TELL."""
        if self.low > 0:
            return "AHEAD"
        return "BEHIND" if self.high < 0 else "CANNOT_TELL"


@dataclass(frozen=True)
class Board:
    """A leaderboard."""

    options: RankOptions
    part: Part
    interval_method: str
    ratings: tuple[RatingRow, ...]
    unranked: tuple[tuple[str, str], ...]
    components: tuple[tuple[str, ...], ...]
    prompts: int
    battles: int
    standings: tuple[StandingRow, ...] = ()
    slices: tuple[Board, ...] = ()
    votes: Votes | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def scale(self) -> str:
        """Elo points or a share."""
        return "share" if self.options.method == "win-rate" else "elo"


class Fits:
    """Runs what computes for long in one thread, with a bounded queue, so that no call waits on the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fit")
        self._waiting = 0

    async def run(self, compute: Callable[[], T]) -> T:
        """The result of *compute*; Busy if the queue is full."""
        if self._waiting > QUEUE:
            raise Busy(f"{QUEUE} fits are waiting already; try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, compute)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the thread end."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def battles_of(votes: Votes) -> Battles:
    """*votes* as battles clustered by prompt; a soft outcome is two battles with the shares as weights."""
    left, right, outcome, weight, cluster = [], [], [], [], []
    for vote in votes.rows:
        share = LEFT_SHARE[vote.outcome] if vote.share is None else vote.share
        parts = (
            [(vote.outcome, 1.0)]
            if vote.share is None or share in (0.0, 1.0)
            else [
                (Outcome.LEFT, share),
                (Outcome.RIGHT, 1 - share),
            ]
        )
        for told, counts in parts:
            left.append(vote.where.left)
            right.append(vote.where.right)
            outcome.append(told - 1)
            weight.append(counts)
            cluster.append(vote.where.prompt_id)
    if not left:
        raise Precondition(f"source {votes.source} has no usable outcome to rank", reason="NO_OUTCOMES")
    soft = any(counts != 1.0 for counts in weight)
    return Battles.from_names(left, right, np.array(outcome, dtype=np.int8), weight if soft else None, cluster)


def leaderboard(votes: Votes, options: RankOptions) -> Board:
    """The leaderboard of *votes*, and of each category if asked for."""
    board = rank(battles_of(votes), options, options.part)
    slices = []
    if options.by_category:
        for category in sorted({votes.categories.get(vote.where.prompt_id, "") for vote in votes.rows}):
            part = replace(options.part, category=category)
            rows = tuple(v for v in votes.rows if votes.categories.get(v.where.prompt_id, "") == category)
            # A category is easily too small to order everybody: what can be ranked is, the rest is named.
            lenient = replace(options, largest=True, part=part)
            slices.append(rank(battles_of(replace(votes, rows=rows)), lenient, part, lenient=True))
    return replace(board, votes=votes, slices=tuple(slices))


def rank(battles: Battles, options: RankOptions, part: Part, *, lenient: bool = False) -> Board:
    """The leaderboard of *battles*. Raises Incomparable, naming the parts, unless the largest is asked for."""
    names = battles.contestants
    if options.reference and options.reference not in names and not lenient:
        raise InvalidInput(
            "options.reference_contestant",
            f"reference contestant {options.reference!r} has no battle; there are {', '.join(names)}",
            reason="UNKNOWN_CONTESTANT",
        )
    wins = battles.counts().wins
    parts = tuple(tuple(names[i] for i in group) for group in strong_components(wins))
    unranked: tuple[tuple[str, str], ...] = ()
    if len(parts) > 1 and options.method == "bradley-terry":
        if not options.largest:
            raise Incomparable(_why(names, wins), parts)
        out = unrankable(wins)
        unranked = tuple((names[i], reason) for i, reason in sorted(out.items()))
        kept = [i for i in range(len(names)) if i not in out]
        if not kept:
            return Board(options, part, "none: nobody can be ranked", (), unranked, parts, 0, battles.n)
        battles = battles.among(kept)
    fitted = {"bradley-terry": _bradley_terry, "elo": _elo, "win-rate": _win_rate}[options.method](battles, options)
    return replace(fitted, part=part, unranked=unranked, components=parts, prompts=_prompts(battles), battles=battles.n)


def _why(names: Sequence[str], wins: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    told = "; ".join(f"{names[i]} {reason}" for i, reason in sorted(unrankable(wins).items()))
    return f"the contestants cannot be put on one scale: {told}; ask for the largest part to rank the others"


def _prompts(battles: Battles) -> int:
    return battles.n if battles.cluster is None else len(np.unique(battles.cluster))


def _taken_part(battles: Battles) -> list[tuple[int, int]]:
    """How many battles, and of how many prompts, each contestant was in."""
    m = len(battles.contestants)
    sides = np.concatenate((battles.left, battles.right)).astype(np.int64)
    n = np.bincount(sides, minlength=m)
    prompts = n
    if battles.cluster is not None:
        met = np.unique(sides * battles.n_clusters + np.tile(battles.cluster, 2))
        prompts = np.bincount(met // battles.n_clusters, minlength=m)
    return list(zip(n.tolist(), prompts.tolist(), strict=True))


def _rows(
    battles: Battles,
    ratings: Sequence[float],
    bounds: Sequence[tuple[float, float]],
    expected: Sequence[float | None],
) -> tuple[RatingRow, ...]:
    places = ranks(np.array(ratings)).tolist()
    rows = [
        RatingRow(name, ratings[i], *bounds[i], places[i], *taken, expected[i])
        for i, (name, taken) in enumerate(zip(battles.contestants, _taken_part(battles), strict=True))
    ]
    return tuple(sorted(rows, key=lambda row: (row.rank, row.contestant)))


def _empty(options: RankOptions, method: str, ratings: tuple[RatingRow, ...]) -> Board:
    return Board(options, options.part, method, ratings, (), (), 0, 0)


def _bradley_terry(battles: Battles, options: RankOptions) -> Board:
    try:
        fit = bradley_terry(battles)
    except Disconnected as error:
        raise Incomparable(str(error), error.components) from None
    except NotConverged as error:
        raise Precondition(str(error), reason="NOT_CONVERGED") from None
    interval = fit.interval(options.level)
    bounds = list(zip(interval.low.tolist(), interval.high.tolist(), strict=True))
    ratings = fit.ratings.tolist()
    rows = _rows(battles, ratings, bounds, _expected(fit, options.reference))
    board = _empty(options, interval.method, rows)
    if options.reference not in battles.contestants:
        return board
    against = fit.differences(battles.contestants.index(options.reference), options.level)
    standings = tuple(
        StandingRow(name, *(float(column[i]) for column in columns))
        for columns in [(against.difference, against.low, against.high, against.probability_better)]
        for i, name in enumerate(battles.contestants)
        if name != options.reference
    )
    return replace(board, standings=standings)


def _expected(fit: BradleyTerryFit, reference: str) -> list[float | None]:
    names = fit.battles.contestants
    if reference in names:
        other = names.index(reference)
        return [fit.expected(i, other) if i != other else 0.5 for i in range(len(names))]
    # Against the board's mean strength.
    return [round(1 / (1 + 10 ** ((1000 - rating) / 400)), 6) for rating in fit.ratings.tolist()]


def _elo(battles: Battles, options: RankOptions) -> Board:
    found = elo(battles, options.k, options.start)
    unknown = [(math.nan, math.nan)] * len(battles.contestants)
    rows = _rows(battles, found.ratings.tolist(), unknown, [None] * len(battles.contestants))
    board = _empty(options, "none: online Elo depends on the order of its battles", rows)
    return replace(board, notes=("Online Elo depends on the order of the battles; Bradley-Terry does not.",))


def _win_rate(battles: Battles, options: RankOptions) -> Board:
    if options.reference not in battles.contestants:
        return _empty(options, f"none: {options.reference} has no battle here", ())
    rates = win_rates(battles, battles.contestants.index(options.reference), options.level).rates
    known = {i: rate.value for i, rate in enumerate(rates) if rate.value is not None}
    counts = _taken_part(battles)
    places = dict(zip(known, ranks(np.array(list(known.values()))).tolist(), strict=True))
    rows = [
        RatingRow(
            battles.contestants[i],
            round(value, 6),
            _or_nan(rates[i].low),
            _or_nan(rates[i].high),
            places[i],
            *counts[i],
            round(value, 6),
        )
        for i, value in known.items()
    ]
    method = next((rates[i].method for i in known), "none: no battle against the reference")
    return _empty(options, method, tuple(sorted(rows, key=lambda row: (row.rank, row.contestant))))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
