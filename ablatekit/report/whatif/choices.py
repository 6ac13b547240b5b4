"""What the page's script needs to look up other choices: every cell that has runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ablatekit.analysis.core.lookup import factors_of, label_of, priced_metric
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import CellMean, Limits, NewLevel
from ablatekit.report.language import captions, scopes
from ablatekit.report.language.brief import whatif
from ablatekit.report.language.numbers import level_unit, scale_of
from ablatekit.report.language.reading import Unit, subject_of
from ablatekit.report.language.sentences import told
from ablatekit.report.language.statements.phrases import NOT_SET
from ablatekit.report.sections.answer import NEEDED, TOO_FEW

Place = tuple[int, ...]
"""A cell by the places of its levels, in the order of the factors."""
NAMED = ("learning", "generalization")


def choices(analysis: Analysis) -> dict[str, Any] | None:
    """Factors with their levels, and the cells of every tested response; None without cells."""
    tables = {
        name: response["cells"]
        for name, response in _tested(analysis).items()
        if "cells" in response
    }
    if not tables:
        return None
    factors = [_factor(factor) for factor in factors_of(analysis)]
    subject = subject_of(analysis)
    return {
        "factors": factors,
        "same": _merged(analysis),
        "here": whatif.here(subject),
        "responses": [
            _response(
                analysis, analysis["responses"][name], list(analysis["responses"]).index(name)
            )
            for name in tables
        ],
    }


def _tested(analysis: Analysis) -> dict[str, ResponseAnalysis]:
    """The responses that a claim is about; all of them where a table says of none."""
    every = analysis["responses"]
    claimed = {
        name: response
        for name, response in every.items()
        if name in NAMED or response["smallest_effect"] is not None
    }
    return claimed or dict(every)


def _factor(factor: Mapping[str, Any]) -> dict[str, Any]:
    levels = [str(level) for level in factor["levels"]]
    return {
        "label": label_of(factor),
        "levels": [level or NOT_SET for level in levels],
        "baseline": levels.index(str(factor["baseline"])),
    }


def _place(analysis: Analysis, levels: Mapping[str, str]) -> Place:
    return tuple(
        list(map(str, factor["levels"])).index(str(levels.get(factor["name"], "")))
        for factor in factors_of(analysis)
    )


def _merged(analysis: Analysis) -> list[list[Place]]:
    """Groups of combinations that are one cell."""
    design = analysis.get("design")
    groups = design["merged"] if design else []
    return [[_place(analysis, levels) for levels in group] for group in groups]


def _response(analysis: Analysis, response: ResponseAnalysis, question: int) -> dict[str, Any]:
    cells, scale, subject = response["cells"], scale_of(response), subject_of(analysis)
    return {
        "question": question,
        "label": response["label"],
        "unit": level_unit(scale),
        "rows": [_cell(analysis, row, subject.unit) for row in cells["rows"]],
    }


def _cell(analysis: Analysis, row: CellMean, unit: Unit) -> dict[str, Any]:
    subject = subject_of(analysis)
    known = [mean is not None for mean in row["means"]]
    record: dict[str, Any] = {
        "at": _place(analysis, row["levels"]),
        "mean": _limits(row, unit),
        "pooled": row["pooled"],
        "new": _new(row["new"], unit),
        "where": "".join("01"[one] for one in known),
        "size": whatif.size_of(row["runs"], sum(known), subject),
    }
    if row["gain"] is not None:
        record["gain"] = _limits(row["gain"], unit)
        record["gain_new"] = _new(row["gain_new"], unit)
    if row["price"] is not None:
        record["price"] = captions.price(row["price"], priced_metric(analysis))
    return record


def _limits(row: Limits, unit: Unit) -> list[Any]:
    """Estimate, standard error and df, and why the latter are missing."""
    numbers: list[Any] = [row["estimate"], row["se"], row["df"]]
    return [*numbers, told(row["reason"], unit)] if row["reason"] else numbers


def _new(rows: Sequence[NewLevel], unit: Unit) -> list[Any] | str:
    """The prediction for a new level of the widest scope that has one, with the scope in words.

    Where no scope has one, what is missing.
    """
    known = [row for row in rows if row["low"] is not None]
    if known:
        row = max(known, key=lambda row: len(row["scope"]))
        return [row["estimate"], row["se"], row["df"], whatif.elsewhere(row["scope"])]
    reasons = [row["reason"] for row in rows if row["reason"]]
    if not reasons:
        return captions.NO_SCOPE
    few = [reason for reason in reasons if reason["code"] == TOO_FEW]
    if not few:
        return told(reasons[0], unit)
    nearest = max(few, key=lambda reason: int(reason["arguments"]["levels"]))
    return scopes.needed(*(nearest["arguments"][name] for name in NEEDED))
