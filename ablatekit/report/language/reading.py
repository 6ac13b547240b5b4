"""Names, settings and levels of an analysis as phrases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ablatekit.analysis.core.lookup import (
    Comparison,
    alpha_of,
    comparisons,
    factors_of,
    find_effect,
    is_planned,
    label_of,
    name_of,
)
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.vocabulary import Estimand

Unit: TypeAlias = Literal["run", "row"]
ESTIMAND_NAMES: dict[Estimand, str] = {
    "average": "average effect",
    "baseline": "effect at the baseline",
    "removal": "effect of removal",
    "shapley": "Shapley value",
    "interaction": "interaction",
    "configuration": "configuration",
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What an analysis is of, as far as sentences depend on it.

    `unit` is what one value of a response belongs to; `planned` says whether a study executed it,
    `items` whether outcomes of evaluation items belong to it.
    """

    unit: Unit
    planned: bool
    contexts: int
    items: bool


def subject_of(analysis: Analysis) -> Subject:
    """Runs where a study planned them, one diverged or items belong to them; else rows."""
    planned = is_planned(analysis)
    counts = analysis.get("counts")
    items = any(response.get("items") for response in analysis["responses"].values())
    runs = planned or items or bool(counts and counts["diverged"])
    design = analysis.get("design")
    contexts = len(design["contexts"]) if design else 0
    return Subject("run" if runs else "row", planned, contexts, items)


def title_of(analysis: Analysis) -> str:
    """The title of a study, the file of a table, the formulas that were fitted."""
    if analysis.get("design"):
        return name_of(analysis)
    formulas = (response["model"]["formula"] for response in analysis["responses"].values())
    return "; ".join(dict.fromkeys(formulas))


def confidence(analysis: Analysis) -> str:
    """The confidence level of the intervals, such as 95%."""
    return f"{100 * (1 - alpha_of(analysis)):g}%"


def factor_labels(analysis: Analysis) -> dict[str, str]:
    """Label by factor name."""
    return {factor["name"]: label_of(factor) for factor in factors_of(analysis)}


def term_label(term: str, labels: Mapping[str, str]) -> str:
    """A term "a:b" of a model with the labels of its factors."""
    return " \N{MULTIPLICATION SIGN} ".join(labels.get(part, part) for part in term.split(":"))


def words(value: Any) -> str:
    """A JSON value as a phrase: mappings as k = v, lists joined by commas."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {words(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(words(item) for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def flatten(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as (dotted name, phrase) pairs."""
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from flatten(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", words(item)


def most_notable(analysis: Analysis, most: int) -> tuple[Comparison, ...]:
    """At most `most` levels, in the order of the study: those with the largest |estimate| / se."""
    levels = comparisons(analysis)
    if len(levels) <= most:
        return levels
    ranked = sorted(levels, key=lambda level: _standing(analysis, level), reverse=True)
    return tuple(level for level in levels if level in ranked[:most])


def _standing(analysis: Analysis, level: Comparison) -> float:
    largest = 0.0
    for response in analysis["responses"].values():
        effect = find_effect(response["effects"], level, "narrow")
        if effect is not None and effect["estimate"] is not None:
            largest = max(largest, abs(effect["estimate"]) / (effect["se"] or 1.0))
    return largest
