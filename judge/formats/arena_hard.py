"""Arena-Hard's files: questions, answers and judgments of v0.1, of its re-issue, and of v2.0.

A judgment has two games of a model against the baseline. In the first, A is the baseline; in the second, A is the
model. Judgments of v0.1 do not name their baseline, so the import has to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from judge.domain.dataset import ImportedVerdict, Output, Prompt
from judge.domain.outcome import Order, Preference, VerdictStatus
from judge.formats import fields
from judge.formats.fields import Row
from judge.formats.importing import Format, Item, LeftOut, NeedsReference, RowNote
from judge.formats.messages import content_text

_ID = ("question_id", "uid")
_ORDERS = (Order.LEFT_FIRST, Order.RIGHT_FIRST)
_SIGNS = {
    ">>": Preference.FIRST,
    ">": Preference.FIRST,
    "=": Preference.TIE,
    "<": Preference.SECOND,
    "<<": Preference.SECOND,
}
_SWAPPED = {Preference.FIRST: Preference.SECOND, Preference.SECOND: Preference.FIRST, Preference.TIE: Preference.TIE}
SCORES = {
    **{f"A{sign}B": preference for sign, preference in _SIGNS.items()},
    **{f"B{sign}A": _SWAPPED[preference] for sign, preference in _SIGNS.items()},
}
"""What each score says about A, which is shown first, and B."""


def recognize(path: Path, row: Row) -> Format | LeftOut | NeedsReference | None:
    """Return the format of a file by its first *row*, or why it is left out; None if it is none of Arena-Hard's."""
    keys = row.keys()
    if keys >= {"model", "judge", "games"}:
        if fields.first(row, "baseline") is None:
            return NeedsReference("judgments of Arena-Hard", _judgments)
        return _judgments(None)
    if keys >= {"uid", "model", "messages"} or (keys >= {"question_id", "model_id", "choices"} and _has_contents(row)):
        return _format("Arena-Hard answers", _outputs)
    if keys >= {"uid", "category", "prompt"} or (keys >= {"question_id", "turns"} and _are_contents(row["turns"])):
        return _format("Arena-Hard questions", _prompts)
    if keys >= {"model", "score", "rating_q025", "rating_q975"}:
        return LeftOut(path.name, "a leaderboard, which holds no votes", loses=False)
    return None


def _format(name: str, items: Callable[[Row], Iterable[Item]]) -> Format:
    return Format(name=name, parser=lambda: lambda _, row: items(row))


def _judgments(reference: str | None) -> Format:
    return _format("Arena-Hard judgments", lambda row: _verdicts(row, reference))


def _has_contents(row: Row) -> bool:
    choices = row["choices"]
    first = choices[0] if isinstance(choices, list) and choices else None
    return isinstance(first, dict) and _are_contents(first.get("turns"))


def _are_contents(turns: object) -> bool:
    """Whether turns are objects; FastChat's are texts."""
    return isinstance(turns, list) and bool(turns) and isinstance(turns[0], dict) and "content" in turns[0]


def _prompts(row: Row) -> Iterator[Prompt]:
    prompt = fields.text(row, "prompt")
    yield Prompt(
        prompt_id=fields.identifier(row, *_ID),
        turns=_contents(row, "turns") if prompt is None else (prompt,),
        category=fields.text(row, "category") or "",
        tags=tuple(tag for tag in (fields.text(row, "subcategory", "cluster"),) if tag),
    )


def _outputs(row: Row) -> Iterator[Output]:
    question, model = fields.identifier(row, *_ID), fields.name(row, "model_id", "model")
    if "messages" in row:
        replies = [message for message in fields.rows(row, "messages") if message.get("role") == "assistant"]
        yield Output(
            prompt_id=question, contestant=model, turns=tuple(_text(reply.get("content")) for reply in replies)
        )
        return
    for choice in fields.rows(row, "choices"):
        turns = _contents(choice, "turns")
        yield Output(prompt_id=question, contestant=model, turns=turns, sample=fields.whole(choice, "index"))


def _contents(row: Row, field: str) -> tuple[str, ...]:
    return tuple(_text(turn.get("content")) for turn in fields.rows(row, field))


def _text(content: object) -> str:
    """Return a text, which may be beside its thoughts as the answer."""
    return content_text(content.get("answer") if isinstance(content, dict) else content)


def _verdicts(row: Row, reference: str | None) -> Iterator[ImportedVerdict | RowNote]:
    model, question = fields.name(row, "model"), fields.identifier(row, *_ID)
    baseline = fields.name(row, "baseline") if reference is None or fields.first(row, "baseline") else reference
    if model == baseline:
        yield RowNote("left out: the baseline compared with itself")
        return
    if fields.first(row, "baseline") is None:
        yield RowNote(f"compared with {baseline}, the reference that was given")
    games = fields.needed(row, "games")
    if not isinstance(games, list) or not games or len(games) > len(_ORDERS):
        raise ValueError(f"has invalid games: {games!r:.60} is not a list of one or two")
    if len(games) < len(_ORDERS):
        yield RowNote("with one game only, which counts once")
    for order, game in zip(_ORDERS, games, strict=False):
        if game is None:
            yield RowNote("with a game that is missing")
            continue
        score = fields.text(game, "score")
        if score is not None and score not in SCORES:
            raise ValueError(f"has the unknown score {score!r:.60}; known are {', '.join(SCORES)}")
        raw = _text(game.get("judgment"))
        yield ImportedVerdict(
            prompt_id=question,
            left=baseline,
            right=model,
            order=order,
            judge=fields.name(row, "judge"),
            raw=raw or None,
            outcome=None if score is None else SCORES[score].outcome(order),
            status=VerdictStatus.UNREADABLE if score is None else VerdictStatus.OK,
            reason=score or "",
            strength=None if score is None else _strength(score),
        )


def _strength(score: str) -> float:
    """Return how decisive a score is: 1 for two signs, one half for a sign, and 0 for a tie."""
    return len(score.strip("AB=")) / 2
