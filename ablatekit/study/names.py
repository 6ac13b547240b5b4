"""Checks across the parts of a study: each setting set once, each name used once and known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

from ablatekit.errors import Problem, nearest
from ablatekit.runs.workspace import Workspace
from ablatekit.study.factors import ContextVariable, Factor, find_level
from ablatekit.study.messages import show
from ablatekit.study.scalars import ScalarValue
from ablatekit.study.schema import StudySchema
from ablatekit.study.settings import Given, flatten, overlap
from ablatekit.study.yaml_source import Loc, Node

RESERVED = frozenset(
    {"run", "run_id", "replicate", "status", "unit", "order", "item", "sample", "outcome", "split"}
)
"""Columns that every table of runs or items has; no factor, context or response is called so."""

COVARIATES_REMEDY = "Give the context variable covariates: {levels: {VALUE: {COVARIATE: NUMBER}}}"


def check_names(
    study: StudySchema, source: Node, factors: Sequence[Factor], contexts: Sequence[ContextVariable]
) -> list[Problem]:
    """Every name that is reserved, used twice or unknown, and every setting that is set twice."""
    return [
        *_study_name(study, source),
        *_reserved(study, source),
        *_set_twice(study, source, factors, contexts),
        *_unknown_levels(study, source, factors),
        *_covariates(study, source, contexts),
    ]


def _study_name(study: StudySchema, source: Node) -> Iterator[Problem]:
    shared = Workspace(Path()).reserved_names | study.tracking.workspace_names
    if study.name.lower() in {name.lower() for name in shared}:
        where = source.where_value(("name",))
        rule = "a study may not be called like a file or folder that all studies share"
        yield Problem(rule, study.name, "Choose another name", where)


def _reserved(study: StudySchema, source: Node) -> Iterator[Problem]:
    parts: Mapping[str, Mapping[str, object]] = {
        "factors": study.factors,
        "contexts": study.contexts,
        "responses": study.responses,
    }
    owners: dict[str, str] = {}
    for part, names in parts.items():
        for name in names:
            where = source.where_key((part, name))
            if name in RESERVED:
                remedy = "Choose another name; long-form levels can set this setting"
                yield Problem("is a column that every table has", name, remedy, where)
            elif name in owners:
                remedy = f"It is already among the {owners[name]}: choose another name"
                yield Problem(f"a name is used twice: in {part}", name, remedy, where)
            owners.setdefault(name, part)


def _set_twice(
    study: StudySchema, source: Node, factors: Sequence[Factor], contexts: Sequence[ContextVariable]
) -> Iterator[Problem]:
    """Settings that two of backend.settings, the contexts and the factors set."""
    try:
        shared = flatten(study.backend.settings, ("backend", "settings"))
    except ValueError as error:
        where = source.where_value(("backend", "settings"))
        yield Problem(f"backend.settings gives {error} twice", remedy="Keep one", where=where)
        return
    owners: list[tuple[str, Mapping[str, Given]]] = [("backend.settings", shared)]
    owners += [(f"context {variable.name!r}", _all_given(variable)) for variable in contexts]
    owners += [(f"factor {variable.name!r}", _all_given(variable)) for variable in factors]
    for (owner, earlier), (other, later) in combinations(owners, 2):
        clash = _clash(earlier, later)
        if clash is not None:
            remedy = "Each setting has one place: remove it from one of the two"
            where = source.where_key(later[clash].named_at)
            yield Problem(f"{owner} and {other} set the same setting", clash, remedy, where)


def _all_given(variable: Factor | ContextVariable) -> dict[str, Given]:
    settings: dict[str, Given] = {}
    for level in variable.levels:
        for name, given in level.settings.items():
            settings.setdefault(name, given)
    return settings


def _clash(earlier: Mapping[str, Given], later: Mapping[str, Given]) -> str | None:
    return next((name for name in later if any(overlap(name, other) for other in earlier)), None)


def _unknown_levels(
    study: StudySchema, source: Node, factors: Sequence[Factor]
) -> Iterator[Problem]:
    for index, combination in enumerate(study.exclude):
        yield from check_combination(combination, ("exclude", index), source, factors)
        if not combination:
            remedy = "Name the levels that must not meet, or remove the line"
            where = source.where_value(("exclude", index))
            yield Problem("an exclusion names no level", "{}", remedy, where)


def _covariates(
    study: StudySchema, source: Node, contexts: Sequence[ContextVariable]
) -> Iterator[Problem]:
    """Covariates that two variables have, and predictions at covariates that none has."""
    owners: dict[str, str] = {}
    for variable in contexts:
        for name in variable.covariate_names:
            owner = owners.setdefault(name, variable.name)
            if owner != variable.name:
                rule = f"contexts {owner!r} and {variable.name!r} have a covariate of the same name"
                where = source.where_key((*variable.levels[0].loc, name))
                yield Problem(rule, repr(name), "Give each its own name", where)
    for name in study.analysis.predict_at:
        if name not in owners:
            rule, where = "unknown covariate", source.where_key(("analysis", "predict_at", name))
            remedy = nearest(name, owners) if owners else COVARIATES_REMEDY
            yield Problem(rule, repr(name), remedy, where)


def check_combination(
    levels: Mapping[str, ScalarValue], loc: Loc, source: Node, factors: Sequence[Factor]
) -> Iterator[Problem]:
    """Unknown factors and levels in a mapping factor -> level."""
    known = {factor.name: factor for factor in factors}
    for name, value in levels.items():
        if name not in known:
            where = source.where_key((*loc, name))
            yield Problem("unknown factor", repr(name), nearest(name, known), where)
        elif find_level(value, known[name].level_names) is None:
            rule = f"factor {name!r} has no such level"
            remedy = nearest(str(value), known[name].level_names)
            yield Problem(rule, show(value), remedy, source.where_value((*loc, name)))


def named_levels(levels: Mapping[str, ScalarValue], factors: Sequence[Factor]) -> dict[str, str]:
    """A checked mapping factor -> level as level names."""
    known = {factor.name: factor.level_names for factor in factors}
    return {name: find_level(value, known[name]) or "" for name, value in levels.items()}
