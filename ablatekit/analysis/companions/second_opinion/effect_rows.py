"""Rows of effects, per-context values and configurations against statsmodels."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student
from statsmodels.stats.multitest import multipletests

from ablatekit.analysis.companions.second_opinion.inquiry import InContext, Inquiry
from ablatekit.analysis.companions.second_opinion.least_squares import LinearFit, Tested
from ablatekit.analysis.companions.second_opinion.recount import NUMBERS, Recount, count_numbers
from ablatekit.analysis.companions.second_opinion.scopes import (
    SAME,
    ScopeTest,
    by_scope,
    one_way,
    prediction,
)
from ablatekit.analysis.core.schema.analysis import ResponseAnalysis
from ablatekit.analysis.core.schema.vocabulary import statement

ADJUSTED = ("p_adjusted", "p_margin_adjusted")
NO_COUNTERPART = statement("no_counterpart")
TOO_LARGE = statement("too_large_to_recompute")
SMALLEST_P = 1e-30
"""Smaller p values are as good as zero, and the digits of a tail so far out are those of a t."""


def effects(recount: Recount, inquiry: Inquiry, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows of effects, and what Holm makes of their families."""
    estimated = [row for row in rows if row["estimate"] is not None]
    for row in estimated:
        model = inquiry.model_of(row)
        found = {} if model is None else inquiry.contexts(row, model)
        if model is None:
            recount.leave_out(row["inference"], count_numbers(row), TOO_LARGE)
            continue
        name, pairs = _name(inquiry.name, row), sum(part.pairs for part in found.values())
        recount.compare(row["inference"], f"{name}: contexts", row["contexts"], len(found))
        recount.compare(row["inference"], f"{name}: pairs", row["pairs"], pairs)
        if found:
            compare = _narrow_row if row["inference"] == "narrow" else _broad_row
            compare(recount, inquiry, row, model, found)
    _families(recount, inquiry, estimated)


def _narrow_row(
    recount: Recount,
    inquiry: Inquiry,
    row: Mapping[str, Any],
    model: LinearFit,
    found: Mapping[str, InContext],
) -> None:
    vector = np.mean([part.vector for part in found.values()], axis=0)
    if row["se"] is None:
        estimate = float(vector @ model.fit.params)
        recount.compare(
            "narrow",
            f"{_name(inquiry.name, row)}: estimate",
            row["estimate"],
            estimate,
            inquiry.scale,
        )
        recount.leave_out("narrow", count_numbers(row) - 1, NO_COUNTERPART)
        return
    by_welch = row["method"]["code"] == "welch_t"
    tested = (
        model.welch(vector, inquiry.alpha) if by_welch else model.test([vector], inquiry.alpha)[0]
    )
    compare_row(recount, "narrow", inquiry, row, tested)
    beside = row.get("common_pairs")
    common = inquiry.common(row, model, list(found)) if beside else None
    if beside and common is not None:
        name = f"{_name(inquiry.name, row)}, over common pairs"
        for key in ("estimate", "se", "df", "low", "high", "p"):
            number = getattr(model.test([common], inquiry.alpha)[0], key)
            scale = _scale(inquiry, key)
            recount.compare("narrow", f"{name}: {key}", beside[key], number, scale)


def _broad_row(
    recount: Recount,
    inquiry: Inquiry,
    row: Mapping[str, Any],
    model: LinearFit,
    found: Mapping[str, InContext],
) -> None:
    values = {c: float(part.vector @ model.fit.params) for c, part in found.items()}
    name = _name(inquiry.name, row)
    if row["se"] is None:
        recount.compare(
            "broad",
            f"{name}: estimate",
            row["estimate"],
            float(np.mean(list(values.values()))),
            inquiry.scale,
        )
        return
    test = by_scope(values, inquiry.variables, row["scope"], inquiry.alpha, inquiry.size)
    if test is None:
        recount.compare("broad", f"{name}: se", row["se"], math.nan)
        return
    compare_row(recount, "broad", inquiry, row, test.row)
    for part in row["parts"]:
        _part(recount, inquiry, name, part, test)


def _part(
    recount: Recount, inquiry: Inquiry, name: str, part: Mapping[str, Any], test: ScopeTest
) -> None:
    theirs = test.parts.get(tuple(part["by"]))
    for key in ("estimate", "se", "df"):
        number = float("nan") if theirs is None else getattr(theirs, key)
        label = f"{name}, {' and '.join(part['by'])} alone: {key}"
        recount.compare("broad", label, part[key], number, _scale(inquiry, key))


def compare_row(
    recount: Recount, kind: str, inquiry: Inquiry, row: Mapping[str, Any], tested: Tested
) -> None:
    """Every number of a row that a t test has."""
    for key in NUMBERS:
        if key in row:
            label = f"{_name(inquiry.name, row)}: {key}"
            recount.compare(kind, label, row[key], getattr(tested, key), _scale(inquiry, key))


def _scale(inquiry: Inquiry, key: str) -> float:
    """The size below which a number's difference counts against it."""
    return {"df": 0.0, "p": SMALLEST_P}.get(key, inquiry.scale)


def _families(recount: Recount, inquiry: Inquiry, rows: Sequence[Mapping[str, Any]]) -> None:
    """Holm's adjustment of every family, for zero and for the margin."""
    families: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if row["p"] is not None:
            families.setdefault(json.dumps(row["family"], sort_keys=True), []).append(row)
    for family in families.values():
        _family(recount, inquiry, family)


def _family(recount: Recount, inquiry: Inquiry, rows: Sequence[Mapping[str, Any]]) -> None:
    narrow = (rows[0]["estimand"], rows[0]["inference"]) == ("configuration", "narrow")
    if narrow and rows[0]["method"]["code"] != "welch_t":
        count = sum(count_numbers(row, ADJUSTED) for row in rows)
        recount.leave_out("dunnett", count, NO_COUNTERPART)
        return
    _adjusted(recount, inquiry, "p_adjusted", {i: row["p"] for i, row in enumerate(rows)}, rows)
    margin = inquiry.margin
    if margin is not None:
        tested = {i: _beyond(row, margin) for i, row in enumerate(rows) if row["se"] is not None}
        _adjusted(recount, inquiry, "p_margin_adjusted", tested, rows)


def _adjusted(
    recount: Recount,
    inquiry: Inquiry,
    key: str,
    raw: Mapping[int, float],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Holm's p values from raw ones by the place of their row."""
    values = list(raw.values())
    theirs = multipletests(values, method="holm")[1] if values and inquiry.holm else values
    for place, p in zip(raw, theirs, strict=True):
        name = f"{_name(inquiry.name, rows[place])}: {key}"
        recount.compare("holm", name, rows[place][key], float(p), SMALLEST_P)


def _beyond(row: Mapping[str, Any], margin: float) -> float:
    """The p that an effect lies within the margin, both tails at it; the largest of the parts."""
    tails = []
    for part in row["parts"] or [row]:
        away = (abs(part["estimate"]) + np.array([-margin, margin])) / part["se"]
        tails.append(float(student.sf(away, part["df"]).sum()))
    return min(max(tails), 1.0)


def context_rows(recount: Recount, inquiry: Inquiry, response: ResponseAnalysis) -> None:
    """The average effect inside every context."""
    known = [row for row in response["contexts"] if row["estimate"] is not None]
    model = inquiry.model
    if model is None:
        recount.leave_out("contexts", sum(count_numbers(row) for row in known), TOO_LARGE)
        return
    found: dict[tuple[str, str], dict[str, InContext]] = {}
    for row in known:
        key = (row["factor"], row["level"])
        if key not in found:
            baseline = inquiry.cells.baselines[row["factor"]]
            average = {**row, "estimand": "average", "baseline": baseline}
            found[key] = inquiry.contexts(average, model)
        name = f"{inquiry.name}: {row['factor']}={row['level']} in {row['context']}"
        part = found[key].get(row["context"])
        if part is None:
            recount.compare("contexts", f"{name}: estimate", row["estimate"], math.nan)
            continue
        recount.compare("contexts", f"{name}: pairs", row["pairs"], part.pairs)
        estimate = float(part.vector @ model.fit.params)
        recount.compare("contexts", f"{name}: estimate", row["estimate"], estimate, inquiry.scale)
        if row["se"] is None:
            continue
        tested = model.test([part.vector], inquiry.alpha)[0]
        for number in ("se", "low", "high"):
            theirs = getattr(tested, number)
            recount.compare("contexts", f"{name}: {number}", row[number], theirs, inquiry.scale)


def plain_rows(recount: Recount, inquiry: Inquiry, rows: Sequence[Mapping[str, Any]]) -> None:
    """The t over contexts."""
    for row in rows:
        if row["se"] is None:
            continue
        model = inquiry.model_of(row)
        found = {} if model is None else inquiry.contexts(row, model)
        if model is None:
            recount.leave_out("contexts_t", count_numbers(row), TOO_LARGE)
            continue
        recount.compare("contexts_t", _name(inquiry.name, row), row["contexts"], len(found))
        if len(found) < 2:
            continue
        values = [float(part.vector @ model.fit.params) for part in found.values()]
        tested = one_way(values, inquiry.alpha)
        if tested.se > SAME * inquiry.size:
            compare_row(recount, "contexts_t", inquiry, row, tested)
        else:
            name = f"{_name(inquiry.name, row)}: se"
            recount.compare("contexts_t", name, row["se"], math.nan)


def predictions(recount: Recount, inquiry: Inquiry, response: ResponseAnalysis) -> None:
    """Prediction intervals of average effects for a new level."""
    for row in response["heterogeneity"]:
        model = inquiry.model
        if row["prediction_low"] is None or model is None:
            continue
        baseline = inquiry.cells.baselines[row["factor"]]
        found = inquiry.contexts({**row, "estimand": "average", "baseline": baseline}, model)
        values = {c: float(part.vector @ model.fit.params) for c, part in found.items()}
        limits = prediction(values, inquiry.variables, row["scope"], inquiry.alpha, inquiry.size)
        low, high = limits or (math.nan, math.nan)
        name = f"{inquiry.name}: {row['factor']}={row['level']}, new {' and '.join(row['scope'])}"
        recount.compare("prediction", f"{name}: low", row["prediction_low"], low, inquiry.scale)
        recount.compare("prediction", f"{name}: high", row["prediction_high"], high, inquiry.scale)
        recount.leave_out("heterogeneity", count_numbers(row, ("tau", "i2")), NO_COUNTERPART)


def configurations(recount: Recount, inquiry: Inquiry, response: ResponseAnalysis) -> None:
    """Cells against the baseline cell, from raw cell means."""
    section = response.get("configurations")
    if section is None:
        return
    against = {"against": section["baseline"]}
    effects(recount, inquiry, [{**row, **against} for row in section["rows"]])
    levels = {row["level"]: {"levels": row["levels"], **against} for row in section["rows"]}
    plain = [{**row, **levels[row["level"]]} for row in section["plain_contexts"]]
    plain_rows(recount, inquiry, plain)


def _name(response: str, row: Mapping[str, Any]) -> str:
    """Where a number stands."""
    scope = f" over {' and '.join(row['scope'])}" if row.get("scope") else ""
    inference = f", {row['inference']}{scope}" if "inference" in row else ""
    return f"{response}: {row['factor']}={row['level']}, {row['estimand']}{inference}"
