from __future__ import annotations

import re
from pathlib import Path

from ablatekit import backend
from ablatekit.scaffolds.base import make_distribution, scaffold_of
from ablatekit.scaffolds.reference import backends_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "backends.md"


def test_the_page_is_that_of_the_code() -> None:
    command = "python -m ablatekit.scaffolds.reference > docs/backends.md"
    assert backends_page() == PAGE.read_text(encoding="utf-8"), command


def test_the_example_on_the_page_is_what_the_scaffold_writes(tmp_path: Path) -> None:
    folder = make_distribution(scaffold_of("backend"), "demo", tmp_path)
    page = PAGE.read_text(encoding="utf-8")
    for path in ("demo/backend.py", "study.yaml"):
        assert (folder / path).read_text(encoding="utf-8") in page


def test_all_that_the_module_offers_to_authors_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = {"API_VERSION", "Condition", "Progress", "Settings", "lacks"}
    assert len(backend.__all__) > 15
    for name in set(backend.__all__) - told:
        assert f"### {name}\n" in page or f"- `{name}(" in page, name


def test_the_commands_on_the_page_are_those_that_are_run() -> None:
    # tests/house/test_commands.py runs those of CONTRIBUTING
    (block,) = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"\n{' && '.join(block.splitlines())}\n" in contributing
