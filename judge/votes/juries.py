"""Juries: the joint vote of several judges on a comparison, formed when it is reported."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, replace

from judge.domain.outcome import LEFT_SCORE, Outcome, whole
from judge.domain.source import Merge, Source
from judge.votes.comparisons import ComparisonKey
from judge.votes.vote_table import Vote, VoteTable
from judge.votes.votes import SourceVotes


def jury_votes(jury: Source, members: Sequence[SourceVotes]) -> SourceVotes:
    """One vote for each comparison on which enough *members* have an outcome.

    Comparisons with too few members are counted under the status `too_few_members`.
    """
    by_key: dict[ComparisonKey, list[tuple[float, Vote]]] = {}
    for member, votes in zip(jury.members, members, strict=True):
        by_key.update((key, []) for key in votes.comparisons - by_key.keys())
        for vote in votes.rows:
            by_key[vote.key].append((member.weight, vote))
    rows: list[Vote] = []
    statuses: Counter[str] = Counter()
    for key in sorted(by_key, key=astuple):
        enough = len(by_key[key]) >= jury.least
        jury_vote = _jury_vote(key, by_key[key], jury) if enough else None
        statuses["ok" if jury_vote else "no_majority" if enough else "too_few_members"] += 1
        rows += [jury_vote] if jury_vote else []
    first = members[0]
    return SourceVotes(
        source=str(jury),
        rows=VoteTable.of(rows),
        categories=first.categories,
        tags=first.tags,
        usable=len(rows),
        planned=len(by_key),
        by_status=dict(sorted(statuses.items())),
        parser=first.parser,
        interim=any(votes.interim for votes in members),
        behind={name: by_order for votes in members for name, by_order in votes.behind.items()},
        members=tuple(members),
        adaptive=any(votes.adaptive for votes in members),
    )


def _jury_vote(key: ComparisonKey, votes: Sequence[tuple[float, Vote]], jury: Source) -> Vote | None:
    """The jury's vote on a comparison, or None if it needs a majority or a single leading outcome and has none."""
    total = sum(weight for weight, _ in votes)
    if jury.merge is Merge.MEAN:
        left_scores = [
            (w, LEFT_SCORE[vote.outcome] if vote.left_score is None else vote.left_score) for w, vote in votes
        ]
        left_score = round(sum(weight * left_score for weight, left_score in left_scores) / total, 12)
        return Vote(key, whole(left_score), annotator=str(jury), left_score=left_score)
    weights = dict.fromkeys(Outcome, 0.0)
    for weight, vote in votes:
        weights[vote.outcome] += weight
    most = max(weights.values())
    leading = [outcome for outcome, weight in weights.items() if weight == most]
    if jury.merge is Merge.MAJORITY:
        return Vote(key, leading[0], str(jury)) if most > total / 2 else None
    if jury.merge is Merge.PLURALITY_DROP and len(leading) > 1:
        return None
    return Vote(key, leading[0] if len(leading) == 1 else Outcome.TIE, str(jury))


def without(jury: Source, votes: SourceVotes, judge: str) -> SourceVotes:
    """The votes of *jury* without one of its judges; *votes* are its votes with all of them."""
    kept = [pair for pair in zip(jury.members, votes.members, strict=True) if pair[0].judge != judge]
    rest = replace(jury, members=tuple(member for member, _ in kept), least=min(jury.least, len(kept)))
    return jury_votes(rest, [member_votes for _, member_votes in kept])
