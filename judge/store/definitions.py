"""Converts judges, run specs and dataset rows to JSON and back, without loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from judge.domain.dataset import ImportedVerdict, Label, ListedComparison
from judge.domain.judge import AnswerForm, JudgeDefinition, Rubric, RubricVariant, Sampling
from judge.domain.outcome import AnnotatorKind, Order, Outcome, Selection, TieKind, VerdictStatus
from judge.domain.run import Budget, OrderPolicy, Pairing, PairPolicy, RunSpec, TurnPolicy


def from_definition(definition: JudgeDefinition) -> dict[str, Any]:
    """Return a judge as JSON."""
    return asdict(definition)


def to_definition(body: Mapping[str, Any]) -> JudgeDefinition:
    """Return a judge from JSON."""
    rubric = body["rubric"]
    variants = tuple(
        RubricVariant(**{**v, "form": AnswerForm(v["form"]), "categories": tuple(v["categories"])})
        for v in rubric["variants"]
    )
    return JudgeDefinition(
        **{
            **body,
            "rubric": Rubric(**{**rubric, "variants": variants}),
            "sampling": Sampling(**body["sampling"]),
            "request": tuple(body.get("request", ())),
        }
    )


def from_spec(spec: RunSpec) -> dict[str, Any]:
    """Return a run's spec as JSON. Its metadata have a column of their own."""
    body = asdict(spec)
    del body["metadata"]
    if not spec.budget.hard:
        # Releases that do not know it can read the others.
        del body["budget"]["hard"]
    return body


def to_spec(body: Mapping[str, Any], metadata: Mapping[str, str]) -> RunSpec:
    """Return a run's spec from JSON, with the run's *metadata*."""
    fields = body["pairing"]
    pairing = Pairing(
        **{
            **fields,
            "policy": PairPolicy(fields["policy"]),
            "turns": TurnPolicy(fields["turns"]),
            "orders": OrderPolicy(fields["orders"]),
            "contestants": tuple(fields["contestants"]),
            "categories": tuple(fields["categories"]),
            "tags": tuple(fields["tags"]),
        }
    )
    return RunSpec(
        dataset=body["dataset"],
        judges=tuple(body["judges"]),
        pairing=pairing,
        budget=Budget(**body["budget"]),
        metadata=dict(metadata),
    )


def to_label(body: Mapping[str, Any]) -> Label:
    """Return a label from JSON."""
    return Label(
        **{
            **body,
            "outcome": Outcome(body["outcome"]),
            "kind": AnnotatorKind(body["kind"]),
            "tie_kind": TieKind(body["tie_kind"]) if body["tie_kind"] else None,
            "selection": Selection(body["selection"]) if body["selection"] else None,
        }
    )


def to_imported(body: Mapping[str, Any]) -> ImportedVerdict:
    """Return an imported verdict from JSON."""
    return ImportedVerdict(
        **{
            **body,
            "order": Order(body["order"]),
            "outcome": Outcome(body["outcome"]) if body["outcome"] else None,
            "status": VerdictStatus(body["status"]) if body["status"] else None,
        }
    )


def to_listed(body: Mapping[str, Any]) -> ListedComparison:
    """Return a listed comparison from JSON."""
    return ListedComparison(**body)
