"""Juries: what several judges say together of a comparison, formed when it is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, replace

from judge.domain.outcome import LEFT_SCORE, Outcome, whole
from judge.domain.source import Merge, Source
from judge.votes.comparisons import ComparisonKey
from judge.votes.votes import SourceVotes, Vote


def jury_votes(jury: Source, members: Sequence[SourceVotes]) -> SourceVotes:
    """One vote for each comparison on which enough *members* have an outcome; others are counted as too_few_members."""
    said: dict[ComparisonKey, list[tuple[float, Vote]]] = {}
    for member, votes in zip(jury.members, members, strict=True):
        said.update((key, []) for key in votes.comparisons - said.keys())
        for vote in votes.rows:
            said[vote.key].append((member.weight, vote))
    rows: list[Vote] = []
    statuses: Counter[str] = Counter()
    for key in sorted(said, key=astuple):
        enough = len(said[key]) >= jury.least
        found = _jury_vote(key, said[key], jury) if enough else None
        statuses["ok" if found else "no_majority" if enough else "too_few_members"] += 1
        rows += [found] if found else []
    one = members[0]
    return SourceVotes(
        str(jury),
        tuple(rows),
        one.categories,
        one.tags,
        len(rows),
        len(said),
        dict(sorted(statuses.items())),
        parser=one.parser,
        interim=any(votes.interim for votes in members),
        behind={name: told for votes in members for name, told in votes.behind.items()},
        members=tuple(members),
        adaptive=any(votes.adaptive for votes in members),
    )


def _jury_vote(key: ComparisonKey, votes: Sequence[tuple[float, Vote]], jury: Source) -> Vote | None:
    """What a jury says of a comparison; None where no outcome has more than half of the weight and it must."""
    all_of_them = sum(weight for weight, _ in votes)
    if jury.merge is Merge.MEAN:
        left_scores = [
            (w, LEFT_SCORE[vote.outcome] if vote.left_score is None else vote.left_score) for w, vote in votes
        ]
        left_score = round(sum(weight * left_score for weight, left_score in left_scores) / all_of_them, 12)
        return Vote(key, whole(left_score), str(jury), left_score)
    weights = dict.fromkeys(Outcome, 0.0)
    for weight, vote in votes:
        weights[vote.outcome] += weight
    most = max(weights.values())
    leading = [outcome for outcome, weight in weights.items() if weight == most]
    if jury.merge is Merge.MAJORITY:
        return Vote(key, leading[0], str(jury)) if most > all_of_them / 2 else None
    if jury.merge is Merge.PLURALITY_DROP and len(leading) > 1:
        return None
    return Vote(key, leading[0] if len(leading) == 1 else Outcome.TIE, str(jury))


def without(jury: Source, votes: SourceVotes, judge: str) -> SourceVotes:
    """What the *jury*, whose votes these are, says without one of its judges."""
    kept = [(member, said) for member, said in zip(jury.members, votes.members, strict=True) if member.judge != judge]
    rest = replace(jury, members=tuple(member for member, _ in kept), least=min(jury.least, len(kept)))
    return jury_votes(rest, [said for _, said in kept])
