from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_documents_are_built_as_a_site_in_which_every_link_leads_somewhere(
    tmp_path: Path,
) -> None:
    command = [sys.executable, str(ROOT / "docs" / "build.py"), str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in ("index.html", "docs/study-file.html", "reports/index.html"):
        assert (tmp_path / "site" / page).is_file(), page
    assert (tmp_path / "site" / "search" / "search_index.js").is_file(), "search, offline too"
    assert (tmp_path / "site" / "reports" / "quickstart" / "index.html").is_file()
