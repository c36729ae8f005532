"""Parsing a run's stored replies again. No call is made, and earlier parsed verdicts stay."""

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
    """Numbers of replies: parsed, parsed to another preference than before, and unreadable for this parser."""

    read: int = 0
    changed: int = 0
    unreadable: int = 0


async def reparse(store: Store, tenant: str, run: Run, parser: str) -> Reparsed:
    """Parse the replies of *run* with *parser* and store the parsed verdicts.

    An empty *parser* means each judge's own, in its current version.

    Raises:
        InvalidInput: There is no such parser, or a judge has none of its own.
    """
    if parser:
        chosen = [Parser.named(parser)] * len(run.judges)
    else:
        recorded = next((judge.name for judge in run.judges if not judge.rubric.variants), None)
        if recorded is not None:
            raise InvalidInput("parser", f"judge {recorded!r} was recorded and has no parser of its own; name a parser")
        chosen = [own_parser(judge.rubric) for judge in run.judges]
    before = [judge.parser for judge in run.judges]

    def parse_page(
        page: list[tuple[int, int, StoredAnswer]],
    ) -> list[tuple[int, ParsedVerdict, ParsedVerdict | None]]:
        """The row of each answer, its new parsed verdict and the one that counted so far."""
        return [
            (stored.answer, parse(chosen[judge], stored.reply), _current(stored, before[judge]))
            for _, judge, stored in page
        ]

    read = changed = unreadable = 0
    after = -1
    while page := await store.run_answers(run.row, after, PAGE):
        parsed = await asyncio.to_thread(parse_page, page)
        await store.add_parsed_verdicts(tenant, [(answer, new) for answer, new, _ in parsed])
        read += len(parsed)
        changed += sum(old is None or old.preference is not new.preference for _, new, old in parsed)
        unreadable += sum(new.preference is None for _, new, _ in parsed)
        after = page[-1][0]
    return Reparsed(read, changed, unreadable)


def _current(stored: StoredAnswer, parser: str) -> ParsedVerdict | None:
    """The parsed verdict that counts now: the last one of *parser*, else the last one."""
    own = [verdict for verdict in stored.parsed_verdicts if verdict.parser == parser]
    candidates = own or stored.parsed_verdicts
    return candidates[-1] if candidates else None
