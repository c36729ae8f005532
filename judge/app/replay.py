"""Compute the leaderboards of a bundle again, without a server, a store or a network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from judge.api.v1.ranking_service_pb2 import GetLeaderboardRequest
from judge.app.bundles import Contents
from judge.bundles.archive import DAMAGED, MANIFEST, Bundle, damaged
from judge.domain.errors import InvalidInput, JudgeError, Precondition
from judge.domain.source import Source
from judge.ranking.anchoring import anchor_labels
from judge.ranking.rank import build_leaderboard
from judge.ranking.style import style_in
from judge.rpc import bundle_json as spelling
from judge.rpc import decode
from judge.rpc.encode_leaderboard import encode_leaderboard
from judge.votes.sources import run_votes


@dataclass(frozen=True, slots=True)
class ReplayedLeaderboard:
    """A leaderboard of a bundle: its source, its member, the text *stored* there, and its text as computed *now*."""

    source: str
    member: str
    stored: str
    now: str

    @property
    def same(self) -> bool:
        """Whether both texts are equal, byte for byte."""
        return self.stored == self.now


def replay(path: Path) -> list[ReplayedLeaderboard]:
    """Compute every leaderboard of the bundle at *path* again. Raises InvalidInput if the bundle is damaged."""
    with Bundle(path) as bundle:
        if (mismatch := next(bundle.mismatches(), None)) is not None:
            raise InvalidInput(mismatch.member, f"{path.name} is damaged: {mismatch}", reason=DAMAGED)
        return list(replay_leaderboards(bundle, Contents(bundle)))


def replay_leaderboards(bundle: Bundle, contents: Contents) -> Iterator[ReplayedLeaderboard]:
    """Compute the leaderboards of an open *bundle* again. Raises InvalidInput if the bundle is damaged."""
    for member, request in contents.requests():
        stored = bundle.text(member)
        try:
            now = _rebuilt_leaderboard(contents, request)
        except (JudgeError, ValueError) as error:
            if isinstance(error, JudgeError) and error.reason == DAMAGED:
                raise
            raise damaged(MANIFEST, f"{request.source} cannot be ranked with the stored options: {error}") from None
        yield ReplayedLeaderboard(source=request.source, member=member, stored=stored, now=now)


def _rebuilt_leaderboard(contents: Contents, request: GetLeaderboardRequest) -> str:
    options, source = decode.rank_options(request.options), Source.parse(request.source)
    try:
        votes = run_votes(
            contents.run, source, contents.answers, contents.ranked_prompts, options.taking, contents.rounds
        )
        style = style_in(contents.turns, votes) if options.style or options.length_controlled else None
        anchors = anchor_labels(options.anchored_to, contents.labels("ranked")) if options.anchored_to else None
        return spelling.leaderboard_json(encode_leaderboard(build_leaderboard(votes, options, style, anchors)))
    except Precondition as refused:
        return spelling.refusal(refused.reason, refused.message)
