"""The LaTeX report: it compiles, holds the same numbers, and shows hostile names as text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ablatekit.report.compose import compose
from ablatekit.report.document import Brief, Trust, file_stem, plain_text
from ablatekit.report.figures.style import LIGHT, PALETTE
from ablatekit.report.formats.blocks import answer_of, tables_of
from ablatekit.report.formats.latex import render_bibtex, render_latex, render_table
from ablatekit.report.formats.latex_tables import float_table
from ablatekit.report.formats.latex_text import escape
from ablatekit.report.write import export_contents

BRIEF = Brief(
    headline=["It helps."],
    settled=["The baseline suffices."],
    figure=None,
    table=None,
    trust=Trust("weak", "Weak evidence", ["One replicate."]),
)
SHIPPED = sorted((Path(__file__).parents[3] / "reports").glob("*/analysis.json"))
PDFLATEX = shutil.which("pdflatex")


def unescaped(text):
    """The words that LaTeX would show."""
    for old, new in (
        (r"\allowbreak{}", ""), ("$-$", "\N{MINUS SIGN}"), (r"\textless{}", "<"), (r"\%", "%"),
        (r"\_", "_"), ("---", "\N{EM DASH}"), (r"$\pm$", "\N{PLUS-MINUS SIGN}"), ("{}", ""),
    ):  # fmt: skip
        text = text.replace(old, new)
    return re.sub(r"\\textbf\{([^{}]*)\}", r"\1", text)


def latex_tables(text):
    """Rows of every table, by place."""
    bodies = re.findall(r"\\midrule\n(?:\\endhead\n)?(.*?)\\bottomrule", text, flags=re.DOTALL)
    return [
        [
            unescaped(line.removesuffix(r" \\")).split(" & ")
            for line in body.splitlines()
            if not line.startswith((r"\multicolumn", r"\addlinespace", r"{\raggedright"))
        ]
        for body in bodies
    ]


def test_every_number_of_every_table_is_that_of_the_document(analysis):
    document = compose(analysis)
    tables = [table for table in tables_of(document) if table.style != "answer"]
    found = latex_tables(render_latex(document))
    assert len(found) == len(tables) >= 12
    for table, rows in zip(tables, found, strict=True):
        for entries, row in zip(table.rows, rows, strict=True):
            for entry, shown in zip(entries, row, strict=True):
                numbers = re.findall(r"\d[\d,]*\.?\d*", plain_text(entry))
                assert re.findall(r"\d[\d,]*\.?\d*", shown) == numbers


def test_table_1_holds_the_answer_response_below_response(analysis):
    text = render_table(compose(analysis))
    (rows,) = latex_tables(text)
    groups = re.findall(r"\\textbf\{([^{}]+)\}\}\\\\\*", text)
    assert groups == ["Generalization", "Learning", "Gap"]
    assert len(rows) == 3 * 6
    assert {len(row) for row in rows} == {6}
    assert r"price: samples" in text
    effects = [
        effect
        for name in ("generalization", "learning")
        for effect in analysis["responses"][name]["effects"]
        if (effect["estimand"], effect["inference"]) == ("average", "narrow")
    ]
    for row, effect in zip(rows[:12], effects, strict=True):
        numbers = re.findall(r"[+-]?\d+\.\d", row[2].replace("\N{MINUS SIGN}", "-"))
        keys = ("estimate", "low", "high") if effect["estimate"] is not None else ()
        assert [float(number) for number in numbers] == [round(100 * effect[k], 1) for k in keys]
        assert effect["verdict"] in row[3]


def test_a_long_answer_runs_over_pages(analysis):
    document = compose(analysis)
    table = answer_of(document)
    many = replace(table, rows=[*table.rows] * 4)
    assert "\\begin{table}" in "\n".join(float_table(table, "tab:a"))
    assert "\\begin{longtable}" in "\n".join(float_table(many, "tab:a"))


def test_a_formula_without_levels_has_no_table_1(analysis):
    analysis["design"]["factors"] = []
    for part in (*analysis["responses"].values(), *analysis["comparisons"].values()):
        part["effects"] = []
    document = compose(analysis)
    assert render_table(document) == ""
    assert "table1" not in render_latex(document)


def test_the_skeleton_has_the_parts_of_a_paper(analysis):
    document = compose(analysis)
    document = replace(document, brief=replace(BRIEF, table=answer_of(document)))
    text = render_latex(document)
    parts = (
        r"\author{}", r"\begin{abstract}", "It helps.", r"\section{Methods}",
        "We ran an incomplete", r"\section{Results}", r"\ref{tab:answer}", "Weak evidence",
        r"\input{table1.tex}", r"\appendix", r"\bibliography{references}",
    )  # fmt: skip
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    labels = re.findall(r"\\label\{([^}]+)\}", text)
    assert len(labels) == len(set(labels)) > 5
    assert set(re.findall(r"\\ref\{([^}]+)\}", text)) == {*labels, "tab:answer"}


def test_how_numbers_were_made_is_said_once(analysis):
    document = compose(analysis)
    table = replace(
        answer_of(document), style="plain", computed=["By cells.", "By cells.", "By t."]
    )
    section = replace(document.sections[0], blocks=[table], finding="It differs.")
    text = render_latex(replace(document, brief=None, sections=[section]))
    assert text.count("By cells.") == text.count("By t.") == text.count("It differs.") == 1
    assert text.index("How this was computed") < text.index("By cells.")


def test_special_characters_are_text():
    assert escape(r"a_b & 5% {x}\y") == r"a\_\allowbreak{}b \& 5\% \{x\}\textbackslash{}y"
    assert escape("\N{SNOWMAN}") == r"\texttt{[U+2603]}\allowbreak{}"
    assert escape("caf\u00e9") == "caf\u00e9"
    letters = (
        "\N{GREEK SMALL LETTER LAMDA}\N{GREEK SMALL LETTER SIGMA}\N{GREEK CAPITAL LETTER OMEGA}"
    )
    assert escape(letters) == r"$\lambda$$\sigma$$\Omega$"
    assert escape("\N{GREEK SMALL LETTER OMEGA}\N{MICRO SIGN}") == r"$\omega$$\mu$"
    assert escape("x" * 30).count(r"\allowbreak{}") == 3


def test_bibliography_holds_what_is_cited(analysis):
    document = compose(analysis)
    keys = re.findall(r"@\w+\{(\w+),", render_bibtex(document))
    cited = re.search(r"\\nocite\{([^}]*)\}", render_latex(document))
    assert cited is not None
    assert cited[1].split(",") == keys
    assert "holm1979" in keys


def test_the_files_colours_are_those_of_the_light_page(page_text):
    declared = page_text[page_text.index(":root") : page_text.index("--sans")]
    assert dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", declared)).items() >= LIGHT.items()
    assert LIGHT.keys() == PALETTE.keys()


@pytest.fixture(scope="module")
def exported(built_analysis, hostile_name, renamed):
    """The export of an analysis with a hostile level, title and label, and most of its figures."""
    value = renamed(built_analysis, "batch_norm", hostile_name)
    value["study"]["title"] = value["responses"]["learning"]["label"] = hostile_name
    other = value["responses"]["generalization"]
    other["dynamics"], other["anova"] = [], []
    other["diagnostics"]["residuals"] = {"fitted": [], "residual": [], "quantile": []}
    return value, export_contents(value)


def test_an_export_has_every_figure_as_pdf_and_those_of_markdown_as_png(exported):
    analysis, files = exported
    stems = [file_stem(picture) for picture in compose(analysis).pictures()]
    assert len(stems) == len(set(stems)) > 14
    for stem in stems:
        assert len(stem) < 90
        assert files[f"figures/{stem}.pdf"].startswith(b"%PDF")
        assert f"{{figures/{stem}.pdf}}" in files["report.tex"].decode()
    shown = re.findall(r"\]\((figures/[^)]+)\)", files["report.md"].decode())
    assert len(shown) > 4
    assert all(files[name].startswith(b"\x89PNG") for name in shown)


@pytest.mark.full
@pytest.mark.skipif(
    PDFLATEX is None,
    reason="pdflatex is not installed (Debian: apt-get install texlive-latex-recommended)",
)
@pytest.mark.parametrize(
    "path", [None, *SHIPPED], ids=lambda path: path.parent.name if path else ""
)
def test_the_report_compiles_without_a_warning(exported, tmp_path, path):
    files = export_contents(json.loads(path.read_text())) if path else exported[1]
    for name, content in files.items():
        written = tmp_path / name
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_bytes(content)
    latex = [PDFLATEX, "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    for command in (latex, ["bibtex", "report"], latex, latex):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "report.pdf").stat().st_size > 50_000
    log = (tmp_path / "report.log").read_text(errors="replace")
    boxes = re.findall(r"([\d.]+)pt too (?:wide|high|large)", log)
    assert not [box for box in boxes if float(box) > 1]
    assert not re.findall(r".*(?:undefined|multiply defined|Float too large).*", log)
