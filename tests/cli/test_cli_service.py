"""`judge migrate`, and what `serve` and `worker` refuse in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from judge.cli import main
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
    return CliRunner().invoke(main.cli, [command, "--config", str(config)], standalone_mode=False)


def refused(result: Result) -> str:
    """The sentence that the command ended with."""
    assert result.exception is not None
    return main._sentence(result.exception)


def test_migrate_says_from_where_to_where(tmp_path: Path, empty: str) -> None:
    """The first time it makes the schema; the second time there is nothing to do."""
    first, second = (judge(tmp_path, "migrate", f'store_url = "{empty}"') for _ in range(2))

    assert [(one.return_value, one.output) for one in (first, second)] == [
        (0, f"schema none -> {NEWEST}\n"),
        (0, f"schema {NEWEST}: up to date\n"),
    ]


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_without_its_schema_nothing_starts(tmp_path: Path, empty: str, command: str) -> None:
    """One sentence says what the store has, what this release knows, and what to do."""
    result = judge(tmp_path, command, f'engine = "temporal"\nstore_url = "{empty}"')

    assert refused(result) == f"the store has no schema, but this release needs {NEWEST}: run `judge migrate`"


@pytest.mark.parametrize(
    ("command", "text", "said"),
    [
        ("worker", "", "Temporal hands out"),
        ("worker", 'store_url = "postgresql://nobody@localhost/none"', 'say engine = "temporal"'),
        ("worker", 'engine = "temporal"', "store_url"),
        ("migrate", 'store_url = "sqlite:///judge.db"', "when it is opened"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(tmp_path: Path, command: str, text: str, said: str) -> None:
    sentence = refused(judge(tmp_path, command, text))

    assert said in sentence
    assert "\n" not in sentence


def test_one_server_of_its_own_engine_executes_the_runs_of_a_store(tmp_path: Path, server: Postgres) -> None:
    """A second one is refused: it would execute the same runs."""
    with server.fresh() as url, executing(url):
        result = judge(tmp_path, "serve", f'store_url = "{url}"')

    assert refused(result).startswith("another server executes the runs of this store")
