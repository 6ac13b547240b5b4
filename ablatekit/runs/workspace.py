"""Where everything lies on disk: the only module that names files of a workspace (DESIGN 3.3)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

WORKSPACE_VARIABLE = "ABLATEKIT_WORKSPACE"
DEFAULT_WORKSPACE = "ablatekit-out"
SQLITE = "sqlite:///"
SQLITE_ENDINGS = ("", "-journal", "-wal", "-shm")
DEFAULT_TRACKING = f"{SQLITE}mlflow.db"


def find_workspace(option: Path | None = None) -> Workspace:
    """`--workspace`, else `$ABLATEKIT_WORKSPACE`, else `./ablatekit-out`; made on first write."""
    chosen = option or Path(os.environ.get(WORKSPACE_VARIABLE) or DEFAULT_WORKSPACE)
    return Workspace(chosen.resolve())


@dataclass(frozen=True, slots=True)
class AttemptDirectory:
    """`runs/<run id>/attempts/<n>/`: one execution of a run; never used twice."""

    path: Path

    @property
    def number(self) -> int:
        return int(self.path.name)

    @property
    def claim(self) -> Path:
        return self.path / "claim.json"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def items(self) -> Path:
        return self.path / "items.parquet"

    @property
    def end(self) -> Path:
        """How the attempt ended without a result, where someone was left to say so."""
        return self.path / "end.json"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def output(self) -> Path:
        """What the backend itself writes into this attempt: files of a program that it runs."""
        return self.path / "output"


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """`runs/<run id>/`: everything about one run, shared by all studies that contain it."""

    path: Path

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def spec(self) -> Path:
        return self.path / "spec.json"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    @property
    def attempts_directory(self) -> Path:
        return self.path / "attempts"

    def attempt(self, number: int) -> AttemptDirectory:
        return AttemptDirectory(self.attempts_directory / str(number))

    def attempts(self) -> tuple[AttemptDirectory, ...]:
        """Existing attempts in the order of their numbers."""
        if not self.attempts_directory.is_dir():
            return ()
        existing = (AttemptDirectory(path) for path in self.attempts_directory.iterdir())
        return tuple(sorted(existing, key=lambda attempt: attempt.number))


@dataclass(frozen=True, slots=True)
class StudyDirectory:
    """`<workspace>/<study>/`: the study as it was planned, its analysis and its report."""

    path: Path

    @property
    def study_file(self) -> Path:
        return self.path / "study.yaml"

    @property
    def plan(self) -> Path:
        return self.path / "plan.json"

    @property
    def coordinator_lock(self) -> Path:
        return self.path / "coordinator.lock"

    @property
    def mirror_lock(self) -> Path:
        return self.path / "mirror.lock"

    @property
    def analysis(self) -> Path:
        return self.path / "analysis.json"

    @property
    def report(self) -> Path:
        return self.path / "report"


@dataclass(frozen=True, slots=True)
class Workspace:
    """The root that relative paths and sqlite URIs of a study resolve against."""

    root: Path

    @property
    def runs(self) -> Path:
        """Run directories, shared by all studies."""
        return self.root / "runs"

    def run(self, run_id: str) -> RunDirectory:
        return RunDirectory(self.runs / run_id)

    def study(self, name: str) -> StudyDirectory:
        return StudyDirectory(self.root / name)

    @property
    def cache(self) -> Path:
        """What runs share (converted models, tokenised data), guarded by locks."""
        return self.root / "cache"

    @property
    def tracking_lock(self) -> Path:
        """Held by whoever writes to the tracking database: one writer is the fastest."""
        return self.root / "mlflow.lock"

    @property
    def artifacts(self) -> Path:
        """Artifact root of tracking stores that have none of their own."""
        return self.root / "mlflow-artifacts"

    def resolve_uri(self, uri: str) -> str:
        """A tracking URI with a relative sqlite path made absolute below the workspace."""
        database = _relative_database(uri)
        return uri if database is None else f"{SQLITE}{self.root / database}"

    @property
    def reserved_names(self) -> frozenset[str]:
        """What lies beside the studies' own folders: no study is called so."""
        shared = (self.runs, self.cache, self.tracking_lock, self.artifacts)
        names = {path.name for path in shared} | tracking_files(DEFAULT_TRACKING)
        return frozenset(names | {"mlruns"})


def _relative_database(uri: str) -> str | None:
    """The path of an sqlite URI that is relative to the workspace."""
    path = uri.removeprefix(SQLITE)
    return path if path != uri and not path.startswith("/") else None


def tracking_files(uri: str | None) -> frozenset[str]:
    """Names below a workspace's root that a tracking database takes: sqlite has side files."""
    database = _relative_database(uri or "")
    if database is None:
        return frozenset()
    first, *below = PurePosixPath(database).parts
    return frozenset({first} if below else {f"{first}{end}" for end in SQLITE_ENDINGS})
