"""Compare the plan and the counts of a run with what follows from the rest of its bundle. No store is needed."""

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
from judge.planning.named_plan import PlanEntry, plan_entries
from judge.planning.plan import make_plan
from judge.planning.rounds import Rounds
from judge.planning.selection import NamedComparisons
from judge.ports.dataset_index import DatasetIndex
from judge.prompts.parse import Parser, parse

SHOWN = 3
"""How many rows that are wrong in the same way are described; the others are counted."""


@dataclass(frozen=True)
class Planning:
    """The data from which a run's plan was made."""

    index: DatasetIndex
    labels: Sequence[Label] = ()
    listed: Sequence[ListedComparison] = ()

    def named(self, policy: PairPolicy) -> NamedComparisons | None:
        """Return the rows that name the pairs of a policy; None if the policy does not use any."""
        rows: Sequence[Label] | Sequence[ListedComparison]
        if policy is PairPolicy.LABELED:
            rows = self.labels
        elif policy is PairPolicy.LISTED:
            rows = self.listed
        else:
            return None
        named_pairs = NamedComparisons(self.index)
        named_pairs.add(rows)
        return named_pairs


def read_again(verdict: Verdict) -> Verdict:
    """Parse the reply of a verdict again, by the parsers that parsed it before.

    The outcome of an import stays as it is, and so does what a parser that this release no longer has made of it.
    """
    reply = verdict.reply
    if reply is None:
        return verdict
    return replace(
        verdict,
        parsed_verdicts=tuple(_parse_again(verdict, parsed_verdict) for parsed_verdict in verdict.parsed_verdicts),
    )


def _parse_again(verdict: Verdict, parsed_verdict: ParsedVerdict) -> ParsedVerdict:
    parser = known_parser(parsed_verdict.parser)
    return parsed_verdict if parser is None or verdict.reply is None else parse(parser, verdict.reply)


def known_parser(name: str) -> Parser | None:
    """Return the parser *name*; None if this release does not have it, or only a later version of it."""
    if name == SOURCE_PARSER:
        return None
    try:
        parser = Parser.named(name)
    except InvalidInput:
        return None
    return parser if parser.name == name else None


def wrong_plan(run: Run, planning: Planning, entries: Sequence[PlanEntry], rounds: Rounds | None) -> Iterator[str]:
    """Rebuild the plan of *run*, and yield how it differs from the hash and counts of *run* and from *entries*.

    The plan of an adaptive run is rebuilt from its *rounds*.
    """
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
        yield f"rebuilt, its hash is {rebuilt}, but the run's is {run.plan_hash}"
    if planned != run.counts.planned:
        yield f"rebuilt, it has {planned:,} positions, but the run has {run.counts.planned:,}"
    pairs = zip_longest(plan_entries(planning.index, plans), entries)
    yield from first_of(
        f"presentation {n} is not the one that was planned" for n, (mine, theirs) in enumerate(pairs) if mine != theirs
    )


class _Positions:
    """The positions of a plan with these *entries*: round by round, and judge by judge within a round."""

    def __init__(self, run: Run, entries: Sequence[PlanEntry], rounds: Rounds | None) -> None:
        self._run, self._entries, self._repeats = run, entries, run.spec.pairing.repeats
        sizes = [len(entries)] if rounds is None else [plan.presentations for plan in rounds.plans]
        self._firsts = [0, *accumulate(sizes)]
        """The index of the first presentation of each round."""

    def at(self, position: int) -> tuple[str, PresentationNames, str, int] | None:
        """Return judge, presentation, comparison id, and repeat at a *position*; None if it is not in the plan."""
        per_presentation = len(self._run.judges) * self._repeats
        number = bisect_right(self._firsts, position // per_presentation) - 1
        if not 0 <= number < len(self._firsts) - 1:
            return None
        first, last = self._firsts[number : number + 2]
        judge, within = divmod(position - first * per_presentation, (last - first) * self._repeats)
        presentation, repeat = divmod(within, self._repeats)
        if first + presentation >= len(self._entries):
            return None
        planned = self._entries[first + presentation]
        return self._run.judges[judge].name, planned.presentation, planned.comparison_id, repeat


def wrong_places(
    run: Run, entries: Sequence[PlanEntry], verdicts: Sequence[Verdict], rounds: Rounds | None
) -> Iterator[str]:
    """Yield how *verdicts* differ from the plan with these *entries*, and from the counts of *run*."""
    positions = _Positions(run, entries, rounds)
    yield from first_of(chain.from_iterable(_misplaced(positions, verdict) for verdict in verdicts))
    if any(after.position <= before.position for before, after in pairwise(verdicts)):
        yield "the answers are not in the order of the plan, or one is there twice"
    counts = Counter(status_of(verdict) for verdict in verdicts)
    if run.never_started and (never := run.counts.planned - len(verdicts)) > 0:
        counts[run.never_started.name.lower()] += never
    if dict(counts) != dict(run.counts.by_status):
        yield f"they are {_format_counts(counts)}, but the run counts {_format_counts(run.counts.by_status)}"


def _misplaced(positions: _Positions, verdict: Verdict) -> Iterator[str]:
    planned = positions.at(verdict.position)
    if planned is None:
        yield f"position {verdict.position} is not in the plan"
    elif planned != (verdict.judge, verdict.presentation, verdict.comparison_id, verdict.repeat):
        yield f"position {verdict.position} is not the presentation that is planned there"


def status_of(verdict: Verdict) -> str:
    """Return the status of a verdict, or the state of a presentation without one, as a run counts them."""
    if verdict.status is not None:
        return verdict.status.name.lower()
    return verdict.state.name.lower() if verdict.state else "pending"


def _format_counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items())) or "none"


def first_of(messages: Iterable[str]) -> Iterator[str]:
    """Yield the first few *messages*, and then how many more there are."""
    more = 0
    for number, message in enumerate(messages):
        if number < SHOWN:
            yield message
        else:
            more += 1
    if more:
        yield f"and {more:,} more like that"
