"""The scope that each method of the API needs."""

from __future__ import annotations

from collections.abc import Mapping

from judge.domain.token import AccessScope

PACKAGE = "/judge.api.v1."
_METHODS: Mapping[AccessScope, str] = {
    AccessScope.READ: """
        DatasetService: GetDataset ListDatasets ReadDataset
        RunService: EstimateRun GetRun ListRuns WatchRun ListVerdicts StreamVerdicts ReadPlan
        JudgeService: ListJudges GetJudge PreviewPrompt
        RankingService: GetLeaderboard GetMeanScores RankBattles
        AgreementService: GetAgreement MeasureAgreement ListDisagreements
    """,
    AccessScope.RUN: """
        DatasetService: CreateDataset UploadPrompts UploadOutputs UploadVerdicts UploadComparisons
        RunService: CreateRun CancelRun ResumeRun SetRunCost ReparseRun
        JudgeService: JudgeComparison JudgeComparisons
    """,
    AccessScope.LABEL: """
        DatasetService: UploadLabels
    """,
    AccessScope.ADMIN: """
        DatasetService: DeleteDataset DeleteLabels
        RunService: DeleteRun
    """,
}


def _by_method() -> dict[str, AccessScope]:
    scopes = {}
    for scope, text in _METHODS.items():
        for line in filter(None, map(str.strip, text.splitlines())):
            service, _, methods = line.partition(":")
            scopes.update({f"{PACKAGE}{service}/{method}": scope for method in methods.split()})
    return scopes


SCOPES: Mapping[str, AccessScope] = _by_method()
"""The scope of each method, by its path, such as `/judge.api.v1.RunService/GetRun`."""


def scope_of(method: str) -> AccessScope | None:
    """Return the scope that a *method* needs; None if any token will do. A method of ours without a scope needs all.

    >>> scope_of("/judge.api.v1.RunService/GetRun").value
    'read'
    """
    return SCOPES.get(method, AccessScope.ADMIN) if method.startswith(PACKAGE) else None
