"""The methods of an analysis in few words: passages that follow from it, and nothing else.

Each function yields what its subject allows: a passage is there only where the analysis holds what
it says, so that a design without replicates, a table or a formula describes only what was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from ablatekit.analysis.core.lookup import (
    adjustments_of,
    all_main_effects,
    alpha_of,
    blocking_levels,
    configuration_families,
    factor_costs,
    has_carry_over,
    has_mixed_effects,
    is_planned,
    label_of,
    priced_metric,
    setting,
)
from ablatekit.analysis.core.schema.analysis import Analysis, DesignRecord, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.report.language import methods
from ablatekit.report.language.numbers import MISSING, general, p_value, scale_of
from ablatekit.report.language.reading import Unit, flatten, subject_of, words
from ablatekit.report.language.references import DUNNETT_FAMILIES, is_minimalist
from ablatekit.report.language.sentences import say, told
from ablatekit.report.language.statements.phrases import NOT_SET
from ablatekit.report.paste.length import Passage, fitted
from ablatekit.study.summaries import parse_summary

SHORT, LONG = 120, 400
"""Most words of the two texts."""
MACHINE = ("platform", "cpu", "machine")
"""Entries of the recorded versions that are no software."""
UNEQUAL = 1.02
"""Levels whose mean costs differ by a larger ratio are said to differ."""
TRUNCATED = "truncated_least_squares"


def methods_text(analysis: Analysis, limit: int) -> list[str]:
    """The methods in at most `limit` words, in paragraphs."""
    return paragraphs(fitted(passages(analysis), limit))


def paragraphs(chosen: Sequence[tuple[str, str]]) -> list[str]:
    """The chosen passages, a paragraph for each subject."""
    by_subject: dict[str, list[str]] = {}
    for topic, text in chosen:
        by_subject.setdefault(topic.split(".")[0], []).append(text)
    return [" ".join(texts) for texts in by_subject.values()]


def passages(analysis: Analysis) -> list[Passage]:
    """Everything that the methods could say, in the order of reading."""
    parts = (_design, _responses, _effects, _inference, _verdicts, _companions, _records)
    return [Passage(*passage) for part in parts for passage in part(analysis) if passage[2]]


Said = tuple[str, int, list[str]]
"""Topic, rank and wordings of a passage."""


def _design(analysis: Analysis) -> Iterator[Said]:
    design, subject = analysis.get("design"), subject_of(analysis)
    if not design or not design["factors"]:
        return
    factors = [
        (
            label_of(factor),
            [str(level) or NOT_SET for level in factor["levels"]],
            str(factor["baseline"]) or NOT_SET,
        )
        for factor in design["factors"]
    ]
    called = methods.kind(design["kind"], complete=_is_complete(design))
    yield "design.factors", 1, methods.design(subject, called, factors)
    yield "design.cells", 1, _cells(analysis, design)
    counts = analysis.get("counts")
    if counts and counts["diverged"]:
        policy = str(setting(analysis, "diverged", "score"))
        yield "design.diverged", 4, methods.diverged(policy)
    if design["excluded"]:
        yield "design.excluded", 6, methods.excluded([words(cell) for cell in design["excluded"]])
    if design["merged"]:
        yield "design.merged", 7, methods.merged(len(design["merged"]))
    if is_planned(analysis):
        held = dict(flatten(design.get("held_equal") or {}))
        budget = held.get("budget.amount"), held.get("budget.unit")
        yield "design.held", 1, methods.held_equal(*budget)
    yield from _costs(analysis, design)
    if is_minimalist(analysis):
        yield "design.minimalist", 7, methods.MINIMALIST


def _is_complete(design: DesignRecord) -> bool:
    """Whether every combination of levels is a cell."""
    combinations = 1
    for factor in design["factors"]:
        combinations *= len(factor["levels"])
    return len(design["cells"]) == combinations


def _cells(analysis: Analysis, design: DesignRecord) -> list[str]:
    counts, subject = analysis.get("counts"), subject_of(analysis)
    if not counts:
        return []
    outstanding = counts["planned"] - counts["finished"] - counts["diverged"] - counts["failed"]
    lost = [
        (counts["diverged"], "diverged"), (counts["failed"], "failed"), (outstanding, "outstanding")
    ]  # fmt: skip
    return methods.cells(
        subject,
        len(design["cells"]),
        design["replicates"],
        methods.contexts(blocking_levels(analysis), len(design["contexts"])),
        methods.analysed(subject.unit, counts["planned"], counts["analysed"], lost),
        counts["planned"],
    )


def _costs(analysis: Analysis, design: DesignRecord) -> Iterator[Said]:
    """What runs differ in: the metric that prices count, else the first in which levels differ."""
    priced = priced_metric(analysis)
    metric = priced or next((row["metric"] for row in design["cost"]), "")
    if not metric:
        return
    labels = {factor["name"]: label_of(factor) for factor in design["factors"]}
    ratios = [
        (labels.get(name, name), max(means) / min(means))
        for name, means in factor_costs(design, metric).items()
        if min(means) > 0 and max(means) / min(means) > UNEQUAL
    ]
    ratios.sort(key=lambda pair: -pair[1])
    if ratios or priced:
        yield (
            "design.cost",
            5,
            methods.costs(subject_of(analysis), metric, ratios, priced=bool(priced)),
        )


def _responses(analysis: Analysis) -> Iterator[Said]:
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for response in analysis["responses"].values():
        smallest = response["smallest_effect"]
        amount = scale_of(response).amount(smallest) if smallest else ""
        summary = _summary(response) if is_planned(analysis) else methods.COLUMN
        key = response["direction"], amount
        groups.setdefault(key, []).append((response["label"], summary))
    listed = [(members, *key) for key, members in groups.items()]
    yield "responses.list", 1, methods.responses(listed)
    subject = subject_of(analysis)
    if subject.planned and subject.items:
        yield "responses.shared", 7, methods.SHARED_EVALUATION


def _summary(response: ResponseAnalysis) -> str:
    """What a run's value is, in words."""
    metric = response["metric"]
    try:
        name, argument = parse_summary(response["summary"])
    except ValueError:
        return f"{metric}, {response['summary']}"
    return methods.summary(name, argument, metric)


def _effects(analysis: Analysis) -> Iterator[Said]:
    """What an effect is, in the words of the model that it comes from."""
    responses, subject = list(analysis["responses"].values()), subject_of(analysis)
    effects = [effect for response in responses for effect in response["effects"]]
    averages = [effect for effect in all_main_effects(analysis) if effect["estimate"] is not None]
    if "design" not in analysis:
        fits = dict.fromkeys(map(_fit, responses))
        yield "effects.formula", 1, methods.formulas(list(fits), levels=bool(averages))
    elif averages:
        orders = [order_of(response) for response in responses]
        if None in orders:
            yield "effects.average", 1, methods.saturated(subject)
        for order in sorted({order for order in orders if order is not None}):
            yield "effects.truncated", 1, methods.truncated(subject, order, *_unmatched(averages))
    kinds = dict.fromkeys(
        effect["estimand"]
        for effect in effects
        if effect["p"] is not None and effect["estimand"] in methods.ESTIMANDS
    )
    if kinds:
        yield "effects.others", 7, methods.estimands(list(kinds))


def _fit(response: ResponseAnalysis) -> tuple[str, str, int]:
    """The formula, its method and the rows that entered."""
    model = response["model"]
    return model["formula"], say(model["method"]), model["n"]


def order_of(response: ResponseAnalysis) -> int | None:
    """The highest order of interactions in a truncated model; None for a saturated one."""
    method = response["model"]["method"]
    return int(method["arguments"]["order"]) if method["code"] == TRUNCATED else None


def _unmatched(averages: Sequence[Effect]) -> tuple[int, int]:
    """How many of the levels with an estimate have no matched pair, and how many levels."""
    levels = {(effect["factor"], effect["level"]) for effect in averages}
    unmatched = {
        (effect["factor"], effect["level"])
        for effect in averages
        if any(note["code"] == "model_based" for note in effect["notes"])
    }
    return len(unmatched), len(levels)


def _inference(analysis: Analysis) -> Iterator[Said]:
    averages, subject = list(all_main_effects(analysis)), subject_of(analysis)
    narrow = [effect for effect in averages if effect["inference"] == "narrow"]
    broad = [effect for effect in averages if effect["inference"] == "broad"]
    tested = [effect for effect in narrow if effect["p"] is not None]
    if tested:
        write = methods.narrow(subject, _how(tested))
        if "design" not in analysis:
            write = methods.fixed_tests(_how(tested))
        yield "effects.narrow", 1, write
        if any(effect["method"]["code"] == "hidden_replication_t" for effect in tested):
            yield "effects.hidden", 3, methods.HIDDEN_REPLICATION
    elif narrow:
        yield "effects.refused", 1, methods.refused("narrow", _reason(narrow, subject.unit))
    generalised = [effect for effect in broad if effect["p"] is not None]
    if generalised:
        yield "effects.broad", 1, methods.broad(_scopes(generalised))
    elif broad:
        yield "effects.no_broad", 6, methods.refused("broad", _reason(broad, subject.unit))


def _reason(effects: Sequence[Effect], unit: Unit) -> str:
    """Why the first of them has no test, without the remedy."""
    reason = next((effect["reason"] for effect in effects if effect["reason"]), None)
    return told(reason, unit).split("; add ")[0]


def _scopes(effects: Sequence[Effect]) -> list[tuple[str, str]]:
    """Every scope with how it was tested."""
    by_scope: dict[str, list[Effect]] = {}
    for effect in effects:
        by_scope.setdefault(say(effect["averaged_over"]), []).append(effect)
    return [(over, _how(rows)) for over, rows in by_scope.items()]


def _how(effects: Sequence[Effect]) -> str:
    named = dict.fromkeys(say(effect["method"]) for effect in effects)
    known = sorted({effect["df"] for effect in effects if effect["df"] is not None})
    ends = dict.fromkeys((general(known[0], 3), general(known[-1], 3))) if known else ()
    return methods.how(named, list(ends))


def _verdicts(analysis: Analysis) -> Iterator[Said]:
    alpha, adjustments = alpha_of(analysis), adjustments_of(analysis)
    if not any(effect["p"] is not None for effect in all_main_effects(analysis)):
        return
    margin = any(response["smallest_effect"] for response in analysis["responses"].values())
    family = methods.FAMILY if "design" in analysis else methods.FORMULA_FAMILY
    yield "verdicts.rule", 1, methods.verdicts(alpha, adjustments, family, margin=margin)
    gaps = analysis.get("comparisons", {}).values()
    if any(effect["p"] is not None for gap in gaps for effect in gap["effects"]):
        parts = [analysis["responses"][gap[key]] for gap in gaps for key in _SIDES]
        both = all(part["smallest_effect"] for part in parts)
        yield "verdicts.gap", 6, methods.gap(margin=both)


_SIDES: tuple[Literal["learning", "generalization"], ...] = ("learning", "generalization")


def _companions(analysis: Analysis) -> Iterator[Said]:
    """What stands beside the average effects, where the analysis has it."""
    yield from _variances(analysis)
    yield from _configurations(analysis)
    responses = analysis["responses"].values()
    tests = [row for part in responses for row in part.get("dose", {}).get("tests", [])]
    trends = [row for row in tests if row["p"] is not None]
    if trends:
        curved = any((row["num_df"] or 0) > 1 for row in trends)
        adjusted = adjustments_of(analysis) == ["holm"]
        yield "companions.dose", 8, methods.dose(quadratic=curved, adjusted=adjusted)
    if has_carry_over(analysis):
        yield "companions.carry_over", 7, methods.CARRY_OVER
    if any(row["tau"] is not None for part in responses for row in part.get("heterogeneity", [])):
        yield "companions.spread", 8, methods.SPREAD
    noted = [
        part["anova_note"]
        for part in responses
        if any(row["p"] is not None for row in part["anova"])
    ]
    for note in dict.fromkeys(say(note, subject_of(analysis).unit) for note in noted):
        yield "companions.anova", 8, _variance_note(note)
    kinds = list(_beside(analysis))
    if kinds:
        yield "companions.beside", 5, methods.beside(subject_of(analysis), kinds)


def _beside(analysis: Analysis) -> Iterator[str]:
    """Which companions the analysis has, by their name in `methods.BESIDE`."""
    responses = analysis["responses"].values()
    if has_mixed_effects(analysis):
        yield "mixed"
    robust = [part["robust"] for part in responses if part.get("robust")]
    if any(row["p"] is not None for part in robust for row in part["permutation"]):
        yield "permutation"
    if any(row["low"] is not None for part in robust for row in part["iqm"]):
        yield "bootstrap"
    if any("model" in part["items"] for part in responses if part.get("items")):
        yield "items"


def _variance_note(note: str) -> list[str]:
    """The note of an ANOVA table ("Type ...; error: ...; share = ...") as a sentence."""
    parts = note.rstrip(".").split("; ")
    errors = [part.removeprefix("error: ") for part in parts if part.startswith("error: ")]
    return methods.variance(parts[0][:1].lower() + parts[0][1:], errors[0] if errors else "")


def _variances(analysis: Analysis) -> Iterator[Said]:
    responses = analysis["responses"].values()
    tested = [
        (response["label"], p)
        for response in responses
        if (p := p_value(response.get("diagnostics", {}).get("brown_forsythe_p"))) != MISSING
    ]
    effects = [effect for response in responses for effect in response["effects"]]
    welch = any(effect["method"]["code"] == "welch_t" and effect["p"] for effect in effects)
    if tested:
        unequal = welch or "welch_family" in configuration_families(analysis)
        yield "companions.variances", 5, methods.equal_variances(tested, welch=unequal)


def _configurations(analysis: Analysis) -> Iterator[Said]:
    configured = [
        part["configurations"]
        for part in analysis["responses"].values()
        if "configurations" in part
    ]
    rows = [row for part in configured for row in part["rows"] if row["p"] is not None]
    if not rows:
        return
    families = configuration_families(analysis)
    judged = [methods.DUNNETT] if families & DUNNETT_FAMILIES else []
    judged += [methods.WELCH] if "welch_family" in families else []
    adjust = ", ".join(adjustments_of(analysis))
    if not any(row["inference"] == "narrow" for row in rows):
        judged = [methods.BROAD_ONLY.get(adjust, adjust)]
    best = any(row["may_be_best"] is not None for part in configured for row in part["rows"])
    judged = judged or [methods.UNADJUSTED if adjust == "none" else adjust]
    told_families = methods.judged_configurations(judged)
    subject = subject_of(analysis)
    told = methods.configurations(
        subject, told_families, best=best, where_equal=methods.WELCH in judged
    )
    yield "companions.configurations", 4, told


def _records(analysis: Analysis) -> Iterator[Said]:
    subject = subject_of(analysis)
    if subject.planned and analysis.get("counts"):
        yield "records.frozen", 2, methods.frozen(len(analysis["deviations"]))
    opinion = analysis.get("second_opinion")
    if opinion:
        sizes = opinion["recomputed"], opinion["of"], len(opinion["disagreements"])
        yield "records.second_opinion", 7, methods.second_opinion(*sizes)
    provenance = analysis["provenance"]
    versions = provenance.get("versions") or provenance.get("packages") or {}
    named = [f"{name} {version}" for name, version in flatten(versions) if name not in MACHINE]
    for key in ("ablatekit", "ablatekit_version", "python"):
        if isinstance(provenance.get(key), str) and not versions:
            named.append(f"{key.removesuffix('_version')} {provenance[key]}")
    if named:
        machine = [words(versions[name]) for name in MACHINE if versions.get(name)]
        yield "records.software", 6, methods.software(subject, named, machine)
