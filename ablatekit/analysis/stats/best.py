"""Multiple comparisons with the best: which of several means may be the best one.

Each mean is compared with the best of the others. The simultaneous intervals are constrained to
contain 0, so their ends say what a decision needs: how far a mean may fall short of the best.

Sources: Hsu 1984, Annals of Statistics 12, 1136-1144; Hsu 1996, Multiple Comparisons, chapter 4
(4.2.2 for unequal numbers of observations: each mean has the critical value of one-sided
comparisons with itself as the baseline).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ablatekit.analysis.core.arrays import Booleans, Floats
from ablatekit.analysis.stats.dunnett import dunnett_critical, shared_parts


@dataclass(frozen=True)
class ComparisonsWithBest:
    """For k means, in their unit; arrays (k,).

    low, high: simultaneous interval of mean_i minus the best of the other means, constrained to
    contain 0. may_be_best: the set that holds the best mean with probability `level`.
    critical: the critical value with each mean as the baseline.
    """

    low: Floats
    high: Floats
    may_be_best: Booleans
    critical: Floats


def compare_with_best(
    mean: Floats, variance: Floats, sigma: float, df: float, level: float, *, higher: bool = True
) -> ComparisonsWithBest:
    """Hsu's intervals of k >= 2 independent means (k,) whose variances are sigma^2 x variance (k,).

    sigma: the pooled standard deviation on df degrees of freedom (infinite allowed). higher: the
    largest mean is the best one, else the smallest. level: simultaneous confidence, above 0.5.
    Raises ValueError for fewer than two means, a level of at most 0.5, and variances of 0.
    """
    if len(mean) < 2 or not 0.5 < level < 1.0:
        raise ValueError("comparisons with the best need two means and a level above 0.5")
    critical = _critical_values(variance, df, level)
    error = sigma * np.sqrt(variance[:, None] + variance[None, :])
    better_by = (mean[:, None] - mean[None, :]) * (1.0 if higher else -1.0)
    upper = np.where(np.eye(len(mean)) > 0.0, np.inf, better_by + critical[:, None] * error)
    high = np.maximum(upper.min(axis=1), 0.0)
    candidate = high > 0.0
    rivals = candidate[None, :] & ~np.eye(len(mean), dtype=bool)
    lower = np.where(rivals, better_by - critical[None, :] * error, np.inf)
    low = np.where(rivals.any(axis=1), np.minimum(lower.min(axis=1), 0.0), 0.0)
    if higher:
        return ComparisonsWithBest(low, high, candidate, critical)
    return ComparisonsWithBest(0.0 - high, 0.0 - low, candidate, critical)


def _critical_values(variance: Floats, df: float, level: float) -> Floats:
    """One-sided critical values (k,) with each mean as the baseline; equal variances share one."""
    _, first, which = np.unique(np.round(variance, 13), return_index=True, return_inverse=True)
    families = [shared_parts(np.delete(variance, i), float(variance[i])) for i in first]
    return np.asarray(dunnett_critical(np.stack(families), df, level, "one")[which])
