"""Rows of `analysis.json` that stand beside the effect table, and the words that rows share.

`ablatekit.analysis.schema` has the whole; import from there.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

Number: TypeAlias = float | None
Estimand: TypeAlias = Literal["average", "baseline", "removal", "shapley", "interaction"]
InferenceName: TypeAlias = Literal["narrow", "broad"]
Verdict: TypeAlias = Literal[
    "helps",
    "hurts",
    "equivalent",
    "inconclusive",
    "widens",
    "narrows",
    "identical",
    "not estimated",
]


class Alternative(TypedDict):
    """Another method's answer to the same question; per-comparison interval at 1 - alpha."""

    method: str
    estimate: Number
    se: Number
    df: Number
    low: Number
    high: Number
    p: Number
    reason: str | None


class InterquartileMean(TypedDict):
    """Interquartile mean over the `n` runs of one level, with its bootstrap interval."""

    factor: str
    level: str
    iqm: Number
    low: Number
    high: Number
    n: int
    reason: str | None


class Improvement(TypedDict):
    """Probability that a run at the level beats a run at the baseline in the same combination.

    Ties count one half; 0.5 is no difference; "beats" follows the response's direction.
    """

    factor: str
    level: str
    baseline: str
    probability: Number
    low: Number
    high: Number
    reason: str | None


class Profile(TypedDict):
    """Performance profile: the share of a level's runs above every threshold.

    Lists are parallel; cells and contexts count equally; `low`/`high` are pointwise bootstrap
    intervals. Thresholds are the same for all levels of a response.
    """

    factor: str
    level: str
    threshold: list[float]
    share: list[Number]
    low: list[Number]
    high: list[Number]


class Permutation(TypedDict):
    """Permutation test of an average effect, labels exchanged within combination and context.

    `statistic` is the estimate. `n_permutations` counts the exchanges that were evaluated, all of
    them when `exact`. Not adjusted. `reason` says why there is no test (unbalanced, too few runs).
    """

    factor: str
    level: str
    p: Number
    statistic: Number
    n_permutations: int
    exact: bool
    reason: str | None


class Robust(TypedDict):
    """Companions without a normal model; `method` says what was resampled, and how often."""

    method: str
    iqm: list[InterquartileMean]
    improvement: list[Improvement]
    profiles: list[Profile]
    permutation: list[Permutation]


class Detectable(TypedDict):
    """What a study of this size can find, with the observed variance.

    `half_width` is that of the interval at 1 - alpha, `minimum_detectable` the smallest true effect
    that an unadjusted test at alpha finds with probability `power` (0.8). One row for the study's
    `replicates` and one for each larger number of them. Broad rows keep the study's contexts and
    give `contexts` too. Never the power of an observed effect.
    """

    factor: str
    level: str
    estimand: Estimand
    inference: InferenceName
    replicates: int
    contexts: int
    half_width: Number
    minimum_detectable: Number
    power: float
    reason: str | None


class EffectAtStep(TypedDict):
    """The average effect on the metric at one step of training, narrow inference.

    `low`/`high` are pointwise at 1 - alpha; the simultaneous ones hold at all steps of this level
    together (Bonferroni over steps).
    """

    factor: str
    level: str
    step: int
    estimate: Number
    low: Number
    high: Number
    low_simultaneous: Number
    high_simultaneous: Number


class Milestone(TypedDict):
    """How many of a level's `runs` reached the threshold, and at which step on average.

    `mean_step` is the restricted mean: a run that never reached it counts with its last step, so it
    is a lower bound unless `reached` equals `runs`.
    """

    factor: str
    level: str
    threshold: float
    reached: int
    runs: int
    mean_step: Number


class Stability(TypedDict):
    """How steady training is at a level.

    `late_sd` is the mean sd of the metric within a run over the last quarter of its steps; of those
    that used a part of the items, where the evaluations between the first and the last do.
    `collapse_rate` is the share of runs that diverged, or whose last value lies below half of the
    way from their first to their best value although that way is longer than twice `late_sd`.
    """

    factor: str
    level: str
    late_sd: Number
    collapse_rate: Number


class Bound(TypedDict):
    """Average effect when every run without a value takes the worst, then the best, possible one.

    Only for responses with bounds. `low` is the level at its worst against the baseline at its
    best, `high` the reverse; narrow estimates, no sampling error.
    """

    factor: str
    level: str
    low: Number
    high: Number
    reason: str | None


class PolicyComparison(TypedDict):
    """Narrow average effect under each policy for diverged runs, where a level lost many."""

    factor: str
    level: str
    score: Number
    worst: Number
    exclude: Number
