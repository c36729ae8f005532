"""The covariance of ratings over prompts and annotators at once, for inference to new prompts and new annotators.

It is the covariance over prompts, plus that over annotators, minus that over the annotators of each prompt: A. C.
Cameron, J. B. Gelbach, D. L. Miller (2011), "Robust Inference With Multiway Clustering", Journal of Business & Economic
Statistics 29(2). The difference of the last two may have negative variances by chance. They are set to zero, so that no
variance is below that over prompts.

Each of the two variances has its own degrees of freedom, by leverage as in `own_leverage`: annotators with many votes
determine a rating, and one of thirty may count as much as all others. Those of the sum follow by F. E. Satterthwaite
(1946), "An Approximate Distribution of Estimates of Variance Components", Biometrics Bulletin 2(6).
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from judge.columns.arrays import Floats, Ints, present
from judge.stats.cluster_intervals import FEWEST
from judge.stats.paired_model import Model
from judge.stats.sandwich import Covariance, Leverage, checked, covariance
from judge.stats.standard_errors import StandardErrors

METHOD = "two-way-sandwich-t"


@dataclass(frozen=True, eq=False)
class TwoWayLeverage:
    """The variances over *prompts*, over *annotators* and over *both*, the annotators of each prompt."""

    prompts: Leverage
    annotators: Leverage
    both: Leverage

    def of_contrasts(self, contrasts: Floats) -> StandardErrors:
        """The standard errors of k *contrasts* (float64[k, p]), float64[k]."""
        parts = (self.prompts, self.annotators, self.both)
        return _together(*(part.of_contrasts(contrasts) for part in parts))

    def of_pairs(self) -> StandardErrors:
        """The standard errors of the differences of all pairs of parameters, float64[p, p]."""
        return _together(*(part.of_pairs() for part in (self.prompts, self.annotators, self.both)))


def _together(prompts: StandardErrors, annotators: StandardErrors, both: StandardErrors) -> StandardErrors:
    """The standard errors over prompts and annotators, with Satterthwaite's degrees of freedom of the sum."""
    over_prompts, over_annotators, shared = (np.square(errors.error) for errors in (prompts, annotators, both))
    # Below zero, annotators differ by no more than the votes of each prompt.
    whole = over_prompts + np.maximum(over_annotators - np.nan_to_num(shared), 0.0)
    noise = np.square(over_prompts) * prompts.s2 + np.square(over_annotators) * annotators.s2
    with np.errstate(divide="ignore", invalid="ignore"):
        s2 = np.minimum(noise / np.square(whole), 1.0)
    return StandardErrors(np.sqrt(whole), s2, np.square(s2))


def two_way_covariance(model: Model, annotators: Ints, ridge: float = 0.0) -> Covariance:
    """The covariance of the parameters of *model* over its clusters, the prompts, and over *annotators*.

    *annotators* is int32[n], a code for each battle. There is none below 5 prompts or 5 annotators.
    Student's t has the degrees of freedom that follow from both variances.

    >>> from judge.stats.battles import Battles
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> outcomes = (["left", "right", "left"] * 6 + ["right", "left"])[:20]
    >>> battles = Battles.from_names(["a"] * 20, ["b"] * 20, outcomes, cluster=[f"p{n // 2}" for n in range(20)])
    >>> result = two_way_covariance(bradley_terry(battles).model, np.arange(20, dtype=np.int32) % 6)
    >>> result.method, result.clusters
    ('two-way-sandwich-t', 6)
    """
    battles = model.design.battles
    counted = slice(None) if battles.weight is None else battles.weight > 0
    n_annotators = present(annotators[counted]).size
    if n_annotators < FEWEST:
        reason = f"none: {n_annotators} annotators, at least {FEWEST} are needed"
        return Covariance.none(reason, n_annotators, model.m)
    prompts = np.arange(battles.n, dtype=np.int64) if battles.cluster is None else battles.cluster.astype(np.int64)
    of_prompts = covariance(model, ridge)
    of_annotators = covariance(_clustered(model, annotators), ridge)
    of_both = covariance(_clustered(model, prompts << 32 | annotators), ridge)
    if of_prompts.effects is None or of_prompts.leverage is None:
        return of_prompts
    if of_annotators.effects is None or of_annotators.leverage is None:
        return Covariance.none(of_annotators.method.replace("prompt", "annotator"), n_annotators, model.m)
    if of_both.effects is None or of_both.leverage is None:
        return Covariance.none(of_both.method.replace("prompt", "annotator"), n_annotators, model.m)
    matrix = of_prompts.effects + _positive(of_annotators.effects - of_both.effects)
    clusters = min(of_prompts.clusters, n_annotators)
    reasons = tuple(
        prompts_reason or annotators_reason.replace("prompt", "annotator")
        for prompts_reason, annotators_reason in zip(of_prompts.reasons, of_annotators.reasons, strict=True)
    )
    leverage = TwoWayLeverage(of_prompts.leverage, of_annotators.leverage, of_both.leverage)
    return checked(Covariance(effects=matrix, method=METHOD, clusters=clusters, reasons=reasons, leverage=leverage))


def _clustered(model: Model, cluster: npt.NDArray[np.integer]) -> Model:
    names, codes = np.unique(cluster, return_inverse=True)
    battles = replace(model.design.battles, cluster=codes.astype(np.int32), n_clusters=names.size)
    return replace(model, design=replace(model.design, battles=battles))


def _positive(matrix: Floats) -> Floats:
    """A symmetric *matrix* without its negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    positive: Floats = (vectors * np.maximum(values, 0)) @ vectors.T
    return positive
