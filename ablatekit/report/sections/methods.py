"""The methods paragraph: ready to paste, every number and citation taken from the analysis."""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit.analysis.core.lookup import (
    all_main_effects,
    alpha_of,
    interactions,
    is_planned,
    setting,
)
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.effects import Effect
from ablatekit.report.document import Excerpt, Section
from ablatekit.report.language.numbers import MISSING, count, general, p_value, scale_of, sentence
from ablatekit.report.language.reading import factor_labels, flatten, words
from ablatekit.report.language.references import is_minimalist, references
from ablatekit.study.summaries import parse_summary

MACHINE = ("platform", "cpu", "machine")
"""Entries of the recorded versions that are no software."""
UNEQUAL = 0.02
"""Levels whose mean costs differ by a larger share are named."""


def methods_section(analysis: Analysis) -> Section:
    """The section with the paragraph and its references."""
    paragraphs = [
        _design(analysis),
        _responses(analysis),
        _estimation(analysis),
        _verdicts(analysis),
        _runs(analysis),
        _software(analysis),
    ]
    excerpt = Excerpt("methods-text", [text for text in paragraphs if text], references(analysis))
    lead = "Ready to paste; every number comes from this analysis."
    return Section("methods", "Methods", lead, [excerpt])


def _design(analysis: Analysis) -> str:
    design = analysis["design"]
    factors = "; ".join(
        f"{factor.get('label') or factor['name']}"
        f" ({', '.join(map(str, factor['levels']))}; baseline {factor['baseline']})"
        for factor in design["factors"]
    )
    contexts = design.get("contexts", [])
    variables = " \N{MULTIPLICATION SIGN} ".join(contexts[0]) if contexts else ""
    where = " in each context" if len(contexts) > 1 else ""
    across = f" in {count(len(contexts), 'context')} ({variables})" if variables else ""
    text = (
        f"We used a {design['kind']} design over {count(len(design['factors']), 'factor')}:"
        f" {factors}. Its {count(len(design['cells']), 'cell')} were run{across} with"
        f" {count(design['replicates'], 'independent replicate')} of each cell{where}"
    )
    text += ", in randomised order." if is_planned(analysis) else "."
    if design["excluded"]:
        text += f" Excluded: {'; '.join(words(cell) for cell in design['excluded'])}."
    if design["merged"]:
        groups = count(len(design["merged"]), "group")
        text += f" {groups} of cells with identical effective settings shared their runs."
    return text + (_held_equal(analysis) if is_planned(analysis) else "") + _minimalist(analysis)


def _held_equal(analysis: Analysis) -> str:
    held = dict(flatten(analysis["design"].get("held_equal") or {}))
    amount, unit = held.get("budget.amount"), held.get("budget.unit")
    text = " Every setting that is not a factor was equal in all runs"
    if amount and unit:
        text += f", among them the budget of {amount} {unit.replace('_', ' ')}"
    return f"{text}.{_unequal_costs(analysis)}"


def _unequal_costs(analysis: Analysis) -> str:
    """What a run cost on average where the levels of a factor differ in it."""
    labels = factor_labels(analysis)
    costs: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for row in analysis["design"].get("cost", []):
        if row["mean"] is not None:
            by_factor = costs.setdefault(row["metric"], {})
            by_factor.setdefault(row["factor"], []).append((row["level"], row["mean"]))
    parts = []
    for metric, by_factor in costs.items():
        told = [
            f"{labels.get(factor, factor)} {_per_level(levels)}"
            for factor, levels in by_factor.items()
            if _differ([mean for _, mean in levels])
        ]
        if told:
            parts.append(f"{_cost_name(metric)} ({'; '.join(told)})")
    if not parts:
        return ""
    return f" Levels differ in what a run costs on average: {', '.join(parts)}."


def _differ(means: Sequence[float]) -> bool:
    return max(means) - min(means) > UNEQUAL * abs(max(means, key=abs))


def _per_level(levels: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{level}: {general(mean)}" for level, mean in levels)


def _cost_name(metric: str) -> str:
    return metric.rsplit("/", maxsplit=1)[-1].replace("_", " ")


def _minimalist(analysis: Analysis) -> str:
    if not is_minimalist(analysis):
        return ""
    return (
        " The baseline uses one rollout per query and the raw outcome reward without an"
        " advantage, following the minimalist baseline of Xie et al. (2026)."
    )


def _responses(analysis: Analysis) -> str:
    text = " ".join(_response(response) for response in analysis["responses"].values())
    if is_planned(analysis):
        text += (
            " All runs of a context share evaluation items and evaluation draws, so results are"
            " conditional on these."
        )
    return text


def _response(response: ResponseAnalysis) -> str:
    text = f"{sentence(response['label'])} is {_summary(response)} ({response['direction']} is"
    text += " better)"
    if response["smallest_effect"]:
        text += f"; the smallest effect that matters was set to {_smallest(response)}"
    return text + "."


def _summary(response: ResponseAnalysis) -> str:
    """What a run's value is, in words."""
    metric = response["metric"]
    try:
        name, argument = parse_summary(response["summary"])
    except ValueError:
        return f"{metric}, {response['summary']}"
    return {
        "final": f"the last value of {metric}",
        "best": f"the best value of {metric}",
        "auc": f"the mean of {metric} over training (area under its curve)",
        "mean_last": f"the mean of the last {argument:g} values of {metric}",
        "time_to": f"the first step at which {metric} reaches {argument:g}",
    }[name]


def _smallest(response: ResponseAnalysis) -> str:
    return scale_of(response).amount(response["smallest_effect"] or 0.0)


def _estimation(analysis: Analysis) -> str:
    averages = list(all_main_effects(analysis))
    alone = len(analysis["design"].get("contexts", [])) < 2
    text = (
        "The run is the experimental unit. The average effect of a level is the difference of"
        " cell means to the baseline level, averaged with equal weight over the matched"
        f" combinations of the other factors{'' if alone else ' and over contexts'}."
    )
    if any(
        effect["estimand"] == "baseline"
        for response in analysis["responses"].values()
        for effect in response["effects"]
    ):
        text += " The effect at the baseline holds every other factor at its baseline level."
    for inference, meaning in (
        ("narrow", f"Narrow inference speaks for {'this context' if alone else 'these contexts'}"),
        ("broad", "Broad inference speaks for contexts like these"),
    ):
        chosen = [effect for effect in averages if effect["inference"] == inference]
        estimated = [effect for effect in chosen if not effect["reason"]]
        if estimated:
            text += f" {meaning} ({_how(estimated)})."
        elif chosen:
            reason = str(chosen[0]["reason"]).rstrip(".").split("; add ")[0]
            text += f" {inference.capitalize()} inference was not possible ({reason})."
    models = dict.fromkeys(
        f"{response['model']['formula']} ({response['model']['method']})"
        for response in analysis["responses"].values()
    )
    verb = "model was" if len(models) == 1 else "models were"
    text += f" The fitted {verb} {' and '.join(models)}."
    if any(interactions(response) for response in analysis["responses"].values()):
        text += " Interactions are differences of differences and form families of their own."
    notes = dict.fromkeys(
        response.get("anova_note", "") for response in analysis["responses"].values()
    )
    text += "".join(_variance_note(note) for note in notes if note)
    return text + _equal_variances(analysis) + _companions(analysis)


def _variance_note(note: str) -> str:
    """The note of an ANOVA table ("Type ...; error: ...; share = ...") as a sentence."""
    parts = note.rstrip(".").split("; ")
    kind = parts[0][:1].lower() + parts[0][1:]
    errors = [part.removeprefix("error: ") for part in parts if part.startswith("error: ")]
    against = f", tested against {errors[0]}" if errors else ""
    return f" The analysis of variance uses {kind}{against}."


def _equal_variances(analysis: Analysis) -> str:
    tested = [
        f"{response['label']} p {p if p.startswith('<') else '= ' + p}"
        for response in analysis["responses"].values()
        if (p := p_value(response.get("diagnostics", {}).get("brown_forsythe_p"))) != MISSING
    ]
    if not tested:
        return ""
    named = "; ".join(tested)
    text = (
        " Equal run-to-run variance of the cells was tested after Brown and Forsythe (1974):"
        f" {named}."
    )
    effects = (row for one in analysis["responses"].values() for row in one["effects"])
    if any("Welch" in row["method"] for row in effects):
        text += (
            " Where it was rejected, effects at the baseline and of removal take their standard"
            " errors from their own cells (Welch-Satterthwaite df)."
        )
    return text


def _companions(analysis: Analysis) -> str:
    """What stands beside the linear contrasts, where the study has it."""
    responses = analysis["responses"].values()
    text = ""
    if any(row["tau"] is not None for one in responses for row in one["heterogeneity"]):
        text += (
            " The spread of effects between contexts (tau) was estimated by moments, and the"
            " prediction interval for one new context from it."
        )
    if any(one.get("robust") for one in responses):
        text += (
            " Interquartile means, probabilities of improvement and performance profiles (Agarwal"
            " et al., 2021) have bootstrap intervals over runs; permutation tests exchange runs"
            " within contexts."
        )
    return text + _items(analysis)


def _items(analysis: Analysis) -> str:
    """The item level, where item outcomes were decomposed."""
    told = []
    for response in analysis["responses"].values():
        items = response.get("items")
        if items and "model" in items:
            sizes = f"{items['outcomes']:,} outcomes of {count(items['items'], 'item')}"
            told.append(f"{response['label']}, {sizes}: {items['model']['formula']}")
    if not told:
        return ""
    return (
        " Item outcomes were decomposed by a mixed model with crossed random items and runs"
        f" ({'; '.join(told)}); effects on items like these (Satterthwaite df) accompany"
        " the verdicts and decide none."
    )


def _how(effects: list[Effect]) -> str:
    methods = " / ".join(dict.fromkeys(effect["method"] for effect in effects))
    known = sorted({effect["df"] for effect in effects if effect["df"] is not None})
    if not known:
        return methods
    ends = dict.fromkeys((general(known[0], 3), general(known[-1], 3)))
    return f"{methods}, df {' to '.join(ends)}"


def _verdicts(analysis: Analysis) -> str:
    alpha = alpha_of(analysis)
    adjusted = setting(analysis, "adjust", "holm") == "holm"
    text = f"Intervals are two-sided {100 * (1 - alpha):g}% intervals per comparison."
    if any(response["smallest_effect"] for response in analysis["responses"].values()):
        text += (
            f" A level is called equivalent when the {100 * (1 - 2 * alpha):g}% interval lies"
            " within the smallest effect that matters (two one-sided tests; Schuirmann, 1987)."
            " Otherwise it"
        )
    else:
        text += " A level"
    p = "the Holm-adjusted p value (Holm, 1979)" if adjusted else "the p value"
    text += f" helps or hurts when {p} is below {alpha:g}, and is inconclusive if not."
    if adjusted:
        text += (
            " A family holds the level-against-baseline average effects of one response under"
            " one inference."
        )
    if analysis.get("comparisons"):
        text += (
            " Whether a level acts differently on learning and generalization is tested on the"
            " gap, paired within the run, in a family of its own."
        )
    return text


def _runs(analysis: Analysis) -> str:
    counts = analysis["counts"]
    policy = setting(analysis, "diverged", "score")
    meaning = {
        "score": "enter with their last valid score",
        "worst": "enter with the worst possible score",
        "exclude": "are excluded",
    }.get(str(policy), str(policy))
    text = (
        f"Of {counts['planned']:,} planned runs, {counts['started']:,} started,"
        f" {counts['finished']:,} finished, {counts['diverged']:,} diverged and"
        f" {counts['failed']:,} failed; {counts['analysed']:,} were analysed."
    )
    if counts["diverged"]:
        text += f" Diverged runs {meaning}."
    if not is_planned(analysis):
        return text
    deviations = len(analysis["deviations"])
    known = count(deviations, "deviation") if deviations else "no deviation"
    return f"{text} The analysis plan was frozen before the first run, with {known} from it."


def _software(analysis: Analysis) -> str:
    provenance = analysis["provenance"]
    versions = provenance.get("versions") or provenance.get("packages") or {}
    pairs = [pair for pair in flatten(versions) if pair[0] not in MACHINE]
    named = [f"{name} {version}" for name, version in pairs]
    for key in ("ablatekit", "ablatekit_version", "python"):
        if isinstance(provenance.get(key), str) and not versions:
            named.append(f"{key.removesuffix('_version')} {provenance[key]}")
    if not named:
        return ""
    machine = [words(versions[name]) for name in MACHINE if versions.get(name)]
    where = f" on {', '.join(machine)}" if machine else ""
    return f"Runs were executed with {', '.join(named)}{where}."
