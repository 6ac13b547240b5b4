"""Where the runs of a plan stand in a workspace, one by one and counted, and which one is meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NoReturn

from ablatekit.design.plan import PlannedRun, cells_by_unit, run_label
from ablatekit.dispatch.expected import (
    ExpectedTime,
    counted,
    expected_time,
    measured_seconds,
)
from ablatekit.errors import Problem, UsageError, nearest
from ablatekit.pipeline.frozen import PreparedStudy
from ablatekit.runs.locks import is_locked
from ablatekit.runs.runlog import (
    RunState,
    executed_seconds,
    live_attempt,
    read_claim,
    read_end,
    read_history,
    read_result,
    run_state,
)
from ablatekit.runs.workspace import RunDirectory, Workspace

RESULTS: tuple[RunState, ...] = ("finished", "diverged")
"""States of a run that is not executed again."""
STATES: tuple[RunState, ...] = (*RESULTS, "running", "interrupted", "failed", "planned")
CANDIDATES_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Runs of a plan by where they stand; `reused` those with a result by the study that made it.

    `expected` is the time of the runs without a result, None where nothing is known of it.
    """

    workspace: Path
    states: Mapping[RunState, int]
    reused: Mapping[str, int]
    expected: ExpectedTime | None

    @property
    def total(self) -> int:
        return sum(self.states.values())

    @property
    def done(self) -> int:
        return sum(self.states.get(state, 0) for state in RESULTS)

    @property
    def remaining(self) -> int:
        return self.total - self.done

    def told(self) -> str:
        """In words: what is done, by whom, and what remains."""
        if not self.done and self.remaining == self.states.get("planned", 0):
            return f"None of the {self.total} runs has been executed in {self.workspace}"
        shown = ", ".join(
            f"{self.states[state]} {state}" for state in STATES if state in self.states
        )
        others = ", ".join(f"{count} of study {name!r}" for name, count in self.reused.items())
        reused = f" (identical runs of other studies are reused: {others})" if others else ""
        return (
            f"In {self.workspace}: {self.done} of {self.total} runs have a result{reused},"
            f" {self.remaining} remain: {shown}"
        )


def standing(study: PreparedStudy) -> Standing:
    """Count the runs of a plan by their directories; writes nothing."""
    plan, workspace = study.plan, study.workspace
    states = {run.run_id: run_state(workspace.run(run.run_id)) for run in plan.runs}
    makers = (_maker(workspace, run_id) for run_id, state in states.items() if state in RESULTS)
    reused = Counter(maker for maker in makers if maker not in (None, plan.study))
    remaining = (run_id for run_id, state in states.items() if state not in RESULTS)
    return Standing(
        workspace=workspace.root,
        states=Counter(states.values()),
        reused={str(name): count for name, count in sorted(reused.items(), key=str)},
        expected=expected_time(plan.runs, measured_seconds(plan, workspace), remaining),
    )


def _maker(workspace: Workspace, run_id: str) -> str | None:
    """The study for which a run got its result; None where nobody says so."""
    run = workspace.run(run_id)
    result = read_result(run)
    if result is None or not result.attempts:
        return None
    claim = read_claim(run.attempt(result.attempts[-1].number))
    return claim.study if claim is not None else None


@dataclass(frozen=True, slots=True)
class StandingRun:
    """One run of a plan and its directory; what it says of itself is read when it is asked for."""

    planned: PlannedRun
    levels: Mapping[str, str]
    label: str
    directory: RunDirectory
    state: RunState

    @property
    def run_id(self) -> str:
        return self.planned.run_id

    @property
    def attempts(self) -> int:
        return len(self.directory.attempts())

    def message(self) -> str:
        """What its result says, or how its last attempt ended."""
        result, attempts = read_result(self.directory), self.directory.attempts()
        if result is not None:
            return result.message
        end = read_end(attempts[-1]) if attempts else None
        return end.message if end is not None and self.state != "running" else ""

    def last(self, metric: str) -> tuple[int | None, float | None]:
        """The last step that was logged, and the last value of a metric."""
        history = read_history(self.directory)
        values = (event.metrics[metric] for event in reversed(history) if metric in event.metrics)
        return (history[-1].step if history else None), next(values, None)

    def seconds(self, now: float) -> float | None:
        """How long it took, or how long its attempt has been running; `now` in epoch seconds."""
        result = read_result(self.directory)
        if result is not None:
            return executed_seconds(self.directory, result)
        attempt = live_attempt(self.directory)
        claim = read_claim(attempt) if attempt is not None else None
        return now - claim.started if claim is not None else None


def standing_runs(study: PreparedStudy) -> tuple[StandingRun, ...]:
    """Every run of the plan in the order of execution."""
    units = cells_by_unit(study.plan)
    runs = []
    for planned in sorted(study.plan.runs, key=lambda run: run.order):
        cell, directory = units[planned.unit], study.workspace.run(planned.run_id)
        label = run_label(cell, planned)
        runs.append(StandingRun(planned, cell.levels, label, directory, run_state(directory)))
    return tuple(runs)


def coordinator(study: PreparedStudy) -> int | None:
    """The process that is running this study, 0 where it does not say; None where nobody is."""
    lock = study.directory.coordinator_lock
    if not is_locked(lock):
        return None
    written = lock.read_text(encoding="utf-8", errors="replace").strip()
    return int(written) if written.isdigit() else 0


@dataclass(frozen=True)
class Selection:
    """The runs of a study, to be chosen from by a run's id, its beginning, or its description."""

    runs: Sequence[StandingRun]
    cells: Mapping[str, Sequence[Mapping[str, str]]]
    """All cells of each unit: merged cells have one run."""

    def only(self, wanted: str) -> StandingRun:
        """The one run that is meant. Raises UsageError with the candidates if several are."""
        several = self.matching(wanted)
        if len(several) == 1:
            return several[0]
        shown = "".join(f"\n  {run.run_id}  {run.label}" for run in several[:CANDIDATES_SHOWN])
        more = len(several) - CANDIDATES_SHOWN
        rest = f"\n  and {more} more" if more > 0 else ""
        rule = f"{len(several)} runs are meant by it:{shown}{rest}\nOne is needed"
        remedy = "Name more of its id, or of its levels, context and replicate"
        raise UsageError(Problem(rule, wanted, remedy))

    def matching(self, wanted: str) -> tuple[StandingRun, ...]:
        """All runs that are meant, in the order of execution. Raises UsageError if none is."""
        named = tuple(run for run in self.runs if run.label == wanted.strip())
        words = [word for word in re.split(r"[\s|,]+", wanted) if word]
        if named:
            return named
        if not words:
            remedy = "Name its id or its levels"
            raise UsageError(Problem("no run is called so", repr(wanted), remedy))
        unknown = [word for word in words if word not in self._words]
        if unknown:
            by_id = tuple(run for run in self.runs if run.run_id.startswith(wanted.strip()))
            return by_id or self._unknown(unknown[0])
        chosen = tuple(run for run in self.runs if self._is_meant(run, words))
        if not chosen:
            rule, remedy = "no run of this study is all of this", "Leave a part out"
            raise UsageError(Problem(rule, wanted, remedy))
        return chosen

    def _unknown(self, word: str) -> NoReturn:
        remedy = (
            "A run is named by the beginning of its id, or by its levels (FACTOR=LEVEL), context"
            f" and replicate: ablatekit study status FILE --runs. {nearest(word, self._shown)}"
        )
        raise UsageError(Problem("no run of this study is called so", word, remedy))

    def _is_meant(self, run: StandingRun, words: Sequence[str]) -> bool:
        common = _context_words(run.planned)
        cells = self.cells[run.planned.unit]
        return any(set(words) <= common | _level_words(levels) for levels in cells)

    @cached_property
    def _words(self) -> frozenset[str]:
        """Everything that a run can be called."""
        of_cells = (_level_words(levels) for cells in self.cells.values() for levels in cells)
        return frozenset().union(*of_cells, *(_context_words(run.planned) for run in self.runs))

    @cached_property
    def _shown(self) -> frozenset[str]:
        """Words worth suggesting: those that say what they are."""
        return frozenset(word for word in self._words if "=" in word)


def selection(study: PreparedStudy) -> Selection:
    """What can be chosen from in a study."""
    cells: dict[str, list[Mapping[str, str]]] = {}
    for cell in study.plan.cells:
        cells.setdefault(cell.unit, []).append(cell.levels)
    return Selection(standing_runs(study), cells)


def _level_words(levels: Mapping[str, str]) -> set[str]:
    return {f"{factor}={level}" for factor, level in levels.items()}


def _context_words(run: PlannedRun) -> set[str]:
    named = {f"{variable}={level}" for variable, level in run.context.items()}
    return {*run.context.values(), *named, f"replicate={run.replicate}", str(run.replicate)}


def to_retry(
    study: PreparedStudy, wanted: Sequence[str] = ()
) -> tuple[tuple[StandingRun, ...], str]:
    """The runs that get new attempts, those that failed if none is named, and what to say of it.

    Raises UsageError where a named run has a result or has not failed.
    """
    choice = selection(study)
    if wanted:
        named = (run for name in wanted for run in _without_result(choice.matching(name), study))
        chosen = tuple({run.run_id: run for run in named}.values())
    else:
        chosen = tuple(run for run in choice.runs if run.state == "failed")
    states = Counter(run.state for run in choice.runs)
    counts = ", ".join(f"{states[state]} {state}" for state in STATES if state in states)
    what = f"retrying {counted(len(chosen), 'run')}" if chosen else "no run has failed"
    diverged = "; a diverged run is a result and is not retried" if states["diverged"] else ""
    return chosen, f"{study.plan.study}: {what} (of {len(choice.runs)}: {counts}){diverged}"


def _without_result(runs: Sequence[StandingRun], study: PreparedStudy) -> tuple[StandingRun, ...]:
    """Those of the runs that one name means which were attempted in vain; at least one is."""
    chosen = tuple(run for run in runs if run.state in ("failed", "interrupted"))
    if chosen:
        return chosen
    again = f"ablatekit study run {study.loaded.path}"
    remedies: Mapping[RunState, tuple[str, str]] = {
        "finished": ("a finished run has its result", "Name runs that failed"),
        "diverged": (
            "a diverged run has its result, which the analysis counts, and is not retried",
            "To see another outcome, add replicates",
        ),
        "running": ("this run is being executed", "Wait for it: ablatekit study status --watch"),
        "planned": ("this run has not been attempted yet", f"Execute it with: {again}"),
    }
    run = runs[0]
    rule, remedy = remedies[run.state]
    raise UsageError(Problem(rule, f"{run.run_id} ({run.label})", remedy))
