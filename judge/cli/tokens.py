"""`judge token`: access tokens of the configured store."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from judge.cli.connect import ServiceTarget, run
from judge.cli.group import ON_THE_STORE, Commands, cli
from judge.cli.tables import table
from judge.domain.token import AccessScope

if TYPE_CHECKING:
    from judge.domain.token import Token

SECONDS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
LONGEST = 3650 * 86400.0
SCOPES = ",".join(AccessScope)


class Scopes(click.ParamType[frozenset[AccessScope]]):
    """Scopes, separated by commas."""

    name = "scopes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> frozenset[AccessScope]:  # noqa: ANN401  # as click has it
        """Return the scopes. Fails for an unknown one."""
        if isinstance(value, frozenset):
            return value
        try:
            return frozenset(AccessScope(word.strip()) for word in str(value).split(","))
        except ValueError:
            self.fail(f"scopes are {SCOPES}, separated by commas", param, ctx)


class Age(click.ParamType[float]):
    """A number of hours, days or weeks, as seconds."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401  # as above
        """Return the seconds. Fails for another form, and for more than ten years.

        >>> Age().convert("90d", None, None)
        7776000.0
        """
        match = re.fullmatch(r"(\d{1,6})([hdw])", str(value), re.ASCII)
        seconds = int(match[1]) * SECONDS[match[2]] if match else 0.0
        if not 0 < seconds <= LONGEST:
            self.fail("must be a number of hours, days or weeks up to ten years: 12h, 90d, 4w", param, ctx)
        return seconds


@cli.group("token", cls=Commands, params=[*ON_THE_STORE])
@click.pass_context
def token_group(context: click.Context, /, **options: Any) -> None:  # noqa: ANN401  # those of every command
    """Create, list and revoke access tokens, in the store of the configuration."""
    context.obj = context.obj.with_options(options)


@token_group.command("create")
@click.argument("name")
@click.option("--scope", "scopes", type=Scopes(), required=True, metavar=SCOPES, help="What the token permits.")
@click.option(
    "--expires", "seconds", type=Age(), metavar="90d", help="When it expires: 12h, 90d, 4w.  [default: never]"
)
@click.pass_obj
def create_command(service: ServiceTarget, name: str, scopes: frozenset[AccessScope], seconds: float | None) -> int:
    """Create a token and print it. It is not shown again.

    read permits to get, list and watch; run to upload and to run; label to
    upload labels; admin to delete.
    """
    _on_the_store(service)
    from judge.app.tokens import configured_tokens, create_token  # noqa: PLC0415  # loads the store, which takes a while
    from judge.ports.clock import SystemClock  # noqa: PLC0415  # as above

    async def work() -> str:
        async with configured_tokens(service.config) as store:
            return await create_token(store, SystemClock(), name, scopes=scopes, seconds=seconds)

    click.echo(run(work()))
    click.echo("Keep it in JUDGE_TOKEN, or in a file that token_file names. It is not shown again.", err=True)
    return 0


@token_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print each token as a line of JSON.")
@click.pass_obj
def list_command(service: ServiceTarget, *, as_json: bool) -> int:
    """List tokens: their names, scopes and times, never the tokens."""
    _on_the_store(service)
    from judge.app.tokens import TENANT, configured_tokens  # noqa: PLC0415  # as above

    async def work() -> list[Token]:
        async with configured_tokens(service.config) as store:
            return await store.tokens(TENANT)

    tokens, now = run(work()), time.time()
    if as_json:
        for token in tokens:
            click.echo(json.dumps(_json(token, now)))
    elif tokens:
        columns = ("token", "scopes", "state", "created", "expires", "last used")
        table("", columns, [_row(token, now) for token in tokens])
    else:
        click.echo("There are no tokens.", err=True)
    return 0


@token_group.command("revoke")
@click.argument("name")
@click.pass_obj
def revoke_command(service: ServiceTarget, name: str) -> int:
    """Revoke a token. Servers refuse it within a second, and end its streams."""
    _on_the_store(service)
    from judge.app.tokens import configured_tokens, revoke_token  # noqa: PLC0415  # as above

    async def work() -> None:
        async with configured_tokens(service.config) as store:
            await revoke_token(store, name)

    run(work())
    click.echo(f"Revoked {name}.")
    return 0


def _on_the_store(service: ServiceTarget) -> None:
    if service.server:
        raise click.UsageError("--server does not apply to token: it uses the store of the configuration")


def _state(token: Token, now: float) -> str:
    return "revoked" if token.revoke_time is not None else "expired" if token.expired(now) else "valid"


def _time(seconds: float | None) -> str:
    """Return a time to the minute, which is as exact as a last use is; "" if there is none.

    >>> _time(0.0)
    '1970-01-01T00:00Z'
    """
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%MZ}"


def _row(token: Token, now: float) -> tuple[str, ...]:
    times = (token.create_time, token.expire_time, token.last_use_time)
    return (token.name, ",".join(sorted(token.scopes)), _state(token, now), *map(_time, times))


def _json(token: Token, now: float) -> dict[str, object]:
    times = ("create_time", "expire_time", "revoke_time", "last_use_time")
    body = {"name": token.name, "scopes": sorted(token.scopes), "state": _state(token, now)}
    return body | {name: _time(getattr(token, name)) or None for name in times}
