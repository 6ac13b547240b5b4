"""The report as GitHub-flavoured Markdown: the same tables and texts, and the main figures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

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
    Picture,
    Quantity,
    Section,
    Table,
    Text,
    Warnings,
    brief_section,
    noted,
    plain_text,
    scoped,
)
from ablatekit.report.formats.blocks import computed_of
from ablatekit.report.language import page
from ablatekit.report.language.brief import paper
from ablatekit.report.language.numbers import typeset
from ablatekit.report.language.verdicts import signed


def render_markdown(analysis: Analysis) -> str:
    """The whole report as Markdown."""
    return render_text(compose(analysis))


def render_text(document: Document, figures: Mapping[str, str] = MappingProxyType({})) -> str:
    """A document as Markdown; `figures` are the files of those that it shows, by their ids."""
    lines = [f"# {escape(document.title)}", "", *_question(document)]
    lines += [" · ".join(f"{escape(value)} {escape(name)}" for name, value in document.facts), ""]
    for section in document.parts():
        lines += _section(section, figures)
    lines += _computed(computed_of(document))
    return "\n".join(lines).rstrip() + "\n"


def render_brief(document: Document, figures: Mapping[str, str] = MappingProxyType({})) -> str:
    """The brief alone as Markdown, to paste into a message; empty where there is none."""
    if document.brief is None:
        return ""
    lines = [f"# {escape(document.title)}", "", *_question(document)]
    lines += _section(brief_section(document.brief), figures)
    return "\n".join(lines).rstrip() + "\n"


def _question(document: Document) -> list[str]:
    return [f"*{escape(document.question)}*", ""] if document.question else []


def _computed(sentences: Sequence[str]) -> list[str]:
    if not sentences:
        return []
    return [f"## {paper.COMPUTED}", "", *(f"- {escape(typeset(text))}" for text in sentences), ""]


def escape(text: str) -> str:
    """Text that Markdown and the HTML inside it show as it is, on one line."""
    flat = " ".join(text.split())
    flat = flat.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    flat = re.sub(r"([\\`*_{}\[\]|#~$])", r"\\\1", flat)
    return re.sub(r"(?i)(https?|ftp)://|(www)\.", _unlinked, flat)


def _unlinked(match: re.Match[str]) -> str:
    return match[0].replace(":", "&#58;").replace(".", "&#46;")


def _section(section: Section, figures: Mapping[str, str]) -> list[str]:
    lines = [f"## {escape(section.title)}", ""]
    if section.finding:
        lines += [f"**{escape(section.finding)}**", ""]
    if section.lead:
        lines += [escape(section.lead), ""]
    for block in section.blocks:
        lines += _block(block, figures)
    return lines


def _block(block: Block, figures: Mapping[str, str]) -> list[str]:
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


def _gallery(block: Gallery, figures: Mapping[str, str]) -> list[str]:
    shown = [picture for picture in block.pictures if picture.id in figures]
    left = [escape(picture.title) for picture in block.pictures if picture.id not in figures]
    lines = [line for picture in shown for line in _picture(picture, figures)]
    if left:
        lines += [f"*{page.figures_elsewhere('; '.join(left))}*", ""]
    return [*lines, f"<sub>{escape(typeset(block.caption))}</sub>", ""] if block.caption else lines


def _picture(picture: Picture, figures: Mapping[str, str]) -> list[str]:
    shown = f"![{escape(picture.alt)}]({figures[picture.id]})"
    return [f"**{escape(picture.title)}**", "", shown, ""]


def _table(table: Table) -> list[str]:
    lines = [
        f"**{escape(table.caption)}**",
        "",
        _line(_heading(column) for column in table.columns),
        _line("---:" if column.numeric else "---" for column in table.columns),
    ]
    lines += [_line(_entry(entry) for entry in row) for row in table.rows]
    lines.append("")
    for note in filter(None, table.footer.split("\n")):
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
