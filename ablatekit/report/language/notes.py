"""What must be known before the verdicts are believed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ablatekit.analysis.core.lookup import ranked_responses
from ablatekit.analysis.core.schema.analysis import Analysis, ResponseAnalysis
from ablatekit.analysis.core.schema.companions import PolicyComparison, SecondOpinion
from ablatekit.analysis.core.schema.vocabulary import Statement
from ablatekit.report.language.numbers import Scale, count, general, scale_of, sentence
from ablatekit.report.language.reading import Unit, factor_labels, subject_of
from ablatekit.report.language.sentences import say, told

COMPANIONS: Mapping[str, str] = {"items": "item model", "mixed": "mixed model"}
"""Models beside the verdicts, whose messages would else be read as those of the answer."""
DEVIATION, DESIGN, DIVERGENCE, COMPANION = "deviation", "design", "divergence", "companion"
"""Codes of warnings that come in words, are made here, or are about a companion."""


@dataclass(frozen=True, slots=True)
class CodedWarning:
    """A warning in words, with the code of what it warns of and the code's arguments."""

    code: str
    text: str
    arguments: Mapping[str, Any] = field(default_factory=dict, compare=False)


def answer_warnings(analysis: Analysis) -> list[str]:
    """Every warning of an analysis in words, once."""
    return [warning.text for warning in coded_warnings(analysis)]


def coded_warnings(analysis: Analysis) -> list[CodedWarning]:
    """Every warning of an analysis, once: deviations, the design, each response, the gaps.

    What several responses share is said once, with their labels where not all do. A message that is
    the reason of an effect stands with that effect.
    """
    unit = subject_of(analysis).unit
    design = analysis.get("design")
    warnings = [CodedWarning(DEVIATION, text) for text in analysis.get("deviations", [])]
    warnings += [CodedWarning(DESIGN, text) for text in (design["warnings"] if design else [])]
    labels: dict[CodedWarning, list[str]] = {}
    for response in analysis["responses"].values():
        for warning in _of_response(response, unit):
            labels.setdefault(warning, []).append(response["label"])
    for warning, named in labels.items():
        shared = len(named) == len(analysis["responses"])
        text = warning.text if shared else f"{sentence(', '.join(named))}: {warning.text}"
        warnings.append(replace(warning, text=text))
    for name in ranked_responses(analysis):
        response = analysis["responses"][name]
        warnings += [
            CodedWarning(DIVERGENCE, text) for text in _divergence_warnings(analysis, response)
        ]
    for gap in analysis.get("comparisons", {}).values():
        warnings += _said(gap.get("messages", []), unit)
    return list({warning.text: warning for warning in warnings}.values())


def _of_response(response: ResponseAnalysis, unit: Unit) -> list[CodedWarning]:
    """What a response and its companions have to say; of a companion with its name."""
    reasons = [effect["reason"] for effect in response["effects"]]
    warnings: list[CodedWarning] = []
    for key, part in response.items():
        messages = [message for message in _messages({key: part}) if message not in reasons]
        said = _said(messages, unit)
        if key in COMPANIONS:
            said = [CodedWarning(COMPANION, f"{COMPANIONS[key]}: {one.text}") for one in said]
        warnings += said
    return list(dict.fromkeys(warnings))


def _messages(part: Mapping[str, Any]) -> Iterator[Statement]:
    """The messages of a part and of all its parts."""
    for key, value in part.items():
        if key == "messages":
            yield from value
        elif isinstance(value, Mapping):
            yield from _messages(value)


def _said(messages: Iterable[Statement], unit: Unit) -> list[CodedWarning]:
    """Messages as sentences, each once."""
    said = (
        CodedWarning(message["code"], f"{say(message, unit).rstrip('.')}.", message["arguments"])
        for message in messages
    )
    return list(dict.fromkeys(said))


def disagreements(opinion: SecondOpinion) -> Iterator[str]:
    """What the second opinion contradicts."""
    for row in opinion["disagreements"]:
        ours, theirs = general(row["ours"], 6), general(row["theirs"], 6)
        where = f"{row['name']} ({_kind(row['kind'])})"
        yield f"The second opinion differs on {where}: {theirs}, not {ours}."


def _kind(code: str) -> str:
    return code.replace("_", " ")


def trust(opinion: SecondOpinion, unit: Unit) -> str:
    """What statsmodels recomputed, how near it came, and what it left out."""
    text = f"Second opinion: {opinion['recomputed']:,} of {count(opinion['of'], 'number')}"
    text += " recomputed by statsmodels"
    if opinion["worst"] is not None:
        text += f", worst relative difference {general(opinion['worst'], 2)}"
    left = [
        f"{row['count']:,} {_kind(row['kind'])} ({told(row['reason'], unit).rstrip('.')})"
        for row in opinion["not_recomputed"]
    ]
    return f"{text}. Not recomputed: {'; '.join(left)}." if left else f"{text}."


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
