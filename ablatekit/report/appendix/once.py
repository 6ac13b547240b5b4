"""Each sentence of a document at its first place, each term explained at its first use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from ablatekit.report.document import (
    Block,
    Brief,
    Document,
    Fold,
    Gallery,
    Heading,
    Paragraph,
    Section,
    Table,
    Text,
    Warnings,
)
from ablatekit.report.language.appendix.glossary import explanations, terms_in
from ablatekit.report.language.appendix.unknown import as_above
from ablatekit.report.language.numbers import sentence, typeset
from ablatekit.report.language.reading import ESTIMAND_NAMES, Unit

SHORT = 40
"""Characters of a remark that may stand below several tables."""
NAMES = tuple(f"{sentence(name)}: " for name in ESTIMAND_NAMES.values())


def said_once(document: Document) -> Document:
    """The document without sentences that stand further up, new terms explained where they come.

    The brief comes first; how its table was made is read last.
    """
    said = _Said()
    for text in _of_brief(document):
        said.warns(text)
    sections = [_section_once(section, said) for section in document.sections]
    explained = _Explained(document.unit)
    brief = document.brief and _brief_explained(document.brief, explained)
    sections = [_section_explained(section, explained) for section in sections]
    if brief is not None and brief.table is not None:
        brief = replace(brief, table=_made_explained(brief.table, explained))
    return replace(document, brief=brief, sections=sections)


def sentences_of(text: str) -> list[str]:
    """A text sentence by sentence."""
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def _of_brief(document: Document) -> Iterator[str]:
    brief = document.brief
    if brief is None:
        return
    yield from (*brief.headline, *brief.settled, brief.trust.title, *brief.trust.points)
    if brief.table is not None:
        yield brief.table.footer
        yield from brief.table.computed


class _Said:
    """The sentences that stand further up."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._reasons: set[str] = set()
        self._warned = ""

    def warns(self, text: str) -> bool:
        """Whether a warning is new: not part of one, as of one that names its response first."""
        key = text.rstrip(".").casefold()
        if key in self._warned:
            return False
        self._warned += f"{key}\n"
        return bool(self.new(text))

    def new(self, text: str, shortest: int = SHORT) -> str:
        """The sentences of a text that nobody has said, and its short ones."""
        return " ".join(part for part in sentences_of(text) if self._is_new(part, shortest))

    def lines(self, text: str) -> str:
        """The same, line by line."""
        return "\n".join(filter(None, map(self.briefly, text.split("\n"))))

    def briefly(self, text: str) -> str:
        """What is new of a text; a reason that stands further up, of others, in its first words."""
        return " ".join(map(self._recalled, sentences_of(self.new(text))))

    def _recalled(self, text: str) -> str:
        who, _, reason = text.partition(": ")
        key = reason.casefold()
        if len(key) < SHORT or key not in self._reasons:
            self._reasons.add(key)
            return text
        return as_above(who, reason)

    def _is_new(self, text: str, shortest: int) -> bool:
        name = next((name for name in NAMES if text.startswith(name)), "")
        key = typeset(text.removeprefix(name)).rstrip(".").casefold()
        if key in self._known and len(key) >= shortest:
            return False
        self._known.add(key)
        return True


def _section_once(section: Section, said: _Said) -> Section:
    said.new(section.finding)
    return replace(section, lead=said.new(section.lead), blocks=_blocks_once(section.blocks, said))


def _blocks_once(blocks: Sequence[Block], said: _Said) -> list[Block]:
    return [kept for block in blocks if (kept := _block_once(block, said)) is not None]


def _block_once(block: Block, said: _Said) -> Block | None:
    """A block without what was said; nothing where nothing is left."""
    match block:
        case Paragraph():
            return Paragraph(text) if (text := said.briefly(block.text)) else None
        case Warnings():
            texts = [text for text in block.texts if said.warns(text)]
            return Warnings(texts) if texts else None
        case Gallery():
            return replace(block, caption=said.new(block.caption))
        case Table():
            footer = said.lines(block.footer)
            computed = [part for text in block.computed if (part := said.new(text, shortest=0))]
            return replace(block, footer=footer, computed=computed)
        case Fold():
            inside = _blocks_once(block.blocks, said)
            return replace(block, blocks=inside) if inside else None
        case _:
            return block


class _Explained:
    """The terms that were explained further up."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._known: set[str] = set()

    def new(self, text: str) -> str:
        """What the terms of a text mean that nobody has explained, and the terms of that."""
        fresh = [term for term in terms_in(text) if term not in self._known]
        if not fresh:
            return ""
        self._known.update(fresh)
        meant = " ".join(explanations(fresh, self._unit))
        return _joined(" ", meant, self.new(meant))


def _brief_explained(brief: Brief, explained: _Explained) -> Brief:
    """The brief with its terms explained below its table."""
    if brief.table is None:
        return brief
    said = (*brief.headline, *brief.settled, brief.trust.title, *brief.trust.points)
    used = " ".join((*said, _shown(brief.table)))
    footer = _joined("\n", brief.table.footer, explained.new(used))
    return replace(brief, table=replace(brief.table, footer=footer))


def _section_explained(section: Section, explained: _Explained) -> Section:
    used = " ".join((section.title, section.finding, section.lead))
    lead = _joined(" ", section.lead, explained.new(used))
    return replace(section, lead=lead, blocks=list(_blocks_explained(section.blocks, explained)))


def _blocks_explained(blocks: Sequence[Block], explained: _Explained) -> Iterator[Block]:
    for block in blocks:
        match block:
            case Paragraph():
                yield Paragraph(_joined(" ", block.text, explained.new(block.text)))
            case Gallery():
                used = " ".join((block.caption, *(picture.title for picture in block.pictures)))
                yield replace(block, caption=_joined(" ", block.caption, explained.new(used)))
            case Table():
                yield _table_explained(block, explained)
            case Heading() | Warnings():
                yield block
                used = block.text if isinstance(block, Heading) else " ".join(block.texts)
                yield from _paragraph(explained.new(used))
            case Fold():
                inside = [*_paragraph(explained.new(block.title)),
                          *_blocks_explained(block.blocks, explained)]  # fmt: skip
                yield replace(block, blocks=inside)
            case _:
                yield block


def _paragraph(text: str) -> list[Block]:
    return [Paragraph(text)] if text else []


def _table_explained(table: Table, explained: _Explained) -> Table:
    footer = _joined("\n", table.footer, explained.new(_shown(table)))
    return _made_explained(replace(table, footer=footer), explained)


def _shown(table: Table) -> str:
    """The words that a table shows."""
    heads = (f"{column.group} {column.title}" for column in table.columns)
    entries = (entry.text for row in table.rows for entry in row if isinstance(entry, Text))
    return " ".join((table.caption, *heads, *entries, table.footer))


def _made_explained(table: Table, explained: _Explained) -> Table:
    """The terms explained of how a table was made."""
    meant = explained.new(" ".join(table.computed))
    return replace(table, computed=[*table.computed, *_known([meant])])


def _joined(separator: str, *parts: str) -> str:
    return separator.join(_known(parts))


def _known(parts: Iterable[str]) -> list[str]:
    return [part for part in parts if part]
