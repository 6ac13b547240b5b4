"""The report as a LaTeX article that pdflatex compiles: booktabs tables, figures as PDF files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

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
    file_stem,
    noted,
    plain_text,
    scoped,
)
from ablatekit.report.language import page
from ablatekit.report.language.numbers import typeset
from ablatekit.report.language.verdicts import signed

PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb}
\usepackage[margin=2cm]{geometry}
\usepackage{array,booktabs,longtable}
\usepackage{graphicx}
\usepackage[hidelinks]{hyperref}
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\setlength{\tabcolsep}{3pt}
\setlength{\emergencystretch}{3em}
\hbadness=10000
\vbadness=10000
\setcounter{secnumdepth}{0}
\setcounter{LTchunksize}{400}
"""
SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "^": r"\textasciicircum{}", "_": r"\_\allowbreak{}", "~": r"\textasciitilde{}", "%": r"\%",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedblright{}",
    "\N{DIVISION SIGN}": r"$\div$", "/": r"/\allowbreak{}",
    "\N{MINUS SIGN}": "$-$", "\N{PLUS-MINUS SIGN}": r"$\pm$", "\N{SUPERSCRIPT TWO}": r"$^2$",
    "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{EM DASH}": "---", "\N{EN DASH}": "--",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}", "\N{MIDDLE DOT}": r"$\cdot$",
    "\N{SQUARE ROOT}": r"$\surd$", "\N{LEFTWARDS ARROW}": r"$\leftarrow$",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$", "\N{WHITE CIRCLE}": r"$\circ$",
    "\N{BLACK UP-POINTING TRIANGLE}": r"$\blacktriangle$", "\N{IDENTICAL TO}": r"$\equiv$",
    "\N{BLACK DOWN-POINTING TRIANGLE}": r"$\blacktriangledown$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\leq$", "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
}  # fmt: skip
SMALL_GREEK = (
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa",
    "lambda", "mu", "nu", "xi", "", "pi", "rho", "varsigma", "sigma", "tau", "upsilon", "phi",
    "chi", "psi", "omega",
)  # fmt: skip
"""In their order; LaTeX has no omicron."""
GREEK = {
    **{chr(0x3B1 + place): rf"$\{name}$" for place, name in enumerate(SMALL_GREEK) if name},
    **{chr(0x391 + place): rf"$\{name}$" for place, name in (
        (2, "Gamma"), (3, "Delta"), (7, "Theta"), (10, "Lambda"), (13, "Xi"), (15, "Pi"),
        (18, "Sigma"), (20, "Upsilon"), (21, "Phi"), (23, "Psi"), (24, "Omega"))},
    "\N{MICRO SIGN}": r"$\mu$",
}  # fmt: skip
"""Greek letters that do not look like Latin ones."""
LATIN = re.compile("[\u00c0-\u00cf\u00d1-\u00dd\u00df-\u00ef\u00f1-\u00fd\u00ff]")
"""Letters that the fonts of every LaTeX compose."""
LONGEST_WORD = 14
FIGURE_SHARE = 0.47


def render_latex(document: Document, figures: str = "figures") -> str:
    """A document as LaTeX; its figures are PDF files in the folder `figures` beside it."""
    lines = [PREAMBLE, f"\\title{{{escape(document.title)}}}", "\\date{}", "\\begin{document}"]
    lines.append("\\maketitle")
    if document.question:
        lines += [f"\\emph{{{escape(document.question)}}}", ""]
    facts = (f"{escape(value)} {escape(name)}" for name, value in document.facts)
    lines += [" $\\cdot$ ".join(facts), ""]
    for section in document.parts():
        lines += _section(section, figures)
    return "\n".join([*lines, "\\end{document}", ""])


def render_bibtex(document: Document) -> str:
    """The works that the document refers to, for `references.bib`."""
    excerpts = (block for s in document.sections for block in s.blocks)
    entries = [
        reference.bibtex()
        for block in excerpts
        if isinstance(block, Excerpt)
        for reference in block.references
    ]
    return "\n".join(entries)


def escape(text: str) -> str:
    """Any text as LaTeX that shows it on breakable lines; glyphs without a font as their number."""
    return " ".join(_breakable(word) for word in text.split())


def _breakable(word: str) -> str:
    """A word's characters, with a place to break after every few where it is long."""
    shown = [_character(character) for character in word]
    if len(shown) <= LONGEST_WORD:
        return "".join(shown)
    parts = [shown[at : at + 8] for at in range(0, len(shown), 8)]
    return r"\allowbreak{}".join("".join(part) for part in parts)


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character in GREEK:
        return GREEK[character]
    if (character.isascii() and character.isprintable()) or LATIN.fullmatch(character):
        return character
    return rf"\texttt{{[U+{ord(character):04X}]}}"


def _section(section: Section, figures: str) -> list[str]:
    lines = [f"\\section{{{escape(section.title)}}}"]
    if section.lead:
        lines += [escape(section.lead), ""]
    for block in section.blocks:
        lines += _block(block, figures)
    return lines


def _block(block: Block, figures: str) -> list[str]:
    match block:
        case Table():
            return list(_table(block))
        case Gallery():
            return list(_gallery(block, figures))
        case Paragraph():
            return [escape(block.text), ""]
        case Heading():
            return [f"\\subsection{{{escape(block.text)}}}"]
        case Warnings():
            return _list(f"\\textbf{{{page.NOTE}}} {escape(text)}" for text in block.texts)
        case Facts():
            return _list(f"{escape(name)}: {escape(value)}" for name, value in block.pairs)
        case Excerpt():
            return _excerpt(block)
        case Fold():
            return [line for part in block.blocks for line in _block(part, figures)]


def _list(items: Iterator[str]) -> list[str]:
    lines = [f"\\item {item}" for item in items]
    return ["\\begin{itemize}", *lines, "\\end{itemize}"] if lines else []


def _gallery(block: Gallery, figures: str) -> Iterator[str]:
    share = 0.75 if block.wide else FIGURE_SHARE
    for picture in block.pictures:
        yield f"\\begin{{minipage}}[t]{{{share:g}\\linewidth}}\\raggedright"
        yield f"{{\\small\\textbf{{{escape(picture.title)}}}}}\\\\[2pt]"
        yield f"\\includegraphics[width=\\linewidth]{{{_file(picture, figures)}}}"
        yield "\\end{minipage}\\hspace{0.02\\linewidth}"
    yield ""
    if block.caption:
        yield f"{{\\footnotesize {escape(typeset(block.caption))}\\par}}"


def _file(picture: Picture, figures: str) -> str:
    return f"{figures}/{file_stem(picture)}.pdf"


def _table(table: Table) -> Iterator[str]:
    size = "footnotesize" if len(table.columns) <= 6 else "scriptsize"
    yield f"{{\\{size}"
    yield f"\\begin{{longtable}}{{@{{}}{''.join(_layout(table))}@{{}}}}"
    yield f"\\multicolumn{{{len(table.columns)}}}{{@{{}}l}}{{\\parbox{{0.98\\linewidth}}"
    yield f"{{\\raggedright\\textbf{{{escape(table.caption)}}}\\strut}}}}\\\\"
    yield "\\toprule"
    yield _line(_heading(column) for column in table.columns)
    yield "\\midrule\\endhead"
    for row in table.rows:
        yield _line(_entry(entry) for entry in row)
    yield "\\bottomrule"
    yield "\\end{longtable}"
    yield "}"
    for note in filter(None, [*table.footer.split("\n"), *table.computed]):
        yield f"{{\\footnotesize {escape(typeset(note))}\\par}}"


def _layout(table: Table) -> Iterator[str]:
    """Columns whose widths follow their longest words and share the line."""
    below = [[row[place] for row in table.rows] for place in range(len(table.columns))]
    weights = [_weight(*column) for column in zip(table.columns, below, strict=True)]
    for column, weight in zip(table.columns, weights, strict=True):
        side = "raggedleft" if column.numeric else "raggedright"
        share = weight / sum(weights)
        gap = f"{2 * share * (len(weights) - 1):.3f}\\tabcolsep"
        yield f">{{\\{side}\\arraybackslash}}p{{\\dimexpr {share:.4f}\\linewidth-{gap}\\relax}}"


def _weight(column: Column, entries: Sequence[Entry]) -> float:
    texts = [column.title, column.group, *(plain_text(entry) for entry in entries)]
    longest_word = max(len(word) for text in texts for word in text.split() or [""])
    typical = sorted(len(text) for text in texts)[int(0.9 * (len(texts) - 1))]
    return float(min(max(longest_word, 4, min(typical, 16)), 28)) + 1.5


def _heading(column: Column) -> str:
    parts = (column.group, column.title)
    return escape(": ".join(part for part in parts if part))


def _line(entries: Iterator[str]) -> str:
    return f"{' & '.join(entries)} \\\\"


def _entry(entry: Entry) -> str:
    match entry:
        case Badge():
            shown = scoped(entry, signed(entry.verdict, entry.size))
            return noted(escape(shown), escape(entry.note))
        case EstimateEntry() | IntervalEntry():
            return _bracketed(escape(plain_text(entry)))
        case Text() | Quantity():
            text = escape(entry.text)
            text = f"\\textbf{{{text}}}" if entry.strong and text else text
            return _bracketed(noted(text, escape(entry.note)))


def _bracketed(text: str) -> str:
    """An entry that begins with a bracket, which LaTeX would read as an option of the row break."""
    return "{}" + text if text.startswith(("[", "*")) else text


def _excerpt(block: Excerpt) -> list[str]:
    lines = [escape(" ".join(block.paragraphs)), ""]
    if block.references:
        keys = ",".join(reference.key for reference in block.references)
        lines += [f"\\nocite{{{keys}}}", "\\bibliographystyle{plain}", "\\bibliography{references}"]
    return lines
