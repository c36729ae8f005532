"""`judge migrate`, and the sentences with which `serve` and `worker` refuse to start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judge.cli import main
from judge.cli.group import cli
from judge.store.migrate import SCRIPTS
from judge.store.postgresql import executing
from support.postgres import Postgres

main._commands()
NEWEST = max(path.stem.partition("_")[0] for path in (SCRIPTS / "versions").glob("0*.py"))


@pytest.fixture
def empty(server: Postgres) -> Iterator[str]:
    """A database without a schema."""
    with server.fresh(template="template1") as url:
        yield url


def judge(folder: Path, command: str, text: str) -> Result:
    config = folder / "judge.toml"
    config.write_text(text, "utf-8")
    return CliRunner().invoke(cli, [command, "--config", str(config)], standalone_mode=False)


def refusal(result: Result) -> str:
    """Return the sentence that the command ended with."""
    assert isinstance(result.exception, Exception)
    return main._sentence(result.exception)


def test_migrate_says_from_where_to_where(tmp_path: Path, empty: str) -> None:
    """The first migration creates the schema; the second finds nothing to do."""
    first, second = (judge(tmp_path, "migrate", f'store_url = "{empty}"') for _ in range(2))

    assert [(result.return_value, result.output) for result in (first, second)] == [
        (0, f"Migrated the schema from none to {NEWEST}.\n"),
        (0, f"The schema is up to date ({NEWEST}).\n"),
    ]


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_without_its_schema_nothing_starts(tmp_path: Path, empty: str, command: str) -> None:
    """One sentence says which schema the store has, which one this release needs, and what to do."""
    result = judge(tmp_path, command, f'engine = "temporal"\nstore_url = "{empty}"')

    assert refusal(result) == f"the store has no schema, but this release needs {NEWEST}: run `judge migrate`"


@pytest.mark.parametrize(
    ("command", "text", "message"),
    [
        ("worker", "", 'needs engine = "temporal"'),
        ("worker", 'store_url = "postgresql://nobody@localhost/none"', 'needs engine = "temporal"'),
        ("worker", 'engine = "temporal"', "store_url"),
        ("migrate", 'store_url = "sqlite:///judge.db"', "when it is opened"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, command: str, text: str, message: str) -> None:
    sentence = refusal(judge(tmp_path, command, text))

    assert message in sentence
    assert "\n" not in sentence


def test_one_server_of_its_own_engine_executes_the_runs_of_a_store(tmp_path: Path, server: Postgres) -> None:
    """A second server is refused, because it would execute the same runs."""
    with server.fresh() as url, executing(url):
        result = judge(tmp_path, "serve", f'store_url = "{url}"')

    assert refusal(result).startswith("another server executes the runs of this store")
