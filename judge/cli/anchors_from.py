"""An earlier leaderboard, whose scale a later one is to keep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from judge.api.v1.leaderboard_pb2 import Leaderboard
    from judge.api.v1.ranking_service_pb2 import RankingOptions
    from judge_client import JudgeClient


async def earlier_leaderboard(client: JudgeClient, dataset: str, earlier: str, options: RankingOptions) -> Leaderboard:
    """An earlier leaderboard: of a file, or of a source ranked by the same *options*."""
    from google.protobuf import json_format  # noqa: PLC0415  # when needed

    from judge.api.v1 import leaderboard_pb2  # noqa: PLC0415

    if not Path(earlier).is_file():
        return await client.leaderboard(dataset, earlier, options)
    try:
        return json_format.Parse(Path(earlier).read_text("utf-8"), leaderboard_pb2.Leaderboard())
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{earlier} is no leaderboard that judge rank --json printed: {error}") from None


def keep_scale(options: RankingOptions, earlier: Leaderboard) -> None:
    """Have *options* keep the scale of an *earlier* leaderboard: its anchor if it had one, else the mean of all."""
    from judge.api.v1.leaderboard_pb2 import RATING_SCALE_ELO  # noqa: PLC0415
    from judge.api.v1.ranking_service_pb2 import Anchor  # noqa: PLC0415

    if options.HasField("anchor"):
        raise click.UsageError("--anchor and --anchors-from exclude each other")
    if earlier.scale != (options.scale or RATING_SCALE_ELO):
        scale = word(earlier, "scale")
        raise click.UsageError(f"the earlier leaderboard is on the scale {scale}; --scale must be the same")
    rated = [Anchor(contestant=one.contestant, rating=one.rating) for one in earlier.ratings]
    fixed = [one for one in rated if one.contestant == earlier.anchor]
    if fixed:
        options.anchor.CopyFrom(fixed[0])
    else:
        options.anchors.extend(rated)
