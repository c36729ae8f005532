"""Statistics of judging, from arrays to arrays: rankings, intervals, agreement and pairing.

Nothing here depends on datasets, runs or stores, reads a clock, or uses hidden randomness: a function that draws takes
a `numpy.random.Generator`.

- `battles`: who met whom and who won; `components`: whether the contestants can be ranked;
- `bradley_terry`, `elo`, `win_rate`: three ways to rank; `sandwich`, `bootstrap`, `cluster_intervals`: their intervals;
- `votes`, `agreement`, `chance`, `order_effects`: how two sources of outcomes compare;
- `pairing`, `adaptive`: which outputs to compare;
- `errors`: what the statistics raise.

Inference is to new prompts of the same mix, so prompts are the clusters. Sums run in the order of the codes, and every
public figure is rounded (ratings to 1e-6, shares to 1e-9) so that the order of summation does not show.
"""
