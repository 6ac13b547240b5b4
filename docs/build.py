"""Build the documents as a site with search: `python docs/build.py [FOLDER]` (extra `docs`).

The site has the tree of the repository, so that every link between pages, studies and committed
reports is the same in both. Folders that a page links to lead to their README, notebooks to a page
of their cells.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHOWN = ("*.md", "*.ipynb", "reports", "studies", "LICENSE", "docs", "backends/*/recipes")
"""What git knows of these goes into the site, whole."""
LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)]*)?\))")


def main(arguments: list[str]) -> int:
    """Write the site to the folder that is named, else to `site`."""
    target = Path(arguments[0] if arguments else "site").resolve()
    with tempfile.TemporaryDirectory() as folder:
        stage(Path(folder) / "pages")
        shutil.copy(ROOT / "docs" / "mkdocs.yml", folder)
        command = [sys.executable, "-m", "mkdocs", "build", "-q", "--site-dir", str(target)]
        code = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": code}
        return subprocess.run(command, cwd=folder, env=quiet, check=False).returncode


def stage(pages: Path) -> None:
    """Copy what the site shows; its pages link to pages, never to folders or notebooks."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *SHOWN],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        source, copy = ROOT / name, pages / name
        if not source.is_file():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            copy.write_text(_linked(source), encoding="utf-8")
        else:
            shutil.copy2(source, copy)
        if source.suffix == ".ipynb":
            copy.with_suffix(".md").write_text(_cells(source), encoding="utf-8")


def _cells(notebook: Path) -> str:
    """The cells of a notebook as a page, below a link to it; what they print is left out."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    shown = [
        text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
        for cell in cells
        if (text := "".join(cell["source"]))
    ]
    title, *rest = shown
    whole = f'<a href="{notebook.name}" download>This page as a notebook</a>, to be run.'
    return "\n\n".join([title, whole, *rest]) + "\n"


def _linked(page: Path) -> str:
    return LINK.sub(partial(_to_page, page=page), page.read_text(encoding="utf-8"))


def _to_page(link: re.Match[str], page: Path) -> str:
    """A link between files; one to a folder or a notebook leads to the page that shows it."""
    before, path, after = link.groups()
    if path.endswith(".ipynb") and "://" not in path:
        return f"{before}{path.removesuffix('.ipynb')}.md{after}"
    folder = page.parent / path
    if "://" in path or not folder.is_dir() or not (folder / "README.md").is_file():
        return link.group()
    return f"{before}{path.rstrip('/')}/README.md{after}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
