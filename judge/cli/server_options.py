"""Options that become fields of a request. What is not given is not sent, so the server's default applies.

Defaults are read from `judge.domain.defaults`, and the choices of an enum from the API.
"""

from __future__ import annotations

from dataclasses import fields
from enum import Enum
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click

from judge.rpc.enum_words import words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from google.protobuf.descriptor import EnumDescriptor
    from google.protobuf.message import Message

    from judge.domain.defaults import AgreementDefaults, RankingDefaults

C = TypeVar("C", bound="Callable[..., Any]")


class EnumChoice(click.Choice[str]):
    """The values of an enum in the API, by their words. An option's value is the name that protobuf accepts.

    *module* and *message* name the message that has the enum's *field*; *only* restricts the words. The module is
    imported when a value is converted or help is shown, because protobuf would slow down every other command.
    """

    def __init__(self, module: str, message: str, field: str, only: Collection[str] = ()) -> None:
        self.case_sensitive = True
        self._place = module, message, field
        self._only = only

    @cached_property
    def _words(self) -> dict[str, str]:
        module, message, field = self._place
        kind: type[Message] = getattr(import_module(f"judge.api.v1.{module}"), message)
        return {
            name: word for name, word in words(_enum_type(kind, field)).items() if not self._only or word in self._only
        }

    @cached_property
    def choices(self) -> tuple[str, ...]:  # type: ignore[override]  # click sets it when the command is built
        """The names of the values."""
        return tuple(self._words)

    def normalize_choice(self, choice: object, ctx: click.Context | None) -> str:
        """Return the word that stands for a value's name on the command line."""
        return super().normalize_choice(self._words.get(str(choice), choice), ctx)


class ServerOption(click.Option):
    """An option whose value is None unless it is given. Its help shows *server_default*."""

    def __init__(self, *args: Any, server_default: object, **kwargs: Any) -> None:  # noqa: ANN401  # click's own arguments
        kwargs.setdefault("type", type(server_default))
        super().__init__(*args, **kwargs)
        self.server_default = server_default

    def get_help_extra(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's own type
        """Add the server's default to what click shows after the help text."""
        default = self.server_default
        return {
            **super().get_help_extra(ctx),
            "default": default.name.lower() if isinstance(default, Enum) else str(default),
        }


def server_option(defaults: object, *names: str, **attributes: Any) -> Callable[[C], C]:  # noqa: ANN401  # click's own
    """Make an option of a field that has a default in *defaults*; the last of *names* is the field's."""
    field = names[-1].removeprefix("--").replace("-", "_")
    return click.option(*names, cls=ServerOption, server_default=getattr(defaults, field), **attributes)


def fill_defaults(message: Message, defaults: RankingDefaults | AgreementDefaults) -> None:
    """Put *defaults* into the fields of *message* that are not set."""
    for field in fields(defaults):
        default = getattr(defaults, field.name)
        if not getattr(message, field.name):
            setattr(message, field.name, _number(type(message), field.name, default))


def _number(kind: type[Message], field: str, default: float | str) -> float:
    if not isinstance(default, str):
        return default
    enum = _enum_type(kind, field)
    return next(enum.values_by_name[name].number for name, word in words(enum).items() if word == default)


def _enum_type(kind: type[Message], field: str) -> EnumDescriptor:
    return kind.DESCRIPTOR.fields_by_name[field].enum_type  # type: ignore[return-value]  # an enum field
