"""Writing the report: the new one takes the place of the old one, or nothing changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ablatekit.analysis.compare import StudyComparison
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.canonical import sync_directory, write_atomically
from ablatekit.legible import masked_json
from ablatekit.report.comparison.figure import compared_records
from ablatekit.report.comparison.page import comparison_document
from ablatekit.report.comparison.studies import Studies
from ablatekit.report.compose import compose
from ablatekit.report.document import Document, figure_data, file_stem
from ablatekit.report.figures.render import image
from ablatekit.report.formats.csv import data_csv, effects_csv
from ablatekit.report.formats.html import render_page
from ablatekit.report.formats.latex import render_bibtex, render_latex
from ablatekit.report.formats.markdown import render_text
from ablatekit.themes import Theme

FIGURES, HERE = "figures", "."


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """Where the parts of a written report lie."""

    html: Path
    markdown: Path
    json: Path


def write_report(analysis: Analysis, directory: Path, theme: Theme = "auto") -> ReportFiles:
    """Write `index.html`, `report.md`, `effects.csv` and `analysis.json` into `directory`.

    All are rendered and made durable in a folder beside `directory` before the first one replaces
    its predecessor, each atomically and the page last: a process killed at any moment leaves a
    readable report, and the next call clears what it left.
    """
    write_files(report_contents(analysis, theme), directory)
    return ReportFiles(
        directory / "index.html", directory / "report.md", directory / "analysis.json"
    )


def write_comparison(studies: Studies, directory: Path, theme: Theme = "auto") -> Path:
    """Write the files of `comparison_contents` into `directory`, as those of a report; the page."""
    write_files(comparison_contents(studies, theme), directory)
    return directory / "index.html"


def write_files(contents: Mapping[str, bytes], directory: Path) -> None:
    """Put files into a directory, each atomically and the last one last."""
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory.with_name(f".{directory.name}.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir()
    for name, content in contents.items():
        write_atomically(fresh / name, content)
    for name in contents:
        (fresh / name).replace(directory / name)
    sync_directory(directory)
    fresh.rmdir()


def report_contents(analysis: Analysis, theme: Theme = "auto") -> dict[str, bytes]:
    """The files of a report by name, the page last; figures are inside the page only."""
    document = compose(analysis)
    return {
        "analysis.json": analysis_json(analysis),
        "effects.csv": effects_csv(analysis).encode(),
        "report.md": render_text(document).encode(),
        "index.html": render_page(document, theme).encode(),
    }


def comparison_contents(studies: Studies, theme: Theme = "auto") -> dict[str, bytes]:
    """The files of a comparison by name, the page last: as JSON, CSV, Markdown with its PNGs."""
    document = comparison_document(studies)
    return {
        "comparison.json": comparison_json(studies.found).encode() + b"\n",
        "comparison.csv": data_csv(figure_data(compared_records(studies))).encode(),
        **{f"{file_stem(picture)}.png": image(picture, "png") for picture in document.pictures()},
        "compare.md": render_text(document, HERE).encode(),
        "index.html": render_page(document, theme).encode(),
    }


def comparison_json(compared: StudyComparison, **more: str) -> str:
    """A comparison as `study compare --json` prints it."""
    return json.dumps({**compared.to_json(), **more}, indent=2)


def export_contents(analysis: Analysis, theme: Theme = "auto") -> dict[str, bytes]:
    """The files of a report for papers and repositories, by relative path.

    Adds `report.tex` with `references.bib` and every figure as PDF (LaTeX) and PNG (Markdown).
    """
    document = compose(analysis)
    return {
        **report_contents(analysis, theme),
        "report.md": render_text(document, FIGURES).encode(),
        "report.tex": render_latex(document, FIGURES).encode(),
        "references.bib": render_bibtex(document).encode(),
        **_figure_files(document),
    }


def _figure_files(document: Document) -> dict[str, bytes]:
    files = {}
    for picture in document.pictures():
        files[f"{FIGURES}/{file_stem(picture)}.pdf"] = image(picture, "pdf")
        files[f"{FIGURES}/{file_stem(picture)}.png"] = image(picture, "png")
    return files


def analysis_json(analysis: Analysis) -> bytes:
    """The analysis as the bytes of `analysis.json`.

    Keys keep their order, which is that of the study: responses, factors and contexts are shown as
    the study lists them. Passwords of URIs are masked.
    """
    text = json.dumps(masked_json(analysis), indent=2, allow_nan=False, ensure_ascii=False)
    return text.encode() + b"\n"
