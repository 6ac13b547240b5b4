"""The tutorial runs from its first cell to its last, in a kernel, as a reader would run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tutorial.ipynb"
HTML = "text/html"
pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The code cells after they have run, in an empty folder."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    folder = tmp_path_factory.mktemp("notebook")
    place = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=300, resources=place).execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any, kind: str) -> str:
    """What a cell shows of a kind of content, progress left out."""
    return "".join(output.data[kind] for output in cell.outputs if kind in output.get("data", {}))


def test_it_is_committed_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)


def test_plans_answers_and_reports_are_shown(cells: list[Any]) -> None:
    pages = [shown(cell, HTML) for cell in cells]
    assert "2 of 2 cells" not in pages[0]
    assert "good idea" in pages[0]
    assert "24 of 24 runs have a result" in pages[1]
    assert "Good idea" in pages[1] or "good idea" in pages[1]
    assert shown(cells[3], "image/png")
    assert "name: first" in cells[4].outputs[0].text
    assert "optimizer" in pages[5]
    assert "40 of 40 runs have a result" in pages[6]
    assert "&lt;!DOCTYPE html&gt;" in pages[8]
    assert all("<script" not in page for page in pages)


def test_progress_is_one_line_that_is_written_over(cells: list[Any]) -> None:
    progress = [out for out in cells[1].outputs if "<progress" in shown_of(out)]
    assert len(progress) == 1
    assert "24 of 24 runs, 0 failed" in shown_of(progress[0])
    assert len(cells[1].outputs) == 2


def shown_of(output: Any) -> str:
    return str(output.get("data", {}).get(HTML, ""))


def test_a_mistake_is_one_message_without_a_traceback(cells: list[Any]) -> None:
    (output,) = cells[7].outputs
    assert output.output_type == "error"
    said = "\n".join(output.traceback)
    assert "needs_the_notebook() uses what only this session has; received rate (a float)" in said
    assert "Traceback" not in said
    assert "ablatekit/" not in said
