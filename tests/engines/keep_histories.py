"""Save the histories that a release makes for a small run, so that all later releases can replay them.

    PYTHONPATH=.:tests python tests/engines/keep_histories.py RELEASE

writes `histories/RELEASE-N.json`: 12 shards in three histories. Everything about the machine is overwritten.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from temporalio.client import Client

from support.engine_service import Site
from support.postgres import postgres
from support.temporal_server import temporal
from support.workflow_histories import FOLDER, history_text


async def keep(release: str, site: Site) -> None:
    """Execute a run, and write its histories."""
    async with site.service(lambda _: "[[A]]", shards=5, size=5) as h:
        await h.fill()
        run = await h.ended(await h.begin())
        client = await Client.connect(site.address)
        histories: list[dict[str, Any]] = []
        before = None
        while not histories or before:
            fetched = await client.get_workflow_handle(run.run_id, run_id=before).fetch_history()
            before = fetched.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
            histories.insert(0, fetched.to_json_dict())
    for number, history in enumerate(histories, start=1):
        (FOLDER / f"{release}-{number}.json").write_text(history_text(history).replace(run.run_id, "0" * 16), "utf-8")


def main() -> None:
    """Start PostgreSQL and Temporal, and save the histories."""
    with postgres() as database, temporal() as handing_out, database.fresh() as url:
        asyncio.run(keep(sys.argv[1], Site(url, handing_out.address)))


if __name__ == "__main__":
    main()
