"""A study of a program from the command line: run, interrupted, run again, analysed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

STUDY = """version: 1
name: tried
backend:
  name: command
  settings:
    command: python script.py {rate} {seed}
    resume: --resume
    steps: 40
factors: {rate: {baseline: 1, levels: [1, 2]}}
replicates: 3
responses: {acc: {metric: acc, direction: higher, smallest_effect: 0.1}}
dispatch: {workers: 2}
"""
SCRIPT = """
import json, os, random, signal, sys, time
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
place = os.environ["ABLATEKIT_CHECKPOINT_DIR"] + "/step"
start = int(open(place).read()) if "--resume" in sys.argv else 0
noise = random.Random(int(sys.argv[2])).random() / 10
with open(os.environ["ABLATEKIT_METRICS"], "w") as log:
    for step in range(start + 1, 41):
        time.sleep(0.05)
        row = {"step": step, "acc": float(sys.argv[1]) * step / 100 + noise}
        log.write(json.dumps(row) + "\\n")
        log.flush()
        open(place, "w").write(str(step))
        if stopped:
            sys.exit(1)
"""


def _command(folder: Path, *arguments: str) -> list[str]:
    workspace = str(folder / "out")
    return [sys.executable, "-m", "ablatekit", "study", *arguments, "--workspace", workspace]


@pytest.mark.full
def test_an_interrupted_study_of_a_program_is_continued(tmp_path: Path):
    (tmp_path / "study.yaml").write_text(STUDY)
    (tmp_path / "script.py").write_text(SCRIPT)
    run = _command(tmp_path, "run", str(tmp_path / "study.yaml"))
    first = subprocess.Popen(run, cwd=tmp_path, start_new_session=True)
    runs = tmp_path / "out" / "runs"
    while not list(runs.glob("*/checkpoint/step")):
        time.sleep(0.05)
    time.sleep(0.3)
    first.send_signal(signal.SIGINT)
    assert first.wait() == 4
    ends = [json.loads(path.read_text()) for path in runs.glob("*/attempts/1/end.json")]
    assert {end["kind"] for end in ends} == {"interrupted"}
    again = subprocess.run(run, cwd=tmp_path, env={**os.environ, "COLUMNS": "200"}, check=True,
                           capture_output=True, text=True)  # fmt: skip
    assert "6 of 6 runs analysed" in " ".join(again.stdout.split())
    claims = [json.loads(path.read_text()) for path in runs.glob("*/attempts/2/claim.json")]
    assert claims
    assert all(claim["resumed_at"] for claim in claims)
