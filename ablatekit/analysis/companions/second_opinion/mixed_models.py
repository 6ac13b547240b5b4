"""The mixed-model companion by statsmodels' `MixedLM`: estimates and variances."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams, VCSpec

from ablatekit.analysis.core.arrays import Floats

FEWEST = 3
"""Levels of a variable that has variances; one with two levels is fixed."""
OPTIMISERS = ("powell", "lbfgs", "bfgs")
INTERCEPT, SLOPE, RESIDUAL = "(Intercept)", "c", ("Residual", "")
NO_VARIANCE = 1e-9
"""Over that of the residual: `MixedLM` has no likelihood at zero itself."""
FLAT = 1e-7
"""Of the log-likelihood: a higher value than this found elsewhere is a better optimum."""


@dataclass(frozen=True)
class Optimum:
    """r'beta and the variances, by variable and name, where a search ended, and its likelihood.

    `passed` says that the log-likelihood is higher at the variances in inquiry.
    """

    estimate: float
    variances: dict[tuple[str, str], float]
    log_likelihood: float
    passed: bool


def crossed_model(
    frame: pd.DataFrame,
    variables: pd.DataFrame,
    exog: Floats,
    row: Floats,
    ours: Mapping[tuple[str, str], float],
) -> Iterator[Optimum]:
    """REML of `y ~ exog + sum_v (1|v) + (0+c|v)`, and the contrast `row` (p,) of exog (N, p).

    `frame` has y, c and the context of every run, `variables` its level of each variable; those
    with two levels and their product with c are fixed. `ours` are the variances in inquiry. One
    optimum after the other, from searches that converge; each of them stops at lower likelihoods
    now and then.
    """
    counts = variables.nunique()
    exog, row = _with_fixed(frame, variables.loc[:, counts == 2], exog, row)
    _, size, basis = np.linalg.svd(exog, full_matrices=False)
    kept = basis[size > 1e-10 * size[0]]
    parts = _random_parts(frame["c"].to_numpy(), variables.loc[:, counts >= FEWEST])
    labels = [str(number) for number in range(len(parts))]
    columns = [[[str(i) for i in range(z.shape[1])]] for z in parts.values()]
    y = frame["y"].to_numpy(dtype=float)
    model = MixedLM(
        y - y.mean(),
        exog @ kept.T,
        groups=np.zeros(len(y)),
        exog_vc=VCSpec(labels, columns, [[z] for z in parts.values()]),
    )
    scaled = [ours.get(key, 0.0) / ours[RESIDUAL] for key in parts]
    for fit in _fits(model):
        params = MixedLMParams.from_components(
            fe_params=fit.fe_params,
            cov_re=np.zeros((0, 0)),
            vcomp=np.maximum(scaled, NO_VARIANCE),
        )
        variances = dict(zip(parts, fit.vcomp.tolist(), strict=True))
        yield Optimum(
            estimate=float(row @ kept.T @ fit.fe_params),
            variances={**variances, RESIDUAL: float(fit.scale)},
            log_likelihood=float(fit.llf),
            passed=bool(model.loglike(params, profile_fe=True) > fit.llf + FLAT),
        )


def _with_fixed(
    frame: pd.DataFrame, variables: pd.DataFrame, exog: Floats, row: Floats
) -> tuple[Floats, Floats]:
    """Variables with two levels as +-1/2, and times c; the contrast takes their mean context."""
    contexts = frame.drop_duplicates("context").index
    for name in variables:
        level = variables[name]
        first = level.min()
        side = np.where(level == first, -0.5, 0.5)
        of_context = level.loc[contexts] == first
        mean = float(np.where(of_context, -0.5, 0.5).mean())
        exog = np.column_stack([exog, side, side * frame["c"].to_numpy()])
        row = np.concatenate([row, [0.0, mean]])
    return exog, row


def _random_parts(c: Floats, variables: pd.DataFrame) -> dict[tuple[str, str], Floats]:
    """The columns (N, levels) of every random term, c (N,) being the slope's."""
    parts: dict[tuple[str, str], Floats] = {}
    for name in variables.columns.astype(str):
        indicators = pd.get_dummies(variables[name], dtype=float).to_numpy()
        parts[name, INTERCEPT] = indicators
        parts[name, SLOPE] = indicators * c[:, None]
    return parts


def _fits(model: Any) -> Iterator[Any]:
    """The searches that converge."""
    for method in OPTIMISERS:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                fit = model.fit(reml=True, method=method)
                known = fit.converged and np.isfinite(fit.llf)
            except (np.linalg.LinAlgError, ValueError):
                continue
        if known:
            yield fit
