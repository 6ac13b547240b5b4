"""The words around a report: those of the page itself, of its files and of a bundle."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.report.language.numbers import count
from ablatekit.report.language.reading import Unit

NOTE = "Note."
NAME = "ablatekit"
BRAND = "ablatekit report"
SKIP = "Skip to the answer"
THEME = "Light / dark"
SWITCH_THEME = "Light / dark: switch between them"
CONTENTS = "Contents"
BRIEF = "The answer"
WHAT_IF = "What if"
COMPUTED = "How this was computed"
COMPUTED_FINDING = "What the tables rest on: methods, adjustments and assumptions, each said once."
CARE = "Read with care"
COPY = "Copy"
UNFOLD = "Expand all"
PRINT = "Print everything"
SCRIPT: Mapping[str, str] = {
    "copied": "Copied",
    "data": "Data",
    "filter": "Filter rows",
    "fold": "Collapse all",
    "shown": "{shown} of {all}",
    "svg": "SVG",
    "unfold": UNFOLD,
}
"""The words that only the page's script shows."""
BUNDLE = """\
{title}

An ablatekit bundle. The report is report/index.html; it opens in any browser, offline.
To analyse the tables again, without the backend that made them:

    ablatekit study report {name}
"""


def figures_elsewhere(names: str) -> str:
    """Where the figures are that a text does not show."""
    return f"Figures in index.html: {names}."


def more_points(number: int) -> str:
    """What holds the reasons that do not show at once."""
    return count(number, "more reason")


def printed(shown: int, every: int) -> str:
    """On paper: that a table has more rows."""
    return f"{shown} of {count(every, 'level')}, those with a decided verdict first."


def numbered(label: str, time: int) -> str:
    """The name of a part that has the name of another one before it."""
    return label if time == 1 else f"{label} ({time})"


def analysed(unit: Unit) -> str:
    """What the number of analysed values is called."""
    return f"{unit}s analysed"


def lost(unit: Unit, diverged: int, failed: int) -> tuple[str, str]:
    """What became of the others."""
    if unit == "row":
        return "without a value", count(failed, "row")
    return "not as planned", f"{count(diverged, 'run')} diverged, {failed:,} failed"


def heading(title: str, unit: Unit, done: int, planned: int) -> str:
    """The title of the answer on a terminal."""
    return f"{title}: {done:,} of {planned:,} {analysed(unit)}"


def trusted(title: str, reason: str) -> str:
    """How far to trust an answer, on a terminal."""
    return f"{title}. {reason}".rstrip()


def noted(text: str) -> str:
    """A note on a terminal."""
    return f"note: {text}"


def better(direction: str, *, guessed: bool) -> str:
    """Which values of a response are better, in the head of its table."""
    return f"{direction} is better{' (guessed)' if guessed else ''}"
