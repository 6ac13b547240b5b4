"""Every command that README or another document shows runs, installation lines included.

They run in the order of the documents, in a copy of the checkout with the files that they name and
an environment that README's first line makes.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "backends/rft/README.md", "docs/engines.md", "CONTRIBUTING.md")
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
STUDY = re.compile(r"```yaml\n(version: 1\n.*?)```", re.DOTALL)
ELSEWHERE = {
    "pytest -n auto": "the gate runs it: .ci/run",
    "scripts/test-full": "the gate runs it: .ci/run",
    "scripts/test-vllm": "the gate runs it: scripts/test-full",
    "[train,vllm]": "needs a GPU and several gigabytes of CUDA libraries",
}
BEFORE = {"ablatekit study compare": "ablatekit study run another_study.yaml"}
"""What a reader has done before a command makes sense."""

SERVER = "mlflow ui"
START_SECONDS = 120


def _lines() -> list[tuple[str, str]]:
    """(document, command line), comments cut off."""
    return [
        (name, line.split("  #")[0].strip())
        for name in DOCUMENTS
        for block in BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))
        for line in block.splitlines()
        if line.strip()
    ]


def _is_run_elsewhere(line: str) -> bool:
    return any(part in line for part in ELSEWHERE)


@dataclass(frozen=True)
class Checkout:
    """A copy of the checkout, and what its commands see."""

    path: Path
    environment: dict[str, str]

    def shell(self, line: str) -> subprocess.Popen[str]:
        """Start one line in a session of its own."""
        return subprocess.Popen(
            ["bash", "-c", line],
            cwd=self.path,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    path = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, path / name)
    _write_inputs(path)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PYTEST"))}
    first = f"{path / '.venv' / 'bin'}{os.pathsep}{kept['PATH']}"
    return Checkout(path, {**kept, "PATH": first, "BROWSER": "true"})


def _write_inputs(path: Path) -> None:
    """The files that documents name: README's study, short, a second one, and tables of runs."""
    (text,) = STUDY.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    short = text.replace("amount: 60", "amount: 7").replace("replicates: 3", "replicates: 2")
    assert short != text
    (path / "my_study.yaml").write_text(short, encoding="utf-8")
    other = short.replace("name: rollouts_or_queries", "name: another_study")
    (path / "another_study.yaml").write_text(other, encoding="utf-8")
    rng = np.random.default_rng(0)
    design = [
        (optimizer, batch, model, dataset)
        for optimizer in ("adam", "muon")
        for batch in ("b32", "b64")
        for model in ("m1", "m2", "m3")
        for dataset in ("d1", "d2")
        for _ in range(2)
    ]
    runs = pd.DataFrame(design, columns=["optimizer", "batch", "model", "dataset"])
    runs["accuracy"] = rng.normal(0.5, 0.05, len(runs)) + 0.05 * (runs["optimizer"] == "muon")
    runs.to_csv(path / "runs.csv", index=False)
    items = runs.assign(run=[f"r{i}" for i in range(len(runs))]).merge(
        pd.DataFrame({"item": range(12)}), how="cross"
    )
    items["outcome"] = rng.integers(0, 2, len(items))
    items.to_parquet(path / "items.parquet", index=False)


@pytest.mark.parametrize("word", sorted(ELSEWHERE))
def test_what_runs_elsewhere_is_shown(word: str) -> None:
    assert any(word in line for _, line in _lines())


def test_the_gate_runs_what_it_is_said_to_run() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'run_readme_command "test command"' in gate
    assert 'run_readme_command "full test command"' in gate
    assert "\nscripts/test-vllm" in (ROOT / "scripts" / "test-full").read_text(encoding="utf-8")


@pytest.mark.full
@pytest.mark.parametrize(
    ("document", "line"), [pair for pair in _lines() if not _is_run_elsewhere(pair[1])]
)
def test_a_shown_command_runs(checkout: Checkout, document: str, line: str) -> None:
    assert (checkout.path / document).is_file()
    if line.startswith(SERVER):
        _serve(checkout, line)
        return
    for prefix, preparation in BEFORE.items():
        if line.startswith(prefix):
            _run(checkout, preparation)
    _run(checkout, line)


def _run(checkout: Checkout, line: str) -> None:
    process = checkout.shell(line)
    output, _ = process.communicate()
    assert process.returncode == 0, f"{line}\n{output[-4000:]}"


def _serve(checkout: Checkout, line: str) -> None:
    """Start a server, fetch its first page, and stop it with all that it started."""
    process = checkout.shell(f"{line} --port 18080")
    try:
        assert _page("http://127.0.0.1:18080/").startswith("<!")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=60)


def _page(address: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                text: str = answer.read().decode()
                return text.lower()
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)
