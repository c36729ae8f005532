"""An async client of the judge service.

    async with JudgeClient("127.0.0.1:50051") as client:
        leaderboard = await client.leaderboard("demo", "people")

Of the service, it imports only the generated API (`judge.api`).
"""

from judge_client.client import JudgeClient
from judge_client.errors import JudgeClientError
from judge_client.names import dataset_name, judge_name, resource_id, run_name

__all__ = ["JudgeClient", "JudgeClientError", "dataset_name", "judge_name", "resource_id", "run_name"]
