"""Parts of a document that several formats look for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ablatekit.report.document import Block, Document, Excerpt, Fold, Table


def blocks_of(blocks: Sequence[Block]) -> Iterator[Block]:
    """Every block in its order, those of folds too."""
    for block in blocks:
        yield block
        if isinstance(block, Fold):
            yield from blocks_of(block.blocks)


def tables_of(document: Document) -> Iterator[Table]:
    """Every table, that of the brief first."""
    if document.brief is not None and document.brief.table is not None:
        yield document.brief.table
    for section in document.sections:
        yield from (block for block in blocks_of(section.blocks) if isinstance(block, Table))


def answer_of(document: Document) -> Table | None:
    """The table of the answer, if levels were compared."""
    return next((table for table in tables_of(document) if table.style == "answer"), None)


def excerpts_of(document: Document) -> list[Excerpt]:
    """Every text to be pasted."""
    return [
        block
        for section in document.sections
        for block in blocks_of(section.blocks)
        if isinstance(block, Excerpt)
    ]


def computed_of(document: Document) -> list[str]:
    """How numbers were made, each sentence once."""
    return list(dict.fromkeys(text for table in tables_of(document) for text in table.computed))
