"""The client of all five services, over one channel."""

from __future__ import annotations

from judge_client.datasets import DatasetCalls
from judge_client.judges import JudgeCalls
from judge_client.reports import ReportCalls
from judge_client.runs import RunCalls


class JudgeClient(DatasetCalls, RunCalls, JudgeCalls, ReportCalls):
    """A client of the service at an address, `HOST:PORT` or `unix:/path`.

    `JudgeClient("judge.example:50051", ca="ca.pem", token_file="token")` uses TLS and presents a token.

    Methods return the content of the reply and raise JudgeClientError if a call fails. The generated stubs are
    `datasets`, `runs`, `judges`, `rankings`, and `agreements`.
    """
