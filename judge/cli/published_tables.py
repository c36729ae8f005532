"""A ranking as the project prints it whose figures it repeats: its columns, in percent with two digits."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from judge.cli.formatting import NOTHING
from judge.cli.presets import ALPACA_EVAL, ARENA_HARD, ARENA_HARD_2, MT_BENCH
from judge.cli.tables import table
from judge.domain.levels import level_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from judge.api.v1.leaderboard_pb2 import Leaderboard, Rating


class _Layout(NamedTuple):
    """The columns after the contestant's, and what makes a contestant's cells."""

    columns: tuple[str, ...]
    cells: Callable[[Rating], Sequence[str]]


def print_published(leaderboard: Leaderboard, preset: str) -> None:
    """Print a leaderboard of win rates, and then those of its categories, as the project of *preset* does."""
    layout = _LAYOUTS[preset]
    for each in (leaderboard, *leaderboard.slices):
        title = f"{preset}: against {each.expected_against}, in percent"
        if each is not leaderboard:
            title += f", {each.slice.category or '(no category)'}"
        columns = [column.format(level=level_text(each.level)) for column in layout.columns]
        rows = [(rating.contestant, *layout.cells(rating)) for rating in each.ratings]
        table(title, ("contestant", *columns), rows)


def _alpaca_eval(rating: Rating) -> tuple[str, ...]:
    n = rating.wins + rating.losses + rating.ties
    error = _percent(rating.standard_error) if rating.HasField("standard_error") else NOTHING
    discrete = _percent((rating.wins + rating.ties / 2) / n) if n else NOTHING
    controlled = (
        _percent(rating.length_controlled_win_rate) if rating.HasField("length_controlled_win_rate") else NOTHING
    )
    return controlled, _percent(rating.rating), error, discrete, f"{n:,}"


def _arena_hard(rating: Rating) -> tuple[str, ...]:
    interval = NOTHING
    if rating.interval.HasField("low") and rating.interval.HasField("high"):
        low, high = rating.interval.low - rating.rating, rating.interval.high - rating.rating
        interval = f"({100 * low:+.2f}, {100 * high:+.2f})"
    return _percent(rating.rating), interval, _elo(rating.rating), f"{rating.n:,}"


def _mt_bench(rating: Rating) -> tuple[str, ...]:
    counts = rating.wins, rating.losses, rating.ties
    rates = [_percent(count / sum(counts)) if sum(counts) else NOTHING for count in counts[:2]]
    return (*(f"{count:,}" for count in counts), *rates, _percent(rating.rating))


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"


def _elo(win_rate: float) -> str:
    """The Elo rating of a win rate against a baseline of 1000; a dash where it is infinite."""
    if not 0 < win_rate < 1:
        return NOTHING
    return f"{1000 + 400 * math.log10(win_rate / (1 - win_rate)):.1f}"


_SCORES = _Layout(("score", "{level} interval", "Elo", "games"), _arena_hard)
_LAYOUTS: Mapping[str, _Layout] = {
    ALPACA_EVAL: _Layout(
        ("length-controlled\nwin rate", "win rate", "standard\nerror", "discrete\nwin rate", "n"), _alpaca_eval
    ),
    ARENA_HARD: _SCORES,
    ARENA_HARD_2: _SCORES,
    MT_BENCH: _Layout(("win", "loss", "tie", "win rate", "loss rate", "adjusted\nwin rate"), _mt_bench),
}
