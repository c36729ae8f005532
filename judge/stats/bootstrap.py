"""The bootstrap over prompts: a fit made again from prompts drawn with replacement.

Prompts are drawn whole, as many as there are: B. Efron, R. J. Tibshirani (1993), "An Introduction to the Bootstrap".
Three intervals come of it, over G prompts:

- "bootstrap-se-t": the standard deviation of the replicates times sqrt(G / (G - 1)), with Student's t of G - 1.
- "bootstrap-t": quantiles of (replicate - estimate) / standard error of the replicate, times the standard error of the
  fit: chapter 12.5 there.
- "bootstrap-percentile": quantiles of the replicates. It is too narrow with few prompts, and given by request only.

Where every battle stands for itself, the battles that ended alike between the same two are counted, and a resample
draws those counts from Poisson's law: J. A. Hanley, B. MacGibbon (2006), "Creating non-parametric bootstrap samples
using Poisson frequencies", Computer Methods and Programs in Biomedicine 83(1).

A resample that cannot be ranked is no replicate. They are counted; and a contestant that stood apart at the top (or the
bottom) in more than one of a hundred has no upper (or lower) end to its interval.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints, sums
from judge.stats.battles import TIE, Battles, cluster_codes
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.cancellation import go_on
from judge.stats.cluster_intervals import BOOTSTRAP, FEWEST, PERCENTILE, checked_level, method_for
from judge.stats.components import strong_components
from judge.stats.errors import Disconnected, NotConverged
from judge.stats.newton import refitted
from judge.stats.sandwich import Covariance
from judge.stats.tie_rules import HALF_WIN

SE_T = BOOTSTRAP
STUDENTISED = "bootstrap-t"
KINDS = (SE_T, STUDENTISED, PERCENTILE)

MOST_APART = 0.01
"""With a larger share of resamples in which it stood apart, a contestant's interval is open on that side."""

_CELLS = 1 << 21
"""How many cells of resampled counts are held at once: 16 MB."""


@dataclass(frozen=True, eq=False)
class Replicates:
    """What *drawn* resamples of G *clusters* gave.

    *parameters* is float64[k, p], a row a replicate, for the k resamples that could be ranked. *above* and *below* are
    float64[m], the shares of resamples in which a contestant stood apart at the top or at the bottom. *studentised* is
    float64[k, m], each log strength's distance from the estimate in standard errors of its own, or None.
    """

    parameters: Floats
    drawn: int
    clusters: int
    above: Floats
    below: Floats
    studentised: Floats | None = None

    @property
    def apart(self) -> int:
        """How many resamples could not be ranked."""
        return self.drawn - len(self.parameters)

    @property
    def open_above(self) -> Flags:
        """Whose interval has no upper end, bool[m]."""
        return self.above > MOST_APART

    @property
    def open_below(self) -> Flags:
        """Whose interval has no lower end, bool[m]."""
        return self.below > MOST_APART

    def covariance(self) -> Covariance:
        """The covariance of the parameters over replicates, times G / (G - 1); None with fewer than 5 prompts."""
        m = self.above.size
        if self.clusters < FEWEST:
            return Covariance(None, method_for(self.clusters), self.clusters)
        if len(self.parameters) < 2:  # noqa: PLR2004 - a spread needs two
            return Covariance(None, "none: the resamples fall apart", self.clusters)
        about = self.parameters - self.parameters.mean(axis=0)
        scale = self.clusters / (self.clusters - 1) / (len(about) - 1)
        matrix = scale * about.T @ about
        ends = (self.open_above, self.open_below)
        if not np.concatenate(ends).any():
            return Covariance(matrix[:m, :m], SE_T, self.clusters, matrix)
        return Covariance(matrix[:m, :m], SE_T, self.clusters, matrix, 1, *ends)

    def bounds(self, fit: BradleyTerryFit, kind: str, level: float = 0.95) -> tuple[Floats, Floats]:
        """The ends of the log strengths' intervals, float64[m] each, of *kind* "bootstrap-t" or "bootstrap-percentile".

        Raises ValueError for a senseless level, or for "bootstrap-t" of replicates without standard errors.
        """
        tail = (1 - checked_level(level)) / 2
        m = self.above.size
        if kind == PERCENTILE:
            low, high = np.quantile(self.parameters[:, :m], [tail, 1 - tail], axis=0)
            return low, high
        if self.studentised is None or fit.covariance.matrix is None:
            raise ValueError("The replicates have no standard errors: bootstrap-t needs them.")
        error = np.sqrt(fit.covariance.matrix.diagonal())
        least, most = np.quantile(self.studentised, [tail, 1 - tail], axis=0)
        return fit.log_strengths - most * error, fit.log_strengths - least * error


def bootstrap(
    fit: BradleyTerryFit, rng: np.random.Generator, replicates: int = 1000, *, studentise: bool = False
) -> Replicates:
    """*replicates* resamples of the prompts of *fit*, each fitted like it; *studentise* gives each its standard errors.

    Raises ValueError for fewer than two replicates, and for strata, which are not resampled.

    >>> fit = bradley_terry(Battles.from_names(["a"] * 90, ["b"] * 90, ["left", "left", "right"] * 30))
    >>> found = bootstrap(fit, np.random.default_rng(0), 200)
    >>> found.apart, bool(0.9 < np.sqrt(found.covariance().matrix[0, 0] / fit.covariance.matrix[0, 0]) < 1.1)
    (0, True)
    """
    if replicates < 2:  # noqa: PLR2004 - a spread needs two
        raise ValueError(f"A bootstrap needs two replicates or more, not {replicates}.")
    if fit.strata is not None:
        raise ValueError("The bootstrap draws prompts from all of them: it has no strata.")
    battles = fit.battles
    clusters = battles.n if battles.cluster is None else int(np.unique(battles.cluster).size)
    plain = fit.model.rule == HALF_WIN and not fit.model.design.effects and fit.ridge == 0
    if clusters < FEWEST:
        nobody = np.zeros(fit.model.m)
        return Replicates(np.empty((0, fit.model.parameters.size)), replicates, clusters, nobody, nobody)
    tally = _Tally(fit, [], [])
    if plain and not studentise:
        code = None if battles.cluster is None else cluster_codes(battles.cluster)[0]
        for wins in resampled_wins(battles, code, clusters, rng, replicates):
            tally.wins(wins)
    else:
        for again in _resampled(fit, clusters, rng, replicates):
            tally.fit(again, studentise=studentise)
    return tally.replicates(replicates, clusters)


@dataclass(eq=False)
class _Tally:
    """What resamples gave so far."""

    whole: BradleyTerryFit
    parameters: list[Floats]
    studentised: list[Floats]

    def __post_init__(self) -> None:
        self.above, self.below = np.zeros(self.whole.model.m), np.zeros(self.whole.model.m)

    def wins(self, wins: Floats) -> None:
        """Take resampled sums of wins, float64[k, m, m]."""
        held = np.array([self._held(table) for table in wins])
        self.parameters.extend(refitted(wins[held], self.whole.log_strengths))

    def fit(self, design: BradleyTerryFit, *, studentise: bool) -> None:
        """Take a resample to be fitted as *design* says."""
        model = design.model.design
        if not design.ridge and not self._held(design.battles.counts().wins):
            return
        try:
            found = bradley_terry(
                design.battles,
                ties=design.ties,
                position=model.position,
                covariates=model.covariates,
                ridge=design.ridge,
            )
        except (Disconnected, NotConverged, ValueError):
            return
        if found.model.parameters.size != self.whole.model.parameters.size:
            # Without a tie there is no tie parameter.
            return
        if studentise:
            matrix = found.covariance.matrix
            if matrix is None:
                return
            self.studentised.append((found.log_strengths - self.whole.log_strengths) / np.sqrt(matrix.diagonal()))
        self.parameters.append(found.model.parameters)

    def _held(self, wins: Floats) -> bool:
        """Whether a resample can be ranked; who stood apart, where not, is counted."""
        parts = strong_components(wins)
        if len(parts) == 1:
            return True
        for part in sorted(parts, key=len)[:-1]:
            inside = np.array(part)
            outside = np.setdiff1d(np.arange(len(wins)), inside)
            self.above[inside] += not wins[np.ix_(outside, inside)].any()
            self.below[inside] += not wins[np.ix_(inside, outside)].any()
        return False

    def replicates(self, drawn: int, clusters: int) -> Replicates:
        """All of it."""
        rows = np.array(self.parameters).reshape(-1, self.whole.model.parameters.size)
        errors = np.array(self.studentised) if self.studentised else None
        return Replicates(rows, drawn, clusters, self.above / drawn, self.below / drawn, errors)


def resampled_wins(
    battles: Battles, code: Ints | None, clusters: int, rng: np.random.Generator, replicates: int
) -> Iterator[Floats]:
    """Sums of wins of resamples, float64[k, m, m], some at a time.

    *code* is int32[n], the cluster of each battle below *clusters*, or None where every battle stands for itself.

    >>> battles = Battles.from_names(["a", "a"], ["b", "b"], ["left", "tie"])
    >>> code = np.zeros(2, dtype=np.int32)
    >>> next(resampled_wins(battles, code, 1, np.random.default_rng(0), 1)).tolist()
    [[[0.0, 1.5], [0.5, 0.0]]]
    """
    m = len(battles.contestants)
    counted = code is None and battles.weight is None
    # A block is at most _CELLS numbers: of wins, and of how often each cluster was drawn.
    size = max(1, _CELLS // max(m**2, 0 if counted else clusters))
    blocks = [min(size, replicates - start) for start in range(0, replicates, size)]
    if counted:
        yield from _poisson(battles, rng, blocks)
        return
    from scipy.sparse import csr_array  # noqa: PLC0415 - a slow import, needed only here

    alone = np.arange(battles.n, dtype=np.int32)
    code = alone if code is None else code
    weight = np.ones(battles.n) if battles.weight is None else battles.weight
    tied = battles.outcome == TIE
    share = np.where(tied, 0.5, 1.0 - battles.outcome)
    pair = battles.left.astype(np.int64) * m + battles.right
    mirrored = battles.right.astype(np.int64) * m + battles.left
    rows, columns = np.concatenate((pair, mirrored)), np.concatenate((code, code))
    values = np.concatenate((weight * share, weight * (1 - share)))
    table = csr_array((values, (rows, columns)), shape=(m * m, clusters))
    for block in blocks:
        go_on()
        many = rng.multinomial(clusters, np.full(clusters, 1 / clusters), block)
        yield (table @ many.T.astype(np.float64)).T.reshape(block, m, m)


def _poisson(battles: Battles, rng: np.random.Generator, blocks: list[int]) -> Iterator[Floats]:
    m = len(battles.contestants)
    first, second = np.triu_indices(m, 1)
    cells = battles.cells(None)
    told = np.stack((cells[:, :, 0] + cells[:, :, 1].T, cells[:, :, TIE] + cells[:, :, TIE].T), axis=-1)
    lost, tied = told[first, second], told[second, first, 0]
    met = (lost.sum(axis=1) + tied) > 0
    first, second = first[met], second[met]
    expected = np.column_stack((lost[met, 0], tied[met], lost[met, 1]))
    for block in blocks:
        go_on()
        many = rng.poisson(expected, (block, *expected.shape)).astype(np.float64)
        wins = np.zeros((block, m, m))
        half = many[:, :, 2] / 2
        wins[:, first, second] = many[:, :, 0] + half
        wins[:, second, first] = many[:, :, 1] + half
        yield wins


def _resampled(
    fit: BradleyTerryFit, clusters: int, rng: np.random.Generator, replicates: int
) -> Iterator[BradleyTerryFit]:
    """*fit* of resampled battles, not fitted to them yet: a prompt drawn twice counts as two prompts."""
    battles, told = fit.battles, fit.model.design.covariates
    alone = np.arange(battles.n, dtype=np.int32)
    code = alone if battles.cluster is None else cluster_codes(battles.cluster)[0]
    many = sums(code, None, clusters).astype(np.int64)
    order, starts = np.argsort(code, kind="stable"), np.cumsum(many) - many
    for _ in range(replicates):
        go_on()
        drawn = rng.integers(0, clusters, clusters)
        size = many[drawn]
        ends = np.cumsum(size)
        rows = order[np.arange(ends[-1]) + np.repeat(starts[drawn] - (ends - size), size)]
        again = replace(
            battles,
            left=battles.left[rows],
            right=battles.right[rows],
            outcome=battles.outcome[rows],
            weight=None if battles.weight is None else battles.weight[rows],
            cluster=np.repeat(np.arange(clusters, dtype=np.int32), size),
            n_clusters=clusters,
        )
        design = replace(fit.model.design, battles=again, covariates=told and replace(told, values=told.values[rows]))
        yield replace(fit, model=replace(fit.model, design=design))
