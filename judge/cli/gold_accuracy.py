"""The accuracy of a source against gold labels, at most 80 columns wide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from judge.cli.formatting import NOTHING, bare, part, share
from judge.cli.tables import console, counted, table
from judge.rpc.enum_words import word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from judge.api.v1.agreement_service_pb2 import AgreementReport, GoldAccuracy

RULES: Mapping[str, str] = {
    "left-first": "left first",
    "right-first": "right first",
    "average": "average",
    "both-orders": "both right",
    "order-agreement": "same outcome",
    "sum-over-orders": "sum over both",
    "whole-prompt": "whole prompt",
}
"""What a rule is called in a row."""
SHORT: Mapping[str, str] = {
    "left-first": "left",
    "right-first": "right",
    "average": "average",
    "both-orders": "both",
    "order-agreement": "same",
    "whole-prompt": "prompt",
}
"""The same at the top of a column."""
SUM = "sum-over-orders"
"""The rule that comes last, with its interval."""


def accuracy(report: AgreementReport) -> None:
    """Print the accuracy by each rule, what the rules are, and how verdicts without an outcome count."""
    if not report.gold_accuracy:
        return
    by_part: dict[str, dict[str, GoldAccuracy]] = {}
    for row in report.gold_accuracy:
        by_part.setdefault(part(row.slice), {})[word(row, "rule")] = row
    whole = next(iter(by_part.values()))
    rows = [
        (
            RULES[name],
            share(row.accuracy),
            str(row.correct),
            str(row.accuracy.n),
            bare(row.accuracy_with_outcome),
            str(row.accuracy_with_outcome.n),
        )
        for name, row in whole.items()
    ]
    title = f"Accuracy of {report.figures[0].source} against gold labels, {report.figures[0].target}"
    table(title, ("", "accuracy", "right", "of all", "accuracy", "of judged"), rows, whole=True)
    if len(by_part) > 1:
        _parts(by_part)
    console().print(" ".join((*_rules(whole), _without_outcome(whole["average"]))))
    console().print()


def _parts(by_part: Mapping[str, Mapping[str, GoldAccuracy]]) -> None:
    """Print the accuracy by each rule in each part of the data."""
    rules = [rule for rule in SHORT if any(rule in row for row in by_part.values())]
    rows = [
        (
            name,
            str(figures[SUM].accuracy.n),
            *(bare(figures[rule].accuracy) if rule in figures else NOTHING for rule in rules),
            share(figures[SUM].accuracy),
        )
        for name, figures in by_part.items()
    ]
    columns = ("part", "n", *(SHORT[rule] for rule in rules), RULES[SUM])
    table("Accuracy against gold labels by part (n comparisons)", columns, rows, whole=True)


def _rules(whole: Mapping[str, GoldAccuracy]) -> list[str]:
    """Say what the rules mean that a row's name does not explain, and what the sum decided."""
    sentences = []
    if "left-first" in whole or "right-first" in whole:
        sentences.append("Left is the first name in the alphabet.")
    summed = whole[SUM]
    sentences.append(
        f"Sum over both orders (JudgeBench): 1 point for a right verdict, -1 for a wrong one, 0 for a tie; more than 0 "
        f"is right. {summed.correct:,} right, {summed.incorrect:,} wrong, {summed.neither:,} neither."
    )
    if "whole-prompt" in whole:
        sentences.append("Whole prompt (RewardBench 2): all comparisons of the prompt are right by that sum.")
    return sentences


def _without_outcome(average: GoldAccuracy) -> str:
    """Say how verdicts without an outcome count, and how many there are."""
    if not average.unreadable + average.missing:
        return "Every verdict has an outcome."
    missing = f"{average.missing:,} {'is' if average.missing == 1 else 'are'} missing"
    unreadable = counted(average.unreadable, "has no outcome", "have no outcome")
    return (
        f"Of {average.accuracy.n:,} verdicts, {missing}, and {unreadable}: they are not right in the shares of all, "
        "and left out of those of judged."
    )
