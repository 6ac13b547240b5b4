"""What each section found, by rule from the analysis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from ablatekit.analysis.core.lookup import (
    Comparison,
    alpha_of,
    comparisons,
    find_effect,
    interactions,
    is_planned,
)
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Configuration, Effect
from ablatekit.analysis.core.schema.vocabulary import Estimand, Number
from ablatekit.report.document import Excerpt, Section
from ablatekit.report.language.appendix import findings as words
from ablatekit.report.language.captions import value_of
from ablatekit.report.language.numbers import Scale, absent, general, p_value, scale_of
from ablatekit.report.language.reading import factor_labels, subject_of, term_label
from ablatekit.report.language.reading import words as phrase
from ablatekit.report.language.sentences import term_words
from ablatekit.report.language.verdicts import together

OTHERS: tuple[Estimand, ...] = ("baseline", "removal", "shapley")
MOST_SHARES = 3
UNEQUAL = 0.05
"""A Brown-Forsythe p below it says that cells differ in their noise."""


def main_response(analysis: Analysis) -> tuple[str, ResponseAnalysis]:
    """The response that a finding on one of them is of: generalization, else the first."""
    for gap in analysis.get("comparisons", {}).values():
        name = gap["generalization"]
        if name in analysis["responses"]:
            return name, analysis["responses"][name]
    return next(iter(analysis["responses"].items()))


def effects(analysis: Analysis) -> str:
    """Whether effects keep their sign at the baseline, and how far estimands lie apart."""
    levels, same, total = comparisons(analysis), 0, 0
    apart: list[tuple[float, Scale, str]] = []
    for response in analysis["responses"].values():
        scale = scale_of(response)
        for level in levels:
            average = _value(response, level, "average")
            baseline = _value(response, level, "baseline")
            if average is None or baseline is None:
                continue
            total += 1
            same += average * baseline > 0 or average == baseline
            where = f"{level.name}, {response['label']}"
            apart += [
                (abs(average - value), scale, where)
                for estimand in OTHERS
                if (value := _value(response, level, estimand)) is not None
            ]
    if not total:
        return _largest_effect(analysis)
    difference, where = _widest_apart(apart)
    if not difference:
        return _largest_effect(analysis)
    return words.effects(same, total, difference, where)


def _widest_apart(apart: Sequence[tuple[float, Scale, str]]) -> tuple[str, str]:
    """The largest difference in the first unit, in words, and where it is.

    Nothing where a model makes them all equal by assumption.
    """
    unit = apart[0][1].unit
    size, scale, where = max((part for part in apart if part[1].unit == unit),
                             key=lambda part: part[0])  # fmt: skip
    shown = words.size(size, scale)
    return (shown.removeprefix("+"), where) if shown.startswith("+") else ("", "")


def _value(response: ResponseAnalysis, level: Comparison, estimand: Estimand) -> Number:
    effect = find_effect(response["effects"], level, "narrow", estimand)
    return None if effect is None or absent(effect["estimate"]) else effect["estimate"]


def _largest_effect(analysis: Analysis) -> str:
    _, response = main_response(analysis)
    rows = [
        (level, effect)
        for level in comparisons(analysis)
        if (effect := find_effect(response["effects"], level, "narrow")) is not None
        and not absent(effect["estimate"])
    ]
    if not rows:
        return words.unknown_effects(len(comparisons(analysis)))
    level, effect = max(rows, key=lambda row: abs(row[1]["estimate"] or 0.0))
    return words.largest(level.name, response["label"], _shown(effect, scale_of(response)))


def _shown(effect: Effect, scale: Scale) -> str:
    return words.sized(effect["estimate"] or 0.0, effect["low"], effect["high"], scale)


def configurations(analysis: Analysis) -> str:
    """The best cell of the main response, and whether it is the only one that may be it."""
    compared = {
        name: response
        for name, response in analysis["responses"].items()
        if response.get("configurations", {}).get("rows")
    }
    name, response = main_response(analysis)
    response = compared.get(name) or next(iter(compared.values()))
    rows = _one_per_cell(response["configurations"]["rows"])
    if not rows:
        return ""
    sign = -1 if response["direction"] == "lower" else 1
    top = max(rows, key=lambda row: sign * (row["estimate"] or 0.0))
    shown = _shown(top, scale_of(response))
    if sign * (top["estimate"] or 0.0) <= 0:
        return words.no_gain(response["label"], top["level"], shown)
    rivals = _rivals(response, top, rows)
    return words.best(response["label"], top["level"], shown, rivals, len(rows) + 1)


def _one_per_cell(rows: Sequence[Configuration]) -> list[Configuration]:
    """The narrow row of each cell, else its first; those with an estimate."""
    chosen: dict[str, Configuration] = {}
    for row in rows:
        if row["level"] not in chosen or row["inference"] == "narrow":
            chosen[row["level"]] = row
    return [row for row in chosen.values() if not absent(row["estimate"])]


def _rivals(
    response: ResponseAnalysis, top: Configuration, rows: Sequence[Configuration]
) -> int | None:
    """How many other cells may be the best; None where that is not known."""
    if top["may_be_best"] is None:
        return None
    others = [row["may_be_best"] for row in rows if row is not top]
    return sum(map(bool, [*others, response["configurations"]["baseline_may_be_best"]]))


def gap(analysis: Analysis) -> str:
    """How many levels widen or narrow the first gap, and which one changes it most."""
    record = next(iter(analysis["comparisons"].values()))
    learning = analysis["responses"].get(record["learning"])
    rows = [
        (level, effect)
        for level in comparisons(analysis)
        if (effect := find_effect(record["effects"], level, "narrow")) is not None
    ]
    known = [row for row in rows if not absent(row[1]["estimate"])]
    change = ""
    if known and learning is not None:
        level, effect = max(known, key=lambda row: abs(row[1]["estimate"] or 0.0))
        change = f"{level.name}, {_shown(effect, scale_of(learning))}"
    verdicts = [effect["verdict"] for _, effect in rows]
    return words.gap(verdicts.count("widens"), verdicts.count("narrows"), len(rows), change)


def interplay(analysis: Analysis) -> str:
    """The largest settled interaction of all responses, and how many others are."""
    alpha, labels = alpha_of(analysis), factor_labels(analysis)
    rows = [
        (response, effect)
        for response in analysis["responses"].values()
        for effect in interactions(response)
        if not absent(effect["estimate"])
    ]
    settled = [row for row in rows if _p(row[1]) < alpha]
    if not rows:
        every = (interactions(response) for response in analysis["responses"].values())
        return words.unknown_interactions(sum(map(len, every)))
    response, effect = max(settled or rows, key=_standing)
    parts = zip(effect["factor"].split(":"), effect["level"].split(":"), strict=False)
    name = words.TIMES.join(f"{labels.get(factor, factor)} {level}" for factor, level in parts)
    judged = "" if effect["verdict"] == "not_estimated" else together(effect["verdict"])
    shown = _shown(effect, scale_of(response))
    text = words.interaction(name, response["label"], shown, judged if settled else "")
    if not settled:
        tested = any(row[1]["p_adjusted"] is not None for row in rows)
        return words.unsettled(len(rows), text, tested=tested)
    return words.settled(text, len(settled) - 1, len(rows))


def _p(effect: Effect) -> float:
    return 1.0 if effect["p_adjusted"] is None else effect["p_adjusted"]


def _standing(row: tuple[ResponseAnalysis, Effect]) -> float:
    effect = row[1]
    return abs(effect["estimate"] or 0.0) / (effect["se"] or 1.0)


def contexts(analysis: Analysis) -> str:
    """Whether effects have one sign in every context."""
    sizes: list[int] = []
    exceptions: list[tuple[str, int, int]] = []
    for response in analysis["responses"].values():
        for level in comparisons(analysis):
            values = _in_contexts(response, level)
            if len(values) < 2:
                continue
            sizes.append(len(values))
            most = max(sum(value > 0 for value in values), sum(value < 0 for value in values))
            if most < len(values):
                name = f"{level.name} on {response['label']}"
                exceptions.append((name, most, len(values)))
    number = sizes[0] if len(set(sizes)) == 1 else None
    if number != subject_of(analysis).contexts:
        number = None
    return words.contexts(len(sizes), number, exceptions) if sizes else ""


def _in_contexts(response: ResponseAnalysis, level: Comparison) -> list[float]:
    return [
        row["estimate"]
        for row in response.get("contexts", [])
        if (row["factor"], row["level"]) == (level.factor, level.level)
        and row["estimate"] is not None
    ]


def dynamics(analysis: Analysis) -> str:
    """Whether effects have their final sign halfway; without effects, whether curves rise."""
    ends = list(_ends_of_effects(analysis))
    if ends:
        return words.half_way(sum(half * end > 0 for half, end in ends), len(ends))
    _, response = main_response(analysis)
    curves = [curve for curve in response.get("dynamics", []) if curve["mean"]]
    known = [
        (curve["mean"][0], curve["mean"][-1])
        for curve in curves
        if not absent(curve["mean"][0]) and not absent(curve["mean"][-1])
    ]
    if not known:
        return ""
    sign = -1 if response["direction"] == "lower" else 1
    better = sum(sign * ((last or 0.0) - (first or 0.0)) > 0 for first, last in known)
    return words.rising(better, len(known), response["label"])


def _ends_of_effects(analysis: Analysis) -> Iterator[tuple[float, float]]:
    """Each effect over training, halfway and at its end."""
    for response in analysis["responses"].values():
        levels: dict[tuple[str, str], list[tuple[int, float]]] = {}
        for row in response.get("effects_over_training", []):
            if not absent(row["estimate"]):
                place = levels.setdefault((row["factor"], row["level"]), [])
                place.append((row["step"], row["estimate"] or 0.0))
        for steps in levels.values():
            last, end = max(steps)
            between = [step for step in steps if 0 < step[0] < last]
            if between:
                yield min(between, key=partial(_from_half, last))[1], end


def _from_half(last: int, place: tuple[int, float]) -> float:
    return abs(place[0] - last / 2)


def variance(analysis: Analysis) -> str:
    """The largest shares of the main response's variance."""
    _, response = main_response(analysis)
    labels, unit = factor_labels(analysis), subject_of(analysis).unit
    rows = [
        (term_label(term_words(row["term"], unit), labels), row["share"])
        for row in response.get("anova", [])
        if row["share"] is not None
    ]
    rows.sort(key=lambda row: -(row[1] or 0.0))
    shown = [(term, share or 0.0) for term, share in rows[:MOST_SHARES]]
    if shown:
        return words.shares(response["label"], shown)
    alpha, tested = alpha_of(analysis), [row["p"] for row in response.get("anova", [])]
    known = [p for p in tested if p is not None]
    return words.terms(sum(p < alpha for p in known), len(known), alpha) if known else ""


def robust(analysis: Analysis) -> str:
    """On how many effects interquartile means and probabilities agree with the estimates."""
    means: list[bool] = []
    probabilities: list[bool] = []
    for response in analysis["responses"].values():
        record = response.get("robust")
        sign = -1 if response["direction"] == "lower" else 1
        for level in comparisons(analysis) if record else ():
            average = _value(response, level, "average")
            if average is None or record is None:
                continue
            iqm = {(row["factor"], row["level"]): row["iqm"] for row in record["iqm"]}
            own = iqm.get((level.factor, level.level))
            base = iqm.get((level.factor, level.baseline))
            if own is not None and base is not None:
                means.append((own - base) * average > 0)
            for row in record["improvement"]:
                known = (row["factor"], row["level"]) == (level.factor, level.level)
                if known and row["probability"] is not None:
                    probabilities.append((row["probability"] - 0.5) * sign * average > 0)
    return words.robust((sum(means), len(means)), (sum(probabilities), len(probabilities)))


def design(analysis: Analysis) -> str:
    """The size of the design."""
    record, counts = analysis["design"], analysis.get("counts")
    sizes = len(record["factors"]), len(record["cells"]), record["replicates"]
    runs = counts["planned"] if counts else None
    return words.design(subject_of(analysis), record["kind"], sizes, runs)


def diagnostics(analysis: Analysis) -> str:
    """Whether cells are noisy alike, and whether one run decides the sign of an effect."""
    unequal, tested, flipped, total = [], False, 0, 0
    for response in analysis["responses"].values():
        record = response.get("diagnostics")
        if not record:
            continue
        p = record.get("brown_forsythe_p")
        tested |= p is not None
        if p is not None and p < UNEQUAL:
            unequal.append((response["label"], p_value(p)))
        rows = record.get("influence", [])
        total += len(rows)
        flipped += sum(row["low"] < 0 < row["high"] for row in rows)
    unit = subject_of(analysis).unit
    said = words.diagnostics(unequal, tested, (flipped, total), unit)
    return said or _largest_residual(analysis) or words.too_few(unit)


def _largest_residual(analysis: Analysis) -> str:
    known = [
        record
        for response in analysis["responses"].values()
        if (record := (response.get("diagnostics") or {}).get("largest_residual"))
        and "in_sd" in record
    ]
    if not known:
        return ""
    largest = max(known, key=lambda record: abs(record["in_sd"]))
    whose = str(largest.get("run", largest.get("row")))
    unit = subject_of(analysis).unit
    return words.largest_residual(general(abs(largest["in_sd"]), 3), value_of(unit, whose))


def missing(analysis: Analysis) -> str:
    """How many runs are analysed, and what became of the others."""
    counts, subject = analysis.get("counts"), subject_of(analysis)
    if not counts:
        return ""
    if counts["planned"] == counts["finished"] == counts["analysed"]:
        return words.all_ended(subject, counts["planned"])
    sizes = counts["analysed"], counts["planned"]
    return words.some_lost(subject, sizes, counts["diverged"], counts["failed"])


def methods(section: Section) -> str:
    """How long the text to paste is."""
    excerpts = [block for block in section.blocks if isinstance(block, Excerpt)]
    length = sum(len(text.split()) for part in excerpts for text in part.paragraphs)
    cited = dict.fromkeys(reference.key for part in excerpts for reference in part.references)
    return words.methods(length, len(cited))


def provenance(analysis: Analysis) -> str:
    """Whether the plan was kept, by what the report was made, and what a second code found."""
    deviations = analysis.get("deviations", [])
    kept = len(deviations) if is_planned(analysis) else None
    versions = analysis["provenance"].get("versions") or analysis["provenance"]
    version = phrase(versions.get("ablatekit") or "")
    opinion = analysis.get("second_opinion")
    recomputed = (opinion["recomputed"], opinion["of"]) if opinion else None
    return words.provenance(kept, version, recomputed)


def model(analysis: Analysis) -> str:
    """How many coefficients of the fitted formulas differ from zero."""
    alpha = alpha_of(analysis)
    rows = [row for response in analysis["responses"].values() for row in response.get("fixed", [])]
    clear = sum(row["p"] is not None and row["p"] < alpha for row in rows)
    explained = next((part.get("explained") for part in analysis["responses"].values()), None)
    marginal = explained.get("marginal") if explained else None
    return words.model(len(rows), clear, alpha, "" if absent(marginal) else general(marginal, 3))
