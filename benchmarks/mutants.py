"""How many of 60 small seeded changes of the product code do the tests notice?

    python benchmarks/mutants.py trace --out trace.json
    python benchmarks/mutants.py run --trace trace.json --out benchmarks/results/mutants.txt

`trace` runs the tests once and records which test files execute which of the functions; `run` makes
one change after the other and runs the files that execute the changed function, quickest first,
until one fails. Both work on copies of the checkout that holds this script. Changes are listed in
`mutants.csv` by the function's name within its distribution and a hash of its body, so modules may
move; a function whose body is another one is reported and left alone. The tests' own subprocesses
see the copy unless a test sets PYTHONPATH.

    python benchmarks/mutants.py draw --count 40 ablatekit/analysis/*.py    # how the list was made

Drawn changes that could change no result were then struck out by hand.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from mutant_list import (
    ROOT,
    Index,
    Mutant,
    Site,
    checkout_files,
    distribution_of,
    draw,
    index,
    locate,
    read_mutants,
    top,
)
from mutations import difference, first_statement, mutated, with_function

GATES = "*/test_gates.py"
QUICKEST = 4
PROBE = "_mutant_probe"
PROBE_SOURCE = """\
import os

_seen = set()


def hit(name):
    test = os.environ.get("PYTEST_CURRENT_TEST", "import").split("::")[0]
    if (name, test) not in _seen:
        _seen.add((name, test))
        with open(os.path.join({folder!r}, name), "a") as file:
            file.write(test + "\\n")
"""


@dataclass(frozen=True)
class Trace:
    """What one run of all tests showed."""

    seconds: dict[str, float]
    failed: list[str]
    functions: dict[str, list[str]]

    def files(self, mutant: Mutant, site: Site) -> list[str]:
        """The test files to try: the quickest, and the module's own."""
        known = [file for file in self.functions.get(mutant.key, []) if file not in self.failed]
        ordered = sorted(known, key=lambda file: (self.seconds[file], file))
        own = f"test_{Path(site.module).stem}.py"
        late = [file for file in ordered[QUICKEST:] if Path(file).name == own]
        return ordered[:QUICKEST] + late[:1]


def read_traces(files: Sequence[Path]) -> Trace:
    """Traces of parts of the tests as one."""
    parts = [Trace(**json.loads(file.read_text(encoding="utf-8"))) for file in files]
    functions: dict[str, set[str]] = defaultdict(set)
    for part in parts:
        for key, found in part.functions.items():
            functions[key].update(found)
    return Trace(
        seconds={file: seconds for part in parts for file, seconds in part.seconds.items()},
        failed=sorted({file for part in parts for file in part.failed}),
        functions={key: sorted(found) for key, found in sorted(functions.items())},
    )


@dataclass(frozen=True)
class Copy:
    """A copy of the checkout, with a folder for what its tests write."""

    root: Path
    scratch: Path
    environment: dict[str, str]

    def write(self, module: str, source: str) -> None:
        """Change a module; compiled files tell versions apart by second and size only."""
        path = self.root / module
        path.write_text(source, encoding="utf-8")
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()


@contextmanager
def copied() -> Iterator[Copy]:
    """A copy of the checkout, while open, in which `git ls-files` lists what it lists here."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        root, scratch, files = Path(name) / "tree", Path(name) / "tmp", checkout_files()
        scratch.mkdir()
        for file in files:
            target = root / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / file, target)
        subprocess.run(["git", "init", "-q"], cwd=root, check=True)
        tops = sorted({str(root / top(file)) for file in files if distribution_of(file)})
        surroundings = {"PYTHONPATH": os.pathsep.join(tops), "TMPDIR": str(scratch)}
        yield Copy(root, scratch, {**os.environ, **surroundings})


def pytest_command(*arguments: str) -> list[str]:
    """A run of pytest that leaves nothing behind."""
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def instrument(tree: Copy, folder: Path, known: Index) -> None:
    """Let every function of the list record who calls it."""
    sites = [(mutant, locate(mutant, known)) for mutant in read_mutants()]
    found = [(mutant, site) for mutant, site in sites if isinstance(site, Site)]
    for mutant, site in sorted(found, key=lambda pair: -pair[1].function.lineno):
        path = tree.root / site.module
        module = f"{mutant.distribution}.{PROBE}"
        call = f"__import__({module!r}, fromlist=['hit']).hit({mutant.key!r})"
        changed = first_statement(site.function, call)
        tree.write(site.module, with_function(path.read_text("utf-8"), site.function, changed))
        probe = tree.root / top(site.module) / mutant.distribution / f"{PROBE}.py"
        probe.write_text(PROBE_SOURCE.format(folder=str(folder)), encoding="utf-8")


def trace(out: Path, processes: int, skip: str, tests: Sequence[str]) -> None:
    """Run the tests once and write which files execute what, with each file's seconds."""
    known = index()
    with copied() as tree:
        hits, report = tree.scratch.with_name("hits"), tree.scratch.with_name("report.xml")
        hits.mkdir()
        instrument(tree, hits, known)
        command = pytest_command(
            "-n", str(processes), "--dist", "loadfile", f"--ignore-glob={skip}",
            "-o", "junit_family=xunit1", f"--junitxml={report}", *tests,
        )  # fmt: skip
        subprocess.run(command, cwd=tree.root, env=tree.environment, check=False)
        seconds, failed = _durations(report)
        functions = {
            file.name: sorted(set(file.read_text().split()) & set(seconds))
            for file in sorted(hits.iterdir())
        }
    found = Trace(seconds, failed, functions)
    out.write_text(json.dumps(asdict(found), indent=1) + "\n", encoding="utf-8")
    print(f"{len(seconds)} test files, {len(failed)} fail, {len(functions)} functions executed")


def _durations(report: Path) -> tuple[dict[str, float], list[str]]:
    """Seconds by test file, and the files in which a test failed."""
    seconds: dict[str, float] = defaultdict(float)
    failed = set()
    for case in ET.parse(report).iter("testcase"):
        file = case.get("file")
        if file is not None:
            seconds[file] += float(case.get("time", 0))
            if case.find("failure") is not None or case.find("error") is not None:
                failed.add(file)
    return {file: round(seconds[file], 1) for file in sorted(seconds)}, sorted(failed)


def fails(tree: Copy, file: str, limit: float) -> bool:
    """Whether a test of the file fails, or is not done within so many seconds."""
    process = subprocess.Popen(
        pytest_command("-x", file),
        cwd=tree.root,
        env=tree.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )
    try:
        return process.wait(limit) != 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True


@dataclass(frozen=True)
class Trial:
    """What became of a mutant: its killer, or None; or why it was not tried."""

    text: str
    killer: str | None
    tried: bool


class Trials:
    """Tries mutants on a number of copies."""

    def __init__(self, traced: Trace, copies: Sequence[Copy]) -> None:
        self.traced, self.known = traced, index()
        self.free: queue.Queue[Copy] = queue.Queue()
        for tree in copies:
            self.free.put(tree)

    def attempt(self, mutant: Mutant) -> Trial:
        """Change the function in a copy, run its tests, and change it back."""
        site = locate(mutant, self.known)
        if isinstance(site, str):
            return Trial(f"{mutant.key} [{mutant.operator}]: {site}", None, tried=False)
        changed = mutated(site.function, mutant.operator, mutant.node)
        before, after = difference(site.function, changed)
        files = self.traced.files(mutant, site)
        tree = self.free.get()
        original = (tree.root / site.module).read_text(encoding="utf-8")
        try:
            tree.write(site.module, with_function(original, site.function, changed))
            killer = next((file for file in files if self._fails(tree, file)), None)
        finally:
            tree.write(site.module, original)
            self.free.put(tree)
        outcome = f"survived {len(files)} files" if killer is None else f"killed by {killer}"
        text = f"{mutant.key} [{mutant.operator}]: {outcome}\n    - {before}\n    + {after}"
        return Trial(text, killer, tried=True)

    def control(self, file: str) -> bool:
        """Whether a test file fails without any change."""
        tree = self.free.get()
        try:
            return self._fails(tree, file)
        finally:
            self.free.put(tree)

    def _fails(self, tree: Copy, file: str) -> bool:
        return fails(tree, file, 10 * self.traced.seconds[file] + 60)


def run(traced: Trace, jobs: int) -> Iterator[str]:
    """The lines of the result."""
    start = time.perf_counter()
    yield f"python {platform.python_version()}, numpy {np.__version__}"
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        trials = Trials(traced, [stack.enter_context(copied()) for _ in range(jobs)])
        results = []
        for result in pool.map(trials.attempt, read_mutants()):
            results.append(result)
            yield result.text
        killers = sorted({result.killer for result in results if result.killer is not None})
        unchanged = pool.map(trials.control, killers)
        wrong = [file for file, bad in zip(killers, unchanged, strict=True) if bad]
    killed = sum(result.killer is not None and result.killer not in wrong for result in results)
    tried = sum(result.tried for result in results)
    yield f"{len(results)} mutants, {tried} tried: {killed} killed, {tried - killed} survived"
    yield f"of {len(killers)} files that killed, failing without a change: {', '.join(wrong) or 0}"
    minutes = (time.perf_counter() - start) / 60
    yield f"{minutes:.0f} minutes with {jobs} processes, load {os.getloadavg()[2]:.1f} at the end"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    tracing = commands.add_parser("trace", help="run the tests once, see what they execute")
    tracing.add_argument("--out", type=Path, required=True)
    tracing.add_argument("--processes", type=int, default=2)
    tracing.add_argument("--skip", default=GATES, help="test files that start linters only")
    tracing.add_argument("tests", nargs="*", help="folders and files of tests; none: all")
    running = commands.add_parser("run", help="try the mutants")
    running.add_argument("--trace", type=Path, required=True, nargs="+", help="may be in parts")
    running.add_argument("--out", type=Path, required=True)
    running.add_argument("--jobs", type=int, default=2)
    drawing = commands.add_parser("draw", help="print rows for the list")
    drawing.add_argument("--count", type=int, required=True)
    drawing.add_argument("files", nargs="+", help="relative to the root of the checkout")
    return parser


def main() -> None:
    options: Any = _parser().parse_args()
    if options.command == "trace":
        trace(options.out, options.processes, options.skip, options.tests)
    elif options.command == "run":
        traced = read_traces(options.trace)
        with options.out.open("w", encoding="utf-8") as file:
            for line in run(traced, options.jobs):
                print(line, file=file, flush=True)
                print(line, flush=True)
    else:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(field.name for field in fields(Mutant))
        writer.writerows(astuple(mutant) for mutant in draw(options.count, options.files))


if __name__ == "__main__":
    main()
