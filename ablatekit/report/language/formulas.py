"""The words of a fitted formula: its tables, its likelihood, its single results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

EFFECTS = "Effects (level minus baseline)"
COEFFICIENTS = "Coefficients"
VARIANCES = "Variances"
MEANS = "Means of the model at equal weights"
PAIRS = "Pairs of means"
RANDOM_TESTS = "Tests of random terms"
LIMITS = "Standard deviations"
LIKELIHOOD: Sequence[tuple[Literal["log_likelihood", "parameters", "aic", "bic"], str]] = (
    ("log_likelihood", "log likelihood"),
    ("parameters", "parameters"),
    ("aic", "AIC"),
    ("bic", "BIC"),
)
EXPLAINED: Sequence[tuple[Literal["marginal", "conditional", "icc"], str]] = (
    ("marginal", "R\N{SUPERSCRIPT TWO} of the fixed effects"),
    ("conditional", "R\N{SUPERSCRIPT TWO} with the random effects"),
    ("icc", "intraclass correlation"),
)


def effect(factor: str, level: str, baseline: str) -> str:
    """An effect by its factor and its two levels."""
    return f"{factor}: {level} vs {baseline}" if baseline else f"{factor}: {level}"


def headline(method: str, rows: int, criterion: str, *, converged: bool) -> str:
    """How a formula was fitted."""
    text = f"{method}, {rows:,} rows"
    text += f", criterion {criterion}" if criterion else ""
    return text if converged else f"{text}, NOT converged"


def likelihood_ratio(against: str, statistic: str, df: int, p: str) -> str:
    """A likelihood-ratio test against a nested formula."""
    return f"Against {against}: chi2 {statistic}, df {df}, p {p}"


def between_rows(tau2: str, limits: str, i2: str, p: str) -> str:
    """The heterogeneity of a meta-analysis."""
    return f"Between rows: tau2 {tau2} {limits}, I2 {i2}%, Q p {p}"


def new_row(limits: str) -> str:
    """The prediction interval of a meta-analysis."""
    return f"A new row's true effect: {limits}"


def because(reason: str, names: str) -> str:
    """Which rows have no numbers, and why."""
    return f"{names}: {reason}"
