"""Compare MT-bench through the service with published or cross-checked figures. Exits with 1 if one differs.

The folder has FastChat's own layout: people's votes, GPT-4's verdicts already merged over both
orders (labels of an annotator of kind MODEL), and the replies of Llama-2-70B in both orders (a recorded judge).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from judge.api.v1 import agreement_service_pb2 as agreements
from judge.api.v1 import outcome_pb2, ranking_service_pb2, run_service_pb2, verdict_pb2
from judge.api.v1.leaderboard_pb2 import RANKING_METHOD_BRADLEY_TERRY, RANKING_METHOD_ELO
from judge.app.local import local_server
from judge.cli.data import upload
from judge.formats import detect
from judge_client import JudgeClient

DATASET = "mt-bench"
GPT4 = "labels:gpt4_pair"
LLAMA = "llama-2-70b-instruct-v2"

TABLE_5 = {
    ("GPT-4, human", 1): ((886, 1343), (727, 859)),
    ("GPT-4, human", 2): ((871, 1325), (731, 864)),
    ("human, human", 1): ((454, 721), (388, 479)),
    ("human, human", 2): ((471, 707), (388, 474)),
}
"""Table 5 of arXiv:2306.05685: agreeing and all pairs of votes, by turn, in set-up S1 and S2."""
PERCENT = {
    ("GPT-4, human", 1): (66, 85),
    ("GPT-4, human", 2): (66, 85),
    ("human, human", 1): (63, 81),
    ("human, human", 2): (67, 82),
}
"""The same in percent, as the paper prints it."""
KAPPA = {
    ("sorted", "with ties"): (0.5047, 1814),
    ("sorted", "without ties"): (0.7670, 1078),
    ("both", "with ties"): (0.5052, 1814),
    ("both", "without ties"): (0.7681, 1078),
}
"""Cohen's kappa of GPT-4 and the plurality of all annotators: sorted as published, both orientations as ours."""
RATINGS = {
    "people": {
        "gpt-4": (1177.39, 1221.21),
        "claude-v1": (1111.67, 1130.81),
        "gpt-3.5-turbo": (1104.16, 1085.60),
        "vicuna-13b-v1.2": (990.12, 1029.83),
        "alpaca-13b": (867.69, 828.77),
        "llama-13b": (748.96, 703.78),
    },
    GPT4: {
        "gpt-4": (1314.50, 1299.31),
        "claude-v1": (1171.88, 1194.70),
        "gpt-3.5-turbo": (1091.37, 1068.41),
        "vicuna-13b-v1.2": (970.36, 990.61),
        "alpaca-13b": (786.35, 776.87),
        "llama-13b": (665.55, 670.09),
    },
}
"""Bradley-Terry and online Elo of each contestant, cross-checked with evalica 0.4.2."""
LLAMA_ORDERS = {"same in both orders": 1417, "different": 610, "with an unparsed side": 373}
"""Comparisons by whether Llama-2-70B's two orders agree, by the source's own outcomes."""


@dataclass(frozen=True)
class Check:
    """One of our figures next to a published or cross-checked one."""

    what: str
    ours: float
    known: float
    within: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether they are equal to the precision of the known figure."""
        return abs(self.ours - self.known) <= self.within + 1e-9

    def __str__(self) -> str:
        digits = 0 if self.within == 0 else 4 if self.within < 0.001 else 2  # as printed
        mark = "equal" if self.holds else "DIFFERS"
        return f"{self.what:<52} {self.ours:>11.{digits}f} {self.known:>11.{digits}f}  {mark}"


async def table_5(client: JudgeClient) -> AsyncIterator[Check]:
    """Check the agreement of GPT-4 with experts and of experts with each other, by turn."""
    options = agreements.AgreementOptions(by_turn=True)
    people = "labels:expert_*"
    reports = {
        "GPT-4, human": await client.agreement(DATASET, GPT4, people, options),
        "human, human": await client.agreement(DATASET, people, "", options),
    }
    for (pair, turn), (setup, ties) in product(TABLE_5, enumerate((agreements.TIES_WITH, agreements.TIES_WITHOUT))):
        figure = next(f for f in reports[pair].figures if f.slice.turn == turn and f.ties == ties)
        agree, n = TABLE_5[pair, turn][setup]
        what = f"{pair}, turn {turn}, S{setup + 1}"
        yield Check(f"{what}: votes that agree", figure.agree, agree)
        yield Check(f"{what}: votes", figure.n, n)
        yield Check(f"{what}: per cent", round(100 * figure.rate), PERCENT[pair, turn][setup])


async def kappas(client: JudgeClient) -> AsyncIterator[Check]:
    """Check the kappa of GPT-4 and the plurality of all annotators, where a tie for most votes is a tie."""
    for (orientation, ties), (kappa, n) in KAPPA.items():
        options = agreements.AgreementOptions(
            orientation=agreements.Orientation.Value(f"ORIENTATION_{orientation.upper()}"),
            ties=agreements.TIES_WITH if ties == "with ties" else agreements.TIES_WITHOUT,
        )
        figure = (await client.agreement(DATASET, GPT4, "people@plurality", options)).figures[0]
        yield Check(what=f"kappa, {orientation} orientation, {ties}", ours=figure.kappa, known=kappa, within=0.00005)
        yield Check(f"kappa, {orientation} orientation, {ties}: comparisons", figure.n, n)


async def ratings(client: JudgeClient) -> AsyncIterator[Check]:
    """Check Bradley-Terry and online Elo ratings of people and of GPT-4."""
    for source, known in RATINGS.items():
        for column, method in enumerate((RANKING_METHOD_BRADLEY_TERRY, RANKING_METHOD_ELO)):
            options = ranking_service_pb2.RankingOptions(method=method)
            leaderboard = await client.leaderboard(DATASET, source, options)
            ours = {rating.contestant: rating.rating for rating in leaderboard.ratings}
            for contestant, figures in known.items():
                # Both sides are printed to 0.01, so they are compared as printed.
                value = round(ours[contestant], 2)
                yield Check(what=f"{method}, {source}, {contestant}", ours=value, known=figures[column], within=0.01)


async def orders(client: JudgeClient) -> AsyncIterator[Check]:
    """Check how often Llama-2-70B gives the same outcome in both orders, by the source's outcomes."""
    options = agreements.AgreementOptions(parser="source")
    consistency = (await client.agreement(DATASET, f"judge:{LLAMA}", "people", options)).order_consistency
    for (what, known), ours in zip(
        LLAMA_ORDERS.items(), (consistency.consistent, consistency.inconsistent, consistency.incomplete), strict=True
    ):
        yield Check(f"{LLAMA}: {what}", ours, known)


async def parsed_verdicts(client: JudgeClient) -> AsyncIterator[verdict_pb2.Verdict]:
    """Run the recorded judge and yield each verdict with its raw text, the source's parsed verdict and ours."""
    spec = run_service_pb2.RunSpec(
        dataset=f"datasets/{DATASET}",
        judges=[f"judges/{LLAMA}"],
        pairing=run_service_pb2.Pairing(turns=run_service_pb2.TURN_POLICY_EACH),
    )
    run = await client.wait_run((await client.create_run(spec)).name)
    async for verdict in client.list_verdicts(run.name, view=verdict_pb2.VERDICT_VIEW_FULL, page_size=1000):
        yield verdict


@dataclass(frozen=True)
class Difference:
    """A reply that the source and our parser parse differently."""

    presentation: str
    source: str
    ours: str
    reason: str

    def __str__(self) -> str:
        return f"{self.presentation:<44} source: {self.source:<10} ours: {self.ours:<10} {self.reason}"


def _word(parsed_verdict: verdict_pb2.ParsedVerdict) -> str:
    if parsed_verdict.status != outcome_pb2.VERDICT_STATUS_OK:
        return outcome_pb2.VerdictStatus.Name(parsed_verdict.status).removeprefix("VERDICT_STATUS_").lower()
    return outcome_pb2.Outcome.Name(parsed_verdict.outcome).removeprefix("OUTCOME_").lower()


def difference(verdict: verdict_pb2.Verdict) -> Difference | None:
    """Return how the source's and our parsed verdict differ, or None if they agree."""
    parsed_verdicts = {
        parsed_verdict.parser.partition("/")[0]: parsed_verdict for parsed_verdict in verdict.parsed_verdicts
    }
    source, ours = parsed_verdicts["source"], parsed_verdicts["brackets"]
    if _word(source) == _word(ours):
        return None
    shown = verdict.presentation
    order = "ab" if shown.order == outcome_pb2.ORDER_LEFT_FIRST else "ba"
    reason = ours.reason or "one verdict in brackets"
    name = f"{shown.prompt_id} turn {shown.turn} {shown.left} / {shown.right} {order}"
    return Difference(presentation=name, source=_word(source), ours=_word(ours), reason=reason)


def failures(checks: list[Check], statuses: Counter[str], differences: list[Difference]) -> int:
    """Print all results and return the number of checks that fail."""
    print(f"{'figure':<52} {'ours':>11} {'known':>11}")
    print("\n".join(str(check) for check in checks))
    usable = statuses["left"] + statuses["right"] + statuses["tie"]
    print(f"\nour parser on {statuses.total():,} replies of {LLAMA}: ok {usable}, unreadable {statuses['unreadable']}")
    print(f"{len(differences)} parsed differently by the source:")
    print("\n".join(str(row) for row in differences))
    wrong = [check for check in checks if not check.holds]
    print(f"\n{len(checks) - len(wrong)} of {len(checks)} figures are equal")
    return len(wrong)


async def main(data: Path) -> int:
    """Import *data*, print every figure of the service next to the known one, and return 1 if one differs."""
    with tempfile.TemporaryDirectory(prefix="mt-bench-") as folder:
        url = f"sqlite:///{folder}/judge.db"
        async with local_server(store_url=url, listen="127.0.0.1:0") as address, JudgeClient(address) as client:
            if rejected := await upload(client, DATASET, detect.read(data / "fastchat")):
                print(f"{rejected} rows of {data} were rejected", file=sys.stderr)
                return 1
            checks = [check for part in (table_5, kappas, ratings, orders) async for check in part(client)]
            verdicts = [verdict async for verdict in parsed_verdicts(client)]
    by_us = Counter(_word(next(r for r in verdict.parsed_verdicts if r.parser != "source")) for verdict in verdicts)
    differences = [row for verdict in verdicts if (row := difference(verdict)) is not None]
    return 1 if failures(checks, by_us, differences) else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:  # the program and the folder
        sys.exit("usage: mt_bench.py FOLDER")
    if not (Path(sys.argv[1]) / "fastchat").is_dir():
        sys.exit(f"{sys.argv[1]} holds no folder fastchat; set DATA to where the data is")
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
