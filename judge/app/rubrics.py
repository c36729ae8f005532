"""The rubrics that judges may use: the built-in ones, and those in the configuration's folder."""

from __future__ import annotations

import tomllib
from pathlib import Path

from judge.config.settings import ConfigError
from judge.domain.errors import InvalidInput
from judge.domain.judge import Rubric
from judge.formats.judge_prompts import rubrics_of
from judge.prompts.library import checked, rubric_of
from judge.prompts.rubrics import RUBRICS

JUDGE_PROMPTS = "judge_prompts.jsonl"
"""FastChat's file, as it stands."""


def rubrics_in(folder: Path | None) -> dict[str, Rubric]:
    """Every rubric by name: built in, one for each TOML file of *folder*, those of its judge_prompts.jsonl.

    ConfigError names the file that is wrong, and what is wrong with it.
    """
    found = dict(RUBRICS)
    for path in sorted(folder.iterdir()) if folder else ():
        if path.suffix == ".toml" or path.name == JUDGE_PROMPTS:
            made = _read(path)
            if taken := sorted(made.keys() & found.keys()):
                message = f"rubric {path}: there is a rubric {taken[0]!r} already"
                raise ConfigError(message)
            found |= made
    return found


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
