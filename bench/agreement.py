"""Compare agreement on MT-bench and PandaLM through the service with known figures. Exits with 1 if one differs.

It also exits with 1 if docs/agreement.md shows lines that its commands do not print.

MT-bench: experts' votes and GPT-4's verdicts, already merged over both orders. PandaLM: three annotators of 999 pairs,
and GPT-3.5's recorded verdicts. Published figures have the smaller name on the left, so the orientation is sorted.
They count each vote and each pair of votes.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from itertools import combinations
from pathlib import Path
from time import process_time

# As `judge` itself does: waiting BLAS threads would count as CPU time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from agreement_page import differences
from mt_bench import DATASET, GPT4, Check, kappas, table_5
from refusals import refusals

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1.outcome_pb2 import INTERVAL_METHOD_PERCENTILE
from judge.app.local import local_server
from judge.cli.data import upload
from judge.formats import detect
from judge_client import JudgeClient

EXPERTS, PANDALM = "labels:expert_*", "pandalm"
SORTED, BY_VOTES = pb.ORIENTATION_SORTED, pb.WEIGHTING_VOTES
SAME = 0.00005
"""The tolerance of a figure that was printed with four digits."""
ALPHA = {
    ("people", ""): (0.4855, 961),
    (EXPERTS, ""): (0.4671, 734),
    (GPT4, "people"): (0.4827, 3355),
    (GPT4, EXPERTS): (0.4759, 2668),
}
"""Krippendorff's nominal alpha with ties as an outcome, and the number of comparisons with two votes, or of the
target's votes."""
SECONDS = 2.0


async def alphas(client: JudgeClient) -> AsyncIterator[Check]:
    """Check alpha of people, of experts, and of GPT-4 with each of their votes."""
    for (source, target), (known, units) in ALPHA.items():
        options = pb.AgreementOptions(orientation=SORTED, ties=pb.TIES_WITH, weighting=BY_VOTES)
        figure = (await client.agreement(DATASET, source, target, options)).figures[0]
        name = f"alpha, {source}{' and ' if target else ''}{target}"
        yield Check(name, figure.alpha, known, within=SAME)
        if target:
            yield Check(f"{name}: votes", figure.n, units)
        else:
            yield Check(f"{name}: comparisons", figure.comparisons, units)


async def same_items(client: JudgeClient) -> AsyncIterator[Check]:
    """Check GPT-4 and experts where two experts voted: the bootstrapped difference and the alternative annotators."""
    options = pb.AgreementOptions(orientation=SORTED, intervals=INTERVAL_METHOD_PERCENTILE, weighting=BY_VOTES)
    begun = process_time()
    report = await client.agreement(DATASET, GPT4, EXPERTS, options)
    took = process_time() - begun
    kept, dropped = report.ceilings
    yield Check("two experts voted: comparisons", kept.comparisons, 734)
    yield Check("two experts voted: votes", kept.votes, 1769)
    yield Check("alpha of GPT-4 there", kept.alpha.source.value, 0.4676, within=SAME)
    yield Check("alpha of experts there", kept.alpha.target.value, 0.4671, within=SAME)
    difference = kept.alpha.difference
    yield Check("the difference", difference.value, 0.0005, within=SAME)
    yield Check("its percentile interval, low", difference.interval.low, -0.048, within=0.005)
    yield Check("its percentile interval, high", difference.interval.high, 0.048, within=0.005)
    yield Check("S2, GPT-4 decisive: its agreement", dropped.rate.source.value, 0.840, within=0.0005)
    yield Check("S2, GPT-4 decisive: experts' agreement", dropped.rate.target.value, 0.830, within=0.0005)
    difference = dropped.rate.difference
    yield Check("S2: the difference", difference.value, 0.010, within=0.0005)
    yield Check("S2: its percentile interval, low", difference.interval.low, -0.018, within=0.005)
    yield Check("S2: its percentile interval, high", difference.interval.high, 0.038, within=0.005)
    test = report.alternative_annotator
    yield Check("alternative annotator: experts used", len(test.annotators), 26)
    yield Check("alternative annotator: rejected", sum(row.paper_beaten for row in test.annotators), 9)
    yield Check("alternative annotator: winning rate", test.paper_winning_rate, 0.346, within=0.0005)
    print(f"the report with 2,000 resamples takes {took:.2f} s of CPU (at most {SECONDS:g}: {took <= SECONDS})")


async def pandalm(client: JudgeClient) -> AsyncIterator[Check]:
    """Check the annotators with each other, and GPT-3.5 with their plurality by two rules for unreadable verdicts."""
    known = {(1, 2): 0.8520, (1, 3): 0.8789, (2, 3): 0.8617}
    options = pb.AgreementOptions(orientation=SORTED, ties=pb.TIES_WITH)
    for first, second in combinations((1, 2, 3), 2):
        report = await client.agreement(PANDALM, f"labels:annotator{first}", f"labels:annotator{second}", options)
        yield Check(
            what=f"PandaLM, kappa of annotators {first} and {second}",
            ours=report.figures[0].kappa,
            known=known[first, second],
            within=SAME,
        )
    judged = "judge:gpt-3.5-turbo"
    for as_tie, n, accuracy, f1 in ((True, 999, 0.7107, 0.5755), (False, 974, 0.7156, 0.5331)):
        options = pb.AgreementOptions(orientation=SORTED, ties=pb.TIES_WITH, unreadable_as_tie=as_tie)
        figure = (await client.agreement(PANDALM, judged, "people@plurality", options)).figures[0]
        rule = "unreadable is a tie" if as_tie else "unreadable is left out"
        yield Check(f"PandaLM, GPT-3.5, {rule}: comparisons", figure.n, n)
        yield Check(f"PandaLM, GPT-3.5, {rule}: accuracy", figure.rate, accuracy, within=SAME)
        yield Check(f"PandaLM, GPT-3.5, {rule}: macro F1", figure.macro_f1, f1, within=SAME)
        if as_tie:
            columns = [sum(figure.confusion[column::3]) for column in range(3)]
            # The source's order of left and right is not stored, so the two counts are identified by size.
            least, most = sorted(columns[:2])
            yield Check("PandaLM, plurality: ties", columns[2], 105)
            yield Check("PandaLM, plurality: one side", least, 422)
            yield Check("PandaLM, plurality: the other", most, 472)


async def main(data: Path) -> int:
    """Import both datasets, print every figure of the service next to the known one, and return 1 if one differs."""
    with tempfile.TemporaryDirectory(prefix="agreement-") as folder:
        url = f"sqlite:///{folder}/judge.db"
        async with local_server(store_url=url, listen="127.0.0.1:0") as address, JudgeClient(address) as client:
            await upload(client, DATASET, detect.read(data / "mt-bench" / "fastchat"))
            await upload(client, PANDALM, detect.read(data / "pandalm"))
            checks = [check for part in (table_5, kappas, alphas, same_items, pandalm) async for check in part(client)]
    print(f"{'figure':<52} {'ours':>11} {'known':>11}")
    print("\n".join(str(check) for check in checks))
    wrong = [check for check in checks if not check.holds]
    print(f"\n{len(checks) - len(wrong)} of {len(checks)} figures are equal")
    print("\n".join(refusals(data)))
    apart = list(differences(data))
    print("\n".join(apart) or "every command of docs/agreement.md prints what the page says")
    return 1 if wrong or apart else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:  # the program and the folder
        sys.exit("usage: agreement.py FOLDER")
    if not (Path(sys.argv[1]) / "pandalm").is_dir():
        sys.exit(f"{sys.argv[1]} holds no folder pandalm; set DATA to where the data is")
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
