"""A plan against the frozen one of the same study: what may grow, and what is refused.

Replicates, levels, factors and contexts may be added, because every run that was planned stays in
the plan under its id, and names may change, because no run depends on them. Anything that would
replace or drop a planned run, or change the analysis that was decided before the first run, is
refused with the list of changes unless asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

from ablatekit.design.plan import ADVICE, Plan, PlannedRun
from ablatekit.design.renames import Rename, in_names_of
from ablatekit.errors import Location, Problem, StudyError
from ablatekit.study.messages import show

RunKey: TypeAlias = tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]], int]
"""Factor levels, context and replicate of a run."""

SHOWN = 300


@dataclass(frozen=True, slots=True)
class Change:
    """One value of the frozen plan that the new one gives otherwise."""

    key: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {show(self.old, SHOWN)} -> {show(self.new, SHOWN)}"


@dataclass(frozen=True, slots=True)
class Amendment:
    """The plan to continue with, what it adds, what it changes (the deviations), and new names.

    `plan` keeps the execution order of the runs that were planned before; new runs follow.
    """

    plan: Plan
    added: tuple[str, ...]
    dropped: tuple[str, ...]
    changes: tuple[Change, ...]
    additions: tuple[Change, ...]
    renames: tuple[Rename, ...] = ()

    @property
    def deviations(self) -> tuple[str, ...]:
        """Everything that differs from the frozen plan, in words."""
        return tuple(str(change) for change in (*self.changes, *self.additions))


def amend_plan(old: Plan, new: Plan, *, fresh: bool = False, file: str = "") -> Amendment:
    """`new` as the continuation of `old`.

    Raises StudyError with every changed key (old -> new) unless `fresh` (the option `--new`); then
    the changes are returned as deviations.
    """
    old, renames = in_names_of(old, new)
    before = {run.run_id for run in old.runs}
    after = {run.run_id for run in new.runs}
    changes = tuple(_changes(old, new))
    if before - after and not changes:
        count = len(before - after)
        changes = (Change("planned runs", f"{len(before)} runs", f"without {count} of them"),)
    if changes and not fresh:
        raise StudyError(_refusal(old, new, changes, file))
    added = tuple(run.run_id for run in new.runs if run.run_id not in before)
    dropped = tuple(run.run_id for run in old.runs if run.run_id not in after)
    additions = tuple(_additions(old, new))
    return Amendment(_keep_order(old, new), added, dropped, changes, additions, renames)


def _refusal(old: Plan, new: Plan, changes: tuple[Change, ...], file: str) -> Problem:
    listed = "".join(f"\n  {change}" for change in changes)
    return Problem(
        f"study {old.study!r} has been planned otherwise; what changed:{listed}\n"
        "Planned runs and their analysis stay as they were; levels, contexts and replicates may be"
        " added, and names may change. Nothing is lost, and nothing was written",
        remedy="Undo the change, rename the study (both are kept), or run it anew with"
        f" --new. {_kept_by_new(old, new)}",
        where=Location(file) if file else None,
    )


def _kept_by_new(old: Plan, new: Plan) -> str:
    """What the option `--new` does, in numbers."""
    before = {run.run_id for run in old.runs}
    used, total = len(before & {run.run_id for run in new.runs}), len(before)
    replaced = "That replaces the plan, the analysis and the report"
    if not used:
        none = f"none of the {total} planned runs is one of the changed study"
        return f"{replaced}: {none}; all stay on disk"
    again = f"{used} of the {total} planned runs are used again"
    if used == total:
        return f"{replaced}: {again}"
    return f"{replaced}: {again}; the other {total - used} stay on disk and enter no analysis of it"


def _keep_order(old: Plan, new: Plan) -> Plan:
    place = {run.run_id: run.order for run in old.runs}
    ordered = sorted(
        new.runs, key=lambda run: (run.run_id not in place, place.get(run.run_id, run.order))
    )
    runs = tuple(replace(run, order=order) for order, run in enumerate(ordered))
    return replace(new, runs=runs)


def _changes(old: Plan, new: Plan) -> Iterator[Change]:
    yield from _differences("backend", {"name": old.backend}, {"name": new.backend})
    yield from _differences("", _versions(old), _versions(new))
    yield from _removals(old, new)
    yield from _setting_changes(old, new)
    yield from _covariate_changes(old, new)
    yield from _differences("analysis", _analysis(old), _analysis(new))


def _versions(plan: Plan) -> dict[str, Any]:
    return {"results_version": plan.results_version, "design": plan.design}


def _analysis(plan: Plan) -> dict[str, Any]:
    value = asdict(plan.analysis)
    responses = {response.pop("name"): response for response in value.pop("responses")}
    for name, response in responses.items():
        response.pop("label")
        response.pop("doc")
        response.pop("partial")
        for key in ADVICE:
            response.pop(key)
        value |= {f"responses.{name}.{key}": part for key, part in response.items()}
    return value


def _differences(prefix: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) != new.get(key):
            yield Change(f"{prefix}.{key}" if prefix else key, old.get(key), new.get(key))


def _removals(old: Plan, new: Plan) -> Iterator[Change]:
    factors = {factor.name: factor for factor in new.factors}
    for factor in old.factors:
        now = factors.get(factor.name)
        if now is None:
            yield Change(f"factors.{factor.name}", list(factor.levels), None)
        elif not set(factor.levels) <= set(now.levels):
            yield Change(f"factors.{factor.name}.levels", list(factor.levels), list(now.levels))
        elif factor.baseline != now.baseline:
            yield Change(f"factors.{factor.name}.baseline", factor.baseline, now.baseline)
        elif factor.scale != now.scale:
            yield Change(f"factors.{factor.name}.scale", factor.scale, now.scale)
    for context in old.contexts:
        if context not in new.contexts:
            yield Change("contexts", dict(context), None)
    if new.replicates < old.replicates:
        yield Change("replicates", old.replicates, new.replicates)
    for cell in _removed_cells(old, new):
        yield Change("cells", cell, None)


def _covariate_changes(old: Plan, new: Plan) -> Iterator[Change]:
    """Covariates of levels that both plans have."""
    for variable in old.contexts[0]:
        before, now = (plan.covariates.get(variable, {}) for plan in (old, new))
        for level in dict.fromkeys(context[variable] for context in old.contexts):
            prefix = f"contexts.{variable}.levels.{level}"
            yield from _differences(prefix, before.get(level, {}), now.get(level, {}))


def _removed_cells(old: Plan, new: Plan) -> Iterator[dict[str, str]]:
    """Cells that are gone although all of their levels are still there."""
    levels = {factor.name: factor.levels for factor in new.factors}
    kept = {frozenset(_shared_levels(cell.levels, old, new).items()) for cell in new.cells}
    for cell in old.cells:
        has_levels = all(level in levels.get(name, ()) for name, level in cell.levels.items())
        if has_levels and frozenset(cell.levels.items()) not in kept:
            yield dict(cell.levels)


def _shared_levels(levels: Mapping[str, str], old: Plan, new: Plan) -> dict[str, str]:
    """A new cell as the old factors see it: itself if every added factor is at its baseline."""
    known = {factor.name for factor in old.factors}
    added = {factor.name: factor.baseline for factor in new.factors if factor.name not in known}
    if any(levels[name] != baseline for name, baseline in added.items()):
        return {}
    return {name: level for name, level in levels.items() if name in known}


def _setting_changes(old: Plan, new: Plan) -> Iterator[Change]:
    """Settings and contents that runs of the same levels, context and replicate do not share."""
    now = dict(_runs_by_key(new, old, new))
    seen: set[str] = set()
    for key, run in _runs_by_key(old, old, old):
        other = now.get(key)
        if other is None or other.run_id == run.run_id:
            continue
        for change in (
            *_differences("settings", run.spec.settings, other.spec.settings),
            *_differences("content", run.spec.content, other.spec.content),
        ):
            if str(change) not in seen:
                seen.add(str(change))
                yield change


def _runs_by_key(plan: Plan, old: Plan, new: Plan) -> Iterator[tuple[RunKey, PlannedRun]]:
    cells: dict[str, list[dict[str, str]]] = {}
    for cell in plan.cells:
        if levels := _shared_levels(cell.levels, old, new):
            cells.setdefault(cell.unit, []).append(levels)
    for run in plan.runs:
        context = frozenset(run.context.items())
        for shared in cells.get(run.unit, []):
            yield (frozenset(shared.items()), context, run.replicate), run


def _additions(old: Plan, new: Plan) -> Iterator[Change]:
    factors = {factor.name: factor for factor in old.factors}
    for factor in new.factors:
        before = factors.get(factor.name)
        added = [name for name in factor.levels if before is None or name not in before.levels]
        if added:
            yield Change(f"factors.{factor.name}.levels added", None, added)
    contexts = [dict(context) for context in new.contexts if context not in old.contexts]
    if contexts:
        yield Change("contexts added", None, contexts)
    if new.replicates > old.replicates:
        yield Change("replicates", old.replicates, new.replicates)
