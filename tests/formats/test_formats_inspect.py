"""Logs of Inspect, as JSON documents and as archives."""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from backports.zstd import zipfile as zstd_zipfile

from judge.domain.dataset import Output, Prompt
from judge.domain.errors import InvalidInput
from judge.formats import json_rows, zip_rows
from judge.formats.detect import read
from judge.formats.importing import Import, count

DATA = Path(os.environ.get("JUDGE_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data") / "formats/inspect"
EVAL = {"task": "arith", "model": "org/m"}
LOG = {"version": 2, "status": "success", "eval": EVAL, "plan": {}}


def _sample(number: int = 1, content: object = "4", **more: Any) -> dict[str, Any]:  # noqa: ANN401  # JSON
    output = {"choices": [{"message": {"role": "assistant", "content": content}}]}
    return {"id": number, "epoch": 1, "input": "2 + 2?", "target": "4", "output": output, "scores": {}, **more}


def _json(folder: Path, *samples: object, **header: Any) -> Import:  # noqa: ANN401  # JSON
    (folder / "log.json").write_text(json.dumps({**LOG, **header, "samples": samples}, indent=2))
    return read(folder)


def _archive(path: Path, members: dict[str, object], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zstd_zipfile.ZipFile(path, "w", method) as archive:
        for name, value in members.items():
            archive.writestr(name, value if isinstance(value, (str, bytes)) else json.dumps(value))
    return path


def _members(*samples: dict[str, Any]) -> dict[str, object]:
    files = {f"samples/{sample['id']}_epoch_{sample['epoch']}.json": sample for sample in samples}
    return {"_journal/start.json": LOG, **files, "summaries.json": [], "header.json": LOG}


def _items(content: Import) -> list[Prompt | Output]:
    return [*content.rows(Prompt), *content.rows(Output)]


def test_formats_inspect_a_sample_is_a_prompt_and_an_output(tmp_path: Path) -> None:
    """An id is unique in its task only. The target is the reference, and the model of the log the contestant."""
    content = _json(tmp_path, _sample(), _sample(2, target=["4", "four"]), version=3, status="cancelled")

    first, second = content.rows(Prompt)
    assert (first.prompt_id, first.turns, first.category) == ("arith/1", ("2 + 2?",), "arith")
    assert (first.reference, second.reference) == (("4",), ("4\nfour",))
    outputs = [(x.prompt_id, x.contestant, x.turns) for x in content.rows(Output)]
    assert outputs == [("arith/1", "org/m", ("4",)), ("arith/2", "org/m", ("4",))]


def test_formats_inspect_an_epoch_is_a_further_sample(tmp_path: Path) -> None:
    """The prompt goes in once."""
    content = _json(tmp_path, _sample(), _sample(content="5", epoch=2))

    assert len(list(content.rows(Prompt))) == 1
    assert [(output.sample, *output.turns) for output in content.rows(Output)] == [(0, "4"), (1, "5")]


def test_formats_inspect_messages_parts_choices_and_attachments(tmp_path: Path) -> None:
    """Text parts are joined and thoughts left out; choices are listed; a long text may be an attachment."""
    parts = [{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "q"}]
    attached = {"input": "attachment://abc", "attachments": {"abc": "long"}}

    content = _json(tmp_path, _sample(1, parts, input=messages), _sample(2, choices=["x", "y"]), _sample(3, **attached))

    assert [prompt.texts[0] for prompt in content.rows(Prompt)] == [
        "[system]\nBe brief.\n\n[user]\nq",
        "2 + 2?\n\nA) x\nB) y",
        "long",
    ]
    assert next(content.rows(Output)).turns == ("a\n\nb",)


def test_formats_inspect_a_sample_without_an_answer_is_only_a_prompt(tmp_path: Path) -> None:
    """An error is not an empty answer."""
    content = _json(tmp_path, _sample(error={"message": "boom"}, output={"choices": []}), _sample(2))

    assert [output.prompt_id for output in content.rows(Output)] == ["arith/2"]
    assert len(list(content.rows(Prompt))) == 2


def test_formats_inspect_a_wrong_sample_is_named(tmp_path: Path) -> None:
    """The others go in."""
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {}}]}
    wrong = [_sample(2, [{"type": "image", "image": "data:"}]), _sample(3, output={"choices": [{"message": call}]})]
    content = _json(tmp_path, _sample(), *wrong, {"id": 4})

    counts = count(content.files[0])

    assert counts.items == {"prompts": 1, "outputs": 1}
    assert [error.message.partition("log.json ")[2] for error in counts.wrong] == [
        "sample 2 has an image at 'data:', which is not fetched: give its bytes as data:image/png;base64,...",
        "sample 3 has a tool call whose name is no text",
        "sample 4 has no field input. It has the fields eval, sample",
    ]


@pytest.mark.parametrize("rest", [{}, {"samples": []}, {"results": {"scores": []}}])
def test_formats_inspect_a_log_without_samples_is_left_out(tmp_path: Path, rest: dict[str, Any]) -> None:
    """Its results are about nothing that could be compared."""
    (tmp_path / "log.json").write_text(json.dumps({**LOG, **rest}))

    with pytest.raises(InvalidInput, match="an Inspect log without samples"):
        read(tmp_path)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zstd_zipfile.ZIP_ZSTANDARD])
def test_formats_inspect_an_archive_holds_the_same_as_the_document(tmp_path: Path, method: int) -> None:
    """Members may be packed with zstd, as they are since Inspect 0.3.206, and their paths lead nowhere."""
    samples = (_sample(), _sample(2, "5"))
    (tmp_path / "json").mkdir()
    members = {**_members(*samples), "../../evil.json": {"a": 1}}

    content = read(_archive(tmp_path / "log.eval", members, method))

    assert _items(content) == _items(_json(tmp_path / "json", *samples))
    assert not (tmp_path.parent / "evil.json").exists()


def test_formats_inspect_a_document_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """It is not empty, and its lines are no rows."""
    _json(tmp_path, _sample())
    path = tmp_path / "log.json"
    text = path.read_text()

    for part in (text[:100], text[:-3], json.dumps(json.loads(text))[:100]):
        path.write_text(part)
        with pytest.raises(InvalidInput, match=r"log\.json (is cut off|line 1 is not valid JSON: Unterminated)"):
            read(path)


def test_formats_inspect_a_document_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error has the limit."""
    _json(tmp_path, _sample(), _sample(2))
    monkeypatch.setattr(json_rows, "LARGEST_DOCUMENT", 500)

    with pytest.raises(
        InvalidInput, match=r"log\.json holds one JSON object over several lines of more than 500 bytes"
    ):
        read(tmp_path / "log.json")


def test_formats_inspect_an_interrupted_archive_has_only_its_start(tmp_path: Path) -> None:
    """The header comes last, so it is missing if the evaluation was interrupted."""
    members = _members(_sample())
    del members["header.json"], members["summaries.json"]

    assert len(_items(read(_archive(tmp_path / "log.eval", members)))) == 2


def test_formats_inspect_a_wrong_member_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that is no JSON, or larger than what is read of it, is a wrong row."""
    monkeypatch.setattr(zip_rows, "LARGEST_DOCUMENT", 10_000)
    members = {**_members(_sample()), "samples/2_epoch_1.json": "{", "samples/3_epoch_1.json": " " * 10_001}

    counts = count(read(_archive(tmp_path / "log.eval", members)).files[0])

    assert counts.items == {"prompts": 1, "outputs": 1}
    first, second = (error.message.partition("log.eval ")[2] for error in counts.wrong)
    assert first.startswith("'samples/2_epoch_1.json' is not valid JSON")
    assert second == "'samples/3_epoch_1.json' is larger than 10,000 bytes"


def test_formats_inspect_an_archive_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """An archive's directory is at its end, so nothing can be read of one that is cut off."""
    path = _archive(tmp_path / "log.eval", _members(_sample()))
    path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(InvalidInput, match=r"log\.eval is cut off or damaged"):
        read(path)


def test_formats_inspect_damage_in_a_member_is_a_wrong_row(tmp_path: Path) -> None:
    """A checksum that does not match is an error."""
    path = _archive(tmp_path / "log.eval", _members(_sample(), _sample(2, "five")), zipfile.ZIP_STORED)
    path.write_bytes(path.read_bytes().replace(b'"five"', b'"FIVE"'))

    (error,) = count(read(path).files[0]).wrong

    assert "'samples/2_epoch_1.json' is damaged" in error.message


def test_formats_inspect_another_archive_is_in_no_format(tmp_path: Path) -> None:
    """A spreadsheet is an archive, too."""
    with pytest.raises(InvalidInput, match="an archive without JSON files"):
        read(_archive(tmp_path / "table.xlsx", {"sheet.xml": "<a/>"}))
    with pytest.raises(InvalidInput, match="in no known format"):
        read(_archive(tmp_path / "other.zip", {"a.json": {"b": 1}}))


@pytest.mark.skipif(not DATA.is_dir(), reason=f"the data is not in {DATA}")
@pytest.mark.parametrize(
    "name",
    [
        "2025-05-12T20-28-26-04-00_security-guide.json",
        "log_formats.json",
        "log_formats.eval",
        "log_read_sample.eval",
        "zstd_log_read_sample.eval",
    ],
)
def test_formats_inspect_samples(name: str) -> None:
    """Prompts, references and answers are those of the logs."""
    expected = json.loads((DATA / "expected.json").read_text())[name]
    content = read(DATA / name)

    prompts, outputs = list(content.rows(Prompt)), list(content.rows(Output))
    samples = expected["samples"]
    assert [prompt.prompt_id for prompt in prompts] == [f"{expected['task']}/{s['prompt_id']}" for s in samples]
    assert [prompt.reference for prompt in prompts] == [(sample["target"],) for sample in samples]
    assert [output.turns for output in outputs] == [(sample["text"],) for sample in samples]
    assert {output.contestant for output in outputs} == {expected["contestant"]}
