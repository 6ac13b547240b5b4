"""The words of a paper's skeleton: what stands around methods, results, tables and figures."""

from __future__ import annotations

from collections.abc import Sequence

from ablatekit.report.language.scopes import listed

METHODS = "Methods"
RESULTS = "Results"
APPENDIX = "All results"
COMPUTED = "How this was computed"
QUESTION = "Question"
AUTHORS = "authors"
PLACEHOLDER = "Put the {what} here."
PACKAGES = "needs \\usepackage{array,booktabs,longtable,amssymb}"


def sees_table(label: str) -> str:
    """Where every level stands; `label` is how the format names the table."""
    return f"Table {label} holds every comparison."


def sees_figures(labels: Sequence[str]) -> str:
    """Which figures a part of the text is about."""
    noun = "Figure" if len(labels) == 1 else "Figures"
    verb = "shows" if len(labels) == 1 else "show"
    return f"{noun} {listed(labels)} {verb} this."
