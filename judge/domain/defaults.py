"""The defaults of rankings and agreement reports: what the service uses where a request leaves an option unset.

This is the only place that states them. The options of the service and the help of the command line read them here, and
clients send only what they want changed. An attribute has the name of the API's field, and a string is the word of an
enum's value.
"""

from __future__ import annotations

from dataclasses import dataclass

from judge.domain.outcome import Reconcile

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingDefaults:
    """The defaults of RankingOptions."""

    method: str = "bradley-terry"
    k: float = 4.0
    start: float = 1000.0
    level: float = LEVEL
    reconcile: Reconcile = Reconcile.TIE
    degenerate: str = "refuse"
    scale: str = "elo"
    inference: str = "new-prompts"
    ridge: float = 0.0
    adjustment: str = "holm"
    difference_to_detect: float = 30.0
    """In rating points."""
    permutations: int = 100
    seed: int = 0
    intervals: str = "sandwich"
    replicates: int = 1000
    decisive_weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementDefaults:
    """The defaults of AgreementOptions."""

    orientation: str = "both"
    level: float = LEVEL
    reconcile: Reconcile = Reconcile.TIE
    intervals: str = "sandwich"
    replicates: int = 2000
    seed: int = 0
    epsilon: float = 0.2
    q: float = 0.05
    least_items: int = 30
    difference_to_detect: float = 0.05
    """As a share."""
    cascade_delta: float = 0.1
    drift_margin: float = 0.05
    """As a share of verdicts."""
    inference: str = "new-prompts"


LISTEN_ADDRESS = "127.0.0.1:50051"
"""The address of a server whose configuration names none."""
RANKING = RankingDefaults()
AGREEMENT = AgreementDefaults()
AGREEMENT_INTERVALS = ("sandwich", "bootstrap", "percentile")
"""The kinds of intervals of an agreement report. A ranking has every kind that the API names."""
AGREEMENT_INFERENCES = ("new-prompts", "prompts-and-annotators")
"""What an agreement report can generalize to. A ranking can to everything that the API names."""
RATING_SCALES = ("elo", "natural")
"""The scales that can be asked for. The API also names the scale of win rates, which comes with their method."""
