"""The report as data: sections of blocks, which HTML and Markdown render from the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from ablatekit.analysis.core.schema.vocabulary import Number, Size
from ablatekit.canonical import content_hash
from ablatekit.report.language import page
from ablatekit.report.language.numbers import general
from ablatekit.report.language.reading import Unit, words
from ablatekit.report.language.references import Reference
from ablatekit.report.language.verdicts import Outcome, sized

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LONGEST_STEM = 60
PHONE = 358.0
"""Width that a phone of 390 CSS pixels leaves for a figure."""


@dataclass(frozen=True, slots=True)
class Text:
    """A table entry of words."""

    kind: ClassVar[str] = "text"
    text: str
    note: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Quantity:
    """A table entry of one number: as shown, and exact in `value`.

    `heat` in -1..1 tints the entry; `strong` marks it in words as well (its `note`).
    """

    kind: ClassVar[str] = "quantity"
    text: str
    value: Number
    note: str = ""
    strong: bool = False
    heat: float | None = None


@dataclass(frozen=True, slots=True)
class IntervalEntry:
    """A table entry [low, high]."""

    kind: ClassVar[str] = "interval"
    text: str
    low: Number
    high: Number


@dataclass(frozen=True, slots=True)
class Badge:
    """A verdict or an agreement, the size of its effect and the remark that belongs to it.

    `over` is the scope that a broad verdict holds for, in words; `scope` are its variables.
    """

    kind: ClassVar[str] = "badge"
    verdict: Outcome
    note: str = ""
    size: Size | None = None
    over: str = ""
    scope: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class EstimateEntry:
    """A table entry of an estimate over its interval, with what it covers where that is not all."""

    kind: ClassVar[str] = "estimate"
    text: str
    interval: str
    value: Number
    low: Number
    high: Number
    note: str = ""


Entry: TypeAlias = Text | Quantity | IntervalEntry | EstimateEntry | Badge


def plain_text(entry: Entry) -> str:
    """An entry in words, without its markup."""
    match entry:
        case Badge():
            return noted(scoped(entry, sized(entry.verdict, entry.size)), entry.note)
        case EstimateEntry():
            shown = f"{entry.text} {entry.interval}" if entry.interval else entry.text
            return noted(shown, entry.note)
        case IntervalEntry():
            return entry.text
        case Text() | Quantity():
            return noted(entry.text, entry.note)


def scoped(badge: Badge, shown: str) -> str:
    """The words of a verdict after the scope that it holds for."""
    return f"{badge.over}: {shown}" if badge.over else shown


def noted(shown: str, note: str) -> str:
    """Words with a remark in brackets, if there is one."""
    return f"{shown} ({note})" if shown and note else shown or note


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; neighbours of one `group` share a heading above theirs.

    `key` names in the analysis what a group is about.
    """

    title: str
    group: str = ""
    numeric: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with its caption, and the footer that says how its numbers were made.

    `footer` says what must be known to read it, `computed` how its numbers were made: a page says
    each such sentence once. `keys` holds one (name, value) list per row that becomes data-
    attributes.
    """

    kind: ClassVar[str] = "table"
    id: str
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Entry]]
    keys: Sequence[Sequence[tuple[str, str]]] = ()
    footer: str = ""
    computed: Sequence[str] = ()
    sortable: bool = True
    style: Literal["plain", "answer", "matrix"] = "plain"


@dataclass(frozen=True, slots=True)
class FigureData:
    """What a figure shows, as a table: numbers unscaled, in the response's own unit."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str | Number]]


def figure_data(records: Sequence[Mapping[str, str | Number]]) -> FigureData:
    """Records as what a figure shows: one column per key, no number where there is none."""
    columns = list(dict.fromkeys(key for record in records for key in record))
    return FigureData(columns, [[_known(record.get(key)) for key in columns] for record in records])


def _known(value: str | Number) -> str | Number:
    return value if isinstance(value, str) or value is None or math.isfinite(value) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure that is drawn only when a page or a file shows it.

    `narrow` draws the same at most `PHONE` pixels wide, where `draw` is wider; `data` is what it
    shows, for who wants the numbers.
    """

    id: str
    title: str
    alt: str
    draw: Callable[[], Figure]
    narrow: Callable[[], Figure] | None = None
    data: Callable[[], FigureData] | None = None


def file_stem(picture: Picture) -> str:
    """What the files of a picture are called: its id, cut where a file system would refuse it."""
    if len(picture.id) <= LONGEST_STEM:
        return picture.id
    return f"{picture.id[:LONGEST_STEM]}-{content_hash(picture.id)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """Figures side by side with one caption."""

    kind: ClassVar[str] = "gallery"
    pictures: Sequence[Picture]
    caption: str = ""
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: str


@dataclass(frozen=True, slots=True)
class Warnings:
    """What the reader must know before believing the numbers beside it."""

    kind: ClassVar[str] = "warnings"
    texts: Sequence[str]


@dataclass(frozen=True, slots=True)
class Facts:
    """Terms and what they are."""

    kind: ClassVar[str] = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Text to be pasted elsewhere: paragraphs and references."""

    kind: ClassVar[str] = "excerpt"
    id: str
    paragraphs: Sequence[str]
    references: Sequence[Reference]


@dataclass(frozen=True, slots=True)
class Fold:
    """Details that open on request."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: Sequence[Block]


Block: TypeAlias = "Table | Gallery | Paragraph | Heading | Warnings | Facts | Excerpt | Fold"


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the appendix; `finding` says in one sentence what it found."""

    id: str
    title: str
    lead: str
    blocks: Sequence[Block]
    finding: str = ""


TrustLevel: TypeAlias = Literal["sound", "limited", "weak"]


@dataclass(frozen=True, slots=True)
class Trust:
    """How far to trust the answer: a title, and the reasons, the gravest first."""

    level: TrustLevel
    title: str
    points: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """The answer on one screen and one sheet: what a reader needs who reads nothing else.

    `headline` moves with the bounds of an exploration (alpha, the smallest effect); `settled`, the
    sentences on configurations and on the baseline, does not. `low`: the figure leaves room
    below it.
    """

    headline: Sequence[str]
    settled: Sequence[str]
    figure: Picture | None
    table: Table | None
    trust: Trust
    low: bool = False


def brief_section(brief: Brief) -> Section:
    """The brief as a first section, for files that are read from top to bottom."""
    blocks: list[Block] = [*map(Paragraph, brief.settled)]
    blocks += [Gallery(pictures=[brief.figure], wide=True)] if brief.figure else []
    blocks += [brief.table] if brief.table else []
    blocks += [Heading(brief.trust.title), Warnings(brief.trust.points)]
    return Section("answer", page.BRIEF, " ".join(brief.headline), blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The whole report; `unit` is what one value of a response belongs to.

    `exploration` is what a page's script needs to compute answers under other bounds.
    """

    title: str
    question: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    brief: Brief | None = None
    exploration: Mapping[str, Any] | None = None
    unit: Unit = "run"

    def parts(self) -> list[Section]:
        """The brief as a section, then the sections."""
        return [*([brief_section(self.brief)] if self.brief is not None else []), *self.sections]

    def pictures(self) -> Iterator[Picture]:
        """Every figure in its order, those of folds too."""
        if self.brief is not None and self.brief.figure is not None:
            yield self.brief.figure
        for section in self.sections:
            yield from pictures_of(section.blocks)


def pictures_of(blocks: Sequence[Block]) -> Iterator[Picture]:
    """Every figure of some blocks, those of folds too."""
    for block in blocks:
        if isinstance(block, Gallery):
            yield from block.pictures
        elif isinstance(block, Fold):
            yield from pictures_of(block.blocks)


def slug(name: str) -> str:
    """A name as part of an HTML id; distinct names stay distinct."""
    return "".join(
        letter if letter.isascii() and letter.isalnum() else f"_{ord(letter):x}" for letter in name
    )


def plain_table(identifier: str, caption: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Any list of records as a table, one column per key."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return Table(
        id=identifier,
        caption=caption,
        columns=[
            Column(name.replace("_", " "), numeric=all(_is_number(row.get(name)) for row in rows))
            for name in names
        ],
        rows=[[_any_entry(row.get(name)) for name in names] for row in rows],
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _any_entry(value: Any) -> Entry:
    if _is_number(value):
        return Quantity(general(value), float(value))
    return Text("" if value is None else words(value))
