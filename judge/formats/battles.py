"""Read a table of battles, in any container."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from judge.columns.errors import ColumnError
from judge.domain.dataset import Battle
from judge.domain.errors import InvalidInput
from judge.formats import fields, own, words
from judge.formats.containers import parquet_frame, rows_of, valid_parquet
from judge.formats.fields import Row
from judge.formats.names import alike
from judge.formats.packed import without_packing

if TYPE_CHECKING:
    from judge.formats.battle_codes import BattleCodes

_ONE_OF = {"winner_model_a": "left", "winner_model_b": "right", "winner_tie": "tie"}
"""Columns of 0 and 1 that replace a winner, as in Chatbot Arena's table of 55,000 preferences."""
_SESSION = ("evaluation_session_id",)
"""Battles of one session are on the same conversation, as in LMArena's table of 140,000 preferences."""
_TEXT = ("prompt", "instruction", "question")
_NUMBER = ("uid", "id")
_CONVERSATION = "conversation_a"
"""What the user says in it stands for the prompt where an id differs in each row, as in Chatbot Arena's votes."""
_PROMPTS = (*own.PROMPT, *_SESSION, *_TEXT, *_NUMBER)
"""Columns that say which battles are on one prompt; the first that is there counts."""
_LEFT, _RIGHT = (*own.LEFT, "model_a_name"), (*own.RIGHT, "model_b_name")
_ROLES = {"left": _LEFT, "right": _RIGHT, "outcome": own.OUTCOME, "weight": ("weight",), "prompt": _PROMPTS}
_ENDINGS = ("csv", "tsv", "parquet", "json", "jsonl", "ndjson")
_LONGEST_NAME = 64
"""A longer prompt is a text, and its hash serves as its name."""
_MOST_NAMED = 8
"""More columns that are not used are counted, not named."""


@dataclass(frozen=True)
class BattleTable:
    """The battles of a file, and what its columns were taken for."""

    battles: BattleCodes
    columns: str
    """A sentence on the columns."""
    warnings: tuple[str, ...]


def is_battle_file(name: str) -> bool:
    """Whether *name* ends like that of a file of battles."""
    plain = without_packing(name.lower())
    return ":" not in name and plain.endswith(tuple(f".{ending}" for ending in _ENDINGS))


def read(path: Path) -> BattleTable:
    """Read the battles of a file. The columns of its first row say which column is what.

    Raises InvalidInput with the file and the row that is wrong, if columns are missing, or if there is no battle.
    """
    battles, readers, user_texts = _columnwise(path) or _row_by_row(path)
    if not len(battles):
        raise InvalidInput(path.name, f"{path} has no battles", reason="NO_BATTLES")
    taken: dict[str, str] = {}
    for reader in readers.values():
        taken = reader.taken | taken
    used = {name for reader in readers.values() for name in reader.used}
    if user_texts and all(user_texts) and _needs_conversation(taken, battles):
        used = {*used, _CONVERSATION} - {taken.get("prompt", "")}
        taken["prompt"] = f"what the user says in {_CONVERSATION}"
        battles = battles.with_prompts(user_texts)
    if numbers := _numbers_rows(taken, battles):
        used.discard(taken.pop("prompt"))
        battles = battles.without_prompts()
    unused = dict.fromkeys(name for columns in readers for name in columns if name not in used)
    return BattleTable(
        battles=battles,
        columns=_sentence(path, taken, list(unused)),
        warnings=(*_warnings(path, taken, battles, numbers=numbers), *alike(battles.contestants)),
    )


def _user_texts(conversation: object) -> str:
    """The hash of what a user says in a conversation, which may be written as JSON; empty if it is none."""
    if isinstance(conversation, str):
        try:
            conversation = json.loads(conversation)
        except (ValueError, RecursionError):
            return ""
    if not isinstance(conversation, list):
        return ""
    texts = [each.get("content") for each in conversation if isinstance(each, dict) and each.get("role") == "user"]
    return _hashed(texts) if texts else ""


def _hashed(value: object) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _row_by_row(path: Path) -> tuple[BattleCodes, _Readers, list[str]]:
    """Read the battles, the readers of their columns, and the hash of what the user says in each conversation."""
    from judge.formats.battle_codes import BattleCoder  # noqa: PLC0415  # needs numpy, which an import does not

    readers: _Readers = {}
    user_texts: list[str] = []
    battles = BattleCoder()
    for place, _, row in rows_of(path):
        if isinstance(row, InvalidInput):
            raise row
        columns = tuple(row)
        reader = readers.get(columns) or readers.setdefault(columns, _Reader(path, place, row))
        try:
            battles.add(reader.battle(row))
            user_texts.append(_user_texts(row.get(_CONVERSATION)))
        except KeyError as missing:
            raise _wrong(path, place, f"has no {missing.args[0]}. It has the fields {', '.join(row)}") from None
        except (TypeError, ValueError, ArithmeticError) as error:
            raise _wrong(path, place, str(error)) from None
    return battles.codes(), readers, user_texts


def _columnwise(path: Path) -> tuple[BattleCodes, _Readers, list[str]] | None:
    """Read a Parquet file by its columns, and only those that are needed.

    Returns None if it is none, if a row may be wrong or needs more than one column for its outcome, or if conversations
    say what is on one prompt: then it is read row by row, and an error names the row. Raises InvalidInput if columns
    are missing.
    """
    from judge.formats.battle_codes import FrameReaders, frame_codes  # noqa: PLC0415  # as above

    frame = parquet_frame(path)
    if frame is None:
        return None
    names = tuple(frame.collect_schema().names())
    reader = _Reader(path, "row 1", dict.fromkeys(names))
    if reader.has_several_outcomes:
        return None
    readers = FrameReaders(
        taken=reader.taken,
        contestant=lambda column, value: fields.name({column: value}, column),
        outcome=lambda word: words.outcome(word)[0],
        prompt=lambda value: reader.prompt({reader.taken["prompt"]: value}) or "",
    )
    try:
        with valid_parquet(path):
            needed = frame.select(set(reader.taken.values())).collect()
        battles = frame_codes(needed, readers)
    except (ColumnError, KeyError, TypeError, ValueError):
        return None
    if battles is None or (_CONVERSATION in names and _needs_conversation(reader.taken, battles)):
        return None
    return battles, {names: reader}, []


def _needs_conversation(taken: Mapping[str, str], battles: BattleCodes) -> bool:
    """Whether no column says which battles are on one prompt."""
    return ("prompt" not in taken or battles.each_has_its_prompt) and _SESSION[0] not in taken.values()


def _wrong(path: Path, place: str, why: str) -> InvalidInput:
    return InvalidInput(path.name, f"{path} {place} {why}", reason="INVALID_ROW")


class _Reader:
    """Which columns of a row are what, and whether more than one says who won.

    Raises InvalidInput if one that is needed is missing.
    """

    def __init__(self, path: Path, place: str, row: Row) -> None:
        self.taken: dict[str, str] = {}
        ours = own.canonical(row)
        spelled = dict(zip(ours, row, strict=True))
        for role, names in _ROLES.items():
            if name := next((name for name in names if name in ours), None):
                self.taken[role] = spelled[name]
        self._chosen = "both_equal" in ours and "chosen_model_name" in ours
        one_of = [spelled[name] for name in _ONE_OF if name in ours]
        self.has_several_outcomes = bool(one_of) or self._chosen
        self.used = {*self.taken.values(), *one_of, *(("both_equal", "chosen_model_name") if self._chosen else ())}
        if one_of or self._chosen:
            self.taken.setdefault("outcome", ", ".join(one_of) or "chosen_model_name and both_equal")
        missing = [role for role in ("left", "right", "outcome") if role not in self.taken]
        if missing:
            needed = ", and ".join(f"no {' or '.join(_ROLES[role])}" for role in missing)
            raise _wrong(path, place, f"has {needed}. It has the columns {', '.join(map(str, row)) or 'none':.300}")

    def battle(self, row: Row) -> Battle:
        """Read a battle. Raises KeyError or ValueError for a row that is wrong."""
        values = dict(own.canonical(row))
        if "winner_tie" in values:
            values["outcome"] = winner_by_columns(values)
        elif self._chosen:
            values["outcome"] = winner_by_name(values)
        values = {**values, "left": fields.needed(values, *_LEFT), "right": fields.needed(values, *_RIGHT)}
        values.pop("question_id", None)
        values["prompt_id"] = self.prompt(row)
        battle = own.battle(fields.TextRow(values) if isinstance(row, fields.TextRow) else values)
        if battle.left == battle.right:
            raise ValueError(f"has {battle.left!r} on both sides: leave the row out")
        return battle

    def prompt(self, row: Row) -> str | None:
        """Read the prompt of a row; None if it has none. Raises ValueError if it is no name."""
        column = self.taken.get("prompt")
        value = None if column is None else row.get(column)
        if value is None or (isinstance(value, (str, int, float)) and len(str(value)) <= _LONGEST_NAME):
            return None if value is None else fields.identifier(row, column or "")
        # A text is as good a key as a name, but longer.
        return _hashed(value)


_Readers = dict[tuple[str, ...], _Reader]
"""The readers of rows, by the columns of these."""


def _sentence(path: Path, taken: Mapping[str, str], unused: Sequence[str]) -> str:
    """Say which columns were taken for what, and which were not used."""
    roles = "; ".join(f"{role}: {column}" for role, column in taken.items())
    more = f" and {len(unused) - _MOST_NAMED:,} more" if len(unused) > _MOST_NAMED else ""
    rest = f". Not used: {', '.join(map(str, unused[:_MOST_NAMED]))}{more}" if unused else ""
    return f"Columns of {path}: {roles}{rest}"


def winner_by_columns(row: Row) -> str:
    """Read the outcome in columns of 0 and 1. Raises ValueError if not exactly one of them is 1."""
    outcomes = [outcome for column, outcome in _ONE_OF.items() if row.get(column) in (1, "1", "1.0", True)]
    if len(outcomes) != 1:
        raise ValueError(f"has {len(outcomes)} winners: exactly one of {', '.join(_ONE_OF)} must be 1")
    return outcomes[0]


def winner_by_name(row: Row) -> str:
    """Read the name of the winner, as in the votes of ComparIA. Raises ValueError if it is neither of the two."""
    chosen = row.get("chosen_model_name")
    if row.get("both_equal") in (True, "True", "true", "1", 1):
        return "tie"
    for word, names in (("left", _LEFT), ("right", _RIGHT)):
        if chosen is not None and chosen == fields.first(row, *names):
            return word
    raise ValueError(f"has the unknown chosen_model_name {chosen!r:.60}, which is neither of its two models")


def _numbers_rows(taken: Mapping[str, str], battles: BattleCodes) -> bool:
    """Whether the column that was taken for the prompt is an id that differs in each row, and so says nothing."""
    column = own.canonical({taken.get("prompt", ""): None})
    is_id = not set(_NUMBER).isdisjoint(column)
    return is_id and battles.each_has_its_prompt


def _warnings(path: Path, taken: Mapping[str, str], battles: BattleCodes, *, numbers: bool) -> Iterator[str]:
    narrow = "if several of them are on one prompt, the intervals are too narrow"
    alone = battles.n_without_prompt
    if "prompt" not in taken:
        why = "a column id that differs in each row" if numbers else f"no column {' or '.join(own.PROMPT)}"
        yield f"{path} has {why}, so each battle counts as a prompt of its own: {narrow}"
    elif alone:
        have, count = ("has", "counts") if alone == 1 else ("have", "each count")
        yield (
            f"{alone:,} of {len(battles):,} battles of {path} {have} no prompt and {count} as a prompt of "
            f"{'its' if alone == 1 else 'their'} own: {narrow}"
        )
