"""Tables as LaTeX: booktabs lines, ragged columns that share the line, footers below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import ceil

from ablatekit.report.document import (
    Badge,
    Column,
    Entry,
    EstimateEntry,
    IntervalEntry,
    Quantity,
    Table,
    Text,
    noted,
    plain_text,
    scoped,
)
from ablatekit.report.formats.latex_text import escape
from ablatekit.report.language.numbers import typeset
from ablatekit.report.language.verdicts import signed

LINE = 480.0
"""Width of a line of text, in TeX's points."""
GAP = 6.0
"""Space between two columns."""
SIZES = ((6, "footnotesize", 4.6), (9, "scriptsize", 4.1), (99, "tiny", 3.4))
"""Most columns, size of the font, and the width of one of its wide letters."""
WIDEST_WORD = 28
FLOAT_LINES, NOTE_LETTERS = 70, 100
"""Lines of a table that still fit on a page as a float, and letters of a line of its notes."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a table is set: its font, and for each column its share of the line and its letters."""

    size: str
    shares: Sequence[float]
    letters: Sequence[int]


def long_table(table: Table) -> Iterator[str]:
    """A table that may run over pages, with its footers."""
    setting = _setting(table.columns, table.rows)
    yield f"{{\\{setting.size}"
    yield f"\\begin{{longtable}}{{@{{}}{_layout(table.columns, setting)}@{{}}}}"
    yield f"\\multicolumn{{{len(table.columns)}}}{{@{{}}l}}{{\\parbox{{0.98\\linewidth}}"
    yield f"{{\\raggedright\\textbf{{{escape(table.caption)}}}\\strut}}}}\\\\"
    yield from _head(table.columns, setting)
    yield "\\endhead"
    for row in table.rows:
        yield _row(row, setting)
    yield "\\bottomrule"
    yield "\\end{longtable}"
    yield "}"
    yield from map(_note, filter(None, table.footer.split("\n")))


def float_table(table: Table, label: str, notes: Sequence[str] = ()) -> list[str]:
    """A table in a float with caption, label and notes; where it is too long, over pages."""
    columns, rows = _below_each_other(table)
    setting = _setting(columns, [entries for _, entries in rows])
    caption = f"\\caption{{{escape(table.caption)}}}\\label{{{label}}}"
    layout = f"{{@{{}}{_layout(columns, setting)}@{{}}}}"
    head = list(_head(columns, setting))
    body = [*_grouped(rows, len(columns), setting), "\\bottomrule"]
    below = [f"\\par\\smallskip\\parbox{{\\linewidth}}{{{_note(note)}}}" for note in notes]
    if _lines([entries for _, entries in rows], setting) + _note_lines(notes) > FLOAT_LINES:
        opening = [f"{{\\{setting.size}", f"\\begin{{longtable}}{layout}", f"{caption}\\\\"]
        heads = [*head, "\\endfirsthead", *head, "\\endhead"]
        return [*opening, *heads, *body, "\\end{longtable}", "}", *map(_note, notes)]
    opening = ["\\begin{table}[htbp]", f"\\centering\\{setting.size}", caption]
    tabular = [f"\\begin{{tabular}}{layout}", *head, *body, "\\end{tabular}"]
    return [*opening, *tabular, *below, "\\end{table}"]


def _note(note: str) -> str:
    return f"{{\\raggedright\\footnotesize {escape(typeset(note))}\\par}}"


def _lines(rows: Sequence[Sequence[Entry]], setting: Setting) -> int:
    """About how many lines the rows take."""
    return sum(
        max(
            ceil(len(plain_text(entry)) / letters)
            for entry, letters in zip(row, setting.letters, strict=True)
        )
        for row in rows
    )


def _note_lines(notes: Sequence[str]) -> int:
    return sum(ceil(len(note) / NOTE_LETTERS) for note in notes)


Grouped = list[tuple[str, list[Entry]]]


def _below_each_other(table: Table) -> tuple[list[Column], Grouped]:
    """Groups of columns as groups of rows, so that any number of them fits on a line."""
    together = [place for place, column in enumerate(table.columns) if column.key]
    if not together:
        return list(table.columns), [("", list(row)) for row in table.rows]
    alone = [place for place, column in enumerate(table.columns) if not column.key]
    groups = [
        (name, list(places))
        for name, places in groupby(together, key=lambda place: table.columns[place].group)
    ]
    widest = max((places for _, places in groups), key=len)
    first = [place for place in alone if place < together[0]]
    last = [place for place in alone if place > together[0]]
    columns = [
        *(table.columns[place] for place in first),
        *(replace(table.columns[place], group="") for place in widest),
        *(table.columns[place] for place in last),
    ]
    rows: Grouped = []
    for name, places in groups:
        for row in table.rows:
            padded = [row[place] for place in places] + [Text("")] * (len(widest) - len(places))
            rows.append(
                (name, [*(row[p] for p in first), *padded, *(row[place] for place in last)])
            )
    return columns, rows


def _grouped(rows: Grouped, width: int, setting: Setting) -> Iterator[str]:
    """Rows below the name of their group."""
    for place, (name, members) in enumerate(groupby(rows, key=lambda row: row[0])):
        if place:
            yield "\\addlinespace"
        if name:
            yield f"\\multicolumn{{{width}}}{{@{{}}p{{0.98\\linewidth}}}}"
            yield f"{{\\raggedright\\textbf{{{escape(name)}}}}}\\\\*"
        for _, entries in members:
            yield _row(entries, setting)


def _head(columns: Sequence[Column], setting: Setting) -> Iterator[str]:
    yield "\\toprule"
    headings = zip(columns, setting.letters, strict=True)
    yield _line(escape(_heading(column), letters) for column, letters in headings)
    yield "\\midrule"


def _heading(column: Column) -> str:
    return ": ".join(part for part in (column.group, column.title) if part)


def _setting(columns: Sequence[Column], rows: Sequence[Sequence[Entry]]) -> Setting:
    """Columns whose widths follow their longest words and share the line."""
    size, letter = next((size, letter) for most, size, letter in SIZES if len(columns) <= most)
    below = [[row[place] for row in rows] for place in range(len(columns))]
    weights = [_weight(*column) for column in zip(columns, below, strict=True)]
    shares = [weight / sum(weights) for weight in weights]
    space = LINE - GAP * (len(columns) - 1)
    letters = [max(1, int(share * space / letter)) for share in shares]
    return Setting(size, shares, letters)


def _weight(column: Column, entries: Sequence[Entry]) -> float:
    texts = [column.title, column.group, *(plain_text(entry) for entry in entries)]
    longest_word = max(len(word) for text in texts for word in text.split() or [""])
    typical = sorted(len(text) for text in texts)[int(0.9 * (len(texts) - 1))]
    return float(min(max(longest_word, 4, min(typical, 16)), WIDEST_WORD)) + 1.5


def _layout(columns: Sequence[Column], setting: Setting) -> str:
    """The columns' kinds; TeX hyphenates a first word, in papers' narrower lines, after a space."""
    gaps = len(columns) - 1
    parts = []
    for column, share in zip(columns, setting.shares, strict=True):
        side = "raggedleft" if column.numeric else "raggedright"
        gap = f"{2 * share * gaps:.3f}\\tabcolsep"
        width = f"\\dimexpr {share:.4f}\\linewidth-{gap}\\relax"
        parts.append(f">{{\\{side}\\arraybackslash\\hspace{{0pt}}}}p{{{width}}}")
    return "".join(parts)


def _row(entries: Sequence[Entry], setting: Setting) -> str:
    cells = zip(entries, setting.letters, strict=True)
    return _line(_entry(entry, letters) for entry, letters in cells)


def _line(entries: Iterable[str]) -> str:
    return f"{' & '.join(entries)} \\\\"


def _entry(entry: Entry, letters: int) -> str:
    match entry:
        case Badge():
            shown = scoped(entry, signed(entry.verdict, entry.size))
            return noted(escape(shown, letters), escape(entry.note, letters))
        case EstimateEntry() | IntervalEntry():
            return _bracketed(escape(plain_text(entry), letters))
        case Text() | Quantity():
            text = escape(entry.text, letters)
            text = f"\\textbf{{{text}}}" if entry.strong and text else text
            return _bracketed(noted(text, escape(entry.note, letters)))


def _bracketed(text: str) -> str:
    """An entry that begins with a bracket, which LaTeX would read as an option of the row break."""
    return "{}" + text if text.startswith(("[", "*")) else text
