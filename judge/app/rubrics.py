"""The rubrics that judges may use: the built-in ones, and those in the configured folder."""

from __future__ import annotations

import tomllib
from pathlib import Path

from judge.config.files import ConfigError
from judge.domain.errors import InvalidInput
from judge.domain.judge import Rubric
from judge.formats.judge_prompts import rubrics_of
from judge.prompts.library import checked, rubric_of
from judge.prompts.rubrics import RUBRICS

JUDGE_PROMPTS = "judge_prompts.jsonl"
"""FastChat's file of judge prompts, which is read unchanged."""


def rubrics_in(folder: Path | None) -> dict[str, Rubric]:
    """Return every rubric by name: the built-in ones, each TOML file of *folder*, and its judge_prompts.jsonl.

    Raises ConfigError if a file is wrong or a name is taken.
    """
    rubrics = dict(RUBRICS)
    for path in sorted(folder.iterdir()) if folder else ():
        if path.suffix == ".toml" or path.name == JUDGE_PROMPTS:
            additions = _read(path)
            if taken := sorted(additions.keys() & rubrics.keys()):
                message = f"rubric {path}: the name {taken[0]!r} already belongs to another rubric. Choose another name"
                raise ConfigError(message)
            rubrics |= additions
    return rubrics


def _read(path: Path) -> dict[str, Rubric]:
    try:
        text = path.read_text("utf-8")
        if path.name == JUDGE_PROMPTS:
            return {name: checked(rubric) for name, rubric in rubrics_of(text.splitlines()).items()}
        return {path.stem: rubric_of(path.stem, tomllib.loads(text))}
    except InvalidInput as error:
        message = f"rubric {path}: {error.field}: {error.message}"
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        message = f"rubric {path} cannot be read: {error}"
    raise ConfigError(message) from None
