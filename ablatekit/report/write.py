"""Writing the report: the new one takes the place of the old one, or nothing changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ablatekit.analysis.compare import StudyComparison
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.canonical import sync_directory, write_atomically
from ablatekit.legible import legible_json, masked_json
from ablatekit.report.comparison.figure import compared_records
from ablatekit.report.comparison.page import comparison_document
from ablatekit.report.comparison.studies import Studies
from ablatekit.report.compose import compose
from ablatekit.report.document import Document, Picture, figure_data, file_stem, pictures_of
from ablatekit.report.figures.render import image
from ablatekit.report.folder import check_folder, earlier_files, unfinished
from ablatekit.report.formats.csv import data_csv, effects_csv
from ablatekit.report.formats.html import render_page
from ablatekit.report.formats.latex import TABLE_FILE, render_bibtex, render_latex, render_table
from ablatekit.report.formats.markdown import render_brief, render_text
from ablatekit.report.paste.card import PIXELS, card_picture
from ablatekit.themes import Theme

FIGURES = "figures"
SHOWN = ("effects", "configurations", "gap", "dynamics")
"""Sections whose figures Markdown shows beside that of the brief; the page has all of them."""


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where the parts of a written report lie."""

    html: Path
    markdown: Path
    json: Path


def write_report(analysis: Analysis, directory: Path, theme: Theme = "auto") -> ReportFiles:
    """Write the files of `report_contents` into `directory`, as `write_files` does."""
    write_files(report_contents(analysis, theme), directory)
    return ReportFiles(
        directory / "index.html", directory / "report.md", directory / "analysis.json"
    )


def write_comparison(studies: Studies, directory: Path, theme: Theme = "auto") -> Path:
    """Write the files of `comparison_contents` into `directory`; the page."""
    write_files(comparison_contents(studies, theme), directory)
    return directory / "index.html"


def write_files(contents: Mapping[str, bytes], directory: Path) -> None:
    """Put the files of a report into a directory.

    All are made durable in a folder beside `directory` before the first one replaces its
    predecessor, each atomically and in their order: a process killed at any moment leaves a
    readable report, and the next call clears what it left. Figures that no longer belong to the
    report go when everything else is there. Raises WorkspaceError where a file would be replaced
    that no report wrote.
    """
    check_folder(directory, contents)
    fresh, earlier = unfinished(directory), earlier_files(directory)
    if fresh.exists():
        shutil.rmtree(fresh)
    for folder in (directory, fresh):
        (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        write_atomically(fresh / name, content)
    for name in contents:
        (fresh / name).replace(directory / name)
    for name in earlier - contents.keys():
        (directory / name).unlink(missing_ok=True)
    for folder in (directory / FIGURES, directory):
        sync_directory(folder)
    shutil.rmtree(fresh)


def report_contents(analysis: Analysis, theme: Theme = "auto") -> dict[str, bytes]:
    """The files of a report by name, figures first and the page last.

    `report.md` and `brief.md` with the PNGs that they show, `card.png` for who shares a link, and
    `table1.tex` for papers stand beside the page, which needs none of them.
    """
    return _report_contents(analysis, compose(analysis), theme)


def _report_contents(analysis: Analysis, document: Document, theme: Theme) -> dict[str, bytes]:
    shown = list(_shown(document))
    files = {picture.id: f"{FIGURES}/{file_stem(picture)}.png" for picture in shown}
    optional = {
        "brief.md": render_brief(document, files).encode(),
        TABLE_FILE: render_table(document).encode(),
    }
    return {
        **{files[picture.id]: image(picture, "png") for picture in shown},
        "card.png": image(card_picture(legible_json(analysis), document), "png", PIXELS),
        "analysis.json": analysis_json(analysis),
        "effects.csv": effects_csv(analysis).encode(),
        **{name: content for name, content in optional.items() if content},
        "report.md": render_text(document, files).encode(),
        "index.html": render_page(document, theme).encode(),
    }


def comparison_contents(studies: Studies, theme: Theme = "auto") -> dict[str, bytes]:
    """The files of a comparison by name, figures first and the page last."""
    document = comparison_document(studies)
    shown = list(document.pictures())
    files = {picture.id: f"{FIGURES}/{file_stem(picture)}.png" for picture in shown}
    return {
        **{files[picture.id]: image(picture, "png") for picture in shown},
        "comparison.json": comparison_json(studies.found).encode() + b"\n",
        "comparison.csv": data_csv(figure_data(compared_records(studies))).encode(),
        "compare.md": render_text(document, files).encode(),
        "index.html": render_page(document, theme).encode(),
    }


def comparison_json(compared: StudyComparison, **more: str) -> str:
    """A comparison as `study compare --json` prints it."""
    return json.dumps({**compared.to_json(), **more}, indent=2)


def _shown(document: Document) -> Iterator[Picture]:
    """The figures that Markdown shows."""
    if document.brief is not None and document.brief.figure is not None:
        yield document.brief.figure
    for section in document.sections:
        if section.id in SHOWN:
            yield from pictures_of(section.blocks)


def export_contents(analysis: Analysis, theme: Theme = "auto") -> dict[str, bytes]:
    """The files of a report for papers and repositories, by relative path.

    Adds `report.tex` with `references.bib` and every figure as PDF.
    """
    document = compose(analysis)
    return {
        **_report_contents(analysis, document, theme),
        "report.tex": render_latex(document, FIGURES).encode(),
        "references.bib": render_bibtex(document).encode(),
        **{f"{FIGURES}/{file_stem(p)}.pdf": image(p, "pdf") for p in document.pictures()},
    }


def analysis_json(analysis: Analysis) -> bytes:
    """The analysis as the bytes of `analysis.json`.

    Keys keep their order, which is that of the study: responses, factors and contexts are shown as
    the study lists them. Passwords of URIs are masked.
    """
    text = json.dumps(masked_json(analysis), indent=2, allow_nan=False, ensure_ascii=False)
    return text.encode() + b"\n"
