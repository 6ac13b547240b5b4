"""The report as the skeleton of a paper that pdflatex compiles: booktabs tables, figures as PDF."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from ablatekit.report.document import (
    Block,
    Brief,
    Document,
    Excerpt,
    Facts,
    Fold,
    Gallery,
    Heading,
    Paragraph,
    Picture,
    Section,
    Table,
    Warnings,
    file_stem,
    slug,
)
from ablatekit.report.formats.blocks import answer_of, computed_of, excerpts_of
from ablatekit.report.formats.latex_tables import float_table, long_table
from ablatekit.report.formats.latex_text import escape
from ablatekit.report.language import page
from ablatekit.report.language.brief import paper
from ablatekit.report.language.numbers import typeset
from ablatekit.report.paste.section import METHODS, METHODS_SECTION, RESULTS

Item = TypeVar("Item")
PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb}
\usepackage[margin=2cm]{geometry}
\usepackage{array,booktabs,longtable}
\usepackage{graphicx,float,caption}
\usepackage[hidelinks,bookmarks=false]{hyperref}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\setlength{\tabcolsep}{3pt}
\setlength{\emergencystretch}{3em}
\captionsetup{font=small,justification=raggedright,singlelinecheck=false}
\hbadness=10000
\vbadness=10000
\setcounter{secnumdepth}{0}
\setcounter{LTchunksize}{400}
"""
TABLE, TABLE_FILE = "tab:answer", "table1.tex"
SMALL_SHARE, WIDE_SHARE = 0.48, 0.78
"""Shares of the line that figures take, two beside each other or one alone."""
HIGHEST = r"0.36\textheight"
ROWS = 2
"""Rows of small figures that one float holds."""


def render_latex(document: Document, figures: str = "figures") -> str:
    """A document as LaTeX; its figures are PDF files in the folder `figures` beside it."""
    lines = [PREAMBLE, f"\\title{{{escape(document.title)}}}"]
    lines += [f"\\author{{}} % {paper.PLACEHOLDER.format(what=paper.AUTHORS)}", "\\date{}"]
    lines += ["\\begin{document}", "\\maketitle"]
    lines += _abstract(document.brief)
    lines += _question(document)
    lines += _methods(document)
    lines += _results(document, figures)
    lines += [f"\\appendix\\section{{{paper.APPENDIX}}}"]
    for section in document.sections:
        if section.id != METHODS_SECTION:
            lines += _section(section, figures)
    lines += _computed(document)
    return "\n".join([*lines, *_bibliography(document), "\\end{document}", ""])


def render_table(document: Document) -> str:
    """The answer as a float for another document; nothing where no level was compared."""
    table = answer_of(document)
    if table is None:
        return ""
    notes = list(filter(None, table.footer.split("\n")))
    return "\n".join([f"% {paper.PACKAGES}", *float_table(table, TABLE, notes), ""])


def render_bibtex(document: Document) -> str:
    """The works that the document refers to, for `references.bib`."""
    references = (one for block in excerpts_of(document) for one in block.references)
    return "\n".join(reference.bibtex() for reference in references)


def _abstract(brief: Brief | None) -> list[str]:
    if brief is None or not brief.headline:
        return []
    text = " ".join(map(escape, (*brief.headline, *brief.settled)))
    return ["\\begin{abstract}", text, "\\end{abstract}", ""]


def _question(document: Document) -> list[str]:
    facts = " $\\cdot$ ".join(f"{escape(value)} {escape(name)}" for name, value in document.facts)
    if not document.question:
        return [facts, ""]
    return [
        f"\\section{{{paper.QUESTION}}}", f"\\emph{{{escape(document.question)}}}", "", facts, ""
    ]  # fmt: skip


def _methods(document: Document) -> list[str]:
    text = _text_of(document, METHODS)
    return [f"\\section{{{paper.METHODS}}}", text, ""] if text else []


def _results(document: Document, figures: str) -> list[str]:
    """The paragraph of results, the answer's table and the brief's figure, and what limits them."""
    text, table = _text_of(document, RESULTS), answer_of(document)
    lines = [f"\\section{{{paper.RESULTS}}}", text]
    picture = document.brief.figure if document.brief else None
    if table is not None:
        lines.append(paper.sees_table(f"\\ref{{{TABLE}}}"))
    if picture is not None:
        lines.append(paper.sees_figures([f"\\ref{{{_label(picture)}}}"]))
    if document.brief is not None:
        trust = document.brief.trust
        lines += ["", f"\\textbf{{{escape(trust.title)}}}"]
        lines += _list(map(escape, trust.points))
    lines.append("")
    if picture is not None:
        lines += _float([picture], WIDE_SHARE, figures, picture.title, "htbp")
    if table is not None:
        lines += [f"\\input{{{TABLE_FILE}}}", ""]
    return lines


def _text_of(document: Document, identifier: str) -> str:
    """An excerpt's paragraphs; empty where the document has none of that name."""
    texts = [text for part in excerpts_of(document) if part.id == identifier
             for text in part.paragraphs]  # fmt: skip
    return "\n\n".join(map(escape, texts))


def _section(section: Section, figures: str) -> list[str]:
    lines = [f"\\subsection{{{escape(section.title)}}}"]
    lines += [f"{escape(text)}\n" for text in (section.finding, section.lead) if text]
    for block in section.blocks:
        lines += _block(block, figures)
    return lines


def _block(block: Block, figures: str) -> list[str]:
    match block:
        case Table():
            return [] if block.style == "answer" else list(long_table(block))
        case Gallery():
            return list(_gallery(block, figures))
        case Paragraph():
            return [escape(block.text), ""]
        case Heading():
            return [f"\\subsubsection{{{escape(block.text)}}}"]
        case Warnings():
            return _list(f"\\textbf{{{page.NOTE}}} {escape(text)}" for text in block.texts)
        case Facts():
            return _list(f"{escape(name)}: {escape(value)}" for name, value in block.pairs)
        case Excerpt():
            return [escape(" ".join(block.paragraphs)), ""]
        case Fold():
            return [line for part in block.blocks for line in _block(part, figures)]


def _list(items: Iterable[str]) -> list[str]:
    lines = [f"\\item {item}" for item in items]
    return ["\\begin{itemize}", *lines, "\\end{itemize}"] if lines else []


def _gallery(block: Gallery, figures: str) -> Iterator[str]:
    """Floats of a few figures each, named before they come."""
    share = WIDE_SHARE if block.wide else SMALL_SHARE
    parts = _batches(block.pictures, 1 if block.wide else 2 * ROWS)
    if not parts:
        return
    yield paper.sees_figures([f"\\ref{{{_label(part[0])}}}" for part in parts])
    yield ""
    for part in parts:
        titles = "; ".join(picture.title for picture in part)
        caption = " ".join(filter(None, (f"{titles}.", typeset(block.caption))))
        yield from _float(part, share, figures, caption, "H")


def _float(
    pictures: Sequence[Picture], share: float, figures: str, caption: str, place: str
) -> list[str]:
    limits = f"width={share:g}\\linewidth,height={HIGHEST},keepaspectratio"
    images = [
        f"\\includegraphics[{limits}]{{{figures}/{file_stem(picture)}.pdf}}" for picture in pictures
    ]
    shown = [" \\hfill ".join(row) for row in _batches(images, 2)]
    return [
        f"\\begin{{figure}}[{place}]\\centering",
        "\\par\\medskip\n".join(shown),
        f"\\caption{{{escape(caption)}}}\\label{{{_label(pictures[0])}}}",
        "\\end{figure}",
        "",
    ]


def _batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    return [items[at : at + size] for at in range(0, len(items), size)]


def _label(picture: Picture) -> str:
    return f"fig:{slug(file_stem(picture))}"


def _computed(document: Document) -> list[str]:
    sentences = computed_of(document)
    if not sentences:
        return []
    shown = [f"\\subsection{{{paper.COMPUTED}}}"]
    return [*shown, *_list(escape(typeset(text)) for text in sentences)]


def _bibliography(document: Document) -> list[str]:
    keys = [one.key for block in excerpts_of(document) for one in block.references]
    if not keys:
        return []
    cited = f"\\nocite{{{','.join(keys)}}}"
    return [cited, "\\bibliographystyle{plain}", "\\bibliography{references}"]
