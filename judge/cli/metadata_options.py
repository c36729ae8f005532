"""The option `--meta`: what the caller notes about a run, or filters runs by."""

from __future__ import annotations

from collections.abc import Sequence

import click

META = click.option("--meta", multiple=True, metavar="NAME=VALUE", help="Note this with the run. Repeatable.")
META_FILTER = click.option(
    "--meta", multiple=True, metavar="NAME=VALUE", help="Only runs with this metadata. Repeatable."
)


def as_metadata(pairs: Sequence[str]) -> dict[str, str]:
    """Return the metadata in *pairs* of the form NAME=VALUE. Raises BadParameter for any other form.

    >>> as_metadata(["commit=abc", "note=a=b"])
    {'commit': 'abc', 'note': 'a=b'}
    """
    metadata: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{pair!r} must have the form NAME=VALUE, as in commit=abc", param_hint="--meta")
        if name in metadata:
            raise click.BadParameter(f"{name!r} is given twice", param_hint="--meta")
        metadata[name] = value
    return metadata
