"""Where an analysis comes from: results, versions, times, and what makes it the current one."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ablatekit.canonical import content_hash, file_hash
from ablatekit.legible import masked
from ablatekit.pipeline.frozen import PreparedStudy
from ablatekit.runs.runlog import ResultRecord, read_result
from ablatekit.version import __version__


def _results(study: PreparedStudy) -> list[ResultRecord]:
    stored = (read_result(study.workspace.run(run.run_id)) for run in study.plan.runs)
    return [result for result in stored if result is not None]


def results_hash(study: PreparedStudy) -> str:
    """Identity of everything that the analysis reads."""
    results = (study.workspace.run(run.run_id).result for run in study.plan.runs)
    hashes = sorted(file_hash(path) for path in results if path.exists())
    return content_hash([*hashes, __version__])


def _version_sets(study: PreparedStudy) -> dict[str, list[str]]:
    """For every recorded package or platform, the versions that runs of this study had."""
    versions: dict[str, set[str]] = {}
    for result in _results(study):
        for name, version in result.versions.items():
            versions.setdefault(name, set()).add(version)
    return {name: sorted(several) for name, several in sorted(versions.items())}


def version_warnings(study: PreparedStudy) -> list[str]:
    """A sentence for every package that runs of this study had in several versions."""
    sets = _version_sets(study)
    mixed = {name: many for name, many in sets.items() if len(many) > 1 and name != "machine"}
    return [
        f"runs used mixed versions of {name}: {', '.join(many)}" for name, many in mixed.items()
    ]


def provenance(study: PreparedStudy) -> dict[str, Any]:
    """The section `provenance` of an analysis: software, study, results and when they were made."""
    results = _results(study)
    times = [time for result in results for time in (result.started, result.ended)]
    return {
        "ablatekit": __version__,
        "python": platform.python_version(),
        "analysed_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "study_file": study.loaded.path.name,
        "study_hash": content_hash(study.loaded.text),
        "overrides": [masked(option) for option in study.loaded.overrides],
        "plan_hash": study.plan.hash,
        "results_hash": results_hash(study),
        "versions": _version_sets(study),
        "attempts": sum(len(_attempts(study, result.run_id)) for result in results),
        "first_run_started": _timestamp(min(times)) if times else None,
        "last_run_ended": _timestamp(max(times)) if times else None,
    }


def _attempts(study: PreparedStudy, run_id: str) -> Sequence[object]:
    return study.workspace.run(run_id).attempts()


def _timestamp(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
