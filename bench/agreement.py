"""Agreement on MT-bench and PandaLM through the service, beside what is known; ends with 1 if a figure differs.

So it does where docs/agreement.md shows what its commands do not print.

MT-bench: experts' votes and GPT-4's verdicts, already merged over both orders. PandaLM: three annotators of 999 pairs,
and GPT-3.5's recorded verdicts. Published figures have left as the smaller name, so orientation is sorted.
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

# As `judge` sets it for itself: threads of BLAS would count as CPU where they only wait.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from agreement_page import differences
from mt_bench import DATASET, GPT4, Check, kappas, table_5

from judge.api.v1 import agreement_service_pb2 as pb
from judge.api.v1.outcome_pb2 import INTERVAL_METHOD_PERCENTILE
from judge.app.local import local_server
from judge.cli.data import upload
from judge.formats import detect
from judge_client import JudgeClient

EXPERTS, PANDALM = "labels:expert_*", "pandalm"
SORTED = pb.ORIENTATION_SORTED
SAME = 0.00005
"""Printed to four digits."""
ALPHA = {
    ("people", ""): (0.4855, 961),
    (EXPERTS, ""): (0.4671, 734),
    (GPT4, "people"): (0.4827, 3355),
    (GPT4, EXPERTS): (0.4759, 2668),
}
"""Krippendorff's alpha, nominal, a tie being an outcome, and the comparisons with two votes, or the target's votes."""
SECONDS = 2.0


async def alphas(client: JudgeClient) -> AsyncIterator[Check]:
    """Of people, of experts, and of GPT-4 with each vote of them."""
    for (source, target), (known, units) in ALPHA.items():
        options = pb.AgreementOptions(orientation=SORTED, ties=pb.TIES_WITH)
        figure = (await client.agreement(DATASET, source, target, options)).figures[0]
        name = f"alpha, {source}{' and ' if target else ''}{target}"
        yield Check(name, figure.alpha, known, SAME)
        if target:
            yield Check(f"{name}: votes", figure.n, units)
        else:
            yield Check(f"{name}: comparisons", figure.comparisons, units)


async def same_items(client: JudgeClient) -> AsyncIterator[Check]:
    """GPT-4 and experts where two experts voted, the difference with its bootstrap, and the alternative annotator."""
    options = pb.AgreementOptions(orientation=SORTED, intervals=INTERVAL_METHOD_PERCENTILE, replicates=2000)
    begun = process_time()
    report = await client.agreement(DATASET, GPT4, EXPERTS, options)
    took = process_time() - begun
    kept, dropped = report.ceilings
    yield Check("two experts voted: comparisons", kept.comparisons, 734)
    yield Check("two experts voted: votes", kept.votes, 1769)
    yield Check("alpha of GPT-4 there", kept.alpha.source.value, 0.4676, SAME)
    yield Check("alpha of experts there", kept.alpha.target.value, 0.4671, SAME)
    difference = kept.alpha.difference
    yield Check("the difference", difference.value, 0.0005, SAME)
    yield Check("its percentile interval, low", difference.interval.low, -0.048, 0.005)
    yield Check("its percentile interval, high", difference.interval.high, 0.048, 0.005)
    yield Check("S2, GPT-4 decisive: its agreement", dropped.rate.source.value, 0.840, 0.0005)
    yield Check("S2, GPT-4 decisive: experts' agreement", dropped.rate.target.value, 0.830, 0.0005)
    difference = dropped.rate.difference
    yield Check("S2: the difference", difference.value, 0.010, 0.0005)
    yield Check("S2: its percentile interval, low", difference.interval.low, -0.018, 0.005)
    yield Check("S2: its percentile interval, high", difference.interval.high, 0.038, 0.005)
    test = report.alternative_annotator
    yield Check("alternative annotator: experts used", len(test.annotators), 26)
    yield Check("alternative annotator: rejected", sum(row.beaten for row in test.annotators), 9)
    yield Check("alternative annotator: winning rate", test.winning_rate, 0.346, 0.0005)
    print(f"the report with 2,000 resamples takes {took:.2f} s of CPU (at most {SECONDS:g}: {took <= SECONDS})")


async def pandalm(client: JudgeClient) -> AsyncIterator[Check]:
    """The annotators with each other, their plurality, and GPT-3.5 against it, by two rules for what it left unsaid."""
    known = {(1, 2): 0.8520, (1, 3): 0.8789, (2, 3): 0.8617}
    options = pb.AgreementOptions(orientation=SORTED, ties=pb.TIES_WITH)
    for one, other in combinations((1, 2, 3), 2):
        report = await client.agreement(PANDALM, f"labels:annotator{one}", f"labels:annotator{other}", options)
        yield Check(f"PandaLM, kappa of annotators {one} and {other}", report.figures[0].kappa, known[one, other], SAME)
    judged = "judge:gpt-3.5-turbo"
    for as_tie, n, accuracy, f1 in ((True, 999, 0.7107, 0.5755), (False, 974, 0.7156, 0.5331)):
        options = pb.AgreementOptions(orientation=SORTED, ties=pb.TIES_WITH, unreadable_as_tie=as_tie)
        figure = (await client.agreement(PANDALM, judged, "people@plurality", options)).figures[0]
        rule = "unreadable is a tie" if as_tie else "unreadable is left out"
        yield Check(f"PandaLM, GPT-3.5, {rule}: comparisons", figure.n, n)
        yield Check(f"PandaLM, GPT-3.5, {rule}: accuracy", figure.rate, accuracy, SAME)
        yield Check(f"PandaLM, GPT-3.5, {rule}: macro F1", figure.macro_f1, f1, SAME)
        if as_tie:
            columns = [sum(figure.confusion[column::3]) for column in range(3)]
            # Which of left and right came first in the source is not kept: the two counts are told apart by size.
            least, most = sorted(columns[:2])
            yield Check("PandaLM, plurality: ties", columns[2], 105)
            yield Check("PandaLM, plurality: one side", least, 422)
            yield Check("PandaLM, plurality: the other", most, 472)


async def main(data: Path) -> int:
    """Import both, ask the service for every figure, print them beside the known ones; 1 if one differs."""
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
    apart = list(differences(data))
    print("\n".join(apart) or "every command of docs/agreement.md prints what the page says")
    return 1 if wrong or apart else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:  # the program and the folder
        sys.exit("usage: agreement.py FOLDER")
    if not (Path(sys.argv[1]) / "pandalm").is_dir():
        sys.exit(f"{sys.argv[1]} holds no folder pandalm; set DATA to where the data is")
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
