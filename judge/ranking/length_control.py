"""Length-controlled win rates of the contestants of a leaderboard, from the lengths of their outputs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Floats, Ints
from judge.domain.errors import InvalidInput
from judge.ranking.battles import Style
from judge.ranking.leaderboard import Leaderboard
from judge.ranking.options import RankOptions
from judge.stats.battles import LEFT, TIE
from judge.stats.length_control import fitted_difficulties, length_control, length_terms
from judge.votes.comparisons import ComparisonKey
from judge.votes.votes import SourceVotes

GIVEN = "were given"
FITTED = "were fitted from the preferences of the other contestants, because none were given"
LEFT_OUT = "are left out, because none were given and a single contestant does not tell them"
NOTE = (
    "Length-controlled win rates: the difficulties of prompts {difficulties}. AlpacaEval's own fit also has a lasso "
    "and preferences of gamed baselines, so its published figures differ somewhat."
)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Votes against the reference contestant: one row each, from the other contestant's side."""

    score: Floats
    weight: Floats
    contestant: Ints
    prompt: Ints
    cluster: Ints
    length: Floats
    """The numbers of characters of the reference contestant's output and of the other's, float64[n, 2]."""


def add_length_control(leaderboard: Leaderboard, votes: SourceVotes, options: RankOptions, style: Style) -> Leaderboard:
    """*leaderboard* with the length-controlled win rates of its contestants, and a note on how they were fitted.

    Raises InvalidInput for a prompt without a difficulty, if difficulties are given.
    """
    rows = _rows(votes, options, style)
    codes = {name: code for code, name in enumerate(votes.rows.keys.contestants)}
    terms = np.empty(rows.score.size)
    for code in np.unique(rows.contestant):
        own = rows.contestant == code
        terms[own] = length_terms(rows.length[own, 0], rows.length[own, 1])
    difficulty, how = _difficulties(rows, terms, votes, options)
    ratings = []
    for rating in leaderboard.ratings:
        own = rows.contestant == codes[rating.contestant]
        fit = length_control(
            rows.score[own],
            terms[own],
            None if difficulty is None else difficulty[own],
            rows.weight[own],
            rows.cluster[own],
        )
        ratings.append(replace(rating, length_controlled=fit))
    return replace(leaderboard, ratings=tuple(ratings)).with_notes(NOTE.format(difficulties=how))


def _difficulties(rows: _Rows, terms: Floats, votes: SourceVotes, options: RankOptions) -> tuple[Floats | None, str]:
    """The difficulty of each row's prompt, or None, and where it is from."""
    if options.difficulties:
        given = dict(options.difficulties)
        names = [votes.rows.keys.prompt_ids[code] for code in rows.prompt.tolist()]
        if missing := sorted(set(names) - given.keys()):
            message = f"no difficulty is given for the prompt {missing[0]!r}, and {len(missing) - 1:,} more"
            raise InvalidInput("options.difficulties", message)
        return np.array([given[name] for name in names], dtype=np.float64), GIVEN
    fitted = fitted_difficulties(rows.score, terms, rows.weight, rows.contestant, rows.prompt)
    return fitted, LEFT_OUT if fitted is None else FITTED


def _rows(votes: SourceVotes, options: RankOptions, style: Style) -> _Rows:
    """The votes against the reference contestant. Votes without a weight have none here."""
    table = votes.rows
    weight = np.ones(len(table)) if table.weight is None else table.weight
    repeats = table.columns.weight if votes.has_people else None
    weight = weight if repeats is None else weight * repeats
    reference = table.keys.contestants.index(options.reference)
    left, right = table.keys.left[table.item], table.keys.right[table.item]
    used = np.flatnonzero(((left == reference) | (right == reference)) & (weight > 0))
    of_reference = left[used] == reference
    left_score = _left_scores(votes)[used]
    items, at = np.unique(table.item[used], return_inverse=True)
    sides = np.array([_lengths(style, key) for key in table.keys.among(items)], dtype=np.float64).reshape(-1, 2)[at]
    prompt = table.keys.prompt[table.item][used]
    return _Rows(
        score=np.where(of_reference, 1 - left_score, left_score),
        weight=weight[used],
        contestant=np.where(of_reference, right[used], left[used]).astype(np.int32),
        prompt=prompt,
        cluster=np.arange(used.size, dtype=np.int32) if options.inference == "unclustered" else prompt,
        length=np.where(of_reference[:, None], sides, sides[:, ::-1]),
    )


def _left_scores(votes: SourceVotes) -> Floats:
    table = votes.rows
    whole = np.where(table.outcome == TIE, 0.5, table.outcome == LEFT)
    return whole if table.left_score is None else np.where(np.isnan(table.left_score), whole, table.left_score)


def _lengths(style: Style, key: ComparisonKey) -> tuple[float, float]:
    """The numbers of characters of the left and the right output. Their logarithm is the first covariate of style."""
    left = style.of[key.prompt_id, key.left, key.left_sample, key.turn]
    right = style.of[key.prompt_id, key.right, key.right_sample, key.turn]
    return float(np.expm1(left[0])), float(np.expm1(right[0]))
