"""Processor time of commands, as a ratio to that of `python -c "import pandas"`.

    python benchmarks/latency.py > benchmarks/results/latency.txt

Whole processes, user plus system, warm caches (those of bytecode too, in a folder of their own:
where an environment writes none, it would be compiled anew each time), all commands in turn,
several times: the ratio of the minima decides, the ratio of the medians stands beside it. Exit code
1 where a command is slower than its floor. The study of 192 runs that `study status` counts is made
by the simulated backend.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

ROOT = Path(__file__).parents[1]
STUDY = ROOT / "studies" / "full_factorial.yaml"
REFERENCE = (sys.executable, "-c", "import pandas")
SIMULATED = """\
version: 1
name: latency
backend: {name: simulated, settings: {rounds: 2, items: 4}}
factors:
  helps_both: {baseline: false, levels: [false, true]}
  helps_learning_only: {baseline: false, levels: [false, true]}
  hurts_generalization: {baseline: false, levels: [false, true]}
  "null": {baseline: false, levels: [false, true]}
contexts: {model: [m1, m2, m3], dataset: [d1, d2]}
replicates: 2
tracking: {uri: null}
"""


@dataclass(frozen=True, slots=True)
class Floor:
    """The most that a command may take, in multiples of importing pandas."""

    name: str
    arguments: tuple[str, ...]
    ratio: float


def _table(path: Path) -> Path:
    """32 runs: two factors of two levels, four models, two replicates."""
    rng = np.random.default_rng(0)
    lines = ["optimizer,batch,model,accuracy"]
    for row in range(32):
        optimizer, batch, model = row % 2, row // 2 % 2, row // 4 % 4
        accuracy = 0.5 + 0.1 * optimizer + 0.02 * model + 0.02 * rng.normal()
        lines.append(f"{'ab'[optimizer]},{'xy'[batch]},m{model},{accuracy:.6f}")
    path.write_text("\n".join(lines) + "\n")
    return path


def _simulated(folder: Path) -> Path:
    """The study file; its 192 runs are executed below `folder`."""
    path = folder / "latency.yaml"
    path.write_text(SIMULATED)
    command = ("study", "run", str(path), "--workspace", str(folder / "workspace"))
    subprocess.run(_ablatekit(*command), check=True, capture_output=True)
    return path


def _ablatekit(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "ablatekit", *arguments)


def _floors(folder: Path) -> tuple[Floor, ...]:
    table = str(_table(folder / "runs.csv"))
    simulated, workspace = str(_simulated(folder)), str(folder / "workspace")
    short = ("--response", "accuracy", "--factors", "optimizer,batch", "--contexts", "model")
    formula = ("--formula", "accuracy ~ optimizer * batch + (1 | model)")
    return (
        Floor("--help", ("--help",), 0.3),
        Floor("study validate, full_factorial", ("study", "validate", str(STUDY)), 1.3),
        Floor("study plan, full_factorial", ("study", "plan", str(STUDY)), 1.3),
        Floor("analyze by factors, 32 rows", ("analyze", table, *short), 2.0),
        Floor("analyze by a formula, 32 rows", ("analyze", table, *formula), 2.3),
        Floor(
            "study status, 192 runs", ("study", "status", simulated, "--workspace", workspace), 1.3
        ),
        Floor("factor list", ("factor", "list"), 1.0),
    )


def _environment(bytecode: Path) -> dict[str, str]:
    """One thread, and bytecode that is compiled once for all repeats."""
    shared = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    return {**shared, **threads, "PYTHONPYCACHEPREFIX": str(bytecode)}


def _processor_seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """User and system time of one process and of those that it waited for."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, cwd=ROOT
    ) as process:
        assert process.stderr is not None
        message = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{message.decode()}")
    return usage.ru_utime + usage.ru_stime


def _measured(
    commands: Mapping[str, Sequence[str]], environment: Mapping[str, str], repeats: int
) -> Iterator[tuple[str, list[float]]]:
    """Seconds of every command by its name; the first round, which warms caches, is left out."""
    rounds = [
        {name: _processor_seconds(command, environment) for name, command in commands.items()}
        for _ in range(repeats + 1)
    ]
    for name in commands:
        yield name, [seconds[name] for seconds in rounds[1:]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats: int = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        floors = _floors(Path(folder))
        commands = {floor.name: _ablatekit(*floor.arguments) for floor in floors}
        environment = _environment(Path(folder) / "bytecode")
        seconds = dict(_measured({"import pandas": REFERENCE, **commands}, environment, repeats))
    unit = seconds["import pandas"]
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} processors")
    print(f"import pandas: {min(unit):.2f} s (median {median(unit):.2f}); {repeats} repeats\n")
    print(f"{'command':<32}{'minimum':>9}{'median':>9}{'floor':>8}")
    missed = 0
    for floor in floors:
        lowest = min(seconds[floor.name]) / min(unit)
        middle = median(seconds[floor.name]) / median(unit)
        missed += lowest > floor.ratio
        verdict = "" if lowest <= floor.ratio else "  missed"
        print(f"{floor.name:<32}{lowest:>8.2f}x{middle:>8.2f}x{floor.ratio:>7.1f}x{verdict}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
