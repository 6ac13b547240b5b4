"""Weights & Biases: transaction logs of offline runs, downloaded runs, and projects of an account.

A `.wandb` file is read by W&B's own program (`wandb leet inspect`), which needs no account; without
the package, the summary and the configuration that lie beside it count. Nothing is sent anywhere.
"""

from __future__ import annotations

import json
import math
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import yaml

from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.base import LoggedRun, RunEnd
from ablatekit.logs.values import (
    LoggedPoint,
    distinctly_named,
    flatten,
    in_order,
    metrics_of,
    number_of,
    seconds_of,
    step_of,
)

PATTERN = "*.wandb"
SUMMARY, CONFIG = "wandb-summary.json", "config.yaml"
INSTALL = 'Install it with: pip install "ablatekit[wandb]"'
SILENCE_S = 300.0
"""A run that has not written for so long and did not end has crashed, as W&B's server has it."""
AT_ONCE = 4
MEDIA = "._type"
ENDS: Mapping[str, RunEnd] = MappingProxyType(
    {
        "finished": "finished",
        "failed": "crashed",
        "crashed": "crashed",
        "killed": "crashed",
        "preempted": "crashed",
        "preempting": "running",
        "running": "running",
        "pending": "running",
    }
)


@dataclass(slots=True)
class _WandbPart:
    """What one folder says of a run; a run that was resumed has several."""

    run_id: str
    name: str
    config: dict[str, Any] = field(default_factory=dict)
    points: list[LoggedPoint] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    started: float | None = None
    end: RunEnd = "unknown"
    cut: bool = False
    resumed: bool = False


class WandbLog:
    """A .wandb file, a run's folder, or any folder with runs below it, such as `wandb/`."""

    name: ClassVar[str] = "wandb"

    def claims(self, path: Path) -> bool:
        """Whether a name ends in .wandb, the file's own or one below, or a summary lies below."""
        if path.is_dir():
            patterns = (PATTERN, SUMMARY)
            return any(found.is_file() for name in patterns for found in path.rglob(name))
        return path.suffix == ".wandb"

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """The runs; folders of one run that was resumed are joined."""
        sources = _sources(path)
        core = _core()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            parts = list(pool.map(lambda source: _part(source, core), sources))
        by_run: dict[str, list[_WandbPart]] = {}
        for part in parts:
            by_run.setdefault(part.run_id, []).append(part)
        yield from distinctly_named([_joined(found) for found in by_run.values()])


def project_runs(name: str) -> Sequence[LoggedRun]:
    """The runs of ENTITY/PROJECT, or of PROJECT of the account's own, asked of W&B's server.

    Needs the package wandb and an account that it is logged in to; TableError where it refuses.
    """
    try:
        import wandb
    except ImportError as error:
        rule = "reading a project needs the package wandb"
        raise TableError(Problem(rule, f"wandb:{name}", INSTALL)) from error
    try:
        runs = [_of_account(run) for run in wandb.Api().runs(name)]
    except (wandb.errors.Error, ValueError, OSError) as error:
        told = next(iter(str(error).splitlines()), type(error).__name__)
        remedy = "Log in with: wandb login, or name the folder of offline runs"
        rule = f"W&B gives no runs ({told})"
        raise TableError(Problem(rule, f"wandb:{name}", remedy)) from error
    return list(distinctly_named(runs))


def _of_account(run: Any) -> LoggedRun:
    """A run of W&B's API: all steps of its history, and its own summary."""
    points = [_point(item, number) for number, item in enumerate(run.scan_history())]
    return LoggedRun(
        name=str(run.name or run.id),
        config=flatten({k: v for k, v in run.config.items() if not k.startswith("_")}),
        history=in_order(points),
        summary=_metrics(dict(run.summary.items())),
        end=ENDS.get(run.state, "unknown"),
        started=seconds_of(run.created_at),
    )


def _sources(path: Path) -> list[Path]:
    """Logs, and folders with a summary that have none; what links lead to counts once."""
    if not path.is_dir():
        return [path]
    logs = {log.resolve(): log for log in _below(path, PATTERN)}
    folders = {_run_folder(log) for log in logs.values()}
    summaries = {file.resolve(): file for file in _below(path, SUMMARY)}
    bare = [file.parent for file in summaries.values() if _run_folder(file) not in folders]
    return [*logs.values(), *bare]


def _below(folder: Path, pattern: str) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob(pattern)) if path.is_file())


def _run_folder(path: Path) -> Path:
    return path.parent.parent if path.parent.name == "files" else path.parent


def _part(source: Path, core: Path | None) -> _WandbPart:
    if source.is_dir():
        return _of_files(source)
    if core is not None:
        return _of_log(source, core)
    for folder in (source.parent / "files", source.parent):
        if (folder / SUMMARY).is_file():
            return _of_files(folder)
    rule = "reading a .wandb file needs the package wandb"
    raise TableError(Problem(rule, "", INSTALL, Location(str(source))))


# The transaction log


def _core() -> Path | None:
    """W&B's program, which starts in milliseconds; its Python command takes a second a file."""
    spec = find_spec("wandb")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "bin"
    return next((path for path in sorted(folder.glob("wandb-core*")) if path.is_file()), None)


def _of_log(log: Path, core: Path) -> _WandbPart:
    """The records of a log up to its end, or up to where it is cut."""
    command = [str(core), "leet", "inspect", "--no-observability", "--json", "--run-file", str(log)]
    try:
        silent = time.time() - log.stat().st_mtime > SILENCE_S
        with log.open("rb"):
            made = subprocess.run([*command, str(log.parent)], capture_output=True, check=False)
    except OSError as error:
        raise TableError(
            Problem(f"cannot be read ({error})", "", "", Location(str(log)))
        ) from error
    part = _WandbPart(run_id="", name=f"{log.parent.name}/{log.name}", cut=made.returncode != 0)
    for line in made.stdout.decode("utf-8", errors="replace").splitlines():
        try:
            _take(json.loads(line), part)
        except ValueError:
            part.cut = True
    part.cut = part.cut or not part.run_id or bool(made.stderr.strip())
    part.run_id = part.run_id or str(log)
    if part.end == "unknown":
        part.end = "crashed" if silent or made.returncode else "running"
    return part


def _take(record: Mapping[str, Any], part: _WandbPart) -> None:
    kind = record.get("type")
    content = record.get(str(kind), {})
    if kind == "run":
        part.run_id = str(content.get("run_id") or part.run_id)
        part.name = str(content.get("display_name") or part.run_id)
        part.started = seconds_of(content.get("start_time"))
        part.resumed = bool(content.get("resume"))
        _update(part.config, content.get("config", {}))
    elif kind == "config":
        _update(part.config, content)
    elif kind == "summary":
        _update(part.summary, content)
    elif kind == "history":
        before = part.points[-1].step if part.points else -1
        item = content.get("item", {})
        part.points.append(_point(item, content.get("step", {}).get("num", before + 1)))
    elif kind == "exit":
        part.end = "crashed" if content.get("exit_code") else "finished"


def _update(values: dict[str, Any], change: Mapping[str, Any]) -> None:
    """Applies what a record sets and removes; `_wandb` and the like are W&B's own."""
    new = change.get("update", {})
    values |= flatten({name: value for name, value in new.items() if not name.startswith("_")})
    for name in change.get("remove", []):
        values.pop(str(name), None)


def _point(item: Mapping[str, Any], number: int) -> LoggedPoint:
    seconds = number_of(item.get("_timestamp"))
    when = math.nan if seconds is None else seconds
    return LoggedPoint(step_of(item.get("_step", number), number - 1), when, _metrics(item))


def _metrics(values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers without those that describe a table or a picture: its names begin with its own."""
    media = tuple(f"{name.removesuffix(MEDIA)}." for name in values if name.endswith(MEDIA))
    found = metrics_of(values)
    return {name: value for name, value in found.items() if not media or not name.startswith(media)}


# Summary and configuration as files


def _of_files(folder: Path) -> _WandbPart:
    """A run that was synchronised or downloaded: its last metrics, without a history."""
    run = folder.parent if folder.name == "files" else folder
    summary = _content(folder / SUMMARY, json.loads)
    return _WandbPart(
        run_id=run.name.rsplit("-", 1)[-1] if "run-" in run.name else str(folder),
        name=run.name,
        config=_configuration(folder / CONFIG),
        summary=dict(summary),
        started=_start(summary),
    )


def _start(summary: Mapping[str, Any]) -> float | None:
    """When the last step was, less the seconds until then."""
    last, seconds = number_of(summary.get("_timestamp")), number_of(summary.get("_runtime"))
    return None if last is None else last - (seconds or 0.0)


def _configuration(path: Path) -> dict[str, Any]:
    """`config.yaml`, where every value stands below a key `value`."""
    content = _content(path, yaml.safe_load) if path.is_file() else {}
    values = {
        name: entry["value"] if isinstance(entry, Mapping) and "value" in entry else entry
        for name, entry in content.items()
        if not str(name).startswith("_") and name != "wandb_version"
    }
    return flatten(values)


def _content(path: Path, parsed: Any) -> Mapping[str, Any]:
    where = Location(str(path))
    try:
        content = parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        told = str(error).splitlines()[0]
        raise TableError(Problem(f"cannot be read ({told})", "", "", where)) from error
    if not isinstance(content, dict):
        raise TableError(Problem("it holds no names with values", "", "", where))
    return content


# Parts of one run


def _joined(parts: Sequence[_WandbPart]) -> LoggedRun:
    """A run of its parts in the order of their starts; steps of a resumed part go on."""
    parts = sorted(parts, key=lambda part: part.started or 0.0)
    config: dict[str, Any] = {}
    summary: dict[str, Any] = {}
    points: list[LoggedPoint] = []
    for part in parts:
        config |= part.config
        summary |= part.summary
        points += _continued(part, points)
    return LoggedRun(
        name=parts[0].name,
        config=config,
        history=in_order(points),
        summary=_metrics(summary),
        end=parts[-1].end,
        started=parts[0].started,
        cut=any(part.cut for part in parts),
    )


def _continued(part: _WandbPart, before: Sequence[LoggedPoint]) -> list[LoggedPoint]:
    """Offline, a resumed run counts from 0 again, as it does not know how far it was."""
    last = max((point.step for point in before), default=-1)
    first = min((point.step for point in part.points), default=0)
    shift = last + 1 - first if part.resumed and first <= last else 0
    return [point._replace(step=point.step + shift) for point in part.points]
