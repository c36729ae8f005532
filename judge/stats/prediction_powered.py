"""Ratings anchored to people by prediction-powered inference, from few labels and many verdicts.

For each comparison, let y be the left score of the label (1 left, 0.5 tie, 0 right), f the left score of the judge, and
p the expected score. r is 1 / (probability of being labeled) if there is a label, and 0 otherwise. x is +1 for the left
contestant and -1 for the right one. The log strengths solve

    sum of x * (L (f - p) + r ((y - p) - L (f - p))) = 0,

which is unbiased for the result of labels on all comparisons, however good the judge is: A. N. Angelopoulos, S. Bates,
C. Fannjiang, M. I. Jordan, T. Zrnic (2023), "Prediction-powered inference", Science 382. L, from 0 (labels alone) to 1,
is tuned to minimize the summed variance: A. N. Angelopoulos, J. C. Duchi, T. Zrnic (2023), "PPI++". The weights r are
those of D. G. Horvitz, D. J. Thompson (1952), Journal of the American Statistical Association 47(260).

The terms of a prompt sum to one score. The covariance of those scores is computed as in `sandwich`, with each prompt's
leverage on each contestant, because prompts with labels, and labels of small probability above all, weigh much. Only
prompts with labels count as a contestant's own.
"""

import math
from dataclasses import dataclass

import numpy as np

from judge.columns import arrays
from judge.columns.arrays import Flags, Floats, Ints, sums
from judge.stats.cluster_intervals import too_few
from judge.stats.components import strong_components
from judge.stats.errors import NotConverged, StatisticsError, column_errors
from judge.stats.newton import newton
from judge.stats.own_leverage import own_leverage
from judge.stats.paired_model import invert
from judge.stats.prompt_sums import PromptSums
from judge.stats.sandwich import Covariance, checked, own_prompts_reasons

METHOD = "prediction-powered"
_LEAST_INFORMATION = 1e-18
_TOLERANCE = 1e-10
_MOST_STEPS = 100


@dataclass(frozen=True, eq=False)
class ComparisonColumns:
    """n comparisons of m contestants with an outcome of the judge, some with a label.

    *left* and *right* are int32[n], codes below *m*. *judged* is float64[n], the judge's left score, 0 to 1. *labeled*
    is float64[n], the left score of the labels, NaN without a label. *probability* is float64[n], the probability with
    which the comparison was chosen for labeling; it is used only if there is a label. *cluster* is int32[n], the code
    of the prompt. Raises StatisticsError if a column is not like that, or there is no label.
    """

    m: int
    left: Ints
    right: Ints
    judged: Floats
    labeled: Floats
    probability: Floats
    cluster: Ints

    def __post_init__(self) -> None:
        """Check every column."""
        names = ("left", "right", "judged", "labeled", "probability", "cluster")
        with column_errors():
            arrays.codes("left", self.left, self.m)
            arrays.codes("right", self.right, self.m)
            n = arrays.same_length(**{name: getattr(self, name) for name in names})
        if n == 0:
            raise StatisticsError("There are no comparisons.")
        if (self.left == self.right).any():
            raise StatisticsError(f"A contestant meets itself in comparison {int((self.left == self.right).argmax())}.")
        chosen = self.chosen
        if not chosen.any():
            raise StatisticsError("No comparison has a label: ratings need at least some labels to anchor to.")
        scores = np.concatenate((self.judged, self.labeled[chosen]))
        if not ((scores >= 0) & (scores <= 1)).all():
            raise StatisticsError("A left score lies outside 0 to 1.")
        if not ((self.probability[chosen] > 0) & (self.probability[chosen] <= 1)).all():
            raise StatisticsError("The labeling probability of a labeled comparison must be above 0 and at most 1.")

    @property
    def chosen(self) -> Flags:
        """Which comparisons have a label, bool[n]."""
        return ~np.isnan(self.labeled)

    @property
    def inverse(self) -> Floats:
        """1 / probability where there is a label, 0 elsewhere: float64[n]."""
        return np.where(self.chosen, 1 / np.where(self.chosen, self.probability, 1.0), 0.0)

    @property
    def label_score(self) -> Floats:
        """The left score of the labels, 0 without a label: float64[n]."""
        return np.where(self.chosen, self.labeled, 0.0)


@dataclass(frozen=True, eq=False)
class AnchoredFit:
    """Log strengths anchored to labels, float64[m] summing to 0, with their *covariance*.

    *weight* is L, the weight of the judge. *gain* is the summed variance of a fit to labels alone divided by the summed
    variance of this fit, which is the effective number of labels per label; NaN if labels alone cannot rank the
    contestants. The standard errors would be multiplied by *more_labels* with twice the labels on the same prompts, and
    by *more_prompts* with the same number of labels spread over twice the prompts.
    """

    log_strengths: Floats
    covariance: Covariance
    weight: float
    gain: float
    labels: int
    labeled_prompts: int
    more_labels: float
    more_prompts: float


def anchored_fit(compared: ComparisonColumns) -> AnchoredFit:
    """Estimate the log strengths that labels on all comparisons would give.

    Raises NotConverged if labels and verdicts do not order the contestants on one scale, and StatisticsError if they
    hardly determine it.

    >>> rng = np.random.default_rng(0)
    >>> judged = rng.integers(0, 2, 200).astype(float)
    >>> labeled = np.where(np.arange(200) % 4 == 0, judged, np.nan)
    >>> zeros = np.zeros(200, dtype=np.int32)
    >>> prompts = np.arange(200, dtype=np.int32)
    >>> fit = anchored_fit(ComparisonColumns(2, zeros, zeros + 1, judged, labeled, np.full(200, 0.25), prompts))
    >>> fit.labels, fit.gain > 2
    (50, True)
    """
    cluster = np.unique(compared.cluster, return_inverse=True)[1].astype(np.int32)
    verdicts = _won(compared, compared.judged, 1 - compared.judged)
    start, _ = newton(verdicts, _TOLERANCE, _MOST_STEPS, np.zeros(compared.m))
    weight = _tune(compared, cluster, start)
    start = _solve(compared, weight, start)
    weight = _tune(compared, cluster, start)
    log_strengths = _solve(compared, weight, start)
    covariance = _covariance(compared, cluster, log_strengths, weight)
    chosen = compared.chosen
    prompts = int(np.unique(cluster[chosen]).size)
    more_labels, more_prompts = _more_data(compared, cluster, log_strengths, weight)
    gain = _gain(compared, cluster, log_strengths, covariance)
    return AnchoredFit(
        log_strengths=log_strengths,
        covariance=covariance,
        weight=weight,
        gain=gain,
        labels=int(chosen.sum()),
        labeled_prompts=prompts,
        more_labels=more_labels,
        more_prompts=more_prompts,
    )


def _solve(compared: ComparisonColumns, weight: float, start: Floats) -> Floats:
    return newton(_wins(compared, weight), _TOLERANCE, _MOST_STEPS, start)[0]


def _wins(compared: ComparisonColumns, weight: float) -> Floats:
    """The wins of row over column by verdicts with *weight*, corrected by labels: float64[m, m]."""
    r, f, y = compared.inverse, compared.judged, compared.label_score
    left = weight * f + r * (y - weight * f)
    right = weight * (1 - f) + r * ((1 - y) - weight * (1 - f))
    return _won(compared, left, right)


def _won(compared: ComparisonColumns, left: Floats, right: Floats) -> Floats:
    """The sums by pair of the scores of the *left* and the *right* side, row over column: float64[m, m]."""
    m = compared.m
    pair = compared.left.astype(np.intp) * m + compared.right
    return sums(pair, left, m * m).reshape(m, m) + sums(pair, right, m * m).reshape(m, m).T


def _parts(compared: ComparisonColumns, strengths: Floats) -> tuple[Floats, Floats, Floats]:
    """The terms of each comparison: of its label, of its verdict (to be multiplied by L), and p (1 - p)."""
    p = 1 / (1 + np.exp(strengths[compared.right] - strengths[compared.left]))
    r = compared.inverse
    return r * (compared.label_score - p), (1 - r) * (compared.judged - p), p * (1 - p)


def _by_prompt(compared: ComparisonColumns, cluster: Ints, column: Floats, *, against: int = -1) -> Floats:
    """The sum of x times *column* by prompt, float64[G, m]; x is *against* for the right contestant."""
    m, n_prompts = compared.m, int(cluster.max()) + 1
    at = cluster.astype(np.intp) * m
    table = sums(at + compared.left, column, n_prompts * m)
    table += against * sums(at + compared.right, column, n_prompts * m)
    return table.reshape(n_prompts, m)


def _information(compared: ComparisonColumns, curvature: Floats) -> Floats:
    """The sum of *curvature* times x x', float64[m, m]."""
    pair = _won(compared, curvature, curvature)
    return np.diag(pair.sum(axis=1)) - pair


def _counted(compared: ComparisonColumns, weight: float) -> Floats:
    return weight + compared.inverse * (1 - weight)


def _tune(compared: ComparisonColumns, cluster: Ints, strengths: Floats) -> float:
    """The weight L, from 0 to 1, with the smallest summed variance of the log strengths."""
    alone, more, curvature = _parts(compared, strengths)
    bread = invert(_information(compared, curvature), compared.m)
    labels = _by_prompt(compared, cluster, alone) @ bread
    verdicts = _by_prompt(compared, cluster, more) @ bread
    size = float(np.square(verdicts).sum())
    return 0.0 if size == 0 else min(max(-float((labels * verdicts).sum()) / size, 0.0), 1.0)


def _covariance(compared: ComparisonColumns, cluster: Ints, strengths: Floats, weight: float) -> Covariance:
    m = compared.m
    n_labeled = int(np.unique(cluster[compared.chosen]).size)
    if few := too_few(n_labeled, " with labels"):
        return Covariance.none(few, n_labeled, m)
    alone, more, curvature = _parts(compared, strengths)
    counted = _counted(compared, weight)
    information = _information(compared, curvature * counted)
    score, expected = alone + weight * more, curvature * np.square(counted)
    block = PromptSums(
        score=_by_prompt(compared, cluster, score),
        information=_by_prompt(compared, cluster, curvature * counted, against=1),
        noise=_by_prompt(compared, cluster, expected, against=1),
        alone=_by_prompt(compared, cluster, np.square(curvature * counted), against=1),
    )
    labels = _by_prompt(compared, cluster, compared.chosen.astype(np.float64), against=1)
    reasons = own_prompts_reasons(np.count_nonzero(labels, axis=0), " of its own with labels")
    leverage = own_leverage(
        blocks=lambda: [(block, slice(None))],
        bread=invert(information, m),
        information=np.maximum(information.diagonal(), _LEAST_INFORMATION),
        phi=np.full(m, float(score @ score) / float(expected.sum())),
        pooled=np.array([not reason for reason in reasons]),
    )
    return checked(
        Covariance(
            effects=leverage.matrix,
            method=f"{METHOD}-cr2",
            clusters=n_labeled,
            reasons=reasons,
            leverage=leverage,
        )
    )


def _gain(compared: ComparisonColumns, cluster: Ints, strengths: Floats, covariance: Covariance) -> float:
    """How many times as many labels the same precision would need without the judge."""
    ours = covariance.matrix
    if ours is None or len(strong_components(_wins(compared, 0.0))) > 1:
        return math.nan
    try:
        alone = _covariance(compared, cluster, _solve(compared, 0.0, strengths), 0.0).matrix
    except NotConverged:
        return math.nan
    if alone is None:
        return math.nan
    variances = np.stack((alone.diagonal(), ours.diagonal()))
    labels, both = variances[:, np.isfinite(variances).all(axis=0)].sum(axis=1).tolist()
    return labels / both if both > 0 else math.nan


def _more_data(compared: ComparisonColumns, cluster: Ints, strengths: Floats, weight: float) -> tuple[float, float]:
    """The factors of the standard errors with twice the labels, and with as many labels on twice the prompts.

    The variance between prompts falls with their number. Drawing the comparisons to label adds e^2 (1 - q) / q for each
    comparison with residual e and probability q. The labeled comparisons estimate that sum with weights r.
    """
    alone, more, curvature = _parts(compared, strengths)
    bread = invert(_information(compared, curvature * _counted(compared, weight)), compared.m)
    scores = _by_prompt(compared, cluster, alone + weight * more)
    whole = float(np.square(scores @ bread).sum())
    squared = bread @ bread
    i, j = compared.left, compared.right
    size = squared[i, i] + squared[j, j] - 2 * squared[i, j]
    p = 1 / (1 + np.exp(strengths[j] - strengths[i]))
    residual = (compared.label_score - p) - weight * (compared.judged - p)
    q = np.where(compared.chosen, compared.probability, 1.0)

    def drawing(factor: float) -> float:
        chance = np.minimum(factor * q, 1.0)
        return float((compared.inverse * (1 - chance) / chance * np.square(residual) * size).sum())

    between = max(whole - drawing(1.0), 0.0)
    now = between + drawing(1.0)
    if now == 0:
        return 1.0, math.sqrt(0.5)
    return math.sqrt((between + drawing(2.0)) / now), math.sqrt((between + drawing(0.5)) / 2 / now)
