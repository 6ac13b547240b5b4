"""Carry-over by statsmodels: both effects, and their covariance from the effect on the sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student

from ablatekit.analysis.companions.second_opinion.inquiry import RESPONSE, Inquiry
from ablatekit.analysis.companions.second_opinion.least_squares import Tested
from ablatekit.analysis.companions.second_opinion.recount import Recount
from ablatekit.analysis.companions.second_opinion.scopes import level_means, one_way
from ablatekit.analysis.core.schema.effects import GapComparison


@dataclass(frozen=True)
class Pair:
    """The same runs with their learning, their generalization, and both added up."""

    learning: Inquiry
    generalization: Inquiry
    total: Inquiry


def carry_over_rows(recount: Recount, gap: Inquiry, comparison: GapComparison) -> None:
    """The effect on generalization over that on learning, with the roots of Fieller's parabola."""
    pair = _pair(gap, comparison)
    for row in comparison.get("carry_over", []):
        if row["learning_p"] is None or pair.learning.model is None:
            continue
        below, above, total = (
            _tested(inquiry, {**row, "estimand": "average"})
            for inquiry in (pair.learning, pair.generalization, pair.total)
        )
        scope = f" over {' and '.join(row['scope'])}" if row["scope"] else ""
        name = f"carry-over: {row['factor']}={row['level']}, {row['inference']}{scope}"
        recount.compare("carry_over", f"{name}: learning_p", row["learning_p"], below.p, 1e-30)
        if row["ratio"] is None:
            continue
        theirs = {
            "ratio": above.estimate / below.estimate,
            **_limits(below, above, total, gap.alpha),
        }
        for key, number in theirs.items():
            ours = {"ratio": row["ratio"], "low": row["low"], "high": row["high"]}[key]
            scale = gap.scale / abs(below.estimate)
            recount.compare("carry_over", f"{name}: {key}", ours, number, scale)
        recount.compare("carry_over", f"{name}: df", row["df"], below.df)


def _pair(gap: Inquiry, comparison: GapComparison) -> Pair:
    learning = gap.frame[f"{RESPONSE}{comparison['learning']}"]
    generalization = gap.frame[f"{RESPONSE}{comparison['generalization']}"]
    return Pair(*(_with(gap, y) for y in (learning, generalization, learning + generalization)))


def _with(gap: Inquiry, y: pd.Series[Any]) -> Inquiry:
    return replace(gap, frame=gap.frame.assign(y=y), known={})


def _tested(inquiry: Inquiry, row: Mapping[str, Any]) -> Tested:
    """The effect on one response: narrow, or over the levels of the scope's variable."""
    model = inquiry.model
    assert model is not None
    found = inquiry.contexts(row, model)
    if row["inference"] == "narrow":
        vector = np.mean([part.vector for part in found.values()], axis=0)
        return model.test([vector], inquiry.alpha)[0]
    values = {c: float(part.vector @ model.fit.params) for c, part in found.items()}
    means = level_means(values, inquiry.variables, row["scope"][0])
    return one_way(means.tolist(), inquiry.alpha)


def _limits(below: Tested, above: Tested, total: Tested, alpha: float) -> dict[str, float]:
    """Ratios at which above - ratio x below is just significant."""
    covariance = (total.se**2 - above.se**2 - below.se**2) / 2.0
    reach = student.ppf(1 - alpha / 2, below.df) ** 2
    parabola = [
        below.estimate**2 - reach * below.se**2,
        -2.0 * (above.estimate * below.estimate - reach * covariance),
        above.estimate**2 - reach * above.se**2,
    ]
    low, high = np.sort(np.roots(parabola).real)
    return {"low": float(low), "high": float(high)}
