"""From votes to a leaderboard: the ratings, the same by category, and the ranks without one category or judge.

This module calls the steps in order: `battles.py` turns votes into battles, `methods.py` fits them, `rows.py` turns a
fit into rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from judge.columns.arrays import Floats, present
from judge.domain.errors import Incomparable, InvalidInput
from judge.domain.names import SIDES
from judge.domain.source import Source
from judge.ranking.anchoring import AnchorLabels
from judge.ranking.battles import FEWEST_PROMPTS, BattleDesign, Style, battle_design
from judge.ranking.leaderboard import Leaderboard, LeaveOneOut
from judge.ranking.length_control import add_length_control
from judge.ranking.methods import fit_leaderboard
from judge.ranking.options import TIES, RankOptions
from judge.ranking.standings import adjust_standings, share_rows
from judge.ranking.variance import variance_of
from judge.stats.components import rankable, strong_components, unrankable
from judge.stats.errors import shortened
from judge.votes.juries import without
from judge.votes.votes import SourceVotes

ADAPTIVE_NOTE = "The pairs were chosen adaptively, in {rounds}; the uniform sample is also ranked alone."
SOME_ADAPTIVE_NOTE = (
    "Some of the pairs were chosen adaptively; rank their run as run:RUN/JUDGE to see its uniform sample alone."
)
_MOST_NAMED = 8
"""More contestants of a group are counted, not named."""


def build_leaderboard(
    votes: SourceVotes, options: RankOptions, style: Style | None = None, labels: AnchorLabels | None = None
) -> Leaderboard:
    """Rank the contestants by *votes*, with the slices and the sensitivity checks that *options* ask for.

    *style* adds covariates to the fit, or has the lengths of length-controlled win rates; *labels* are what the ratings
    are anchored to. Raises what `rank` raises, and InvalidInput for a target category that no vote is on.
    """
    lengths, style = (style, None) if options.length_controlled else (None, style)
    design = battle_design(votes, options, style)
    leaderboard = rank(replace(design, votes=votes, labels=labels), options)
    if lengths is not None:
        leaderboard = add_length_control(leaderboard, votes, options, lengths)
    if options.variance:
        leaderboard = replace(leaderboard, variance=variance_of(votes))
    if votes.adaptive:
        leaderboard = _add_uniform_sample(leaderboard, votes, options, style)
    if style is not None:
        leaderboard = replace(leaderboard, without_style=rank(replace(design, style=None, rare=()), options))
    categories = votes.category_names
    _check_targets(options, categories)
    if options.leave_one_out:
        left_out = (*_without_categories(votes, options, style, categories), *_without_judges(votes, options, style))
        leaderboard = replace(leaderboard, left_out=left_out)
    if options.by_category or options.targets:
        slices = _slices(votes, options, style, categories)
        leaderboard = replace(leaderboard, slices=slices, shares=share_rows(slices, options))
    return replace(leaderboard, votes=votes)


def rank(design: BattleDesign, options: RankOptions) -> Leaderboard:
    """Rank the contestants of *design*.

    Raises Incomparable, with the components, where contestants cannot be put on one scale, unless the options ask for
    the largest component and there is one, and for sides of pairs, which are no contestants; InvalidInput for options
    that name a contestant without a battle.
    """
    _check_sides(design.battles.contestants)
    _check_contestants(design.battles.contestants, options)
    leaderboard = _fit(design, options)
    if not leaderboard.ratings:
        names, wins = design.battles.contestants, design.battles.counts().wins
        raise Incomparable(_why_incomparable(names, wins), leaderboard.components)
    return adjust_standings([leaderboard], options)[0]


def _check_sides(names: Sequence[str]) -> None:
    if sides := [name for name in names if name in SIDES]:
        raise Incomparable(
            f"{shortened(sides, ', ', _MOST_NAMED)} are the sides of pairs whose file names no contestants, so there "
            "is nothing to rank: judge agree compares the outcomes on them"
        )


def _rank_what_can_be(votes: SourceVotes, options: RankOptions, style: Style | None) -> Leaderboard:
    """The leaderboard of a part of the votes, which may lack contestants that the options name; not yet adjusted."""
    return _fit(battle_design(votes, options, style), options)


def _fit(design: BattleDesign, options: RankOptions) -> Leaderboard:
    """The leaderboard without the intervals of its standings, which depend on all leaderboards of a request."""
    n_battles = design.n_votes
    rankable, unranked, components = _rankable(design, options)
    if rankable is None:
        return Leaderboard(
            options=options,
            part=options.part,
            interval_method="none: nobody can be ranked",
            ratings=(),
            unranked=unranked,
            components=components,
            battles=n_battles,
        )
    leaderboard = fit_leaderboard(rankable, options)
    if rankable.rare:
        leaderboard = leaderboard.with_notes(
            f"Not fitted, since they differ on fewer than {FEWEST_PROMPTS} prompts: {', '.join(rankable.rare)}."
        )
    return replace(
        leaderboard,
        unranked=unranked,
        components=components,
        prompts=present(rankable.prompts).size,
        battles=rankable.n_votes,
    )


def _rankable(
    design: BattleDesign, options: RankOptions
) -> tuple[BattleDesign | None, tuple[tuple[str, str], ...], tuple[tuple[str, ...], ...]]:
    """The part of *design* that can be put on one scale (None if nobody can be), who is left out, and all components.

    Only methods that fit strengths without a ridge need one scale; the others take the whole design.
    """
    names, wins = design.battles.contestants, design.battles.counts().wins
    components = tuple(tuple(names[i] for i in group) for group in strong_components(wins))
    if len(components) == 1 or options.method not in TIES or options.ridge:
        return design, (), components
    if not options.largest:
        raise Incomparable(_why_incomparable(names, wins), components)
    reasons = unrankable(wins)
    unranked = tuple((names[i], reason) for i, reason in sorted(reasons.items()))
    kept = [i for i in range(len(names)) if i not in reasons]
    return (design.among(kept) if kept else None), unranked, components


def _why_incomparable(names: Sequence[str], wins: Floats) -> str:
    """Why the contestants *names* have no common scale, the groups that have one each, and what can be done."""
    reasons = "; ".join(f"{names[i]} {reason}" for i, reason in sorted(unrankable(wins).items()))
    groups = [
        shortened([names[i] for i in group], ", ", _MOST_NAMED) for group in strong_components(wins) if len(group) > 1
    ]
    by_group = f"; {len(groups):,} groups have a scale of their own: {'; '.join(groups)}" if len(groups) > 1 else ""
    kept = shortened([names[i] for i in rankable(wins)], ", ", _MOST_NAMED)
    advice = f"--largest ranks {kept}" if kept else "no group is larger than all others, so add battles between them"
    return f"the contestants cannot be put on one scale: {reasons}{by_group}; {advice}"


def _slices(
    votes: SourceVotes, options: RankOptions, style: Style | None, categories: Sequence[str]
) -> tuple[Leaderboard, ...]:
    """One leaderboard per category, with intervals that are adjusted for all cells of all categories."""
    # A category is easily too small to order everybody: whoever can be ranked is, and the others are named.
    lenient = replace(options, largest=True, strata=False)
    slices = []
    for category in categories:
        in_part = replace(lenient, part=replace(options.part, category=category))
        slices.append(_rank_what_can_be(votes.in_category(category), in_part, style))
    return adjust_standings(slices, options)


def _add_uniform_sample(
    leaderboard: Leaderboard, votes: SourceVotes, options: RankOptions, style: Style | None
) -> Leaderboard:
    """Add a note that pairs were chosen adaptively, and the leaderboard of the uniform sample, if there is one."""
    note = ADAPTIVE_NOTE.format(rounds=votes.rounds) if votes.rounds else SOME_ADAPTIVE_NOTE
    leaderboard = leaderboard.with_notes(note)
    uniform_votes = votes.uniform_votes
    if not uniform_votes.rows:
        return leaderboard
    # A fifth of the comparisons may be too few to order everybody: whoever can be ranked is, and the others are named.
    lenient = replace(options, largest=True, anchored_to=None)
    (uniform_sample,) = adjust_standings([_rank_what_can_be(uniform_votes, lenient, style)], lenient)
    return replace(leaderboard, uniform_sample=uniform_sample)


def _without_categories(
    votes: SourceVotes, options: RankOptions, style: Style | None, categories: Sequence[str]
) -> Iterator[LeaveOneOut]:
    for category in categories:
        yield LeaveOneOut(category, _ranks(votes.in_category(category, other=True), options, style))


def _without_judges(votes: SourceVotes, options: RankOptions, style: Style | None) -> Iterator[LeaveOneOut]:
    for judge in sorted(votes.behind) if votes.members else ():
        rest = without(Source.parse(votes.source), votes, judge)
        yield LeaveOneOut("", _ranks(rest, options, style), judge)


def _ranks(votes: SourceVotes, options: RankOptions, style: Style | None) -> tuple[tuple[str, int], ...]:
    """Everybody's rank by *votes*, without intervals that take long and without anchors."""
    if not votes.rows:
        return ()
    ranks_only = replace(
        options,
        largest=True,
        reference="",
        within=0.0,
        within_win_rate=0.0,
        anchor=None,
        anchors=(),
        pairs=False,
        intervals="sandwich",
        goodness_of_fit=False,
    )
    leaderboard = _fit(battle_design(votes, options, style), ranks_only)
    return tuple((row.contestant, row.rank) for row in leaderboard.ratings)


def _check_targets(options: RankOptions, categories: Sequence[str]) -> None:
    unknown = sorted(set(options.targets) - set(categories))
    if unknown:
        known = ", ".join(filter(None, categories)) or "none"
        message = f"no battle is in the category {unknown[0]!r}; the categories are {known}"
        raise InvalidInput("options.target_categories", message)


def _check_contestants(names: Sequence[str], options: RankOptions) -> None:
    """Raise InvalidInput where the options name a contestant that has no battle."""
    for field, name in (("reference_contestant", options.reference), ("anchor", (options.anchor or ("",))[0])):
        if name and name not in names:
            raise InvalidInput(
                f"options.{field}",
                f"{field.replace('_', ' ')} {name!r} has no battle; the contestants are {', '.join(names)}",
                reason="UNKNOWN_CONTESTANT",
            )
    if options.anchors and not any(name in names for name, _ in options.anchors):
        anchors = ", ".join(name for name, _ in options.anchors)
        raise InvalidInput(
            "options.anchors", f"none of the anchors {anchors} has a battle", reason="UNKNOWN_CONTESTANT"
        )
