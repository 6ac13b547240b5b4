"""The mirror as a process of its own, off the path of dispatch.

It follows the run directories until its standard input ends, makes one last pass, and prints what
it has done as one line of JSON. A coordinator that dies ends the input too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from ablatekit.canonical import read_json
from ablatekit.design.plan import Plan
from ablatekit.errors import PluginError, WorkspaceError
from ablatekit.legible import masked
from ablatekit.runs.workspace import Workspace
from ablatekit.tracking.mirror import MirrorOutcome, open_mirror, sole_mirror

_PASS_SECONDS = 2.0
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class TrackingOptions:
    """Where the mirror is: a tracker's name and its own part of the study file."""

    tracker: str
    settings: Mapping[str, Any] = field(default_factory=dict)


class MirrorHandle:
    """A running mirror process."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes]) -> None:
        self._process = process
        self._errors = errors

    def finish(self, timeout: float | None = None) -> MirrorOutcome:
        """Let the mirror catch up and end, within `timeout` seconds; a failure is a warning."""
        try:
            output, _ = self._process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            return MirrorOutcome(warning=f"the mirror did not catch up within {timeout:g} s")
        finally:
            last_words = self._last_words()
        if self._process.returncode != 0:
            return MirrorOutcome(warning=masked(f"the mirror process failed: {last_words}"))
        return MirrorOutcome(**json.loads(output))

    def _last_words(self) -> str:
        with self._errors:
            self._errors.seek(0)
            lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def start_mirror(plan_file: Path, workspace: Workspace, options: TrackingOptions) -> MirrorHandle:
    """Start following the runs of a frozen plan; returns at once."""
    request = {
        "plan": str(plan_file),
        "workspace": str(workspace.root),
        "tracker": options.tracker,
        "settings": dict(options.settings),
    }
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by finish
    process = subprocess.Popen(
        [sys.executable, "-m", "ablatekit.tracking"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
    return MirrorHandle(process, errors)


def follow(request: Mapping[str, Any], ended: threading.Event) -> MirrorOutcome:
    """Mirror until `ended` is set, and once more after that."""
    plan = Plan.from_json(read_json(Path(request["plan"])))
    workspace = Workspace(Path(request["workspace"]))
    with sole_mirror(plan, workspace, timeout=None):
        mirror = open_mirror(plan, workspace, request["tracker"], request["settings"])
        try:
            while not ended.wait(_PASS_SECONDS):
                mirror.update()
            mirror.update()
        finally:
            mirror.close()
    return mirror.outcome


def main() -> None:
    """Serve the request on the first line of standard input until that input ends."""
    replies = os.dup(1)
    os.dup2(2, 1)
    os.nice(_NICENESS)
    request = json.loads(sys.stdin.readline())
    ended = threading.Event()
    threading.Thread(target=_wait_for_end, args=(ended,), daemon=True).start()
    try:
        outcome = follow(request, ended)
    except (PluginError, WorkspaceError) as error:
        outcome = MirrorOutcome(warning=str(error))
    with os.fdopen(replies, "w", encoding="utf-8") as stream:
        stream.write(json.dumps(asdict(outcome)) + "\n")


def _wait_for_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()
