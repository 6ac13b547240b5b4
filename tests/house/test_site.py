"""The site: every link leads somewhere, every page is in its menu, every public name in its API."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import ablatekit
from ablatekit import backend, testing

ROOT = Path(__file__).parents[2]
MENU = ROOT / "docs" / "mkdocs.yml"
TURNED = {"docs/tutorial.ipynb": "docs/tutorial.md"}
"""Pages that the build makes from something else."""
SUITES = [
    f"{path.stem}.{path.stem.title().replace('_', '')}"
    for path in Path(testing.__file__).parent.glob("*_suite.py")
]
NAMES = [
    *(f"ablatekit.{name}" for name in ablatekit.__all__ if not name.startswith("__")),
    *(f"ablatekit.backend.{name}" for name in backend.__all__),
    *(f"ablatekit.testing.{name}" for name in SUITES),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "site"
    command = [sys.executable, str(ROOT / "docs" / "build.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_documents_are_built_as_a_site_in_which_every_link_leads_somewhere(site: Path) -> None:
    for page in ("index.html", "docs/study-file.html", "docs/tutorial.html", "reports/index.html"):
        assert (site / page).is_file(), page
    assert (site / "search" / "search_index.js").is_file(), "search, offline too"
    assert (site / "docs" / "tutorial.ipynb").is_file(), "to be run"


def test_every_report_is_on_the_site_and_named_on_its_page(site: Path) -> None:
    page = (site / "reports" / "index.html").read_text(encoding="utf-8")
    reports = [path.parent.name for path in (ROOT / "reports").glob("*/index.html")]
    assert len(reports) > 5
    for name in reports:
        assert (site / "reports" / name / "index.html").is_file(), name
        assert f'href="{name}/' in page, name


def test_every_public_name_is_in_the_api_reference(site: Path) -> None:
    page = (site / "docs" / "api.html").read_text(encoding="utf-8")
    shown = set(re.findall(r'<h3 id="([\w.]+)"', page))
    assert shown == set(NAMES)


def _named(menu: Any) -> list[str]:
    """The pages of a menu, its submenus included."""
    if isinstance(menu, str):
        return [menu]
    parts = menu.values() if isinstance(menu, dict) else menu
    return [page for part in parts for page in _named(part)]


def test_every_page_is_in_the_menu_once() -> None:
    patterns = ("*.md", "docs/*.md", "docs/*.ipynb", "reports/*.md")
    patterns += ("backends/*/README.md", "backends/*/recipes/*.md")
    pages = [path.relative_to(ROOT).as_posix() for each in patterns for path in ROOT.glob(each)]
    menu = _named(yaml.safe_load(MENU.read_text(encoding="utf-8"))["nav"])
    assert sorted(menu) == sorted(TURNED.get(page, page) for page in pages)
