"""What a run that is done says about presentations without a verdict: failed calls, and replies that hold none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from judge.domain.outcome import FAILED, VerdictStatus
from judge.domain.run import Run
from judge.domain.verdict import ParsedVerdict, Reply, status_of
from judge.ports.records import VerdictQuery
from judge.ports.run_rows import StatusCount
from judge.ports.store import RunStore

FIRST_REPLIES: Final = 40
"""Replies of a judge after which a run stops, if not one of them holds a verdict."""
SNIPPET = 80
"""Characters of a reply that a message quotes."""
WORDS: Mapping[VerdictStatus, str] = {
    VerdictStatus.UNREADABLE: "unreadable",
    VerdictStatus.REFUSED: "refused",
    VerdictStatus.FILTERED: "withheld by the provider's content filter",
    VerdictStatus.TRUNCATED: "cut off at max_output_tokens",
}
"""What is said of replies without a verdict."""
_STATUSES = {status.name.lower(): status for status in VerdictStatus}
_FAILED = {state.name.lower(): state for state in FAILED}


class FirstReplies:
    """Counts the replies of a judge until one holds a verdict."""

    def __init__(self, *, readable: bool = False) -> None:
        """*readable* says whether a reply with a verdict is already stored."""
        self._readable = readable
        self._number = 0
        self.last = ""
        """The beginning of the last reply without a verdict."""

    def note(self, reply: Reply, parsed_verdict: ParsedVerdict | None) -> None:
        """Count a reply."""
        if status_of(reply.status, parsed_verdict) is VerdictStatus.OK:
            self._readable = True
        elif not self._readable:
            self._number += 1
            self.last = snippet(reply.raw)

    @property
    def all_without_verdict(self) -> bool:
        """Whether the judge's first FIRST_REPLIES replies hold no verdict."""
        return not self._readable and self._number >= FIRST_REPLIES


@dataclass(frozen=True, slots=True)
class Missing:
    """What is missing in a run: a message, empty if nothing is, and whether it is more than a judge may leave out."""

    message: str = ""
    too_much: bool = False


NOTHING_MISSING = Missing()


async def missing_verdicts(store: RunStore, run: Run, shares: Sequence[float]) -> Missing:
    """Return what is missing in a run; *shares* are the `max_failed_share` of its judges, in their order.

    Failed presentations are always named. Replies without a verdict are named if more than its share of a judge's
    presentations have no verdict.
    """
    counts = await store.status_counts(run.row)
    messages: list[str] = []
    too_much = False
    for number, judge in enumerate(run.judges):
        mine = [count for count in counts if count.judge == number]
        planned = run.counts.planned // len(run.judges)
        n_missing = sum(count.n for count in mine if count.status in _FAILED or _without_verdict(count))
        if n_missing > shares[number] * planned:
            too_much = True
            of = f" of judge {judge.name!r}" if len(run.judges) > 1 else ""
            messages.append(await _explain_replies(store, run, mine, of))
    failed = await _explain_failures(store, run)
    return Missing("; ".join(filter(None, (failed, *messages))), too_much)


def _without_verdict(count: StatusCount) -> bool:
    return _STATUSES.get(count.status) in WORDS


async def _explain_replies(store: RunStore, run: Run, counts: Sequence[StatusCount], of: str) -> str:
    """Say how many replies of a judge hold no verdict, and quote the first one; nothing if all hold one.

    *of* names the judge if the run has several.
    """
    without = [count for count in counts if _without_verdict(count)]
    if not without:
        return ""
    n_replies = sum(count.n for count in counts if count.status in _STATUSES)
    n_without = sum(count.n for count in without)
    words = [f"{count.n:,} {WORDS[_STATUSES[count.status]]}" for count in without]
    what = f"were {words[0].partition(' ')[2]}" if len(words) == 1 else f"hold no verdict ({', '.join(words)})"
    first = min(count.first for count in without)
    rows = await store.verdicts(run.row, VerdictQuery(), after=first - 1, limit=1)
    quoted = snippet(rows[0].reply.raw) if rows and rows[0].reply else ""
    first_reply = f"the first one is {quoted!r}, " if quoted else ""
    return f"{n_without:,} of {n_replies:,} replies{of} {what}: {first_reply}see `judge show {run.run_id} {first}`"


async def _explain_failures(store: RunStore, run: Run) -> str:
    """Say how many presentations of a run failed, and why the first one did; nothing if none failed."""
    by_state = {state: run.counts.by_status.get(name, 0) for name, state in _FAILED.items()}
    n_failed = sum(by_state.values())
    if not n_failed:
        return ""
    query = VerdictQuery(states=[state for state, n in by_state.items() if n])
    rows = await store.verdicts(run.row, query, after=-1, limit=1)
    why = f". The first one: {rows[0].reason}" if rows and rows[0].reason else ""
    return f"{n_failed:,} presentations have no verdict{why}"


def snippet(text: str) -> str:
    r"""Return the beginning of a reply on one line, for a message.

    >>> snippet("I prefer\n\nthe  first.")
    'I prefer the first.'
    """
    line = " ".join(text[: 4 * SNIPPET].split())
    return line if len(line) <= SNIPPET and len(text) <= 4 * SNIPPET else f"{line[:SNIPPET]}..."
