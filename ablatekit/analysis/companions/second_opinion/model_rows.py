"""The ANOVA table and the mixed-model companion against statsmodels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ablatekit.analysis.companions.second_opinion.effect_rows import TOO_LARGE
from ablatekit.analysis.companions.second_opinion.inquiry import Inquiry
from ablatekit.analysis.companions.second_opinion.least_squares import LinearFit, coded_terms
from ablatekit.analysis.companions.second_opinion.mixed_models import (
    RESIDUAL,
    Optimum,
    crossed_model,
)
from ablatekit.analysis.companions.second_opinion.recount import (
    LOOSE,
    TERM_NUMBERS,
    TOLERANCE,
    Recount,
    count_numbers,
    relative_difference,
)
from ablatekit.analysis.companions.second_opinion.variance_table import (
    has_empty_cell,
    type_three,
)
from ablatekit.analysis.core.schema.analysis import ResponseAnalysis
from ablatekit.analysis.core.schema.vocabulary import statement


def anova_rows(recount: Recount, inquiry: Inquiry, response: ResponseAnalysis) -> None:
    """Terms of the ANOVA table; nothing is comparable where cells are empty."""
    rows: list[Mapping[str, Any]] = [r for r in response["anova"] if r["statistic"] is not None]
    note = response["anova_note"]["arguments"]
    count = sum(count_numbers(row, TERM_NUMBERS) for row in rows)
    if not rows:
        return
    frame = inquiry.frame
    first = inquiry.cells.frame.drop_duplicates("unit").set_index("unit")
    levels = first.loc[frame["unit"]].reset_index(drop=True)
    levels = levels.assign(context=frame["context"].to_numpy(), y=frame["y"].to_numpy())
    if has_empty_cell(levels, [*inquiry.cells.factors, "context"]):
        recount.leave_out("anova", count, statement("empty_cells"))
        return
    pure = inquiry.means if note["pure"] else None
    theirs = type_three(levels, inquiry.cells.factors, note["order"], pure)
    if theirs is None:
        recount.leave_out("anova", count, TOO_LARGE)
        return
    for row in rows:
        test = theirs.get(row["term"])
        rounding = _rounding(inquiry, row)
        for key in TERM_NUMBERS:
            number = float("nan") if test is None else getattr(test, key)
            scale = rounding.get(key, 0.0)
            name = f"{inquiry.name}: {row['term']}: {key}"
            recount.compare("anova", name, row[key], number, scale)


def _rounding(inquiry: Inquiry, row: Mapping[str, Any]) -> dict[str, float]:
    """The sizes below which numbers of a term differ by rounding; all p, where its squares are."""
    squares = len(inquiry.frame) * inquiry.size * inquiry.scale
    sizes = {"sum_squares": squares, "statistic": 1.0}
    if row["sum_squares"]:
        sizes["statistic"] = row["statistic"] * squares / row["sum_squares"]
    if row["sum_squares"] < squares * TOLERANCE:
        sizes["p"] = 1.0 / TOLERANCE
    return sizes


def mixed_rows(recount: Recount, inquiry: Inquiry, response: ResponseAnalysis) -> None:
    """The mixed-model companion of average effects."""
    section = response.get("mixed")
    model = inquiry.model
    if section is None or model is None:
        return
    for row in section["effects"]:
        if row["estimate"] is None:
            continue
        ours = {
            (part["group"], part["name"]): part["variance"]
            for part in section["random"]
            if part["variance"] is not None
            and (part["factor"], part["level"]) == (row["factor"], row["level"])
        }
        if inquiry.too_large_for_mixed:
            recount.leave_out("mixed", 1 + len(ours), TOO_LARGE)
            continue
        optima = _mixed_model(inquiry, model, {**row, "estimand": "average"}, ours)
        _mixed_row(recount, inquiry, row, ours, optima)


def _mixed_row(
    recount: Recount,
    inquiry: Inquiry,
    row: Mapping[str, Any],
    ours: Mapping[tuple[str, str], float],
    optima: Iterator[Optimum],
) -> None:
    """Estimate and variances against the first optimum that agrees, else against the best.

    A difference does not count where our variances have the higher likelihood.
    """
    best: Optimum | None = None
    for theirs in optima:
        if best is None or theirs.log_likelihood > best.log_likelihood:
            best = theirs
        if not _apart(row, ours, theirs):
            best = theirs
            break
    if best is None or (best.passed and _apart(row, ours, best)):
        reason = statement("lower_optimum" if best else "no_optimum")
        recount.leave_out("mixed", 1 + len(ours), reason)
        return
    name = f"{inquiry.name}: {row['factor']}={row['level']}, mixed model"
    for label, a, b, scale in _side_by_side(row, ours, best):
        recount.compare("mixed", f"{name}: {label}", a, b, scale)


def _side_by_side(
    row: Mapping[str, Any], ours: Mapping[tuple[str, str], float], theirs: Optimum
) -> list[tuple[str, float, float, float]]:
    """What, ours, theirs, and the size below which a difference is small, in the residual's."""
    size = ours[RESIDUAL]
    variances = [
        (f"variance {label} {group}", ours.get((group, label), 0.0), variance, size)
        for (group, label), variance in theirs.variances.items()
    ]
    return [("estimate", row["estimate"], theirs.estimate, size**0.5), *variances]


def _apart(row: Mapping[str, Any], ours: Mapping[tuple[str, str], float], theirs: Optimum) -> bool:
    return any(
        relative_difference(a, b, scale) > LOOSE
        for _, a, b, scale in _side_by_side(row, ours, theirs)
    )


def _mixed_model(
    inquiry: Inquiry,
    model: LinearFit,
    row: Mapping[str, Any],
    ours: Mapping[tuple[str, str], float],
) -> Iterator[Optimum]:
    """Runs at the level and at its baseline in the contexts that have the contrast."""
    found = inquiry.contexts(row, model)
    weights: dict[str, float] = {}
    for part in found.values():
        for unit, weight in part.weights.items():
            weights[unit] = weights.get(unit, 0.0) + weight / len(found)
    units = inquiry.grid.frame.drop_duplicates("unit").set_index("unit")
    if inquiry.order is None:
        side = pd.Series({unit: np.sign(weight) / 2.0 for unit, weight in weights.items()})
        side = side.reindex(units.index).fillna(0.0)
        columns = np.eye(len(units))
    else:
        at = units[row["factor"]]
        side = ((at == row["level"]).astype(float) - (at == row["baseline"]).astype(float)) / 2.0
        columns = coded_terms(inquiry.grid, inquiry.order, units)
    contrast = pd.Series(weights).reindex(units.index).fillna(0.0).to_numpy() @ columns
    frame = inquiry.frame[inquiry.frame["context"].isin(list(found))]
    frame = frame.assign(c=side.loc[frame["unit"]].to_numpy())
    levels = {name: frame["context"].map(level) for name, level in inquiry.variables.items()}
    frame = frame.assign(**levels)[frame["c"] != 0.0]
    place = units.index.get_indexer(pd.Index(frame["unit"]))
    return crossed_model(frame, _distinct(frame, list(levels)), columns[place], contrast, ours)


def _distinct(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The variables that vary; of several that divide the runs alike, the first."""
    counts, kept = frame[list(names)].nunique(), list[str]()
    for name in names:
        alike = any(
            counts[name] == counts[other] == len(frame[[name, other]].drop_duplicates())
            for other in kept
        )
        if counts[name] > 1 and not alike:
            kept.append(name)
    return kept
