"""Send the battles of a file as columns."""

from __future__ import annotations

from collections.abc import Iterator

from judge.api.v1.ranking_service_pb2 import BattleColumns
from judge.formats.battle_codes import BattleCodes

FEW_ROWS, MOST_ROWS = 50_000, 250_000
"""Battles in a message: with few, it stays below 16 MiB even if each is on a prompt of its own with a long name."""
_FEW_CHARACTERS = 1_000_000
"""With fewer characters in all names, each message may have them all."""


def battle_messages(battles: BattleCodes) -> Iterator[BattleColumns]:
    """Yield the battles as messages, in their order."""
    few_names = sum(map(len, battles.names)) < _FEW_CHARACTERS
    for part in battles.parts(MOST_ROWS if few_names else FEW_ROWS):
        yield BattleColumns(
            names=part.names,
            left=part.left.tolist(),
            right=part.right.tolist(),
            outcome=part.outcome.tolist(),
            weight=() if part.weight is None else part.weight.tolist(),
            prompt=part.prompt.tolist() if part.n_without_prompt < len(part) else (),
        )
