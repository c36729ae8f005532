"""The bootstrap over prompts: repeat a fit on prompts drawn with replacement.

Each resample draws G whole prompts out of G: B. Efron, R. J. Tibshirani (1993), "An Introduction to the Bootstrap".
It gives three kinds of intervals:

- "bootstrap-se-t": the standard deviation of the replicates times sqrt(G / (G - 1)), with Student's t of G - 1.
- "bootstrap-t": quantiles of (replicate - estimate) / standard error of the replicate, times the standard error of the
  fit (chapter 12.5).
- "bootstrap-percentile": quantiles of the replicates. It is too narrow with few prompts, and computed on request only.

If every battle is its own cluster, battles with the same pair and outcome are counted, and a resample draws each count
from a Poisson distribution: J. A. Hanley, B. MacGibbon (2006), "Creating non-parametric bootstrap samples using Poisson
frequencies", Computer Methods and Programs in Biomedicine 83(1).

A resample that cannot be ranked gives no replicate, but it is counted. If a contestant with enough prompts of its
own is disconnected at the top (or the bottom) in more than 1 % of resamples, its interval has no upper (or lower) end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints, sums
from judge.stats.battles import TIE, Battles, cluster_codes
from judge.stats.bradley_terry import BradleyTerryFit, bradley_terry
from judge.stats.cancellation import go_on
from judge.stats.cluster_intervals import BOOTSTRAP, PERCENTILE, too_few
from judge.stats.components import strong_components
from judge.stats.errors import StatisticsError
from judge.stats.levels import check_level
from judge.stats.newton import refit
from judge.stats.sandwich import Covariance, checked, own_prompts_reasons
from judge.stats.tie_rules import HALF_WIN

SE_T = BOOTSTRAP
STUDENTISED = "bootstrap-t"
KINDS = (SE_T, STUDENTISED, PERCENTILE)

MOST_APART = 0.01
"""If a contestant is disconnected in a larger share of resamples, its interval is open on that side."""

_CELLS = 1 << 21
"""The number of cells of resampled counts in memory at once: 16 MB."""


@dataclass(frozen=True, eq=False)
class Replicates:
    """The results of *drawn* resamples of G *clusters*.

    *parameters* is float64[k, p], one row for each of the k resamples that could be ranked. *above* and *below* are
    float64[m], the shares of resamples in which a contestant was disconnected at the top or at the bottom.
    *studentised* is float64[k, m], the distance of each log strength from the estimate in the replicate's own standard
    errors, or None. *reasons* says for each contestant why it has no interval, "none: ..."; or it is empty.
    """

    parameters: Floats
    drawn: int
    clusters: int
    above: Floats
    below: Floats
    reasons: tuple[str, ...]
    studentised: Floats | None = None

    @property
    def apart(self) -> int:
        """The number of resamples that could not be ranked."""
        return self.drawn - len(self.parameters)

    @property
    def open_above(self) -> Flags:
        """The contestants whose interval, if they have any, has no upper end, bool[m]."""
        return self.above > MOST_APART

    @property
    def open_below(self) -> Flags:
        """The contestants whose interval, if they have any, has no lower end, bool[m]."""
        return self.below > MOST_APART

    def covariance(self) -> Covariance:
        """The covariance of the parameters over replicates, times G / (G - 1); None with fewer than 5 clusters."""
        m = self.above.size
        if few := too_few(self.clusters):
            return Covariance.none(few, self.clusters, m)
        if len(self.parameters) < 2:  # noqa: PLR2004 - a spread needs two
            return Covariance.none("none: the resamples fall apart", self.clusters, m)
        about = self.parameters - self.parameters.mean(axis=0)
        scale = self.clusters / (self.clusters - 1) / (len(about) - 1)
        matrix = scale * about.T @ about
        covariance = checked(Covariance(effects=matrix, method=SE_T, clusters=self.clusters, reasons=self.reasons))
        above, below = self.open_above & covariance.eligible, self.open_below & covariance.eligible
        if not (above.any() or below.any()):
            return covariance
        return replace(covariance, open_above=above, open_below=below)

    def bounds(self, fit: BradleyTerryFit, kind: str, level: float = 0.95) -> tuple[Floats, Floats]:
        """The ends of the log strengths' intervals, float64[m] each, relative to the mean of those with intervals.

        *kind* is "bootstrap-t" or "bootstrap-percentile". Raises StatisticsError for a level outside 0 to 1, or for
        "bootstrap-t" of replicates without standard errors.
        """
        tail = (1 - check_level(level)) / 2
        known = np.array([np.nan if reason else 0.0 for reason in self.reasons])
        if np.isnan(known).all():
            return fit.log_strengths + known, fit.log_strengths + known
        if kind == PERCENTILE:
            strengths = self.parameters[:, : known.size]
            change = _relative(strengths - fit.log_strengths, np.isfinite(known))
            low, high = np.quantile(change, [tail, 1 - tail], axis=0)
            return fit.log_strengths + low + known, fit.log_strengths + high + known
        if self.studentised is None or fit.covariance.effects is None:
            raise StatisticsError(
                "bootstrap-t needs replicates with standard errors: call bootstrap with studentise=True."
            )
        error = fit.covariance.ratings.error + known
        distance = np.where(np.isnan(known), 0.0, self.studentised)
        least, most = np.nanquantile(distance, [tail, 1 - tail], axis=0)
        return fit.log_strengths - most * error, fit.log_strengths - least * error


def bootstrap(
    fit: BradleyTerryFit, rng: np.random.Generator, replicates: int = 1000, *, studentise: bool = False
) -> Replicates:
    """Refit *fit* on *replicates* resamples of its prompts.

    *studentise* computes the standard errors of each replicate too. Raises StatisticsError for fewer than two
    replicates, and for a fit with strata, which are not resampled.

    >>> fit = bradley_terry(Battles.from_names(["a"] * 90, ["b"] * 90, ["left", "left", "right"] * 30))
    >>> resamples = bootstrap(fit, np.random.default_rng(0), 200)
    >>> resamples.apart, bool(0.9 < np.sqrt(resamples.covariance().matrix[0, 0] / fit.covariance.matrix[0, 0]) < 1.1)
    (0, True)
    """
    if replicates < 2:  # noqa: PLR2004 - a spread needs two
        raise StatisticsError(f"A bootstrap needs at least 2 replicates, not {replicates}.")
    if fit.strata is not None:
        raise StatisticsError("The bootstrap does not support strata: fit without them, or use the sandwich intervals.")
    battles = fit.battles
    clusters = battles.n if battles.cluster is None else int(np.unique(battles.cluster).size)
    plain = fit.model.rule == HALF_WIN and not fit.model.design.effects and fit.ridge == 0
    if few := too_few(clusters):
        nobody = np.zeros(fit.model.m)
        return Replicates(
            parameters=np.empty((0, fit.model.parameters.size)),
            drawn=replicates,
            clusters=clusters,
            above=nobody,
            below=nobody,
            reasons=(few,) * fit.model.m,
        )
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
    """Collects the results of resamples."""

    whole: BradleyTerryFit
    parameters: list[Floats]
    studentised: list[Floats]

    def __post_init__(self) -> None:
        self.above, self.below = np.zeros(self.whole.model.m), np.zeros(self.whole.model.m)
        self.reasons = own_prompts_reasons(self.whole.battles.own_prompts())
        self.eligible = np.array([not reason for reason in self.reasons], dtype=np.bool_)

    def wins(self, wins: Floats) -> None:
        """Add resampled sums of wins, float64[k, m, m]."""
        held = np.array([self._held(table) for table in wins])
        self.parameters.extend(refit(wins[held], self.whole.log_strengths))

    def fit(self, design: BradleyTerryFit, *, studentise: bool) -> None:
        """Add a resample that is fitted like *design*."""
        model = design.model.design
        if not design.ridge and not self._held(design.battles.counts().wins):
            return
        try:
            refitted = bradley_terry(
                design.battles,
                ties=design.ties,
                position=model.position,
                covariates=model.covariates,
                ridge=design.ridge,
            )
        except (StatisticsError, np.linalg.LinAlgError):
            return
        if refitted.model.parameters.size != self.whole.model.parameters.size:
            # A resample without ties has no tie parameter.
            return
        if studentise:
            if refitted.covariance.effects is None:
                return
            group = refitted.covariance.eligible & self.eligible
            change = _relative(refitted.log_strengths - self.whole.log_strengths, group)
            self.studentised.append(change / refitted.covariance.relative_to(np.flatnonzero(group)).error)
        self.parameters.append(refitted.model.parameters)

    def _held(self, wins: Floats) -> bool:
        """Whether a resample can be ranked. If not, count the disconnected contestants."""
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
        """The results of all resamples."""
        rows = np.array(self.parameters).reshape(-1, self.whole.model.parameters.size)
        studentised = np.array(self.studentised) if self.studentised else None
        return Replicates(
            parameters=rows,
            drawn=drawn,
            clusters=clusters,
            above=self.above / drawn,
            below=self.below / drawn,
            reasons=self.reasons,
            studentised=studentised,
        )


def _relative(strengths: Floats, group: Flags) -> Floats:
    """The *strengths* (float64[..., m]) relative to the mean of a *group*; NaN if it is empty."""
    if not group.any():
        return np.full(strengths.shape, np.nan)
    relative: Floats = strengths - strengths[..., group].mean(axis=-1, keepdims=True)
    return relative


def resampled_wins(
    battles: Battles, code: Ints | None, clusters: int, rng: np.random.Generator, replicates: int
) -> Iterator[Floats]:
    """Yield the sums of wins of resamples in blocks, float64[k, m, m].

    *code* is int32[n], the cluster of each battle below *clusters*, or None if every battle is its own cluster.

    >>> battles = Battles.from_names(["a", "a"], ["b", "b"], ["left", "tie"])
    >>> code = np.zeros(2, dtype=np.int32)
    >>> next(resampled_wins(battles, code, 1, np.random.default_rng(0), 1)).tolist()
    [[[0.0, 1.5], [0.5, 0.0]]]
    """
    m = len(battles.contestants)
    counted = code is None and battles.weight is None
    # A block holds at most _CELLS numbers, both of wins and of draws of clusters.
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
    left_score = np.where(tied, 0.5, 1.0 - battles.outcome)
    pair = battles.left.astype(np.int64) * m + battles.right
    mirrored = battles.right.astype(np.int64) * m + battles.left
    rows, columns = np.concatenate((pair, mirrored)), np.concatenate((code, code))
    values = np.concatenate((weight * left_score, weight * (1 - left_score)))
    table = csr_array((values, (rows, columns)), shape=(m * m, clusters))
    for block in blocks:
        go_on()
        times_drawn = rng.multinomial(clusters, np.full(clusters, 1 / clusters), block)
        yield (table @ times_drawn.T.astype(np.float64)).T.reshape(block, m, m)


def _poisson(battles: Battles, rng: np.random.Generator, blocks: list[int]) -> Iterator[Floats]:
    m = len(battles.contestants)
    first, second = np.triu_indices(m, 1)
    cells = battles.cells(None)
    by_pair = np.stack((cells[:, :, 0] + cells[:, :, 1].T, cells[:, :, TIE] + cells[:, :, TIE].T), axis=-1)
    lost, tied = by_pair[first, second], by_pair[second, first, 0]
    met = (lost.sum(axis=1) + tied) > 0
    first, second = first[met], second[met]
    expected = np.column_stack((lost[met, 0], tied[met], lost[met, 1]))
    for block in blocks:
        go_on()
        counts = rng.poisson(expected, (block, *expected.shape)).astype(np.float64)
        wins = np.zeros((block, m, m))
        half = counts[:, :, 2] / 2
        wins[:, first, second] = counts[:, :, 0] + half
        wins[:, second, first] = counts[:, :, 1] + half
        yield wins


def _resampled(
    fit: BradleyTerryFit, clusters: int, rng: np.random.Generator, replicates: int
) -> Iterator[BradleyTerryFit]:
    """Yield *fit* with resampled battles, not yet refitted. A prompt drawn twice counts as two prompts."""
    battles, covariates = fit.battles, fit.model.design.covariates
    alone = np.arange(battles.n, dtype=np.int32)
    code = alone if battles.cluster is None else cluster_codes(battles.cluster)[0]
    sizes = sums(code, None, clusters).astype(np.int64)
    order, starts = np.argsort(code, kind="stable"), np.cumsum(sizes) - sizes
    for _ in range(replicates):
        go_on()
        drawn = rng.integers(0, clusters, clusters)
        size = sizes[drawn]
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
        design = replace(
            fit.model.design,
            battles=again,
            covariates=covariates and replace(covariates, values=covariates.values[rows]),
        )
        yield replace(fit, model=replace(fit.model, design=design))
