"""Keep the scale of an earlier leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from judge.domain.defaults import RANKING
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from judge.api.v1.leaderboard_pb2 import Leaderboard
    from judge.api.v1.ranking_service_pb2 import RankingOptions
    from judge_client import JudgeClient


async def earlier_leaderboard(client: JudgeClient, dataset: str, earlier: str, options: RankingOptions) -> Leaderboard:
    """Read an earlier leaderboard from a file, or rank a source by the same *options*.

    Raises BadParameter if the file holds no leaderboard.
    """
    from google.protobuf import json_format  # noqa: PLC0415  # when needed

    from judge.api.v1 import leaderboard_pb2  # noqa: PLC0415

    if not Path(earlier).is_file():
        return await client.leaderboard(dataset, earlier, options)
    try:
        return json_format.Parse(Path(earlier).read_text("utf-8"), leaderboard_pb2.Leaderboard())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{earlier} is not a leaderboard as printed by judge rank --json: {error}") from None


def keep_scale(options: RankingOptions, earlier: Leaderboard) -> None:
    """Fix the anchor of an *earlier* leaderboard in *options*, or the mean of its ratings if it had no anchor.

    Raises UsageError if *options* have an anchor of their own or another scale.
    """
    from judge.api.v1.ranking_service_pb2 import Anchor  # noqa: PLC0415  # grpc's messages when needed

    if options.HasField("anchor"):
        raise click.UsageError("--anchor and --anchors-from exclude each other")
    scale = word(earlier, "scale")
    if scale != (word(options, "scale") or RANKING.scale):
        raise click.UsageError(f"the earlier leaderboard has the scale {scale}: use --scale {scale}")
    anchors = [Anchor(contestant=rating.contestant, rating=rating.rating) for rating in earlier.ratings]
    fixed = [anchor for anchor in anchors if anchor.contestant == earlier.anchor]
    if fixed:
        options.anchor.CopyFrom(fixed[0])
    else:
        options.anchors.extend(anchors)
