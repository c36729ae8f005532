"""A bundle's leaderboards, ranked again with no server, no store and no network."""

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
class Replayed:
    """A leaderboard that was asked for: the member that holds it, its text there, and its text now."""

    source: str
    member: str
    told: str
    now: str

    @property
    def same(self) -> bool:
        """Whether the bytes are equal."""
        return self.told == self.now


def replay(path: Path) -> list[Replayed]:
    """Every leaderboard of the bundle at *path*. Raises InvalidInput where the bundle is damaged."""
    with Bundle(path) as bundle:
        if (wrong := next(bundle.mismatches(), None)) is not None:
            raise InvalidInput(wrong.member, f"{path.name} is damaged: {wrong}", reason=DAMAGED)
        return list(replayed(bundle, Contents(bundle)))


def replayed(bundle: Bundle, contents: Contents) -> Iterator[Replayed]:
    """The leaderboards of a *bundle* that is open."""
    for member, request in contents.requests():
        told = bundle.text(member)
        try:
            now = _rebuilt_leaderboard(contents, request)
        except (JudgeError, ValueError) as error:
            if isinstance(error, JudgeError) and error.reason == DAMAGED:
                raise
            raise damaged(MANIFEST, f"{request.source} cannot be ranked as it says: {error}") from None
        yield Replayed(request.source, member, told, now)


def _rebuilt_leaderboard(contents: Contents, request: GetLeaderboardRequest) -> str:
    options, source = decode.rank_options(request.options), Source.parse(request.source)
    try:
        votes = run_votes(
            contents.run, source, contents.answers, contents.ranked_prompts, options.taking, contents.rounds
        )
        style = style_in(contents.turns, votes) if options.style else None
        told = anchor_labels(options.anchored_to, contents.labels("ranked")) if options.anchored_to else None
        return spelling.leaderboard_json(encode_leaderboard(build_leaderboard(votes, options, style, told)))
    except Precondition as refused:
        return spelling.refusal(refused.reason, refused.message)
