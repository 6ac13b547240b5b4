"""The words of the what-if: what other bounds would make of the answer, and other choices.

Templates in braces are filled by the page's script, with numbers that it writes itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ablatekit.report.language import scopes
from ablatekit.report.language.numbers import MINUS, MISSING, count
from ablatekit.report.language.reading import Subject

WORDS: Mapping[str, str] = {
    "lead": (
        "What other bounds would make of the verdicts above, and what the study predicts for"
        " other choices. Everything is computed on this page."
    ),
    "bounds": "Other bounds",
    "alpha": "alpha, the level of the tests",
    "margin": "smallest effect that matters, {labels}",
    "in_unit": "{text}, in {unit}",
    "none_declared": "none declared",
    "none": "none",
    "declared": "declared: {value}",
    "exploring": "Exploration ({now}); declared: {declared}.",
    "at_alpha": "alpha {alpha}",
    "no_margin": "no smallest effect",
    "plain_margin": "smallest effect {value}",
    "with_unit": "{value} {unit}",
    "kept": (
        "Sentences on configurations, the best set and the baseline, the figures and the appendix"
        " keep the declared values; so does print."
    ),
    "reset": "Back to the declared values",
    "same": "No verdict changes.",
    "changed": "{changed} of {all} verdicts change:",
    "change": "{name}, {level}: {before} \N{RIGHTWARDS ARROW} {after}",
    "more": "and {count} more",
    "choices": "Other choices",
    "against": "compared with",
    "baseline": "the baseline",
    "not_run": "{level} (not run)",
    "never_ran": (
        "This combination was not run, and cells that were not run are not predicted. Levels"
        " marked as not run lead to such a combination."
    ),
    "is_baseline": "This is the baseline.",
    "same_cell": "Both are the same choice.",
    "response": "response",
    "predicted": "predicted",
    "gain": "gain over the baseline",
    "difference": "difference",
    "no_covariance": "needs both in the same contexts",
    "new_only_gain": "known for gains over the baseline only",
    "elsewhere": "beyond",
    "lacking": "Beyond: {why}.",
    "price": "Price: {price}.",
    "other_price": "Price of the other: {price}.",
    "mean_of": "Mean of {size}: {labels}.",
    "minus": MINUS,
    "missing": MISSING,
}
"""By the name under which the script asks for them."""


def here(subject: Subject) -> str:
    """Where the means of cells hold."""
    return "in these contexts" if subject.contexts > 1 else f"in these {subject.unit}s"


def elsewhere(scope: Sequence[str]) -> str:
    """For what a prediction is: in a new model and a new data set."""
    return f"in {scopes.listed(f'a new {scopes.variable(name)}' for name in scope)}"


def beside(title: str, scope: Sequence[str]) -> str:
    """A question and the scope of the verdict beside its own."""
    return f"{title} {scopes.over(scope)}" if scope else title


def size_of(runs: int, contexts: int, subject: Subject) -> str:
    """How many runs and contexts a mean is of."""
    said = count(runs, subject.unit)
    if subject.contexts < 2:
        return said
    there = count(contexts, "context")
    if contexts < subject.contexts:
        there = f"{contexts:,} of {count(subject.contexts, 'context')}"
    return f"{said} in {there}"
