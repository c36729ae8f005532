"""Ratings anchored to people: few labels and many verdicts, by prediction-powered inference.

With y the share of a comparison that a label gives to the left, f the share that the judge gives, r = 1 / (probability
of being labelled) where there is a label and 0 elsewhere, p the expected score and x = +1 for the left contestant and
-1 for the right one, the log strengths solve

    sum of x * (L (f - p) + r ((y - p) - L (f - p))) = 0,

which is unbiased for what labels on everything would say, whatever the judge is worth: A. N. Angelopoulos, S. Bates, C.
Fannjiang, M. I. Jordan, T. Zrnic (2023), "Prediction-powered inference", Science 382. L from 0 (labels alone) to 1 is
tuned to the smallest summed variance: A. N. Angelopoulos, J. C. Duchi, T. Zrnic (2023), "PPI++". The weights r are
those of D. G. Horvitz, D. J. Thompson (1952), Journal of the American Statistical Association 47(260).

A prompt's terms are summed to one score, and the covariance is `sandwich`'s of those scores with Student's t over the
prompts that have labels: the jackknife (CR3) below 400 of them, CR1 above, as labels of small probability weigh much.
"""

import math
from dataclasses import dataclass

import numpy as np

from judge.columns import arrays
from judge.columns.arrays import Flags, Floats, Ints, sums
from judge.stats.cluster_intervals import FEWEST
from judge.stats.components import strong_components
from judge.stats.errors import NotConverged
from judge.stats.newton import newton
from judge.stats.paired_model import grounded
from judge.stats.sandwich import Covariance, blocks

METHOD = "prediction-powered"
FEWEST_FOR_SANDWICH = 400
_TOLERANCE = 1e-10
_MOST_STEPS = 100
_CELLS = 1 << 21
"""So many numbers of informations without a prompt are held at once."""


@dataclass(frozen=True, eq=False)
class Compared:
    """n comparisons of m contestants that a judge has an outcome of, some with a label.

    *left* and *right* are int32[n] codes below *m*; *judged* is float64[n], the judge's share for the left, 0 to 1;
    *labelled* float64[n], the labels' share for the left, NaN where there is none; *probability* float64[n], the
    probability with which the comparison was chosen to be labelled (looked at where it was); *cluster* is int32[n], the
    code of its prompt. Raises ValueError, naming what is wrong.
    """

    m: int
    left: Ints
    right: Ints
    judged: Floats
    labelled: Floats
    probability: Floats
    cluster: Ints

    def __post_init__(self) -> None:
        """Check every column."""
        arrays.codes("left", self.left, self.m)
        arrays.codes("right", self.right, self.m)
        columns = {
            name: getattr(self, name) for name in ("left", "right", "judged", "labelled", "probability", "cluster")
        }
        if arrays.same_length(**columns) == 0:
            raise ValueError("There are no comparisons.")
        if (self.left == self.right).any():
            raise ValueError("A contestant meets itself.")
        chosen = self.chosen
        if not chosen.any():
            raise ValueError("No comparison has a label.")
        shares = np.concatenate((self.judged, self.labelled[chosen]))
        if not ((shares >= 0) & (shares <= 1)).all():
            raise ValueError("A share lies outside 0 to 1.")
        if not ((self.probability[chosen] > 0) & (self.probability[chosen] <= 1)).all():
            raise ValueError("A labelled comparison was chosen with a probability that is not above 0 and at most 1.")

    @property
    def chosen(self) -> Flags:
        """Which comparisons have a label, bool[n]."""
        return ~np.isnan(self.labelled)

    @property
    def inverse(self) -> Floats:
        """1 / probability where there is a label, 0 elsewhere: float64[n]."""
        return np.where(self.chosen, 1 / np.where(self.chosen, self.probability, 1.0), 0.0)

    @property
    def said(self) -> Floats:
        """What labels say, 0 where there is none: float64[n]."""
        return np.where(self.chosen, self.labelled, 0.0)


@dataclass(frozen=True, eq=False)
class AnchoredFit:
    """Log strengths anchored to labels, float64[m] summing to 0, with their *covariance*.

    *weight* is L, the judge's. *gain* is the effective sample size in units of the labels': the summed variance of
    labels alone divided by this one's; NaN where labels alone rank nobody. *more_labels* and *more_prompts* are what
    the standard errors would be multiplied by with twice the labels on the same prompts, and with the same number of
    labels spread over twice the prompts.
    """

    log_strengths: Floats
    covariance: Covariance
    weight: float
    gain: float
    labels: int
    labelled_prompts: int
    more_labels: float
    more_prompts: float


def anchored(compared: Compared) -> AnchoredFit:
    """The log strengths that people would give, from *compared*.

    Raises NotConverged where labels and verdicts do not order the contestants on one scale.

    >>> rng = np.random.default_rng(0)
    >>> judged = rng.integers(0, 2, 200).astype(float)
    >>> labelled = np.where(np.arange(200) % 4 == 0, judged, np.nan)
    >>> one = np.zeros(200, dtype=np.int32)
    >>> prompts = np.arange(200, dtype=np.int32)
    >>> found = anchored(Compared(2, one, one + 1, judged, labelled, np.full(200, 0.25), prompts))
    >>> found.labels, found.gain > 2
    (50, True)
    """
    cluster = np.unique(compared.cluster, return_inverse=True)[1].astype(np.int32)
    verdicts = _won(compared, compared.judged, 1 - compared.judged)
    start, _ = newton(verdicts, _TOLERANCE, _MOST_STEPS, np.zeros(compared.m))
    weight = _tuned(compared, cluster, start)
    start = _solved(compared, weight, start)
    weight = _tuned(compared, cluster, start)
    fitted = _solved(compared, weight, start)
    covariance = _covariance(compared, cluster, fitted, weight)
    chosen = compared.chosen
    prompts = int(np.unique(cluster[chosen]).size)
    more_labels, more_prompts = _more_data(compared, cluster, fitted, weight)
    gain = _gain(compared, cluster, fitted, covariance)
    return AnchoredFit(fitted, covariance, weight, gain, int(chosen.sum()), prompts, more_labels, more_prompts)


def _solved(compared: Compared, weight: float, start: Floats) -> Floats:
    return newton(_wins(compared, weight), _TOLERANCE, _MOST_STEPS, start)[0]


def _wins(compared: Compared, weight: float) -> Floats:
    """What everybody won of everybody by verdicts that count *weight*, corrected by labels: float64[m, m]."""
    r, f, y = compared.inverse, compared.judged, compared.said
    left = weight * f + r * (y - weight * f)
    right = weight * (1 - f) + r * ((1 - y) - weight * (1 - f))
    return _won(compared, left, right)


def _won(compared: Compared, left: Floats, right: Floats) -> Floats:
    """The sums by pair of what comparisons give to the left and to the right, row winning of column: float64[m, m]."""
    m = compared.m
    pair = compared.left.astype(np.intp) * m + compared.right
    return sums(pair, left, m * m).reshape(m, m) + sums(pair, right, m * m).reshape(m, m).T


def _parts(compared: Compared, strengths: Floats) -> tuple[Floats, Floats, Floats]:
    """Of each comparison: what a label adds to the score, what a verdict adds times its weight, and p (1 - p)."""
    p = 1 / (1 + np.exp(strengths[compared.right] - strengths[compared.left]))
    r = compared.inverse
    return r * (compared.said - p), (1 - r) * (compared.judged - p), p * (1 - p)


def _by_prompt(compared: Compared, cluster: Ints, column: Floats) -> Floats:
    """*column* summed by prompt, for the left contestant and against the right one: float64[G, m]."""
    m, many = compared.m, int(cluster.max()) + 1
    at = cluster.astype(np.intp) * m
    table = sums(at + compared.left, column, many * m) - sums(at + compared.right, column, many * m)
    return table.reshape(many, m)


def _information(compared: Compared, curvature: Floats) -> Floats:
    """The sum of *curvature* times x x', float64[m, m]."""
    pair = _won(compared, curvature, curvature)
    return np.diag(pair.sum(axis=1)) - pair


def _informations(compared: Compared, rows: slice | Ints, cluster: Ints, clusters: int, curvature: Floats) -> Floats:
    """The sum of *curvature* times x x' in each cluster, float64[clusters, m, m], over *rows* with their codes."""
    m = compared.m
    at = (cluster.astype(np.intp) * m + compared.left[rows]) * m + compared.right[rows]
    pair = sums(at, curvature, clusters * m * m).reshape(clusters, m, m)
    pair = pair + pair.transpose(0, 2, 1)
    diagonal = np.arange(m)
    met = pair.sum(axis=2)
    np.negative(pair, out=pair)
    pair[:, diagonal, diagonal] += met
    return pair


def _counted(compared: Compared, weight: float) -> Floats:
    return weight + compared.inverse * (1 - weight)


def _tuned(compared: Compared, cluster: Ints, strengths: Floats) -> float:
    """The weight of verdicts with the smallest summed variance of the log strengths, from 0 to 1."""
    alone, more, curvature = _parts(compared, strengths)
    bread = np.linalg.inv(grounded(_information(compared, curvature), compared.m))
    labels = _by_prompt(compared, cluster, alone) @ bread
    verdicts = _by_prompt(compared, cluster, more) @ bread
    size = float(np.square(verdicts).sum())
    return 0.0 if size == 0 else min(max(-float((labels * verdicts).sum()) / size, 0.0), 1.0)


def _covariance(compared: Compared, cluster: Ints, strengths: Floats, weight: float) -> Covariance:
    alone, more, curvature = _parts(compared, strengths)
    scores = _by_prompt(compared, cluster, alone + weight * more)
    curvature = curvature * _counted(compared, weight)
    told = int(np.unique(cluster[compared.chosen]).size)
    if told < FEWEST:
        return Covariance(None, f"none: {told} prompts with labels, at least {FEWEST} are needed", told)
    whole = _information(compared, curvature)
    if told >= FEWEST_FOR_SANDWICH:
        shifts = scores @ np.linalg.inv(grounded(whole, compared.m))
        return _made(told / (told - 1) * shifts.T @ shifts, f"{METHOD}-cr1-t", told)
    shifts = np.empty_like(scores)
    for rows, first, count in blocks(cluster, len(scores), max(1, _CELLS // compared.m**2)):
        without = whole - _informations(compared, rows, cluster[rows] - first, count, curvature[rows])
        held = without + (np.trace(without, axis1=1, axis2=2) / compared.m**2)[:, None, None]
        some = slice(first, first + count)
        try:
            shifts[some] = np.linalg.solve(held, -scores[some, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            return Covariance(None, "none: without one of the prompts the contestants fall apart", told)
    return _made((told - 1) / told * shifts.T @ shifts, f"{METHOD}-cr3-t", told)


def _made(matrix: Floats, method: str, prompts: int) -> Covariance:
    if not np.isfinite(matrix).all() or matrix.diagonal().max() == 0:
        return Covariance(None, "none: the prompts do not differ", prompts)
    return Covariance(matrix, method, prompts, matrix)


def _gain(compared: Compared, cluster: Ints, strengths: Floats, covariance: Covariance) -> float:
    """How many times the labels it would take without the judge."""
    ours = covariance.matrix
    if ours is None or len(strong_components(_wins(compared, 0.0))) > 1:
        return math.nan
    try:
        alone = _covariance(compared, cluster, _solved(compared, 0.0, strengths), 0.0).matrix
    except NotConverged:
        return math.nan
    return math.nan if alone is None else float(alone.trace() / ours.trace())


def _more_data(compared: Compared, cluster: Ints, strengths: Floats, weight: float) -> tuple[float, float]:
    """What standard errors are multiplied by: twice the labels on these prompts; as many labels on twice the prompts.

    The variance between prompts falls with their number. What the drawing of comparisons to be labelled adds is, of one
    with residual e, e^2 (1 - q) / q for the probability q, which the labelled ones stand for with weight r.
    """
    alone, more, curvature = _parts(compared, strengths)
    bread = np.linalg.inv(grounded(_information(compared, curvature * _counted(compared, weight)), compared.m))
    scores = _by_prompt(compared, cluster, alone + weight * more)
    whole = float(np.square(scores @ bread).sum())
    squared = bread @ bread
    i, j = compared.left, compared.right
    size = squared[i, i] + squared[j, j] - 2 * squared[i, j]
    p = 1 / (1 + np.exp(strengths[j] - strengths[i]))
    residual = (compared.said - p) - weight * (compared.judged - p)
    q = np.where(compared.chosen, compared.probability, 1.0)

    def drawing(many: float) -> float:
        chance = np.minimum(many * q, 1.0)
        return float((compared.inverse * (1 - chance) / chance * np.square(residual) * size).sum())

    between = max(whole - drawing(1.0), 0.0)
    now = between + drawing(1.0)
    if now == 0:
        return 1.0, math.sqrt(0.5)
    return math.sqrt((between + drawing(2.0)) / now), math.sqrt((between + drawing(0.5)) / 2 / now)
