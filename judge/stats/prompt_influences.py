"""How much each prompt moves the ratings of a fit, for covariances of several fits over the same prompts.

With U_g the summed score of prompt g and H the information, the influence of the prompt on the log strengths is
H^- U_g. A fit follows the prompts that say much about a contestant, so their scores are too small: the score of
contestant i is divided by the square root of 1 - h, with h the prompt's share of the information about i (CR2: R. M.
Bell, D. F. McCaffrey (2002), "Bias Reduction in Standard Errors for Linear Regression with Multi-Stage Samples", Survey
Methodology 28). If A and B hold the influences of two fits, A' A is the covariance of the first and A' B that between
the two.
"""

from dataclasses import dataclass

import numpy as np

from judge.columns.arrays import Flags, Floats, Ints
from judge.stats.bradley_terry import BradleyTerryFit
from judge.stats.errors import StatisticsError
from judge.stats.paired_model import make_invertible
from judge.stats.prompt_sums import sum_prompts

_ALL = 1 - 1e-9
"""A prompt with more of the information about a contestant has all of it."""


@dataclass(frozen=True, eq=False)
class PromptInfluences:
    """The influence of each of G prompts on m log strengths, and its *leverage*: float64[G, m] each.

    A prompt's leverage is its share of the information about a contestant, so each column of it sums to 1.
    """

    values: Floats
    leverage: Floats

    @property
    def own_prompts(self) -> Ints:
        """On how many prompts each contestant has battles: int32[m]."""
        counts: Ints = np.count_nonzero(self.leverage, axis=0).astype(np.int32)
        return counts

    def among(self, kept: Flags) -> "PromptInfluences":
        """The influences on some of the contestants (bool[m]), relative to their mean."""
        values = self.values[:, kept]
        return PromptInfluences(values=values - values.mean(axis=1, keepdims=True), leverage=self.leverage[:, kept])

    @property
    def effective_prompts(self) -> float:
        """As how many prompts with equal information those of the average contestant count (L. Kish (1965))."""
        return float(1 / np.square(self.leverage.mean(axis=1)).sum())


def prompt_influences(fit: BradleyTerryFit) -> PromptInfluences:
    """Compute the influences of the prompts (clusters) on a *fit* without effects, where ties are half wins.

    Raises StatisticsError for battles without clusters.

    >>> from judge.stats.battles import Battles
    >>> battles = Battles.from_names(["a"] * 4, ["b"] * 4, ["left", "left", "left", "right"], cluster=[0, 1, 2, 3])
    >>> from judge.stats.bradley_terry import bradley_terry
    >>> influences = prompt_influences(bradley_terry(battles))
    >>> influences.values[:, 0].round(3).tolist(), influences.effective_prompts
    ([0.192, 0.192, 0.192, -0.577], 4.0)
    """
    battles = fit.battles
    if battles.cluster is None:
        raise StatisticsError("The influence of prompts needs battles with clusters (their prompts).")
    m = fit.model.m
    by_prompt = sum_prompts(fit.model, slice(None), battles.cluster, battles.n_clusters)
    scores, information = by_prompt.score[:, :m], by_prompt.information[:, :m]
    total = information.sum(axis=0)
    leverage = information / np.where(total > 0, total, 1.0)
    # A contestant with a single prompt has a score of zero, whatever happens there.
    grown = np.where(leverage < _ALL, 1 / np.sqrt(1 - np.minimum(leverage, _ALL)), 0.0)
    values = (scores * grown) @ np.linalg.inv(make_invertible(fit.model.information()[:m, :m], m))
    return PromptInfluences(values=values - values.mean(axis=1, keepdims=True), leverage=leverage)
