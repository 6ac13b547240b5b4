"""The report as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from itertools import groupby

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.report.compose import compose
from ablatekit.report.document import Column, Document, Picture
from ablatekit.report.figures.render import svg
from ablatekit.report.language import page
from ablatekit.report.language.hints import hint
from ablatekit.report.language.numbers import typeset
from ablatekit.report.language.verdicts import SIZES, look
from ablatekit.themes import Theme


def render_html(analysis: Analysis, theme: Theme = "auto") -> str:
    """The page: style, script and figures inside, no reference to anything outside."""
    return render_page(compose(analysis), theme)


def render_page(document: Document, theme: Theme = "auto") -> str:
    """A document as a self-contained HTML page; `auto` follows the reader's system."""
    environment = Environment(
        loader=PackageLoader("ablatekit.report.formats"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        look=look,
        sizes=SIZES,
        exact=exact,
        grouped=grouped,
        opening=opening,
        typeset=typeset,
        drawn=drawn,
        has_groups=has_groups,
        hint=hint,
        words=page,
        unit=document.unit,
    )
    template = environment.get_template("page.html.j2")
    return template.render(
        document=document, theme=theme, css=_asset("page.css"), script=_asset("page.js")
    )


def _asset(name: str) -> Markup:
    """A file of ours, inserted as it is."""
    text = files("ablatekit.report.formats").joinpath("templates", name).read_text(encoding="utf-8")
    return Markup(text)


def drawn(picture: Picture) -> Markup:
    """The figure's SVG, whose text matplotlib and we have escaped."""
    return Markup(svg(picture))


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


def grouped(columns: Sequence[Column]) -> Iterator[tuple[str, int]]:
    """Runs of neighbouring columns with one group heading, and how many they are."""
    for group, members in groupby(columns, key=lambda column: column.group):
        yield group, len(list(members))
