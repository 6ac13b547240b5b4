"""The methods paragraph: ready to paste, every number and citation taken from the analysis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ablatekit.analysis.core.lookup import (
    adjustments_of,
    all_main_effects,
    alpha_of,
    configuration_families,
    has_carry_over,
    has_mixed_effects,
    interactions,
    is_planned,
    priced_metric,
    setting,
)
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.analysis.core.schema.vocabulary import InferenceName
from ablatekit.report.document import Excerpt, Section
from ablatekit.report.language import leads, methods
from ablatekit.report.language.numbers import MISSING, general, p_value, scale_of
from ablatekit.report.language.reading import factor_labels, flatten, subject_of, words
from ablatekit.report.language.references import DUNNETT_FAMILIES, is_minimalist, references
from ablatekit.report.language.sentences import say, told
from ablatekit.study.summaries import parse_summary

MACHINE = ("platform", "cpu", "machine")
"""Entries of the recorded versions that are no software."""
UNEQUAL = 0.02
"""Levels whose mean costs differ by a larger share are named."""
INFERENCES: tuple[InferenceName, ...] = ("narrow", "broad")
ENDS = ("started", "finished", "diverged", "failed")


def methods_section(analysis: Analysis) -> Section:
    """The section with the paragraph and its references."""
    parts = (_design, _responses, _estimation, _verdicts, _runs, _software)
    paragraphs = [" ".join(part(analysis)) for part in parts]
    excerpt = Excerpt("methods-text", [text for text in paragraphs if text], references(analysis))
    return Section("methods", leads.METHODS, leads.METHODS_LEAD, [excerpt])


def _design(analysis: Analysis) -> Iterator[str]:
    design = analysis.get("design")
    if not design:
        return
    factors = [
        methods.factor(factor.get("label") or factor["name"], factor["levels"], factor["baseline"])
        for factor in design["factors"]
    ]
    contexts = design.get("contexts", [])
    sizes = len(design["cells"]), design["replicates"]
    variables = contexts[0] if contexts else ()
    yield methods.design(subject_of(analysis), design["kind"], factors, *sizes, variables)
    if design["excluded"]:
        yield methods.excluded(words(cell) for cell in design["excluded"])
    if design["merged"]:
        yield methods.merged(len(design["merged"]))
    if is_planned(analysis):
        held = dict(flatten(design.get("held_equal") or {}))
        yield methods.held_equal(held.get("budget.amount"), held.get("budget.unit"))
        costs = _unequal_costs(analysis)
        if costs:
            yield methods.unequal_costs(costs)
    if priced_metric(analysis):
        yield methods.price(priced_metric(analysis))
    if is_minimalist(analysis):
        yield methods.MINIMALIST


def _unequal_costs(analysis: Analysis) -> dict[str, dict[str, list[tuple[str, float]]]]:
    """Mean cost of a run by metric, factor and level, where the levels of a factor differ in it."""
    labels = factor_labels(analysis)
    costs: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for row in analysis["design"]["cost"]:
        if row["mean"] is not None:
            by_factor = costs.setdefault(row["metric"], {})
            label = labels.get(row["factor"], row["factor"])
            by_factor.setdefault(label, []).append((row["level"], row["mean"]))
    unequal = {
        metric: {
            label: levels
            for label, levels in by_factor.items()
            if _differ([mean for _, mean in levels])
        }
        for metric, by_factor in costs.items()
    }
    return {metric: by_factor for metric, by_factor in unequal.items() if by_factor}


def _differ(means: Sequence[float]) -> bool:
    return max(means) - min(means) > UNEQUAL * abs(max(means, key=abs))


def _responses(analysis: Analysis) -> Iterator[str]:
    for response in analysis["responses"].values():
        smallest = response["smallest_effect"]
        amount = scale_of(response).amount(smallest) if smallest else ""
        if is_planned(analysis):
            yield methods.response(
                response["label"], _summary(response), response["direction"], amount
            )
        else:
            yield methods.column(response["label"], response["direction"], amount)
    subject = subject_of(analysis)
    if subject.planned and subject.items:
        yield methods.SHARED_EVALUATION


def _summary(response: ResponseAnalysis) -> str:
    """What a run's value is, in words."""
    metric = response["metric"]
    try:
        name, argument = parse_summary(response["summary"])
    except ValueError:
        return f"{metric}, {response['summary']}"
    return methods.summary(name, argument, metric)


def _estimation(analysis: Analysis) -> Iterator[str]:
    responses, subject = analysis["responses"].values(), subject_of(analysis)
    effects = [effect for response in responses for effect in response["effects"]]
    if "design" in analysis:
        yield methods.average_effect(subject)
    elif effects:
        yield methods.adjusted_effect()
    if any(effect["estimand"] == "baseline" for effect in effects):
        yield methods.AT_BASELINE
    averages = list(all_main_effects(analysis))
    for inference in INFERENCES:
        chosen = [effect for effect in averages if effect["inference"] == inference]
        estimated = [effect for effect in chosen if not effect["reason"]]
        if estimated:
            yield methods.inference(subject, inference, _how(estimated))
        elif chosen:
            reason = told(chosen[0]["reason"], subject.unit).split("; add ")[0]
            yield methods.impossible(inference, reason)
    yield methods.models(list(dict.fromkeys(_model(response) for response in responses)))
    if any(interactions(response) for response in responses):
        yield methods.INTERACTIONS
    tested = [response["anova_note"] for response in responses if response["anova"]]
    notes = dict.fromkeys(say(note, subject.unit) for note in tested)
    yield from (_variance_note(note) for note in notes if note)
    yield from _equal_variances(analysis, effects)
    yield from _companions(analysis)


def _model(response: ResponseAnalysis) -> str:
    return f"{response['model']['formula']} ({say(response['model']['method'])})"


def _variance_note(note: str) -> str:
    """The note of an ANOVA table ("Type ...; error: ...; share = ...") as a sentence."""
    parts = note.rstrip(".").split("; ")
    errors = [part.removeprefix("error: ") for part in parts if part.startswith("error: ")]
    return methods.variance(parts[0][:1].lower() + parts[0][1:], errors[0] if errors else "")


def _equal_variances(analysis: Analysis, effects: Sequence[Effect]) -> Iterator[str]:
    tested = [
        (response["label"], p)
        for response in analysis["responses"].values()
        if (p := p_value(response.get("diagnostics", {}).get("brown_forsythe_p"))) != MISSING
    ]
    if tested:
        yield methods.equal_variances(subject_of(analysis), tested)
        if any(effect["method"]["code"] == "welch_t" for effect in effects):
            yield methods.WELCH


def _companions(analysis: Analysis) -> Iterator[str]:
    """What stands beside the linear contrasts, where the study has it."""
    responses = analysis["responses"].values()
    if any(row["tau"] is not None for part in responses for row in part.get("heterogeneity", [])):
        yield methods.SPREAD
    yield from _other_answers(analysis)
    if any(part.get("robust") for part in responses):
        yield methods.robust(subject_of(analysis))
    decomposed = [
        methods.item_model(
            part["label"], items["outcomes"], items["items"], items["model"]["formula"]
        )
        for part in responses
        if (items := part.get("items")) and "model" in items
    ]
    if decomposed:
        yield methods.items(decomposed)


def _other_answers(analysis: Analysis) -> Iterator[str]:
    """Configurations, trends and carry-over, and what stands beside the effects."""
    responses = analysis["responses"].values()
    configured = [part["configurations"] for part in responses if "configurations" in part]
    if configured:
        yield methods.CONFIGURATIONS
    families = configuration_families(analysis)
    if families & DUNNETT_FAMILIES:
        yield methods.DUNNETT
    if "welch_family" in families:
        yield methods.WELCH
    if any(row["may_be_best"] is not None for part in configured for row in part["rows"]):
        yield methods.BEST
    doses = (part["dose"] for part in responses if "dose" in part)
    if any(row["p"] is not None for dose in doses for row in dose["tests"]):
        yield methods.DOSE
    if has_carry_over(analysis):
        yield methods.CARRY_OVER
    if has_mixed_effects(analysis):
        yield methods.MIXED


def _how(effects: Sequence[Effect]) -> str:
    named = dict.fromkeys(say(effect["method"]) for effect in effects)
    known = sorted({effect["df"] for effect in effects if effect["df"] is not None})
    ends = dict.fromkeys((general(known[0], 3), general(known[-1], 3))) if known else ()
    return methods.how(named, list(ends))


def _verdicts(analysis: Analysis) -> Iterator[str]:
    alpha, adjustments = alpha_of(analysis), adjustments_of(analysis)
    yield methods.intervals(alpha)
    if not adjustments:
        return
    margin = any(response["smallest_effect"] for response in analysis["responses"].values())
    yield methods.verdicts(alpha, adjustments, margin=margin)
    if "design" in analysis and adjustments == ["holm"]:
        yield methods.FAMILY
    elif adjustments != ["none"]:
        yield methods.FORMULA_FAMILY
    if analysis.get("comparisons"):
        yield methods.GAP


def _runs(analysis: Analysis) -> Iterator[str]:
    counts, subject = analysis.get("counts"), subject_of(analysis)
    if not counts:
        return
    ends = [(counts[end], end) for end in ENDS]  # type: ignore[literal-required]
    yield methods.counts(subject, counts["planned"], ends, counts["analysed"])
    if counts["diverged"]:
        yield methods.diverged(str(setting(analysis, "diverged", "score")))
    if subject.planned:
        yield methods.frozen(len(analysis["deviations"]))


def _software(analysis: Analysis) -> Iterator[str]:
    provenance = analysis["provenance"]
    versions = provenance.get("versions") or provenance.get("packages") or {}
    pairs = [pair for pair in flatten(versions) if pair[0] not in MACHINE]
    named = [f"{name} {version}" for name, version in pairs]
    for key in ("ablatekit", "ablatekit_version", "python"):
        if isinstance(provenance.get(key), str) and not versions:
            named.append(f"{key.removesuffix('_version')} {provenance[key]}")
    if analysis.get("second_opinion"):
        yield methods.SECOND_OPINION
    if named:
        machine = [words(versions[name]) for name in MACHINE if versions.get(name)]
        yield methods.software(subject_of(analysis), named, machine)
