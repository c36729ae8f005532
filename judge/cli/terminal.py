"""Text on a terminal: what names and replies hold must not move the cursor, change colors, or hide other text."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_HARMFUL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but tabs and line feeds, and the marks that turn the direction of a text."""


def escaped(text: str) -> str:
    r"""Return *text* with control characters as JSON spells them, so that JSON stays JSON with the same values.

    >>> print(escaped("a\x1b[2Jb"))
    a\u001b[2Jb
    """
    return _HARMFUL.sub(lambda character: f"\\u{ord(character[0]):04x}", text)


class EscapedStream:
    """Writes to *stream*, with control characters escaped. Everything else is that of *stream*."""

    def __init__(self, stream: TextIO) -> None:
        self.plain = stream

    def write(self, text: str) -> int:
        """Write *text*, escaped."""
        return self.plain.write(escaped(text))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401  # whatever the stream has
        return getattr(self.plain, name)


def escape_output() -> None:
    """From now on, escape what this process writes to standard output and standard error."""
    sys.stdout, sys.stderr = EscapedStream(sys.stdout), EscapedStream(sys.stderr)


def data_output() -> TextIO:
    """Return standard output for data, whose bytes are kept unless it is a terminal."""
    return sys.stdout if sys.stdout.isatty() else _plain(sys.stdout)


def _plain(stream: TextIO) -> TextIO:
    return stream.plain if isinstance(stream, EscapedStream) else stream


def escaping_console(stream: TextIO, *, width: int | None = None) -> Console:
    """Return a console on *stream* that escapes texts, interprets no markup in them, and may style them."""
    from rich.console import Console  # noqa: PLC0415  # rich is imported when something is printed
    from rich.text import Text  # noqa: PLC0415  # as above

    class EscapingConsole(Console):
        def render_str(self, text: str, **styles: Any) -> Text:  # noqa: ANN401  # rich's own
            return super().render_str(escaped(text), **styles)

    return EscapingConsole(file=_plain(stream), width=width, highlight=False, markup=False, emoji=False)
