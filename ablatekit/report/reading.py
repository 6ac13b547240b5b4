"""Looking things up in an analysis: the levels, their effects, and what the study asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ablatekit.analysis.schema import (
    Analysis,
    Effect,
    Estimand,
    Heterogeneity,
    InferenceName,
    ResponseAnalysis,
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of every table: a non-baseline level against its factor's baseline."""

    factor: str
    level: str
    baseline: str
    label: str

    @property
    def name(self) -> str:
        """Factor and level in one phrase."""
        return f"{self.label}: {self.level}"


def comparisons(analysis: Analysis) -> tuple[Comparison, ...]:
    """Every non-baseline level in the order of the study; levels of effects alone come last."""
    found: dict[tuple[str, str], Comparison] = {}
    for factor in analysis["design"].get("factors", []):
        for level in map(str, factor["levels"]):
            if level != str(factor["baseline"]):
                found[factor["name"], level] = Comparison(
                    factor["name"], level, str(factor["baseline"]), label_of(factor)
                )
    for effect in all_main_effects(analysis):
        key = (effect["factor"], effect["level"])
        found.setdefault(key, Comparison(*key, effect["baseline"], effect["factor"]))
    return tuple(found.values())


def label_of(factor: Mapping[str, Any]) -> str:
    """The factor's label, or its name."""
    return str(factor.get("label") or factor["name"])


def all_main_effects(analysis: Analysis) -> Iterator[Effect]:
    """The average effects of every response."""
    for response in analysis["responses"].values():
        yield from (effect for effect in response["effects"] if effect["estimand"] == "average")


def find_effect(
    effects: Sequence[Effect],
    comparison: Comparison,
    inference: InferenceName,
    estimand: Estimand = "average",
) -> Effect | None:
    """The effect of one level under one inference, if the analysis has it."""
    key = (comparison.factor, comparison.level, inference, estimand)
    for effect in effects:
        if (effect["factor"], effect["level"], effect["inference"], effect["estimand"]) == key:
            return effect
    return None


def find_heterogeneity(response: ResponseAnalysis, comparison: Comparison) -> Heterogeneity | None:
    """How one level's effect varies between contexts, if the analysis has it."""
    for row in response.get("heterogeneity", []):
        if (row["factor"], row["level"]) == (comparison.factor, comparison.level):
            return row
    return None


def interactions(response: ResponseAnalysis, inference: InferenceName = "narrow") -> list[Effect]:
    """The interaction contrasts under one inference."""
    return [
        effect
        for effect in response["effects"]
        if effect["estimand"] == "interaction" and effect["inference"] == inference
    ]


def setting(analysis: Analysis, name: str, default: Any) -> Any:
    """A key of the analysis plan (`alpha`, `interactions`, `diverged`, ...)."""
    study = analysis["study"]
    plan = study.get("analysis")
    if isinstance(plan, Mapping) and name in plan:
        return plan[name]
    return study.get(name, default)


def is_planned(analysis: Analysis) -> bool:
    """Whether the runs were executed from a frozen plan; a table that was brought along was not."""
    return analysis["study"].get("backend") not in (None, "", "table")


def alpha_of(analysis: Analysis) -> float:
    """The level of tests and intervals."""
    return float(setting(analysis, "alpha", 0.05))


def confidence(analysis: Analysis) -> str:
    """The confidence level of the intervals, such as 95%."""
    return f"{100 * (1 - alpha_of(analysis)):g}%"


def factor_labels(analysis: Analysis) -> dict[str, str]:
    """Label by factor name."""
    return {factor["name"]: label_of(factor) for factor in analysis["design"].get("factors", [])}


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
    """At most `most` levels, in the order of the study: those whose effects stand out of the noise.

    Levels that vary by a blocking variable come first, then the largest |estimate| / se.
    """
    levels = comparisons(analysis)
    if len(levels) <= most:
        return levels
    ranked = sorted(levels, key=lambda level: _standing(analysis, level), reverse=True)
    return tuple(level for level in levels if level in ranked[:most])


def _standing(analysis: Analysis, level: Comparison) -> tuple[bool, float]:
    warned, largest = False, 0.0
    for response in analysis["responses"].values():
        spread = find_heterogeneity(response, level)
        warned |= spread is not None and spread["warning"] is not None
        effect = find_effect(response["effects"], level, "narrow")
        if effect is not None and effect["estimate"] is not None:
            largest = max(largest, abs(effect["estimate"]) / (effect["se"] or 1.0))
    return warned, largest
