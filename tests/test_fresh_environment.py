"""The core's wheel alone, with what it depends on: installs, analyses a table, runs a notebook."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from itertools import product
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = """
import sys
from pathlib import Path
import ablatekit

@ablatekit.function_backend
def train(settings, seed):
    import random
    gain = 0.1 * (settings.learner == "deep")
    return {"accuracy": 0.5 + gain + random.Random(seed).gauss(0, 0.01)}

study = ablatekit.Study(
    name="own",
    backend=train,
    factors={"learner": {"baseline": "flat", "levels": ["flat", "deep"]}},
    replicates=3,
    responses={"accuracy": "higher"},
)
runs = ablatekit.run(study)
assert runs.counts["finished"] == 6, runs
assert "torch" not in sys.modules
print(runs.analysis.effects["verdict"][0])
"""
EXECUTE = """
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read("study.ipynb", as_version=4)
NotebookClient(notebook, timeout=300).execute()
print("".join(out.get("text", "") for out in notebook.cells[0].outputs))
"""


def run(folder: Path, *command: str | Path) -> str:
    """What a command prints, in an environment without a variable of this one."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**kept, "ABLATEKIT_SECOND_OPINION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.full
def test_the_core_alone_is_enough_for_tables_and_notebooks(tmp_path: Path) -> None:
    build = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation")
    run(tmp_path, *build, "-w", tmp_path, ROOT)
    (wheel,) = tmp_path.glob("ablatekit-*.whl")
    venv.create(tmp_path / "environment", with_pip=True)
    python = tmp_path / "environment" / "bin" / "python"
    began = time.monotonic()
    limits = ("-c", ROOT / "constraints.txt")
    run(tmp_path, python, "-m", "pip", "install", "-q", *limits, f"{wheel}[notebook]")
    sys.stderr.write(f"\ninstalled in {time.monotonic() - began:.0f} s\n")
    for absent in ("torch", "transformers", "ablatekit_rft"):
        code = f"import importlib.util as u; print(u.find_spec({absent!r}))"
        assert run(tmp_path, python, "-c", code).strip() == "None"

    rows = [
        f"{optimizer},{data},{0.5 + 0.1 * (optimizer == 'adam') + 0.01 * (n % 3)}"
        for n, (data, optimizer) in enumerate(product("abc", ["sgd", "adam", "sgd", "adam"]))
    ]
    (tmp_path / "runs.csv").write_text("\n".join(["optimizer,data,accuracy", *rows]))
    asked = ("--response", "accuracy", "--factors", "optimizer", "--contexts", "data")
    said = run(tmp_path, python.parent / "ablatekit", "analyze", "runs.csv", *asked)
    assert "12 of 12 rows analysed" in said

    cell = nbformat.v4.new_code_cell(NOTEBOOK)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.write(notebook, tmp_path / "study.ipynb")
    assert "helps" in run(tmp_path, python, "-c", EXECUTE)
    assert (tmp_path / "ablatekit-out" / "own" / "train_backend.py").is_file()
