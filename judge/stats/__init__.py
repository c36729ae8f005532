"""Numbers about judging, from arrays to arrays: rankings, intervals, agreement and pairing.

Nothing here knows of datasets, runs or stores, and nothing here reads a clock or draws from a hidden source of
randomness: a function that needs chance is given a `numpy.random.Generator`.

- `battles` (and `names`, their codes): who met whom and who won; `components`: whether that can be ranked at all;
- `bradley_terry`, `elo`, `win_rate`: three ways to rank; `sandwich`, `clustered`: how sure one may be;
- `agreement`, `votes`, `chance`, `order_effects`: how two sources of outcomes compare;
- `pairing`: which outputs are to be compared.

Inference is to new prompts of the same mix, so prompts are the clusters. Sums run in the order of the codes, and every
public figure is rounded (ratings to 1e-6, shares to 1e-9) so that no summation order shows.
"""
