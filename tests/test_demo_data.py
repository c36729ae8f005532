import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parents[1] / "judge" / "demo"
RIGHT = {"concise", "padded"}
WRONG = {"confident", "offpoint", "subtle"}
CONTESTANTS = sorted(RIGHT | WRONG)

MAY_3, JUNE_21 = date(2023, 5, 3), date(2023, 6, 21)
COMPUTED = {
    "arith-01": 17 * 23,
    "arith-02": 1000 - 7 * 86,
    "arith-03": 15 * 260 // 100,
    "arith-04": 5 / 8,
    "arith-05": (12 + 19 + 26 + 43) // 4,
    "arith-06": 2**7 - 5**2,
    "units-01": 375 * 60 // 100,
    "units-02": (68 - 32) * 5 // 9,
    "units-03": 54_000 // 3600,
    "units-04": 250 / 1000,
    "units-05": 7 * 12 + 4,
    "units-06": 2400 // 150,
    "lang-04": "possessions".count("s"),
    "logic-01": next(
        order[1]
        for order in permutations(["Priya", "Tom", "Ines", "Olaf"])
        if order.index("Priya") < order.index("Tom") < order.index("Ines")
        and order.index("Olaf") + 1 == order.index("Tom")
    ),
    "logic-02": 6 * 7,
    "logic-03": next(
        "knight" if jon else "knave" for ida in (True, False) for jon in (True, False) if ida == (not ida and not jon)
    ),
    "logic-04": 3 + 1,
    "logic-05": sum(1 for _ in combinations(range(6), 2)),
    "logic-06": next(pencil for pencil in range(221) if pencil + (pencil + 200) == 220),
    "dates-01": f"{date(2000, 1, 1):%A}",
    "dates-02": f"{date(2023, 3, 15) + timedelta(days=30):%d %B}",
    "dates-03": (date(1900, 3, 1) - date(1900, 2, 1)).days,
    "dates-04": f"{date(2024, 1, 3) + timedelta(days=100):%A}",
    "dates-05": (JUNE_21 - MAY_3).days,
    "dates-06": f"{datetime.fromisoformat('2023-01-01T22:45') + timedelta(hours=3, minutes=40):%H:%M}",
}


def rows(name: str) -> list[dict[str, Any]]:
    with (DEMO / name).open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


PROMPTS = {row["prompt_id"]: row for row in rows("prompts.jsonl")}
REFERENCE = {prompt_id: row["reference"][0] for prompt_id, row in PROMPTS.items()}
OUTPUTS = rows("outputs.jsonl")
TEXT = {(row["prompt_id"], row["contestant"]): row["turns"][0] for row in OUTPUTS}
LABELS = rows("labels.jsonl")


def names_reference(prompt_id: str, contestant: str) -> bool:
    token = rf"(?<!\w){re.escape(REFERENCE[prompt_id])}(?!\w)"
    return re.search(token, TEXT[prompt_id, contestant], re.IGNORECASE) is not None


def text_length(prompt_id: str, contestant: str) -> int:
    return len(TEXT[prompt_id, contestant])


def preferred_side(label: dict[str, Any], worth: Callable[[str, str], int]) -> str:
    left, right = (worth(label["prompt_id"], label[side]) for side in ("left", "right"))
    return "tie" if left == right else "left" if left > right else "right"


def agreement(labels: list[dict[str, Any]], worth: Callable[[str, str], int]) -> float:
    n_agreeing = sum(1 for label in labels if preferred_side(label, worth) == label["outcome"])
    return n_agreeing / len(labels)


def gold_label(prompt_id: str, left: str, right: str) -> dict[str, Any]:
    left_right, right_right = left in RIGHT, right in RIGHT
    label = {
        "prompt_id": prompt_id,
        "turn": 1,
        "left": left,
        "right": right,
        "outcome": "tie" if left_right == right_right else "left" if left_right else "right",
        "annotator": "construction",
        "kind": "gold",
        "label_id": f"{prompt_id}/{left}/{right}",
    }
    if left_right == right_right:
        label["tie_kind"] = "plain" if left_right else "both_bad"
    return label


def test_number_of_prompts() -> None:
    """The demo has at least forty prompts with identifiers of their own, in at least five categories."""
    categories = {row["category"] for row in PROMPTS.values()}

    assert len(rows("prompts.jsonl")) == len(PROMPTS) >= 40
    assert len(categories) >= 5


def test_questions() -> None:
    """Every prompt has one turn, and no two prompts ask the same question."""
    questions = {row["turns"][0] for row in PROMPTS.values()}

    assert {1} == {len(row["turns"]) for row in PROMPTS.values()}
    assert len(PROMPTS) == len(questions)


def test_outputs_are_complete() -> None:
    """Every contestant answers every prompt exactly once, in one turn."""
    expected = sorted((prompt_id, contestant) for prompt_id in PROMPTS for contestant in CONTESTANTS)

    assert expected == sorted((row["prompt_id"], row["contestant"]) for row in OUTPUTS)
    assert {1} == {len(row["turns"]) for row in OUTPUTS}


def test_outputs_are_distinct() -> None:
    """No two outputs are the same text, and none is blank."""
    assert len(OUTPUTS) == len({text.strip() for text in TEXT.values()} - {""})


def test_references_are_bare() -> None:
    """A prompt has one reference, a short answer without a sentence around it."""
    assert {1} == {len(row["reference"]) for row in PROMPTS.values()}
    assert all(re.fullmatch(r"\w[\w.:]*( \w+)?", reference) for reference in REFERENCE.values())
    assert max(len(reference) for reference in REFERENCE.values()) <= 15


@pytest.mark.parametrize("prompt_id", COMPUTED)
def test_computed_references(prompt_id: str) -> None:
    """References that can be computed match what Python computes."""
    assert str(COMPUTED[prompt_id]) == REFERENCE[prompt_id]


@pytest.mark.parametrize("prompt_id", [key for key, row in PROMPTS.items() if row["category"] == "code"])
def test_code_references(prompt_id: str) -> None:
    """The reference of a code question is what its program prints."""
    program = re.search(r"```python\n(.*?)```", PROMPTS[prompt_id]["turns"][0], re.DOTALL)
    assert program is not None

    printed = subprocess.run([sys.executable, "-I", "-c", program[1]], capture_output=True, text=True, check=True)

    assert REFERENCE[prompt_id] == printed.stdout.strip()


def test_right_answers_name_the_reference() -> None:
    """Right answers contain the reference, except three to six that give it in another form."""
    otherwise = {key for key in TEXT if key[1] in RIGHT and not names_reference(*key)}

    assert 3 <= len(otherwise) <= 6
    assert {"concise", "padded"} == {contestant for _, contestant in otherwise}


def test_wrong_answers_do_not_name_the_reference() -> None:
    """Wrong answers omit the reference, except five to eight that mention and reject it."""
    rejecting = {key for key in TEXT if key[1] in WRONG and names_reference(*key)}

    assert 5 <= len(rejecting) <= 8
    assert {"confident", "subtle"} == {contestant for _, contestant in rejecting}


def test_labels_follow_the_rule() -> None:
    """For every prompt and pair of contestants, right beats wrong, and two right or two wrong outputs tie."""
    expected = [gold_label(prompt_id, *pair) for prompt_id in PROMPTS for pair in combinations(CONTESTANTS, 2)]

    assert expected == LABELS


def test_padded_is_longer_than_concise() -> None:
    """The padded answer has 60 to 120 words and is longer than the concise one everywhere."""
    words = [len(TEXT[prompt_id, "padded"].split()) for prompt_id in PROMPTS]

    assert 60 <= min(words) <= max(words) <= 120
    assert all(text_length(prompt_id, "padded") > text_length(prompt_id, "concise") for prompt_id in PROMPTS)


def test_confident_is_longer_than_concise() -> None:
    """The confident answer has 40 to 80 words and is longer than the concise one everywhere."""
    words = [len(TEXT[prompt_id, "confident"].split()) for prompt_id in PROMPTS]

    assert 40 <= min(words) <= max(words) <= 80
    assert all(text_length(prompt_id, "confident") > text_length(prompt_id, "concise") for prompt_id in PROMPTS)


def test_shortest_and_longest() -> None:
    """The concise answer is the shortest; the longest is padded in two of three prompts, else off the point."""
    shortest = Counter(min(CONTESTANTS, key=lambda name: text_length(prompt_id, name)) for prompt_id in PROMPTS)
    longest = Counter(max(CONTESTANTS, key=lambda name: text_length(prompt_id, name)) for prompt_id in PROMPTS)

    assert Counter(concise=48) == shortest
    assert Counter(padded=32, offpoint=16) == longest


def test_length_is_a_poor_judge() -> None:
    """Preferring the longer text agrees with fewer than 60 % of the labels that are not ties."""
    decided = [label for label in LABELS if label["outcome"] != "tie"]

    assert agreement(decided, text_length) < 0.6


def test_matching_the_reference_is_a_good_judge() -> None:
    """Preferring the text that names the reference agrees with more than 85 % of the labels, but not with all."""
    assert 0.85 < agreement(LABELS, names_reference) < 1


def test_size() -> None:
    """The whole folder is smaller than 250 kB."""
    assert sum(path.stat().st_size for path in DEMO.iterdir()) < 250_000
