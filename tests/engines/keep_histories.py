"""Keep the histories of a small run, as a release leaves them at Temporal, for all later ones to replay.

    PYTHONPATH=.:tests python tests/engines/keep_histories.py RELEASE

writes `histories/RELEASE-N.json`: 12 shards in three histories. What tells of the machine is written over.
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
    """Run it, and write its histories."""
    async with site.service(lambda _: "[[A]]", shards=5, size=5) as h:
        await h.fill()
        run = await h.ended(await h.begin())
        client = await Client.connect(site.address)
        kept: list[dict[str, Any]] = []
        before = None
        while not kept or before:
            history = await client.get_workflow_handle(run.run_id, run_id=before).fetch_history()
            before = history.events[0].workflow_execution_started_event_attributes.continued_execution_run_id
            kept.insert(0, history.to_json_dict())
    for number, one in enumerate(kept, start=1):
        (FOLDER / f"{release}-{number}.json").write_text(history_text(one).replace(run.run_id, "0" * 16), "utf-8")


def main() -> None:
    """Start what it takes."""
    with postgres() as database, temporal() as handing_out, database.fresh() as url:
        asyncio.run(keep(sys.argv[1], Site(url, handing_out.address)))


if __name__ == "__main__":
    main()
