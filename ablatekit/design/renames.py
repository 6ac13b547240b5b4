"""What two plans of a study call otherwise although the runs are the same.

A unit is a hash of settings and a run id one of everything that decides results, so that levels of
two plans that hold the same units, and contexts with the same runs, are the same under other names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

from ablatekit.design.plan import ADVICE, Plan, PlannedFactor, PlannedResponse

Names: TypeAlias = Mapping[str, str]
"""What is called otherwise: old name -> new name, the others included."""

Units: TypeAlias = frozenset[str]


@dataclass(frozen=True, slots=True)
class Rename:
    """A new name; `of` is the factor or the context variable that has the level."""

    what: Literal["factor", "level", "response"]
    old: str
    new: str
    of: str = ""

    def __str__(self) -> str:
        of = f" of {self.of}" if self.of else ""
        return f"{self.what} {self.old}{of} is called {self.new}"


def in_names_of(old: Plan, new: Plan) -> tuple[Plan, tuple[Rename, ...]]:
    """`old` with the names that `new` has for the same things, and what is called otherwise."""
    factors = _factor_names(old, new)
    levels = {name: _level_names(old, new, name, factors[name]) for name in factors}
    contexts = _context_names(old, new)
    responses = _response_names(old, new)
    renames = (
        *_told("factor", factors),
        *(rename for name in factors for rename in _told("level", levels[name], factors[name])),
        *(rename for name, named in contexts.items() for rename in _told("level", named, name)),
        *_told("response", responses),
    )
    if not renames:
        return old, ()
    cells = tuple(
        replace(cell, levels=_renamed(cell.levels, factors, levels)) for cell in old.cells
    )
    planned = tuple(_renamed_factor(f, factors[f.name], levels[f.name]) for f in old.factors)
    return replace(_with_contexts(old, contexts, responses), factors=planned, cells=cells), renames


def _with_contexts(plan: Plan, contexts: Mapping[str, Names], responses: Names) -> Plan:
    """The plan with other names of context levels and of responses."""
    named = (replace(part, name=responses[part.name]) for part in plan.analysis.responses)
    same = {name: name for name in contexts}
    runs = (replace(run, context=_renamed(run.context, same, contexts)) for run in plan.runs)
    return replace(
        plan,
        contexts=tuple(_renamed(context, same, contexts) for context in plan.contexts),
        runs=tuple(runs),
        covariates={
            variable: {
                contexts[variable].get(level, level): held for level, held in carried.items()
            }
            for variable, carried in plan.covariates.items()
        },
        analysis=replace(plan.analysis, responses=tuple(named)),
    )


def _renamed(levels: Names, names: Names, of_levels: Mapping[str, Names]) -> dict[str, str]:
    return {names[name]: of_levels[name].get(level, level) for name, level in levels.items()}


def _renamed_factor(factor: PlannedFactor, name: str, levels: Names) -> PlannedFactor:
    return replace(
        factor,
        name=name,
        levels=tuple(levels[level] for level in factor.levels),
        baseline=levels[factor.baseline],
    )


def _told(
    what: Literal["factor", "level", "response"], names: Names, of: str = ""
) -> Iterator[Rename]:
    return (Rename(what, old, new, of) for old, new in names.items() if old != new)


def _factor_names(old: Plan, new: Plan) -> Names:
    """Factors by what they do to the units that both plans have; a name decides where both could.

    A factor that does not tell two shared units apart keeps its name.
    """
    before = {factor.name: _partition(old, new, factor) for factor in old.factors}
    now = {factor.name: _partition(new, old, factor) for factor in new.factors}
    names = {name: name for name, parts in before.items() if now.get(name) == parts}
    for name, parts in before.items():
        free = (other for other in now if other not in names.values() and now[other] == parts)
        if name not in names and len(parts) > 1:
            names[name] = next(free, name)
    chosen = {name: names.get(name, name) for name in before}
    return chosen if _is_one_to_one(chosen) else {name: name for name in before}


def _partition(plan: Plan, other: Plan, factor: PlannedFactor) -> frozenset[Units]:
    """The shared units at each level of a factor, without their names."""
    held = _units_at_levels(plan, other, factor.name).values()
    return frozenset(units for units in held if units)


def _units_at_levels(plan: Plan, other: Plan, factor: str) -> dict[str, Units]:
    """For each level, the units of its cells that the other plan has, too."""
    shared = {cell.unit for cell in other.cells}
    held: dict[str, set[str]] = {}
    for cell in plan.cells:
        units = held.setdefault(cell.levels[factor], set())
        units |= {cell.unit} & shared
    return {level: frozenset(units) for level, units in held.items()}


def _level_names(old: Plan, new: Plan, factor: str, renamed: str) -> Names:
    """Levels of one factor by the units that both plans have at them."""
    levels = next(planned.levels for planned in old.factors if planned.name == factor)
    before = _units_at_levels(old, new, factor)
    known = any(planned.name == renamed for planned in new.factors)
    now = _units_at_levels(new, old, renamed) if known else {}
    names = {level: level for level in levels if now.get(level) == before.get(level)}
    for level in levels:
        same = (at for at in now if at not in names.values() and now[at] == before.get(level))
        if level not in names and before.get(level):
            names[level] = next(same, level)
    chosen = {level: names.get(level, level) for level in levels}
    return chosen if _is_one_to_one(chosen) else {level: level for level in levels}


def _context_names(old: Plan, new: Plan) -> dict[str, Names]:
    """Levels of every context variable by the runs that both plans have there."""
    now = {run.run_id: run.context for run in new.runs}
    pairs = [(run.context, now[run.run_id]) for run in old.runs if run.run_id in now]
    names: dict[str, Names] = {}
    for variable in old.contexts[0]:
        same = {before[variable]: after.get(variable, "") for before, after in pairs}
        levels = dict.fromkeys(context[variable] for context in old.contexts)
        chosen = {level: same.get(level) or level for level in levels}
        usable = _is_one_to_one(chosen)
        names[variable] = chosen if usable else {level: level for level in levels}
    return names


def _response_names(old: Plan, new: Plan) -> Names:
    """Responses by what they compute, where the name is gone."""
    before = {response.name: response for response in old.analysis.responses}
    now = {response.name: response for response in new.analysis.responses}
    names = {name: name for name in before}
    for name, response in before.items():
        free = (new_name for new_name in now if new_name not in {*before, *names.values()})
        same = (new_name for new_name in free if _computed(now[new_name]) == _computed(response))
        if name not in now:
            names[name] = next(same, name)
    return names


def _computed(response: PlannedResponse) -> dict[str, Any]:
    unnamed = {"name", "label", "doc", "partial", *ADVICE}
    return {key: value for key, value in asdict(response).items() if key not in unnamed}


def _is_one_to_one(names: Names) -> bool:
    return len(set(names.values())) == len(names)
