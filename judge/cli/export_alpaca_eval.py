"""AlpacaEval's annotations and leaderboard. Fields and figures are those of its package (metrics/helpers.py)."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from judge.cli.export_rows import ColumnType
from judge.cli.report_tables import ReportTable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from judge.cli.export_rows import Row
    from judge.cli.export_votes import ExportedVote, LeftOutVotes, Texts
    from judge.cli.report_tables import Cell

_TIE = 1.5
_NUMBERS = ("win_rate", "standard_error", "n_wins", "n_wins_base", "n_draws", "n_total", "discrete_win_rate")
_LENGTH_CONTROLLED = ("length_controlled_winrate", "lc_standard_error")


def annotation_rows(votes: Iterable[ExportedVote], texts: Texts, baseline: str, account: LeftOutVotes) -> Iterator[Row]:
    """Yield an annotation for each vote on a first turn with the *baseline* on one side.

    `preference` is 1 plus the score of the other contestant: 1 if the baseline is better, 2 if the other one is.
    """
    for vote in votes:
        comparison = vote.comparison
        score = 1 - (vote.score if vote.probability is None else vote.probability)
        if baseline not in {comparison.left[0], comparison.right[0]}:
            account.leave_out(f"votes without {baseline}")
            continue
        if comparison.left[0] != baseline:
            comparison, score = comparison.swapped(), 1 - score
        prompt = texts.prompts.get(comparison.prompt_id)
        outputs = [texts.output(comparison, side) for side in (comparison.left, comparison.right)]
        if prompt is None or None in outputs:
            account.leave_out("votes whose texts are not there")
        elif comparison.turn > 1:
            account.leave_out("votes on a turn other than the first")
        else:
            yield {
                "instruction": prompt["turns"][0],
                "output_1": outputs[0],
                "generator_1": baseline,
                "dataset": prompt.get("category", ""),
                "output_2": outputs[1],
                "generator_2": comparison.right[0],
                "annotator": vote.annotator,
                "preference": 1 + score,
            }


def leaderboard(rows: Sequence[Row]) -> ReportTable:
    """Return the leaderboard of annotations, best first, in percent, without length control.

    The standard error takes annotations as independent, as AlpacaEval does; it is absent for a single one.
    """
    by_contestant: dict[str, list[Row]] = {}
    for row in rows:
        by_contestant.setdefault(row["generator_2"], []).append(row)
    lines = [_line(name, own) for name, own in by_contestant.items()]
    lines.sort(key=lambda line: (-float(line[1] or 0), str(line[0])))
    numbers = dict.fromkeys(_NUMBERS, ColumnType.NUMBER)
    others = {"mode": ColumnType.TEXT, "avg_length": ColumnType.INTEGER}
    controlled = dict.fromkeys(_LENGTH_CONTROLLED, ColumnType.NUMBER)
    return ReportTable("leaderboard", {"name": ColumnType.TEXT, **numbers, **others, **controlled}, lines)


def _line(name: str, rows: Sequence[Row]) -> tuple[Cell, ...]:
    preferences = [row["preference"] for row in rows]
    n = len(preferences)
    wins, draws = sum(each > _TIE for each in preferences), sum(each == _TIE for each in preferences)
    error = 100 * statistics.stdev(preferences) / n**0.5 if n > 1 else None
    length = round(statistics.mean(len(row["output_2"]) for row in rows))
    discrete = 100 * (wins + draws / 2) / n
    win_rate = 100 * statistics.mean(each - 1 for each in preferences)
    return (name, win_rate, error, wins, n - wins - draws, draws, n, discrete, None, length, None, None)
