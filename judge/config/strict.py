"""The base of all sections of the settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A section that refuses unknown settings, never changes, and keeps its values out of errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
