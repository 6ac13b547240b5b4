"""Expectations over an estimated standard deviation: nodes and weights.

What a distribution is for a known standard deviation becomes what it is for an estimated one by an
integral over s = sqrt(chi2(df) / df), for studentized ranges and maxima of t alike.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from ablatekit.analysis.core.arrays import Floats


def scale_quadrature(df: Floats) -> tuple[Floats, Floats]:
    """Nodes s and weights (m, n) of an expectation over s = sqrt(chi2(df) / df), finite df (m,).

    The trapezoid rule over log s between the tails of 1e-15; the fewer the smallest degrees of
    freedom, the more orders of magnitude s spans and the larger n.
    """
    points = _points(float(df.min(initial=np.inf)))
    df = df[:, None]
    low = 0.5 * np.log(special.chdtri(df, 1.0 - 1e-15) / df + 1e-300)
    high = 0.5 * np.log(special.chdtri(df, 1e-17) / df)
    log_s = np.linspace(np.maximum(low, -40.0), high, points, axis=1)[:, :, 0]
    s = np.exp(log_s)
    log_density = df * (log_s - (s**2 - 1.0) / 2.0)
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    return s, density / density.sum(axis=1, keepdims=True)


def _points(df: float) -> int:
    """Enough for 1e-12 of the steepest function, a maximum over 500 independent comparisons."""
    return 768 if df < 2.0 else 384 if df < 5.0 else 192
