"""Seconds and bytes of analysis and report on large synthetic studies.

    OMP_NUM_THREADS=1 python benchmarks/report_speed.py > benchmarks/results/report_speed.txt

1,000 runs of 12 factors with curves, opened in headless Chromium where that is installed; 5,000
runs without items, from tables; 300 runs with 1,319 items each, from run directories that the
`simulated` backend has written, as `ablatekit study report` reads them.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd

import ablatekit
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.study import analyse
from ablatekit.analysis.table import plan_from_table
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan, PlannedResponse
from ablatekit.pipeline.frozen import freeze, prepare
from ablatekit.pipeline.run import ReportOptions, RunOptions, analyse_study, run_study
from ablatekit.report.write import write_report
from ablatekit.runs.workspace import find_workspace

RESPONSES = ("learning", "generalization")
LOAD_LIMIT, BYTES_LIMIT, REPORT_LIMIT = 2.0, 3_000_000, 10.0
ITEM_STUDY = """\
version: 1
name: items
backend: {name: simulated, settings: {rounds: 2, items: 1319}}
factors:
  helps_both: {baseline: false, levels: [false, true]}
  helps_learning_only: {baseline: false, levels: [false, true]}
  hurts_generalization: {baseline: false, levels: [false, true]}
contexts: {model: [m1, m2, m3], dataset: [d1, d2]}
replicates: %d
responses:
  learning: {metric: train/pass@1, smallest_effect: 0.02, items: train}
  generalization: {metric: test/pass@1, smallest_effect: 0.02, items: test}
tracking: {uri: null}
"""


def synthetic(
    factors: int, cells: int, contexts: int, replicates: int, steps: int
) -> tuple[Plan, StudyTables]:
    """A study of distinct random two-level cells with main effects, noise and training curves."""
    generator = np.random.default_rng(1)
    names = [f"factor_{number + 1:02d}" for number in range(factors)]
    codes = generator.choice(2**factors, size=cells, replace=False)
    levels = (codes[:, None] >> np.arange(factors)) & 1
    place = np.repeat(np.arange(cells * contexts), replicates)
    frame = pd.DataFrame(np.where(levels[place % cells] == 1, "on", "off"), columns=names)
    context = place // cells
    frame["model"] = [f"model-{number // 2}" for number in context]
    frame["dataset"] = [f"dataset-{number % 2}" for number in context]
    sizes = generator.normal(0, 0.004, size=factors)
    for name in RESPONSES:
        mean = 0.4 + 0.005 * context + levels[place % cells] @ sizes
        frame[name] = mean + 0.02 * generator.standard_normal(len(frame))
    baselines = dict.fromkeys(names, "off")
    responses = tuple(_planned(name) for name in RESPONSES)
    plan, tables = plan_from_table(frame, responses, names, ("model", "dataset"), baselines)
    plan = replace(plan, study="synthetic", backend="simulated")
    return plan, replace(tables, history=_history(tables, steps))


def _planned(name: str) -> PlannedResponse:
    return PlannedResponse(
        name=name, metric=name, summary="final", direction="higher", smallest_effect=0.02,
        items=None, label=name, unit="proportion",
    )  # fmt: skip


def _history(tables: StudyTables, steps: int) -> pd.DataFrame:
    """Curves that end in the final value of each run."""
    parts = []
    for step in range(steps):
        grown = 0.25 + 0.75 * (1 - np.exp(-3 * step / max(steps - 1, 1))) / (1 - np.exp(-3))
        part = tables.results.assign(step=step)
        parts.append(part.assign(value=part["value"] * grown))
    return pd.concat(parts, ignore_index=True)


def timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """The result, seconds, and seconds of processor time, which other processes stretch less."""
    start, own = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - start, time.process_time() - own


def open_page(page: Path, folder: Path) -> float | None:
    """Seconds from navigation to the page's load event and layout, offline; None if no browser."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        return None
    probe = (
        "<script>addEventListener('load', () => { document.body.getBoundingClientRect();"
        " document.title = 'ms ' + performance.now(); });</script></body>"
    )
    probed = folder / "probed.html"
    probed.write_text(page.read_text().replace("</body>", probe))
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-dev-shm-usage",
        "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder / 'profile'}",
        "--window-size=1280,900", "--dump-dom", probed.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    found = re.search(r"<title>ms ([\d.]+)</title>", done.stdout)
    return float(found[1]) / 1000 if found else None


def measure_tables(title: str, plan: Plan, tables: StudyTables, folder: Path) -> Path:
    """Print the seconds of analysis and report; where the page lies."""
    analysis, analysing, first = timed(lambda: analyse(plan, tables, {}, []))
    written, reporting, second = timed(lambda: write_report(analysis, folder / "report"))
    size = written.html.stat().st_size
    print(
        f"{title}: analysis {analysing:.1f} s + report {reporting:.1f} s ="
        f" {analysing + reporting:.1f} s (limit {REPORT_LIMIT:g}; processor"
        f" {first + second:.1f} s); page {size / 1e6:.2f} MB"
        f" (limit {BYTES_LIMIT / 1e6:g})"
    )
    return written.html


def measure_items(replicates: int, folder: Path) -> None:
    """Print the seconds of `study report` on real run directories."""
    study_file = folder / "items.yaml"
    study_file.write_text(ITEM_STUDY % replicates)
    study = prepare(study_file, (), find_workspace(folder / "workspace"))
    alone = ReportOptions(second_opinion=False)
    outcome, running, _ = timed(lambda: run_study(study, RunOptions(report=alone), _Silent()))
    frozen = freeze(study)
    _, seconds, own = timed(lambda: analyse_study(frozen, alone))
    analysis: Analysis = outcome.analysis
    print(
        f"{analysis['counts']['analysed']} runs with 1,319 items in each of two splits (made in"
        f" {running:.0f} s): collect + analysis + report {seconds:.1f} s (limit {REPORT_LIMIT:g};"
        f" processor {own:.1f} s)"
    )


class _Silent:
    """An observer of dispatch that says nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None  # noqa: ARG005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--skip-items", action="store_true", help="only the studies from tables")
    skip = parser.parse_args().skip_items
    print(
        f"ablatekit {ablatekit.__version__}, python {platform.python_version()},"
        f" matplotlib {mpl.__version__}, numpy {np.__version__}; one thread"
    )
    print(_load("at the start"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        title = "1,008 runs, 12 factors, 6 contexts, 13 steps"
        page = measure_tables(title, *synthetic(12, 84, 6, 2, 13), folder)
        loads = [open_page(page, folder) for _ in range(3)]
        known = sorted(load for load in loads if load is not None)
        shown = f"{known[len(known) // 2]:.2f} s (limit {LOAD_LIMIT:g})" if known else "no browser"
        print(f"  opened in headless Chromium, median of 3: {shown}")
        title = "5,000 runs, 5 factors, 6 contexts, 13 steps, no items"
        measure_tables(title, *synthetic(5, 32, 6, 26, 13), folder)
        if not skip:
            measure_items(7, folder)
    print(_load("at the end"))


def _load(moment: str) -> str:
    """What else the machine was doing, without which seconds say little."""
    minutes = ", ".join(f"{load:.2f}" for load in os.getloadavg())
    return f"load average {moment} (1, 5, 15 min): {minutes}; {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
