"""`study compare`: the answer on a terminal, as JSON, and as a page with its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ablatekit.cli.main import invoke

REPORTS = Path(__file__).parents[2] / "reports"
PAIR = [str(REPORTS / name / "analysis.json") for name in ("full_factorial", "equal_samples")]


def test_the_page_has_its_files_beside_it_and_the_terminal_its_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "page"
    assert invoke(["study", "compare", *PAIR, "--report", str(folder), "--theme", "dark"]) == 0
    told = capsys.readouterr().out
    assert "\u22129.1" in told
    assert told.endswith(f"report: {folder / 'index.html'}\n")
    files = {path.name for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "index.html", "compare.md", "comparison.json", "comparison.csv", "both-effects.png",
    }  # fmt: skip
    assert 'data-theme="dark"' in (folder / "index.html").read_text()
    assert not list(tmp_path.glob(".*"))


def test_without_a_folder_the_terminal_says_where_a_page_can_be_had(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert invoke(["study", "compare", *PAIR]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("--report DIR")


def test_json_is_the_comparison_and_names_the_page_if_one_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["study", "compare", *PAIR, "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    folder = tmp_path / "page"
    assert invoke(["study", "compare", *PAIR, "--json", "--report", str(folder)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.pop("report") == str(folder / "index.html")
    assert told == alone == json.loads((folder / "comparison.json").read_text())


def test_a_study_s_report_is_never_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "analysis.json").write_text("{}")
    (tmp_path / "file").write_text("")
    for folder, words in ((tmp_path, "would replace the report"), (tmp_path / "file", "file")):
        assert invoke(["study", "compare", *PAIR, "--report", str(folder)]) == 2
        told = capsys.readouterr().err
        assert words in told
        assert told.count("\n") == 1
    assert not (tmp_path / "index.html").exists()
    assert not (tmp_path / "file").read_text()
