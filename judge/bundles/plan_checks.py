"""What a bundle says of a run, held against what follows from the rest of it. Nothing here needs a store."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise, zip_longest

from judge.domain.dataset import Label, ListedComparison
from judge.domain.errors import InvalidInput, JudgeError
from judge.domain.run import PairPolicy, Run
from judge.domain.verdict import SOURCE_PARSER, ParsedVerdict, PresentationNames, Verdict
from judge.planning.named_plan import PlanEntry, named
from judge.planning.plan import make_plan
from judge.planning.rounds import Rounds
from judge.planning.selection import Named
from judge.ports.dataset_index import DatasetIndex
from judge.prompts.parse import Parser, parse

SHOWN = 3
"""Of rows that are wrong in the same way, so many are told, and the others counted."""


@dataclass(frozen=True)
class Planning:
    """What a run's plan was made from."""

    index: DatasetIndex
    labels: Sequence[Label] = ()
    listed: Sequence[ListedComparison] = ()

    def named(self, policy: PairPolicy) -> Named | None:
        """What the pairs were named by, if they were."""
        rows: Sequence[Label] | Sequence[ListedComparison]
        if policy is PairPolicy.LABELLED:
            rows = self.labels
        elif policy is PairPolicy.LISTED:
            rows = self.listed
        else:
            return None
        found = Named(self.index)
        found.add(rows)
        return found


def read_again(verdict: Verdict) -> Verdict:
    """*verdict* with its reply read by the parsers that read it before.

    What its source said stays, and so does what a parser read that this release has not.
    """
    reply = verdict.reply
    if reply is None:
        return verdict
    return replace(
        verdict, parsed_verdicts=tuple(_again(verdict, parsed_verdict) for parsed_verdict in verdict.parsed_verdicts)
    )


def _again(verdict: Verdict, parsed_verdict: ParsedVerdict) -> ParsedVerdict:
    parser = known_parser(parsed_verdict.parser)
    return parsed_verdict if parser is None or verdict.reply is None else parse(parser, verdict.reply)


def known_parser(name: str) -> Parser | None:
    """The parser called *name*, or None where this release has none."""
    if name == SOURCE_PARSER:
        return None
    try:
        return Parser.named(name)
    except InvalidInput:
        return None


def wrong_plan(run: Run, planning: Planning, told: Sequence[PlanEntry], rounds: Rounds | None) -> Iterator[str]:
    """Where the plan rebuilt is not that of *run*, or not the one *told*. An adaptive one is rebuilt of *rounds*."""
    pairing = run.spec.pairing
    try:
        plans = (
            [make_plan(planning.index, pairing, len(run.judges), planning.named(pairing.policy))]
            if rounds is None
            else rounds.plans
        )
    except JudgeError as error:
        yield f"it cannot be rebuilt: {error.message}"
        return
    rebuilt, planned = plans[0].hash if rounds is None else rounds.hash, sum(plan.n_positions for plan in plans)
    if rebuilt != run.plan_hash:
        yield f"rebuilt, its hash is {rebuilt}, and the run's is {run.plan_hash}"
    if planned != run.counts.planned:
        yield f"rebuilt, it has {planned} places, and the run {run.counts.planned}"
    pairs = zip_longest(named(planning.index, plans), told)
    yield from first_of(
        f"presentation {n} is not the one that was planned" for n, (mine, theirs) in enumerate(pairs) if mine != theirs
    )


class _Places:
    """The places of a plan *told*: round by round, of so many showings each, and judge by judge within each."""

    def __init__(self, run: Run, told: Sequence[PlanEntry], rounds: Rounds | None) -> None:
        self._run, self._told, self._repeats = run, told, run.spec.pairing.repeats
        sizes = [len(told)] if rounds is None else [plan.presentations for plan in rounds.plans]
        self._firsts = [0, *accumulate(sizes)]
        """The first showing of each round."""

    def at(self, position: int) -> tuple[str, PresentationNames, str, int] | None:
        """The judge, the showing, the caller's id of it and the repeat at *position*; None if it is not in the plan."""
        per_presentation = len(self._run.judges) * self._repeats
        number = bisect_right(self._firsts, position // per_presentation) - 1
        if not 0 <= number < len(self._firsts) - 1:
            return None
        first, last = self._firsts[number : number + 2]
        judge, within = divmod(position - first * per_presentation, (last - first) * self._repeats)
        presentation, repeat = divmod(within, self._repeats)
        if first + presentation >= len(self._told):
            return None
        planned = self._told[first + presentation]
        return self._run.judges[judge].name, planned.presentation, planned.comparison_id, repeat


def wrong_places(
    run: Run, told: Sequence[PlanEntry], verdicts: Sequence[Verdict], rounds: Rounds | None
) -> Iterator[str]:
    """Where *verdicts* do not stand as the plan *told* has them, or not as *run* counts them."""
    where = _Places(run, told, rounds)
    yield from first_of(chain.from_iterable(_misplaced(where, verdict) for verdict in verdicts))
    places = [verdict.position for verdict in verdicts]
    if any(after <= before for before, after in pairwise(places)):
        yield "the answers do not stand in the order of the plan, each once"
    counts = Counter(became(verdict) for verdict in verdicts)
    if run.never_started and (never := run.counts.planned - len(verdicts)) > 0:
        counts[run.never_started.name.lower()] += never
    if dict(counts) != dict(run.counts.by_status):
        yield f"they are {_counted(counts)}, and the run counts {_counted(run.counts.by_status)}"


def _misplaced(where: _Places, verdict: Verdict) -> Iterator[str]:
    here = where.at(verdict.position)
    if here is None:
        yield f"position {verdict.position} is not in the plan"
    elif here != (verdict.judge, verdict.presentation, verdict.comparison_id, verdict.repeat):
        yield f"position {verdict.position} is not the presentation that is planned there"


def became(verdict: Verdict) -> str:
    """The status or state of a showing, as a run counts it."""
    if verdict.status is not None:
        return verdict.status.name.lower()
    return verdict.state.name.lower() if verdict.state else "pending"


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{many} {name}" for name, many in sorted(counts.items())) or "none"


def first_of(told: Iterable[str]) -> Iterator[str]:
    """The first few, and how many more there are."""
    more = 0
    for number, one in enumerate(told):
        if number < SHOWN:
            yield one
        else:
            more += 1
    if more:
        yield f"and {more} more like that"
