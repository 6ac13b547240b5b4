"""The LaTeX report: it compiles, holds the same numbers, and shows hostile names as text."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from ablatekit.report.compose import compose
from ablatekit.report.document import Table, file_stem, plain_text
from ablatekit.report.figures.style import LIGHT, PALETTE
from ablatekit.report.formats.latex import escape, render_bibtex, render_latex
from ablatekit.report.write import export_contents

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
    bodies = re.findall(r"\\midrule\\endhead\n(.*?)\\bottomrule", text, flags=re.DOTALL)
    return [
        [unescaped(line.removesuffix(r" \\")).split(" & ") for line in body.splitlines()]
        for body in bodies
    ]


def all_tables(blocks):
    for block in blocks:
        if isinstance(block, Table):
            yield block
        yield from all_tables(getattr(block, "blocks", ()))


def test_every_number_of_every_table_is_that_of_the_document(analysis):
    document = compose(analysis)
    tables = [t for section in document.parts() for t in all_tables(section.blocks)]
    found = latex_tables(render_latex(document))
    assert len(found) == len(tables) >= 12
    for table, rows in zip(tables, found, strict=True):
        for entries, row in zip(table.rows, rows, strict=True):
            for entry, shown in zip(entries, row, strict=True):
                numbers = re.findall(r"\d[\d,]*\.?\d*", plain_text(entry))
                assert re.findall(r"\d[\d,]*\.?\d*", shown) == numbers


def test_effects_parse_back_to_the_analysis(analysis):
    rows = latex_tables(render_latex(compose(analysis)))[0]
    effects = [
        effect
        for effect in analysis["responses"]["generalization"]["effects"]
        if (effect["estimand"], effect["inference"]) == ("average", "narrow")
    ]
    for row, effect in zip(rows, effects, strict=True):
        numbers = re.findall(r"[+-]?\d+\.\d", row[2].replace("\N{MINUS SIGN}", "-"))
        keys = ("estimate", "low", "high") if effect["estimate"] is not None else ()
        assert [float(number) for number in numbers] == [round(100 * effect[k], 1) for k in keys]
        assert effect["verdict"] in row[3]


def test_special_characters_are_text():
    assert escape(r"a_b & 5% {x}\y") == r"a\_\allowbreak{}b \& 5\% \{x\}\textbackslash{}y"
    assert escape("\N{SNOWMAN}") == r"\texttt{[U+2603]}"
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


def test_an_export_has_every_figure_as_pdf_and_png(exported):
    analysis, files = exported
    stems = [file_stem(picture) for picture in compose(analysis).pictures()]
    assert len(stems) == len(set(stems)) > 14
    for stem in stems:
        assert len(stem) < 90
        assert files[f"figures/{stem}.pdf"].startswith(b"%PDF")
        assert files[f"figures/{stem}.png"].startswith(b"\x89PNG")
        assert f"](figures/{stem}.png)" in files["report.md"].decode()
        assert f"{{figures/{stem}.pdf}}" in files["report.tex"].decode()


@pytest.mark.full
@pytest.mark.skipif(
    PDFLATEX is None,
    reason="pdflatex is not installed (Debian: apt-get install texlive-latex-recommended)",
)
def test_the_report_compiles_with_hostile_names(exported, tmp_path):
    _, files = exported
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    command = [PDFLATEX, "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "report.pdf").stat().st_size > 50_000
