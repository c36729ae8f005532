"""Sentences about a wrong setting: its section and name, its value where that cannot be a secret, and what to do.

A string is shown only where a setting takes one of a few words. Any other string may be a misplaced credential.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

_SHOWN_CHARS = 40
_RULES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a section",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "model_type": "must be a section",
    "path_type": "must be a path in quotes",
    "string_type": "must be a text in quotes",
    "tuple_type": "must be a list",
}
"""What a value must be, by pydantic's type of error, where pydantic's own message speaks of Python."""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def wrong_setting(error: ValidationError, model: type[BaseModel]) -> str:
    """Describe the first problem that pydantic found in settings of *model*, an unknown name before a wrong value."""
    problems = error.errors(include_url=False)
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    location = problem["loc"]
    if problem["type"] == "value_error":
        return f"{in_section(location)}{problem['ctx']['error']}"
    *section, name = [part for part in location if isinstance(part, str)] or [""]
    if problem["type"] == "extra_forbidden":
        return _unknown(section, name, _settings(model, section))
    if problem["type"] == "missing":
        return f"{in_section(section)}needs the setting {_key(name)}"
    return f"{in_section(section)}{_key(name)}{_wrong_value(problem, _settings(model, section).get(name))}"


def in_section(path: Sequence[str | int]) -> str:
    """Return the TOML section at *path* as the beginning of a sentence, or nothing for the top of the file."""
    return f"[{'.'.join(_key(str(part)) for part in path)}] " if path else ""


def closest(word: str, options: Iterable[str]) -> str:
    """Return a sentence with the option that is spelled most like *word*, or else with all options."""
    options = list(options)
    if close := get_close_matches(word, options, n=1):
        return f'Did you mean "{close[0]}"?'
    return f"Choose one of: {', '.join(options)}." if options else ""


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _unknown(section: Sequence[str], name: str, settings: Iterable[str]) -> str:
    shown = f"{in_section(section)}{_key(name[:_SHOWN_CHARS])}"
    return f"{shown} is not a known {'setting' if section else 'setting or section'}. {closest(name, settings)}"


def _wrong_value(problem: ErrorDetails, field: FieldInfo | None) -> str:
    """Return what follows the name of a setting: its value, if that may be shown, and what it must be."""
    value = problem["input"]
    rule = _RULES.get(problem["type"]) or re.sub(r"^(Input|String) should", "must", problem["msg"])
    if problem["type"] == "literal_error" and isinstance(value, str):
        options = _words(field.annotation) if field else []
        return f" = {json.dumps(value[:_SHOWN_CHARS])} is not a known value. {closest(value, options)}"
    if problem["type"] == "string_pattern_mismatch" and field and field.examples:
        return f" must look like {json.dumps(field.examples[0])}"
    shown = f" = {json.dumps(value)}:" if isinstance(value, bool | int | float) else ""
    return f"{shown} {rule}"


def _words(annotation: Any) -> list[str]:  # noqa: ANN401  # a type's arguments may be anything
    return [word for word in get_args(annotation) if isinstance(word, str)]


def _settings(model: type[BaseModel], section: Sequence[str]) -> dict[str, FieldInfo]:
    """Return the settings that the *section* of a file described by *model* may have, by name."""
    annotation: Any = model
    for part in section:
        if get_origin(annotation) is dict:
            annotation = get_args(annotation)[1]
        else:
            annotation = _model(annotation).model_fields[part].annotation
    return {} if get_origin(annotation) in (dict, tuple, Literal) else dict(_model(annotation).model_fields)


def _model(annotation: Any) -> type[BaseModel]:  # noqa: ANN401  # a model, or a model or None
    options = get_args(annotation) or (annotation,)
    return next(option for option in options if isinstance(option, type) and issubclass(option, BaseModel))
