"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import groupby
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.vocabulary import Verdict
from ablatekit.report.compose import compose
from ablatekit.report.document import (
    Badge,
    Brief,
    Column,
    Document,
    Entry,
    Picture,
    Table,
)
from ablatekit.report.figures.render import svg
from ablatekit.report.formats.blocks import computed_of
from ablatekit.report.formats.csv import data_csv
from ablatekit.report.language import page
from ablatekit.report.language.hints import hint
from ablatekit.report.language.numbers import typeset
from ablatekit.report.language.verdicts import SIZES, look
from ablatekit.themes import Theme

PAGE = "page."
STYLES: tuple[str, ...] = ("page.css", "whatif.css")
SCRIPTS: tuple[str, ...] = ("page.js", "statistics.js", "choices.js", "headline.js", "whatif.js")
"""What a page holds; those that are not of the page itself only beside what they explore."""
MOST_PRINTED, PRINTED_ROWS = 9, 6
"""Rows of an answer that are printed together, and as many of one that has more."""
UNDECIDED: tuple[Verdict, ...] = ("inconclusive", "identical", "not_estimated")
SMALL_TEXT, TALL_TEXT, LOW_TEXT = 0.4, 385, 260
"""Space of a letter that is no headline's beside one that is; letters as tall as a figure, and as a
low one."""
SHOWN_POINTS = 4
"""Reasons of the trust box that show at once."""
ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}
"""What would end a script element or a line of JavaScript."""


def render_html(analysis: Analysis, theme: Theme = "auto") -> str:
    """The page: style, script and figures inside, no reference to anything outside."""
    return render_page(compose(analysis), theme)


def render_page(document: Document, theme: Theme = "auto") -> str:
    """A document as a self-contained HTML page; `auto` follows the reader's system."""
    explored = document.exploration is not None
    styles, scripts = (
        [name for name in names if explored or name.startswith(PAGE)] for names in (STYLES, SCRIPTS)
    )
    return (
        environment_of(document)
        .get_template("page.html.j2")
        .render(
            document=document,
            theme=theme,
            start="answer" if document.brief else document.sections[0].id,
            css=Markup("\n").join(asset(name) for name in styles),
            scripts=[asset(name) for name in scripts],
            script_words=as_json(page.SCRIPT),
            exploration=as_json(document.exploration),
        )
    )


def environment_of(document: Document) -> Environment:
    """What the templates of a document use; every text in them is escaped."""
    environment = Environment(
        loader=PackageLoader("ablatekit.report.formats"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        look=look, sizes=SIZES, exact=exact, grouped=grouped, opening=opening, typeset=typeset,
        drawn=drawn, data=data, has_groups=has_groups, over=over, classes=classes, heated=heated,
        printed=printed, wordy=wordy, judged=judged, hint=hint,
        words=page, shown_points=SHOWN_POINTS, labels=Labels(), notes=computed_notes(document),
        unit=document.unit,
    )  # fmt: skip
    return environment


def asset(name: str) -> Markup:
    """A file of ours, inserted as it is."""
    text = files("ablatekit.report.formats").joinpath("templates", name).read_text(encoding="utf-8")
    return Markup(text)


def as_json(value: Any) -> Markup:
    """A value inside a script element: compact, with nothing that could end the element."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.translate(ESCAPES))


class Labels:
    """Names of parts of a page that a screen reader lists: each once."""

    def __init__(self) -> None:
        self._times: Counter[str] = Counter()

    def distinct(self, label: str) -> str:
        """The label, with its number where the page has it already."""
        self._times[label] += 1
        return page.numbered(label, self._times[label])


def computed_notes(document: Document) -> dict[str, int]:
    """How the numbers of all tables were made: each sentence once, with its number."""
    return {text: place for place, text in enumerate(computed_of(document), start=1)}


def drawn(picture: Picture) -> Markup:
    """The figure's SVG, whose text matplotlib and we have escaped; a second one for phones."""
    if picture.narrow is None:
        return _scrolled(picture, "scroll", svg(picture))
    wide = _scrolled(picture, "scroll wide", svg(picture))
    return wide + _scrolled(picture, "scroll slim", svg(picture, narrow=True))


def _scrolled(picture: Picture, kind: str, drawing: str) -> Markup:
    opened = Markup('<div class="{}" tabindex="0" role="group" aria-label="{}">')
    return opened.format(kind, picture.title) + Markup(drawing) + Markup("</div>")


def data(picture: Picture) -> Markup:
    """What a figure shows, as the text of a CSV file in JSON."""
    return as_json(data_csv(picture.data()) if picture.data is not None else "")


def classes(*names: str) -> Markup:
    """The class attribute of an element that has any."""
    shown = " ".join(str(name) for name in names if name)
    return Markup(' class="{}"').format(shown) if shown else Markup()


def heated(heat: float | None) -> str:
    """The classes of a cell that is tinted."""
    if heat is None:
        return ""
    return "heat up" if heat > 0 else "heat down"


def exact(value: float | None) -> str:
    """Full precision for a data- attribute; empty when there is no number."""
    return "" if value is None else repr(float(value))


def has_groups(columns: Sequence[Column]) -> bool:
    """Whether a heading row above the columns is needed."""
    return any(column.group for column in columns)


def opening(columns: Sequence[Column], place: int) -> bool:
    """Whether a group of columns begins at `place`."""
    return (
        place > 0
        and bool(columns[place].group)
        and (columns[place - 1].group != columns[place].group)
    )


def grouped(columns: Sequence[Column]) -> Iterator[tuple[str, list[int]]]:
    """Runs of neighbouring columns with one group heading, and their places."""
    for group, members in groupby(range(len(columns)), key=lambda place: columns[place].group):
        yield group, list(members)


def over(table: Table, place: int) -> str:
    """The scope that all verdicts of a column hold for, to be said in its heading; or nothing."""
    every = [row[place] for row in table.rows]
    scopes = {entry.over for entry in every if isinstance(entry, Badge) and entry.over}
    return scopes.pop() if len(scopes) == 1 else ""


def printed(table: Table) -> set[int]:
    """The places of the rows of an answer that fit one sheet beside the rest of the brief.

    Rows with a decided verdict come first.
    """
    places = range(len(table.rows))
    first = sorted(places, key=lambda place: not any(map(_is_decided, table.rows[place])))
    return set(first if len(first) <= MOST_PRINTED else first[:PRINTED_ROWS])


def _is_decided(entry: Entry) -> bool:
    return isinstance(entry, Badge) and entry.verdict not in UNDECIDED


def wordy(brief: Brief) -> bool:
    """Whether the headline and what is settled are taller than the figure beside them."""
    headline, settled = (sum(map(len, texts)) for texts in (brief.headline, brief.settled))
    return headline + SMALL_TEXT * settled > (LOW_TEXT if brief.low else TALL_TEXT)


def judged(entry: Entry, column: Column, keys: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a verdict of the answer is about, for scripts that compute it under other bounds."""
    scope = entry.scope if isinstance(entry, Badge) else ()
    inference = "broad" if scope else "narrow"
    return [("response", column.key), *keys, ("inference", inference), ("scope", " ".join(scope))]
