"""FastChat's own layout: question.jsonl, model_answer/, reference_answer/, *_pair.jsonl judgments and vote files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from judge.domain.dataset import ImportedVerdict, Label, Output, Prompt
from judge.domain.outcome import AnnotatorKind, Order, Outcome, TieKind, VerdictStatus
from judge.formats.jsonl import outcome
from judge.formats.lines import Import, Row, read_rows

INCONSISTENT = "tie (inconsistent)"


def read(path: Path) -> Import:
    """The rows of a FastChat folder. Vote files' labels have the file's name as source and the line as id."""
    references: dict[str, tuple[str, ...]] = {}
    for file in sorted((path / "reference_answer").glob("*.jsonl")):
        references.update(read_rows(file, _reference))
    answers = sorted((path / "model_answer").glob("*.jsonl"))
    judgments = _judgments(path / "model_judgment")
    votes = sorted(path.glob("*votes.jsonl"))
    return Import(
        prompts=partial(read_rows, path / "question.jsonl", partial(_prompt, references)),
        outputs=lambda: (row for file in answers for rows in read_rows(file, _outputs) for row in rows),
        labels={file.name: partial(read_rows, file, _vote) for file in votes},
        verdicts=lambda: (row for file in judgments for rows in read_rows(file, _judgment) for row in rows),
    )


def _judgments(folder: Path) -> list[Path]:
    found = sorted([*folder.glob("*_pair.jsonl"), *folder.glob("*_pair.jsonl.gz")])
    return found or sorted(folder.glob("*_pair.sample.jsonl"))


def _reference(_: int, row: Row) -> tuple[str, tuple[str, ...]]:
    return str(row["question_id"]), tuple(row["choices"][0]["turns"])


def _prompt(references: dict[str, tuple[str, ...]], _: int, row: Row) -> Prompt:
    name = str(row["question_id"])
    reference = references.get(name) or tuple(row.get("reference") or ())
    turns = tuple(row["turns"])
    return Prompt(name, turns, row.get("category", ""), (), reference[: len(turns)])


def _outputs(_: int, row: Row) -> list[Output]:
    return [
        Output(str(row["question_id"]), row["model_id"], tuple(choice["turns"]), choice["index"])
        for choice in row["choices"]
        if choice["turns"]
    ]


def _vote(number: int, row: Row) -> Label:
    annotator, winner = row["judge"], row["winner"]
    machine = annotator.endswith("_pair")
    inconsistent = winner == INCONSISTENT
    return Label(
        label_id=str(number),
        prompt_id=str(row["question_id"]),
        left=row["model_a"],
        right=row["model_b"],
        outcome=Outcome.TIE if inconsistent else outcome(winner),
        annotator=annotator,
        kind=AnnotatorKind.MODEL if machine else AnnotatorKind.HUMAN,
        turn=row.get("turn", 1),
        tie_kind=TieKind.INCONSISTENT if inconsistent else None,
    )


def _judgment(_: int, row: Row) -> list[ImportedVerdict]:
    winners = {"model_1": Outcome.LEFT, "model_2": Outcome.RIGHT, "tie": Outcome.TIE}
    verdicts = []
    for game, order in (("g1", Order.LEFT_FIRST), ("g2", Order.RIGHT_FIRST)):
        said = row[f"{game}_winner"]
        if said not in (*winners, "error"):
            raise ValueError(f"has the unknown winner {said!r}")
        verdicts.append(
            ImportedVerdict(
                prompt_id=str(row["question_id"]),
                left=row["model_1"],
                right=row["model_2"],
                order=order,
                judge=row["judge"][0],
                turn=row.get("turn", 1),
                raw=row[f"{game}_judgment"],
                outcome=winners.get(said),
                status=VerdictStatus.UNREADABLE if said == "error" else VerdictStatus.OK,
            )
        )
    return verdicts
