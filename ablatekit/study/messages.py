"""pydantic's errors as problems with a position, one per mistake."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ablatekit.errors import Problem, nearest
from ablatekit.study.schema import FORM_REMEDIES, NAME_FORM
from ablatekit.study.settings import documented, fields_at
from ablatekit.study.yaml_source import Loc, Node

_REWRITES = (
    (r"^Input should be (a valid dictionary|an object).*$", "must be a mapping (key: value)"),
    (r"^Input should be a valid array.*$", "must be a list"),
    (r"^Input should be a valid (boolean|integer|number|string|list).*$", r"must be a \1"),
    (r"^Input should be (a valid )?", "must be "),
    (r"^String should match pattern .*$", "has another form"),
    (r"^(String|List|Dictionary|Value) should have ", "must have "),
    (r" after validation, not \d+$", ""),
    (r"^Value error, ", ""),
    (r"\ba integer\b", "an integer"),
    (r"^must be a boolean$", "must be true or false"),
)
_KIND = re.compile(r"str|int|float|bool|none|(list|dict|tuple|set)\[.*\]")
"""What pydantic calls a kind of value among several."""
OTHER_KEYS: Mapping[str, str] = MappingProxyType(
    {
        other: key
        for key, others in {
            "replicates": ("seeds", "n_seeds", "num_seeds", "repeats", "repetitions", "trials"),
            "responses": ("metrics", "outcomes", "targets", "objective", "objectives"),
            "factors": ("parameters", "sweep", "grid", "choices", "variables", "ablations"),
            "contexts": ("blocks", "blocking", "datasets", "models", "environments", "tasks"),
            "backend": ("trainer", "settings", "config", "program"),
            "design": ("method", "strategy"),
            "dispatch": ("executor", "launcher", "workers", "resources", "cluster"),
            "tracking": ("mlflow", "wandb", "logging", "tracker"),
            "analysis": ("statistics", "alpha"),
            "exclude": ("skip", "constraints", "forbidden", "filter"),
            "question": ("description", "hypothesis"),
            "baseline": ("default", "control", "reference"),
            "levels": ("values", "options"),
            "smallest_effect": ("sesoi", "margin", "delta", "rope", "min_effect"),
            "direction": ("goal", "mode", "maximize", "minimize", "better"),
            "metric": ("name", "key", "measure"),
            "summary": ("reduce", "aggregate", "aggregation"),
        }.items()
        for other in others
    }
)
"""What other tools call a key -> the key of a study; it counts where the study has that key."""
_SHOWN = 60
_SHOWN_LEVELS = 6


def show(value: Any, limit: int = _SHOWN) -> str:
    """A received value as one would write it in the file, cut to a readable length."""
    text = value if isinstance(value, str) and value.isidentifier() else _as_json(value)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _as_json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return repr(value)


def rule_text(details: ErrorDetails) -> str:
    """What pydantic demands, in a study author's words."""
    text = details["msg"]
    if details["type"] == "literal_error" and literal_hint(details) and _is_long(details):
        return "has no such value"
    for pattern, replacement in _REWRITES:
        text = re.sub(pattern, replacement, text)
    return text


def _is_long(details: ErrorDetails) -> bool:
    """Whether the list of allowed values is too long to stand beside the nearest of them."""
    return len(_allowed(details)) > _SHOWN_LEVELS


def _allowed(details: ErrorDetails) -> list[str]:
    expected = details.get("ctx", {}).get("expected", "")
    return re.findall(r"'([^']*)'", str(expected))


def without_union_tags(details: Iterable[ErrorDetails]) -> list[ErrorDetails]:
    """Errors of which none is about one kind of several that a value may have.

    pydantic tells of each kind that a value is not; that is one mistake. Where the value is of one
    kind and a part of it is wrong, only the part is told.
    """
    alternatives: dict[Loc, list[ErrorDetails]] = {}
    for error in details:
        loc = error["loc"]
        of_kind = error["type"].endswith("_type") and _KIND.fullmatch(str(loc[-1]))
        alternatives.setdefault(loc[:-1] if of_kind else loc, []).append(error)
    told = []
    for loc, errors in alternatives.items():
        if errors[0]["loc"] == loc:
            told += errors
        elif not any(other[: len(loc)] == loc and other != loc for other in alternatives):
            texts = dict.fromkeys(rule_text(error) for error in errors)
            first, *more = texts
            rule = " or ".join([first, *(text.removeprefix("must be ") for text in more)])
            told.append({**errors[0], "loc": loc, "msg": rule})
    return told


def literal_hint(details: ErrorDetails) -> str:
    """The nearest of the allowed values, for a value that is none of them."""
    allowed = _allowed(details)
    if details["input"] is None and "none" in allowed:
        return "Did you mean 'none'? null is the absence of a value"
    matches = difflib.get_close_matches(str(details["input"]), allowed, n=1)
    return f"Did you mean {matches[0]!r}?" if matches else ""


def dotted(loc: Iterable[str | int]) -> str:
    """A location as a dotted path."""
    return ".".join(str(step) for step in loc)


def study_problems(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Problem]:
    """The mistakes that pydantic found in a study file, each once, in the order of the file."""
    problems: dict[Loc, Problem] = {}
    for details in without_union_tags(error.errors(include_url=False)):
        path = root.path(details["loc"])
        if details["type"] == "missing":
            path = (*path, details["loc"][-1])
        problems.setdefault(path, _problem(details, path, root, model))
    return sorted(problems.values(), key=position)


def position(problem: Problem) -> tuple[int, int]:
    """Where a problem stands in its file, for sorting."""
    where = problem.where
    return (where.line or 0, where.column or 0) if where is not None else (0, 0)


def _problem(details: ErrorDetails, path: Loc, root: Node, model: type[BaseModel]) -> Problem:
    if details["type"] == "missing":
        rule = f"missing key {dotted(path)!r}"
        return Problem(rule, remedy=_described(model, path), where=root.where_value(path[:-1]))
    if details["type"] == "extra_forbidden":
        known = nearest(str(path[-1]), fields_at(model, path[:-1]), OTHER_KEYS)
        return Problem("unknown key", repr(dotted(path)), known, root.where_key(path))
    if details["loc"][-1] == "[key]":
        remedy = FORM_REMEDIES[NAME_FORM]
        return Problem("is not a usable name", show(path[-1]), remedy, root.where_key(path))
    remedy = _remedy(details, path) or _described(model, path)
    rule = f"{dotted(path) or 'a study'} {rule_text(details)}"
    return Problem(rule, show(details["input"]), remedy, root.where_value(path))


def _remedy(details: ErrorDetails, path: Loc) -> str:
    """What to write instead, where the value itself tells."""
    context = details.get("ctx", {})
    if "remedy" in context:
        return str(context["remedy"])
    if details["type"] == "string_pattern_mismatch":
        pattern = str(context.get("pattern", ""))
        return FORM_REMEDIES.get(pattern, f"It must match {pattern}")
    if len(path) == 2 and path[0] == "factors" and isinstance(details["input"], list):
        return _factor_to_write(path[1], details["input"])
    return literal_hint(details)


def _factor_to_write(name: str | int, levels: list[Any]) -> str:
    """A factor that was given as the list of its levels, as the mapping that it should be."""
    shown = [show(level) for level in levels[:_SHOWN_LEVELS]]
    shown += ["..."] if len(levels) > _SHOWN_LEVELS else []
    baseline = shown[0] if shown else "LEVEL"
    return f"Write {name}: {{baseline: {baseline}, levels: [{', '.join(shown)}]}}"


def _described(model: type[BaseModel], path: Loc) -> str:
    """What the schema says about the key at `path`."""
    info = fields_at(documented(model), path[:-1]).get(str(path[-1])) if path else None
    return (info.description or "").rstrip(".") if info else ""
