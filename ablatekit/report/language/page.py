"""The words around a report: those of the page itself, of its files and of a bundle."""

from __future__ import annotations

NOTE = "Note."
UNTITLED = "Analysis"
BRAND = "ablatekit report"
SKIP = "Skip to the answer"
THEME = "Light / dark"
SWITCH_THEME = "Switch between light and dark"
CONTENTS = "Contents"
CARE = "Read with care"
COPY = "Copy"
BUNDLE = """\
{title}

An ablatekit bundle. The report is report/index.html; it opens in any browser, offline.
To analyse the tables again, without the backend that made them:

    ablatekit study report {name}
"""


def figures_elsewhere(names: str) -> str:
    """Where the figures are that a text does not show."""
    return f"Figures in index.html: {names}."
