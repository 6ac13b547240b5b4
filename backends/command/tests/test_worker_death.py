"""A worker that is killed takes its program, and all that it started, along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from ablatekit.canonical import write_json
from ablatekit.runs.workspace import Workspace

SCRIPT = """
import os, subprocess, sys, time
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
child, apart = subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)
with open(os.environ["ABLATEKIT_CHECKPOINT_DIR"] + "/pids.new", "w") as stream:
    stream.write(f"{os.getpid()} {child.pid} {apart.pid}")
os.rename(os.environ["ABLATEKIT_CHECKPOINT_DIR"] + "/pids.new",
          os.environ["ABLATEKIT_CHECKPOINT_DIR"] + "/pids")
time.sleep(60)
"""


def test_a_killed_worker_leaves_no_program(spec, ended, folder: Path, tmp_path: Path):
    (folder / "script.py").write_text(SCRIPT)
    planned = spec({"command": "python script.py"})
    run = Workspace(tmp_path / "workspace").run(planned.run_id)
    run.path.mkdir(parents=True)
    write_json(run.spec, planned.to_json())
    worker = subprocess.Popen(
        [sys.executable, "-m", "ablatekit.worker", str(os.getpid())],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert worker.stdin is not None
    command = {
        "do": "run",
        "run": str(run.path),
        "cache": str(tmp_path / "cache"),
        "study": "s",
        "study_hash": "h",
    }
    worker.stdin.write(json.dumps(command).encode() + b"\n")
    worker.stdin.flush()
    pids = _wait_for(run.checkpoint / "pids")
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    worker.stdin.close()
    assert len(pids) == 3
    assert all(map(ended, pids))


def _wait_for(path: Path) -> list[int]:
    for _ in range(3000):
        if path.exists():
            return [int(word) for word in path.read_text().split()]
        time.sleep(0.01)
    raise AssertionError("the program did not start")
