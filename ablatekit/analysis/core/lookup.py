"""Looking things up in an analysis: its levels, their effects, and what the study asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ablatekit.analysis.core.schema.analysis import Analysis, DesignRecord, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect, HeterogeneityRow
from ablatekit.analysis.core.schema.vocabulary import Estimand, InferenceName


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
    """Every non-baseline level in the order of the study; levels of effects alone come last.

    Without the gap of a factor that is not always set, where nothing compares it.
    """
    found: dict[tuple[str, str], Comparison] = {}
    compared = {(effect["factor"], effect["level"]) for effect in all_main_effects(analysis)}
    for factor in factors_of(analysis):
        for level in map(str, factor["levels"]):
            unset = not level and (factor["name"], level) not in compared
            if level != str(factor["baseline"]) and not unset:
                found[factor["name"], level] = Comparison(
                    factor["name"], level, str(factor["baseline"]), label_of(factor)
                )
    for effect in all_main_effects(analysis):
        key = (effect["factor"], effect["level"])
        found.setdefault(key, Comparison(*key, effect["baseline"], effect["factor"]))
    return tuple(found.values())


def factors_of(analysis: Analysis) -> list[dict[str, Any]]:
    """The factors of the design; none where a formula was fitted."""
    design = analysis.get("design")
    return design["factors"] if design else []


def label_of(factor: Mapping[str, Any]) -> str:
    """The factor's label, or its name."""
    return str(factor.get("label") or factor["name"])


def all_main_effects(analysis: Analysis) -> Iterator[Effect]:
    """The average effects of every response."""
    for response in analysis["responses"].values():
        yield from (effect for effect in response["effects"] if effect["estimand"] == "average")


def find_effects(
    effects: Sequence[Effect],
    comparison: Comparison,
    inference: InferenceName,
    estimand: Estimand = "average",
) -> list[Effect]:
    """The rows of one level under one inference: broad ones are one per scope."""
    key = (comparison.factor, comparison.level, inference, estimand)
    return [
        effect
        for effect in effects
        if (effect["factor"], effect["level"], effect["inference"], effect["estimand"]) == key
    ]


def find_effect(
    effects: Sequence[Effect],
    comparison: Comparison,
    inference: InferenceName,
    estimand: Estimand = "average",
) -> Effect | None:
    """The row of one level under one inference and its widest scope (`widest`), if there is one."""
    return widest(find_effects(effects, comparison, inference, estimand))


def widest(rows: Sequence[Effect]) -> Effect | None:
    """The row over the most blocking variables that has an interval; without any, the first row."""
    known = [row for row in rows if row["low"] is not None or row["verdict"] == "identical"]
    return max(known or rows[:1], key=lambda row: len(row["scope"]), default=None)


def find_heterogeneity(
    response: ResponseAnalysis, comparison: Comparison
) -> HeterogeneityRow | None:
    """How one level's effect varies over the widest scope with a prediction, if there is one."""
    key = (comparison.factor, comparison.level)
    rows = [
        row for row in response.get("heterogeneity", []) if (row["factor"], row["level"]) == key
    ]
    known = [row for row in rows if row["prediction_low"] is not None]
    return max(known or rows[:1], key=lambda row: len(row["scope"]), default=None)


def blocking_levels(analysis: Analysis) -> dict[str, list[str]]:
    """The levels of every blocking variable; none where nothing was blocked."""
    design = analysis.get("design")
    contexts = design["contexts"] if design else []
    names = dict.fromkeys(name for context in contexts for name in context)
    return {
        name: list(dict.fromkeys(context[name] for context in contexts if name in context))
        for name in names
    }


def ranked_responses(analysis: Analysis) -> list[str]:
    """Names of the responses, the one that matters most first.

    That is the generalization of the first comparison, then its learning; the others follow in the
    order of the study.
    """
    responses = analysis["responses"]
    return list(dict.fromkeys([*_compared_responses(analysis), *responses]))


def second_response(analysis: Analysis) -> str | None:
    """The learning beside the response that matters most, if both were compared."""
    return next(iter(_compared_responses(analysis)[1:]), None)


def _compared_responses(analysis: Analysis) -> list[str]:
    """Generalization and learning of the first comparison whose two responses are there."""
    for gap in analysis.get("comparisons", {}).values():
        pair = [gap["generalization"], gap["learning"]]
        if all(name in analysis["responses"] for name in pair):
            return pair
    return []


def price_of(analysis: Analysis, comparison: Comparison) -> float | None:
    """What a level costs, as a multiple of its baseline, by the first response that says so."""
    for response in analysis["responses"].values():
        effect = find_effect(response["effects"], comparison, "narrow")
        if effect is not None and effect["price"] is not None:
            return effect["price"]
    return None


def priced_metric(analysis: Analysis) -> str:
    """The cost metric that prices count; empty where the analysis does not name it."""
    return str(setting(analysis, "price", None) or "")


def factor_costs(design: DesignRecord, metric: str) -> dict[str, list[float]]:
    """Mean costs of the levels of every factor, by one metric."""
    costs: dict[str, list[float]] = {}
    for row in design["cost"]:
        if row["metric"] == metric and row["mean"] is not None:
            costs.setdefault(row["factor"], []).append(row["mean"])
    return costs


def interactions(response: ResponseAnalysis, inference: InferenceName = "narrow") -> list[Effect]:
    """The interaction contrasts under one inference."""
    return [
        effect
        for effect in response["effects"]
        if effect["estimand"] == "interaction" and effect["inference"] == inference
    ]


def setting(analysis: Analysis, name: str, default: Any) -> Any:
    """A key of the analysis plan (`alpha`, `interactions`, `diverged`, ...)."""
    study = analysis.get("study", {})
    plan = study.get("analysis")
    if isinstance(plan, Mapping) and name in plan:
        return plan[name]
    return study.get(name, default)


def adjustments_of(analysis: Analysis) -> list[str]:
    """How the p values of the effects were adjusted: as planned, or as the rows of a formula say.

    Empty where a formula has no effects.
    """
    if "design" in analysis:
        return [str(setting(analysis, "adjust", "holm"))]
    effects = (row for response in analysis["responses"].values() for row in response["effects"])
    return sorted({row.get("adjustment", "none") for row in effects})


def is_planned(analysis: Analysis) -> bool:
    """Whether the runs were executed from a frozen plan; a table that was brought along was not."""
    return analysis.get("study", {}).get("backend") not in (None, "", "table")


def name_of(analysis: Analysis) -> str:
    """The title or the name of a study, the file of a table that was brought along."""
    study, name = analysis.get("study", {}), analysis.get("study", {}).get("name")
    if not is_planned(analysis):
        name = PurePath(str(analysis.get("provenance", {}).get("table") or "")).name or name
    return str(study.get("title") or name or "study")


def alpha_of(analysis: Analysis) -> float:
    """The level of tests and intervals."""
    return float(setting(analysis, "alpha", 0.05))


def configuration_families(analysis: Analysis) -> set[str]:
    """Codes of how narrow configurations were judged together; none where none was judged."""
    judged = (
        part["configurations"]
        for part in analysis["responses"].values()
        if "configurations" in part
        and any(
            row["inference"] == "narrow" and row["p"] is not None
            for row in part["configurations"]["rows"]
        )
    )
    return {note["code"] for part in judged for note in part["notes"]}


def is_formula(response: ResponseAnalysis) -> bool:
    """Whether a formula was fitted; otherwise the response has cell means."""
    return "log_likelihood" in response


def has_carry_over(analysis: Analysis) -> bool:
    """Whether an effect's carry-over has an interval."""
    gaps = analysis.get("comparisons", {}).values()
    return any(row["low"] is not None for gap in gaps for row in gap.get("carry_over", []))


def has_mixed_effects(analysis: Analysis) -> bool:
    """Whether the mixed model beside the verdicts has an effect."""
    companions = (part["mixed"] for part in analysis["responses"].values() if "mixed" in part)
    return any(row["p"] is not None for part in companions for row in part["effects"])
