"""Two responses or two studies side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablatekit.analysis.core.schema.codes import Code
from ablatekit.report.language.reading import words
from ablatekit.report.language.statements.phrases import Words


def _unlike_responses(parts: list[str], learning: list[str], generalization: list[str]) -> str:
    differing = [
        f"{part} ({first or 'none'} and {second or 'none'})"
        for part, first, second in zip(parts, learning, generalization, strict=True)
    ]
    return f"the two responses differ in {' and in '.join(differing)}, so they have no gap"


def _held_different(names: list[str], first: list[Any], second: list[Any]) -> str:
    shown = (
        f"{name} {words(ours)} against {words(theirs)}"
        for name, ours, theirs in zip(names, first, second, strict=True)
    )
    return f"The studies hold different things equal: {'; '.join(shown)}."


SENTENCES: Mapping[Code, Words] = {
    # what a comparison of two responses or studies lacks
    "no_run_of_both": "no {unit} has a value of both responses",
    "unlike_responses": _unlike_responses,
    "unlike_studies": "the studies differ in the {part} of {response}: {first!r} and {second!r}",
    "no_standard_error": "one of the studies has no standard error for it",
    "no_variation_in_either": "no run-to-run variation in either study",
    "few_shared_contexts": "{contexts} of at least {fewest} shared contexts hold this contrast",
    # two studies side by side
    "held_different": _held_different,
    "averaged_differently": lambda first, second: (
        f"Effects are averaged over other factors too: {', '.join(first)} against"
        f" {', '.join(second)}."
    ),
    "shared_contexts": "{contexts} contexts are in both studies: differences are over these, with"
    " the error of the runs of both.",
    "runs_in_both": "{response}: {runs} runs are in both studies, which pulls them together.",
    "no_margin_in_both": "{response}: without a smallest effect in both studies nothing can agree.",
    "unlike_metrics": "{response}: the studies measure it by different metrics, {first} and"
    " {second}.",
    "same_study": "Both are one study: the same plan and the same runs.",
    "response_part": "response {response}",
    "level_part": "{factor}: {level} vs {baseline}",
}
"""The words of every such code."""
