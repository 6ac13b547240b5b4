"""Every command that README or another document shows runs, installation lines included.

They run in the order of the documents, in a copy of the checkout with the files that they name and
an environment that README's first line makes. What a document prints below a command is printed.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ablatekit.cli.main import invoke

ROOT = Path(__file__).parents[2]
FOREIGN = ROOT / "tests" / "reference" / "foreign"
DOCUMENTS = (
    "README.md",
    "docs/existing-runs.md",
    "docs/evaluation-logs.md",
    "docs/coming-from.md",
    "docs/python.md",
    "docs/commands.md",
    "backends/command/README.md",
    "backends/command/recipes/README.md",
    "backends/rft/README.md",
    "backends/trl/README.md",
    "docs/engines.md",
    "CONTRIBUTING.md",
    "docs/backends.md",
)
BLOCK = re.compile(r"```bash\n(.*?)```", re.DOTALL)
OTHER_SHELLS = re.compile(r"```(?:sh|shell|console)\n")
PRINTED = re.compile(r"```bash\n([^\n]+)\n```\n\n```text\n(.*?)```", re.DOTALL)
"""A block of one command, and the block below it of what it prints."""
PROGRAM = re.compile(r"```python\n(.*?)```", re.DOTALL)
STUDY = re.compile(r"```yaml\n(version: 1\n.*?)```", re.DOTALL)
ELSEWHERE = {
    "pytest -n auto": "the gate runs it: .ci/run",
    "scripts/test-full": "the gate runs it: .ci/run",
    "scripts/test-vllm": "the gate runs it: scripts/test-full",
    "[train,vllm]": "needs a GPU and several gigabytes of CUDA libraries",
    "docs/build.py": "test_site.py builds the site: it asks git what it holds",
}
BEFORE = {
    "ablatekit study compare": "ablatekit study run another_study.yaml",
    "ablatekit backend new demo": "pip uninstall -q -y demo; rm -rf demo",  # of another document
}
"""What a reader has done before a command makes sense."""

REPORTS = {
    "study run studies/quickstart.yaml": "quickstart",
    "study run studies/sklearn_choices.yaml": "sklearn_choices",
}
"""The committed reports of commands that run for minutes."""

QUICK = ("ablatekit analyze", "ablatekit study adopt")

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


def _printed() -> list[tuple[str, str, str]]:
    """(document, command line, what stands below it)."""
    return [
        (name, line.split("  #")[0].strip(), text)
        for name in DOCUMENTS
        for line, text in PRINTED.findall((ROOT / name).read_text(encoding="utf-8"))
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
    (hydra,) = STUDY.findall((ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8"))
    (path / "from_hydra.yaml").write_text(hydra, encoding="utf-8")
    own = (ROOT / "backends" / "command" / "README.md").read_text(encoding="utf-8")
    (path / "own").mkdir()
    (study,), (program,) = STUDY.findall(own), PROGRAM.findall(own)
    (path / "own" / "study.yaml").write_text(study, encoding="utf-8")
    (path / "own" / "train.py").write_text(program, encoding="utf-8")
    _write_runs(path)
    _write_sweep(path)
    _write_logs(path)


def _write_runs(path: Path) -> None:
    """README's table of runs, and one of their items."""
    rng = np.random.default_rng(0)
    grid = itertools.product(
        ("adam", "muon"), ("b32", "b64"), ("m1", "m2", "m3"), ("d1", "d2"), range(2)
    )
    columns = ["optimizer", "batch", "model", "dataset", "seed"]
    runs = pd.DataFrame(list(grid), columns=columns)
    runs["accuracy"] = rng.normal(0.5, 0.05, len(runs)) + 0.05 * (runs["optimizer"] == "muon")
    runs.to_csv(path / "runs.csv", index=False)
    items = runs.assign(run=[f"r{i}" for i in range(len(runs))]).merge(
        pd.DataFrame({"item": range(12)}), how="cross"
    )
    items["outcome"] = rng.integers(0, 2, len(items))
    items.to_parquet(path / "items.parquet", index=False)


def _write_sweep(path: Path) -> None:
    """A table as a launcher leaves it, in which two runs are missing, and the program they ran."""
    rng = np.random.default_rng(0)
    grid = itertools.product(("1e-4", "3e-4"), (16, 32), ("adam", "sgd"), "abc", range(2))
    sweep = pd.DataFrame(list(grid), columns=["lr", "batch_size", "optimizer", "model", "seed"])
    sweep.insert(0, "run_name", [f"run-{number}" for number in range(len(sweep))])
    sweep.insert(1, "started", [f"2026-01-{1 + n // 2:02d}T08:00" for n in range(len(sweep))])
    sweep = sweep.assign(epochs=3, accum=64 // sweep["batch_size"])
    gain = 0.04 * (sweep["optimizer"] == "sgd") + 0.02 * (sweep["lr"] == "3e-4")
    sweep["train_loss"] = rng.uniform(0.2, 0.4, len(sweep)).round(4)
    sweep["test_acc"] = (0.7 + gain + rng.normal(0, 0.01, len(sweep))).round(4)
    sweep["runtime"] = rng.uniform(50, 90, len(sweep)).round(1)
    sweep[:-2].to_csv(path / "sweep.csv", index=False)
    (path / "train.py").write_text(SWEPT, encoding="utf-8")


SWEPT = """
import argparse, json, random

parser = argparse.ArgumentParser()
for name in ("lr", "optimizer", "batch-size", "model", "seed", "metrics"):
    parser.add_argument(f"--{name}", required=True)
given = parser.parse_args()
gain = 0.04 * (given.optimizer == "sgd") + 0.02 * (float(given.lr) == 3e-4)
score = 0.7 + gain + random.Random(int(given.seed)).gauss(0, 0.01)
with open(given.metrics, "w") as file:
    json.dump({"test_acc": score}, file)
"""


def _write_logs(path: Path) -> None:
    """What other tools have logged, under the names that the documents use."""
    for archive in ("mlflow/database", "wandb/planted"):
        with zipfile.ZipFile(FOREIGN / f"{archive}.zip") as packed:
            packed.extractall(path)
    shutil.copy(FOREIGN / "optuna" / "grid.log", path / "optuna.log")
    shutil.copytree(FOREIGN / "inspect", path / "logs")
    shutil.copytree(FOREIGN / "lm_eval", path / "samples")


def _words(text: str) -> str:
    """A text whose blanks and line ends are one blank each."""
    return " ".join(text.split())


def _assert_printed(text: str, output: str) -> None:
    """Every line of a document's block is in what was printed, wherever either wraps."""
    for line in text.strip().splitlines():
        assert _words(line) in _words(output), line


@pytest.mark.parametrize("word", sorted(ELSEWHERE))
def test_what_runs_elsewhere_is_shown(word: str) -> None:
    assert any(word in line for _, line in _lines())


def test_the_gate_runs_what_it_is_said_to_run() -> None:
    gate = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert 'run_readme_command "test command"' in gate
    assert 'run_readme_command "full test command"' in gate
    assert "\nscripts/test-vllm" in (ROOT / "scripts" / "test-full").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_stand_in_blocks_that_are_read_here(document: str) -> None:
    assert not OTHER_SHELLS.search((ROOT / document).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("line", "text"), [(line, text) for _, line, text in _printed() if line.startswith(QUICK)]
)
def test_a_quick_command_prints_what_stands_below_it(
    line: str,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(line)
    assert program == "ablatekit"
    assert invoke(arguments) == 0
    _assert_printed(text, capsys.readouterr().out)


@pytest.mark.parametrize("command", REPORTS)
def test_a_shown_headline_is_that_of_the_committed_report(command: str) -> None:
    brief = (ROOT / "reports" / REPORTS[command] / "brief.md").read_text(encoding="utf-8")
    (text,) = [text for name, line, text in _printed() if name == "README.md" and command in line]
    assert f" {_words(text)} " in _words(brief.replace("\\_", "_"))


def test_each_door_of_readme_shows_what_its_command_prints() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = text[: text.index("![")]
    assert len(PRINTED.findall(first)) == len(BLOCK.findall(first)) == 3


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
    output = _run(checkout, line)
    for name, command, text in _printed():
        if (name, command) == (document, line):
            _assert_printed(text, output)


def _run(checkout: Checkout, line: str) -> str:
    process = checkout.shell(line)
    output, _ = process.communicate()
    assert process.returncode == 0, f"{line}\n{output[-4000:]}"
    return output


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
