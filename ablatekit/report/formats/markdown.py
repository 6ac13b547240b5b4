"""The report as GitHub-flavoured Markdown: the same tables and texts, without figures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.report.compose import compose
from ablatekit.report.document import (
    Badge,
    Block,
    Column,
    Document,
    Entry,
    EstimateEntry,
    Excerpt,
    Facts,
    Fold,
    Gallery,
    Heading,
    IntervalEntry,
    Paragraph,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
    file_stem,
    noted,
    plain_text,
    scoped,
)
from ablatekit.report.language import page
from ablatekit.report.language.numbers import typeset
from ablatekit.report.language.verdicts import signed


def render_markdown(analysis: Analysis) -> str:
    """The whole report as Markdown."""
    return render_text(compose(analysis))


def render_text(document: Document, figures: str = "") -> str:
    """A document as Markdown; with `figures`, its PNG files in that folder are shown."""
    lines = [f"# {escape(document.title)}", ""]
    if document.question:
        lines += [f"*{escape(document.question)}*", ""]
    lines += [" · ".join(f"{escape(value)} {escape(name)}" for name, value in document.facts), ""]
    for section in document.parts():
        lines += _section(section, figures)
    return "\n".join(lines).rstrip() + "\n"


def escape(text: str) -> str:
    """Text that Markdown and the HTML inside it show as it is, on one line."""
    flat = " ".join(text.split())
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = re.sub(r"([\\`*_{}\[\]|#~$])", r"\\\1", flat)
    return re.sub(r"(?i)(https?|ftp)://|(www)\.", _unlinked, flat)


def _unlinked(match: re.Match[str]) -> str:
    return match[0].replace(":", "&#58;").replace(".", "&#46;")


def _section(section: Section, figures: str) -> list[str]:
    lines = [f"## {escape(section.title)}", ""]
    if section.lead:
        lines += [escape(section.lead), ""]
    for block in section.blocks:
        lines += _block(block, figures)
    return lines


def _block(block: Block, figures: str) -> list[str]:
    match block:
        case Table():
            return _table(block)
        case Gallery():
            return _gallery(block, figures)
        case Paragraph():
            return [escape(block.text), ""]
        case Heading():
            return [f"### {escape(block.text)}", ""]
        case Warnings():
            return [f"> **{page.NOTE}** {escape(text)}\n>" for text in block.texts] + [""]
        case Facts():
            return [f"- {escape(name)}: {escape(value)}" for name, value in block.pairs] + [""]
        case Excerpt():
            return _excerpt(block)
        case Fold():
            return [line for part in block.blocks for line in _block(part, figures)]


def _gallery(block: Gallery, figures: str) -> list[str]:
    if not figures:
        names = "; ".join(escape(picture.title) for picture in block.pictures)
        return [f"*{page.figures_elsewhere(names)}*", ""]
    lines = []
    for picture in block.pictures:
        image = f"![{escape(picture.alt)}]({figures}/{file_stem(picture)}.png)"
        lines += [f"**{escape(picture.title)}**", "", image, ""]
    return [*lines, f"<sub>{escape(typeset(block.caption))}</sub>", ""] if block.caption else lines


def _table(table: Table) -> list[str]:
    lines = [
        f"**{escape(table.caption)}**",
        "",
        _line(_heading(column) for column in table.columns),
        _line("---:" if column.numeric else "---" for column in table.columns),
    ]
    lines += [_line(_entry(entry) for entry in row) for row in table.rows]
    lines.append("")
    for note in filter(None, [*table.footer.split("\n"), *table.computed]):
        lines += [f"<sub>{escape(typeset(note))}</sub>", ""]
    return lines


def _heading(column: Column) -> str:
    parts = (column.group, column.title)
    return escape(": ".join(part for part in parts if part)) or " "


def _line(entries: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _entry(entry: Entry) -> str:
    match entry:
        case Badge():
            shown = scoped(entry, signed(entry.verdict, entry.size))
            return noted(escape(shown), escape(entry.note))
        case EstimateEntry() | IntervalEntry():
            return escape(plain_text(entry))
        case Text() | Quantity():
            text = (
                f"**{escape(entry.text)}**" if entry.strong and entry.text else escape(entry.text)
            )
            return noted(text, escape(entry.note))


def _excerpt(block: Excerpt) -> list[str]:
    lines = [escape(" ".join(block.paragraphs)), ""]
    lines += [f"- {escape(reference.text)}" for reference in block.references]
    return [*lines, ""]
