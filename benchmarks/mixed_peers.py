"""Other Python packages for mixed models, as benchmarks/mixed_models.py calls them.

None of them is a dependency. They are installed into an environment of their own that also sees
this project's one, so that neither changes the other:

    python -m venv /tmp/peers
    python -c "import site; print(site.getsitepackages()[0])" > \\
        /tmp/peers/lib/python3.11/site-packages/project.pth
    /tmp/peers/bin/pip install kamino-lme==0.0.1 lme-python==0.2.7 mixedlm==1.3.0
    /tmp/peers/bin/python benchmarks/mixed_models.py
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd

MODULES = {
    "kamino": ("kamino", "kamino-lme==0.0.1"),
    "lme-python": ("lme_python", "lme-python==0.2.7"),
    "mixedlm": ("mixedlm", "mixedlm==1.3.0"),
    "statsmodels": ("statsmodels", "statsmodels"),
}

Tests = list[tuple[float, float]]
"""Standard error and df of every coefficient, in R's order."""


def package_of(tool: str) -> str:
    return tool.partition(":")[0]


def is_missing(tool: str) -> bool:
    """Whether the tool's package is not installed."""
    known = MODULES.get(package_of(tool))
    return known is not None and importlib.util.find_spec(known[0]) is None


def how_to_install(tools: set[str]) -> str:
    """One line about the packages that this interpreter lacks; empty when it has all."""
    wanted = sorted(MODULES[package_of(tool)][1] for tool in tools if is_missing(tool))
    if not wanted:
        return ""
    return f"not installed: {', '.join(wanted)}; see the head of benchmarks/mixed_peers.py"


def fit_kamino(formula: str, table: pd.DataFrame) -> float:
    import kamino  # type: ignore[import-not-found]

    return float(kamino.lmer(formula, table, reml=True).objective)


def fit_lme_python(formula: str, table: pd.DataFrame) -> float:
    import lme_python  # type: ignore[import-not-found]

    return float(lme_python.lmer(formula, data=_polars(table), reml=True).reml_criterion)


def fit_mixedlm(formula: str, table: pd.DataFrame) -> float:
    import mixedlm  # type: ignore[import-not-found]

    warnings.simplefilter("ignore")
    return float(getattr(mixedlm.lmer(formula, table), "deviance", np.nan))


def logistic_lme_python(formula: str, table: pd.DataFrame) -> float:
    import lme_python

    fit = lme_python.glmer(formula, _polars(table), "binomial")
    return -2.0 * float(fit.log_likelihood)


def _polars(table: pd.DataFrame) -> Any:
    import polars as pl  # type: ignore[import-not-found]

    return pl.from_pandas(table)


FITS: dict[str, Callable[[str, pd.DataFrame], float]] = {
    "kamino: fit": fit_kamino,
    "lme-python: fit": fit_lme_python,
    "mixedlm: fit": fit_mixedlm,
    "lme-python: logistic": logistic_lme_python,
}


def kenward_roger_kamino(formula: str, table: pd.DataFrame) -> Tests:
    import kamino

    fit = kamino.lmer(formula, table, reml=True)
    analysis, unit = fit.kenward_roger(), np.eye(len(fit.fixed_names))
    tests = [analysis.test(row) for row in unit]
    se = [abs(b) / t.statistic**0.5 for b, t in zip(fit.beta, tests, strict=True)]
    return _pairs(se, [test.denominator_df for test in tests])


def kenward_roger_lme_python(formula: str, table: pd.DataFrame) -> Tests:
    import lme_python

    fit = lme_python.lmer(formula, data=(data := _polars(table)), reml=True)
    fit.with_kenward_roger(data)
    unit = np.eye(len(fit.fixed_names)).tolist()
    tests = [fit.test_contrast([row], "kenward-roger") for row in unit]
    se = [abs(b) / t.f_value**0.5 for b, t in zip(fit.coefficients, tests, strict=True)]
    return _pairs(se, [test.den_df for test in tests])


def kenward_roger_mixedlm(formula: str, table: pd.DataFrame) -> Tests:
    import mixedlm

    warnings.simplefilter("ignore")
    fit = mixedlm.lmer(formula, table)
    tests = mixedlm.pvalues_with_ddf(fit, "Kenward-Roger")
    se = [abs(estimate / t) for estimate, t, _ in tests.values()]
    return _pairs(se, mixedlm.kenward_roger_df(fit).df)


def _pairs(se: Iterable[float], df: Iterable[float]) -> Tests:
    return list(zip(map(float, se), map(float, df), strict=True))


KENWARD_ROGER: dict[str, Callable[[str, pd.DataFrame], Tests]] = {
    "kamino": kenward_roger_kamino,
    "lme-python": kenward_roger_lme_python,
    "mixedlm": kenward_roger_mixedlm,
}
