"""Reading a run's stored replies again, with another parser: no call is made, and earlier readings stay."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from judge.domain.errors import InvalidInput
from judge.domain.run import Run
from judge.domain.verdict import ParsedVerdict
from judge.planning.inputs import PAGE
from judge.ports.records import StoredAnswer
from judge.ports.store import Store
from judge.prompts.parse import Parser, own_parser, parse


@dataclass(frozen=True, slots=True)
class Reparsed:
    """How many replies were read, how many otherwise than before, how many hold nothing for this parser."""

    read: int = 0
    changed: int = 0
    unreadable: int = 0


async def reparse(store: Store, tenant: str, run: Run, parser: str) -> Reparsed:
    """Add the readings of *parser* to the replies of *run*; "" means each judge's own, in its present version.

    Raises InvalidInput for a parser that there is not, or where a judge has none of its own.
    """
    if parser:
        chosen = [Parser.named(parser)] * len(run.judges)
    else:
        bare = next((judge.name for judge in run.judges if not judge.rubric.variants), None)
        if bare is not None:
            raise InvalidInput("parser", f"judge {bare!r} was recorded and has no parser of its own; name one")
        chosen = [own_parser(judge.rubric) for judge in run.judges]
    before = [judge.parser for judge in run.judges]

    def parsed_verdicts(
        page: list[tuple[int, int, StoredAnswer]],
    ) -> list[tuple[int, ParsedVerdict, ParsedVerdict | None]]:
        return [
            (stored.answer, parse(chosen[judge], stored.reply), _counted(stored, before[judge]))
            for _, judge, stored in page
        ]

    read = changed = unreadable = 0
    after = -1
    while page := await store.run_answers(run.row, after, PAGE):
        told = await asyncio.to_thread(parsed_verdicts, page)
        await store.add_parsed_verdicts(tenant, [(answer, parsed_verdict) for answer, parsed_verdict, _ in told])
        read += len(told)
        changed += sum(old is None or old.preference is not now.preference for _, now, old in told)
        unreadable += sum(now.preference is None for _, now, _ in told)
        after = page[-1][0]
    return Reparsed(read, changed, unreadable)


def _counted(stored: StoredAnswer, parser: str) -> ParsedVerdict | None:
    """The reading that counted before."""
    mine = [
        parsed_verdict for parsed_verdict in stored.parsed_verdicts if parsed_verdict.parser == parser
    ] or stored.parsed_verdicts
    return mine[-1] if mine else None
