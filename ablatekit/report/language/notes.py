"""What must be known before the verdicts are believed."""

from __future__ import annotations

from collections.abc import Iterator

from ablatekit.analysis.core.lookup import alpha_of
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import PolicyComparison
from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.report.language.numbers import Scale, p_value, scale_of, sentence
from ablatekit.report.language.reading import factor_labels, subject_of
from ablatekit.report.language.sentences import say

FEW_CONTEXTS = "few contexts"
"""The mark of a broad verdict whose effect varies by one blocking variable."""
MARK_FOOTER = (
    f"{FEW_CONTEXTS.capitalize()}: the effect varies more by one blocking variable than by context,"
    " so that the contexts count for fewer and the broad interval is too short."
)


def answer_warnings(analysis: Analysis) -> list[str]:
    """Deviations, failed assumptions, and broad intervals that are too short."""
    warnings = list(analysis.get("deviations", []))
    for response in analysis["responses"].values():
        label = sentence(response["label"])
        warnings += [f"{label}: {text}" for text in _diagnostic_warnings(analysis, response)]
        warnings += context_warnings(analysis, response)
        warnings += _divergence_warnings(analysis, response)
    for gap in analysis.get("comparisons", {}).values():
        warnings += map(say, gap.get("messages", []))
    return list(dict.fromkeys(warnings))


def every_warning(analysis: Analysis) -> list[str]:
    """All that `analysis.json` warns of, each once, with the responses that it concerns.

    Not the guess of a direction, which stands in the head of a table, and no reason of an effect.
    """
    unit, names = subject_of(analysis).unit, list(analysis["responses"])
    concerned: dict[str, list[str]] = {}
    for name, response in analysis["responses"].items():
        reasons = [effect["reason"] for effect in response["effects"]]
        for message in _messages(response):
            if message["code"] != "direction_guessed" and message not in reasons:
                concerned.setdefault(say(message, unit), []).append(name)
    gaps = analysis.get("comparisons", {}).values()
    design = analysis.get("design")
    told = [*analysis.get("deviations", []), *(design["warnings"] if design else [])]
    for text, whose in concerned.items():
        labels = [sentence(analysis["responses"][name]["label"]) for name in whose]
        told.append(text if whose == names else f"{', '.join(labels)}: {text}")
    told += [say(message, unit) for gap in gaps for message in gap.get("messages", [])]
    return list(dict.fromkeys(told))


def _messages(response: ResponseAnalysis) -> list[Statement]:
    items = response.get("items")
    return [
        *response["model"]["messages"],
        *response["diagnostics"].get("messages", []),
        *(response.get("missing") or {}).get("messages", []),
        *(items["messages"] if items else []),
    ]


def context_warnings(analysis: Analysis, response: ResponseAnalysis) -> Iterator[str]:
    """Every warning on how effects vary, once, with all the levels it concerns."""
    names = factor_labels(analysis)
    levels: dict[str, list[str]] = {}
    for row in response.get("heterogeneity", []):
        if row["warning"]:
            level = f"{names.get(row['factor'], row['factor'])} {row['level']}"
            levels.setdefault(say(row["warning"]), []).append(level)
    for warning, concerned in levels.items():
        label = sentence(response["label"])
        yield f"{label}, {', '.join(concerned)}: {warning.rstrip('.')}."


def _divergence_warnings(analysis: Analysis, response: ResponseAnalysis) -> Iterator[str]:
    """What an effect would be under every policy, where a level lost many runs to divergence."""
    missing = response.get("missing")
    names, scale = factor_labels(analysis), scale_of(response)
    for row in missing.get("policies", []) if missing else []:
        ended = next(
            (
                part
                for part in missing["by_level"]
                if (part["factor"], part["level"]) == _place(row)
            ),
            None,
        )
        lost = f"{ended['diverged']} of {ended['planned']}" if ended else "20% or more of the"
        sizes = [_size(row[policy], scale) for policy in ("score", "worst", "exclude")]
        yield (
            f"{sentence(response['label'])}, {names.get(row['factor'], row['factor'])}"
            f" {row['level']}: {lost} runs diverged. The effect is {sizes[0]} with their last"
            f" valid scores, {sizes[1]} with the worst score and {sizes[2]} without them."
        )


def _size(effect: float | None, scale: Scale) -> str:
    if effect is None:
        return "not estimable"
    return f"{scale.effect(effect)} {scale.unit}".rstrip()


def _place(row: PolicyComparison) -> tuple[str, str]:
    return row["factor"], row["level"]


def _diagnostic_warnings(analysis: Analysis, response: ResponseAnalysis) -> Iterator[str]:
    diagnostics = response.get("diagnostics")
    if not diagnostics:
        return
    near = len(diagnostics.get("near_bounds") or [])
    if near:
        yield (
            f"{near} cell mean{'s lie' if near > 1 else ' lies'} within 0.05 of 0 or 1. Unequal"
            " room alone makes effects differ there, on the gap too."
        )
    p = diagnostics.get("brown_forsythe_p")
    if p is not None and p < alpha_of(analysis):
        unit = subject_of(analysis).unit
        yield (
            f"{unit}-to-{unit} variance differs between cells (Brown-Forsythe p"
            f" {p_value(p) if p < 0.001 else '= ' + p_value(p)}); average effects pool it."
        )
    start = diagnostics.get("step_zero")
    if start is not None and start.get("equal") is False:
        yield "step-0 scores differ within a context, although evaluation is common to its runs."
