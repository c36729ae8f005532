"""The client: all five services over one channel."""

from __future__ import annotations

from judge_client.datasets import DatasetCalls
from judge_client.judges import JudgeCalls
from judge_client.reports import ReportCalls
from judge_client.runs import RunCalls


class JudgeClient(DatasetCalls, RunCalls, JudgeCalls, ReportCalls):
    """A client of the service at an address, `HOST:PORT` or `unix:/path`.

    Its methods return what stands inside the reply and raise JudgeClientError. The stubs themselves are `datasets`,
    `runs`, `judges`, `rankings` and `agreements`.
    """
