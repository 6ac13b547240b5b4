"""The command `study logs`: what a run has printed."""

from __future__ import annotations

import json
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from ablatekit.cli.study_files import Json, Overrides, StudyFile, WorkspaceOption, prepared
from ablatekit.legible import legible

if TYPE_CHECKING:
    from ablatekit.pipeline.standing import StandingRun
    from ablatekit.runs.workspace import AttemptDirectory

FOLLOW_SECONDS = 0.5
_STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def logs(
    file: StudyFile,
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="The beginning of its id, or levels, context and replicate."
        ),
    ],
    overrides: Overrides = None,
    workspace: WorkspaceOption = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", min=1, help="Default: the last one.")
    ] = None,
    tail: Annotated[int | None, typer.Option("--tail", min=1, help="Only the last lines.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on while the attempt executes.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print what a run has printed, and where that lies."""
    from ablatekit.pipeline.frozen import as_planned_here
    from ablatekit.pipeline.standing import selection

    _refuse_followed_json(follow=follow, as_json=as_json)
    study = as_planned_here(prepared(file, overrides, workspace, silent=as_json))
    chosen = selection(study).only(run)
    directory = _attempt(chosen, attempt)
    if as_json:
        typer.echo(json.dumps(_logs_json(chosen, directory, tail), indent=2))
        return
    typer.echo(legible(_headline(chosen, directory)))
    try:
        _print_files(directory, tail, follow=follow)
    except KeyboardInterrupt:
        return


def _refuse_followed_json(*, follow: bool, as_json: bool) -> None:
    from ablatekit.errors import Problem, UsageError

    if follow and as_json:
        rule = "a log that is followed has no end and is no JSON document"
        raise UsageError(Problem(rule, "--follow --json", "Leave one of them out"))


def _attempt(run: StandingRun, number: int | None) -> AttemptDirectory:
    """One attempt of a run. Raises UsageError if it was not made."""
    from ablatekit.errors import Problem, UsageError

    attempts = run.directory.attempts()
    if not attempts:
        rule = "this run has not been attempted here, so that there is no log"
        remedy = "Execute it with ablatekit study run, or name another --workspace"
        raise UsageError(Problem(rule, f"{run.run_id} ({run.label})", remedy))
    chosen = [made for made in attempts if made.number == (number or attempts[-1].number)]
    if not chosen:
        numbers = ", ".join(str(made.number) for made in attempts)
        rule = "this run has no such attempt"
        raise UsageError(Problem(rule, f"--attempt {number}", f"It has: {numbers}"))
    return chosen[0]


def _headline(run: StandingRun, attempt: AttemptDirectory) -> str:
    """Which run, which attempt, how that ended, and where its logs lie."""
    from ablatekit.runs.runlog import read_end

    end, total = read_end(attempt), run.attempts
    how = f"{end.kind}: {end.message}" if end is not None else run.state
    return f"{run.run_id} ({run.label}), attempt {attempt.number} of {total}, {how}\n{attempt.logs}"


def _files(attempt: AttemptDirectory) -> list[Path]:
    return sorted(path for path in attempt.logs.glob("*") if path.is_file())


def _logs_json(run: StandingRun, attempt: AttemptDirectory, tail: int | None) -> dict[str, object]:
    return {
        "run": run.run_id,
        "label": run.label,
        "state": run.state,
        "attempt": attempt.number,
        "attempts": run.attempts,
        "message": run.message(),
        "files": [
            {"path": str(path), "text": "\n".join(_lines(path, tail))} for path in _files(attempt)
        ],
    }


def _lines(path: Path, tail: int | None) -> list[str]:
    with path.open("rb") as stream:
        return list(_last(_read(stream), tail))


def _last(lines: Iterator[str], tail: int | None) -> Iterable[str]:
    return lines if tail is None else deque(lines, maxlen=tail)


def _read(stream: BinaryIO, *, growing: bool = False) -> Iterator[str]:
    """The lines that are left; the last one of a growing file only once it has its end."""
    while line := stream.readline():
        if growing and not line.endswith(b"\n"):
            stream.seek(-len(line), os.SEEK_CUR)
            return
        yield _shown(line.decode(errors="replace"))


def _shown(line: str) -> str:
    """A line as a terminal would have left it: no colours, of a progress bar its last state."""
    plain = _STYLE.sub("", line.rstrip("\r\n"))
    return legible(plain.rpartition("\r")[2])


def _print_files(attempt: AttemptDirectory, tail: int | None, *, follow: bool) -> None:
    """The logs, one after the other; with `follow` also what comes while the attempt executes."""
    with ExitStack() as opened:
        streams: dict[Path, BinaryIO] = {
            path: opened.enter_context(path.open("rb")) for path in _files(attempt)
        }
        if not follow and not any(path.stat().st_size for path in streams):
            typer.echo("(it has printed nothing)")
        for path, stream in streams.items():
            if len(streams) > 1:
                typer.echo(f"== {path.name}")
            for line in _last(_read(stream, growing=follow), tail):
                typer.echo(line)
        if follow:
            _follow(attempt, streams, opened)


def _follow(attempt: AttemptDirectory, streams: dict[Path, BinaryIO], opened: ExitStack) -> None:
    """Print what is appended, until nobody executes the attempt any more."""
    from ablatekit.runs.locks import is_locked

    alive = True
    while alive:
        alive = is_locked(attempt.lock)
        for path in _files(attempt):
            if path not in streams:
                streams[path] = opened.enter_context(path.open("rb"))
            for line in _read(streams[path], growing=alive):
                typer.echo(line)
        if alive:
            time.sleep(FOLLOW_SECONDS)
