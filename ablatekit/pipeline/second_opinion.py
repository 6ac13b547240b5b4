"""The second opinion in a process of its own: whatever becomes of it, the analysis stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ablatekit.analysis.companions.second_opinion.recount import unanswered
from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.companions import SecondOpinion
from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.tables.run_table import run_table
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.canonical import write_atomically
from ablatekit.design.plan import Plan

MODULE = "ablatekit.analysis.companions.second_opinion"
ANALYSIS, RUNS, OPINION = "analysis.json", "runs.parquet", "second_opinion.json"
SECONDS = 900
"""After which nobody waits any longer."""
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def with_second_opinion(analysis: Analysis, plan: Plan, tables: StudyTables) -> Analysis:
    """The analysis with what statsmodels makes of the same runs, computed in a child process.

    A child that dies, or has no statsmodels, leaves the reason in place of its numbers. It reads
    the analysis as it is: contexts whose passwords were masked would match no run.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_atomically(folder / ANALYSIS, json.dumps(analysis).encode())
        run_table(plan, tables).to_parquet(folder / RUNS, index=False)
        failure = _run_child(folder)
        opinion = unanswered(analysis, failure) if failure else _read(folder / OPINION)
    return {**analysis, "second_opinion": opinion}


def _run_child(folder: Path) -> Statement | None:
    """Why there is no opinion in the folder; None where there is one."""
    command = [sys.executable, "-m", MODULE, *(str(folder / n) for n in (ANALYSIS, RUNS, OPINION))]
    try:
        child = subprocess.run(
            command,
            env={**os.environ, **ONE_THREAD},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return statement("second_opinion_late", seconds=SECONDS)
    if (folder / OPINION).exists():
        return None
    lines = child.stderr.decode(errors="replace").strip().splitlines()
    words = lines[-1].replace(f"{folder}{os.sep}", "") if lines else ""
    return statement("second_opinion_failed", status=child.returncode, message=words)


def _read(path: Path) -> SecondOpinion:
    opinion: SecondOpinion = json.loads(path.read_text(encoding="utf-8"))
    return opinion
