"""A commented study to start from, made from what a backend says about its settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from ablatekit.backend import Backend, Starter, Starting
from ablatekit.design.build import build_plan
from ablatekit.design.plan import Plan
from ablatekit.errors import UsageError
from ablatekit.study.load import parse_study
from ablatekit.study.scalars import scalar_text
from ablatekit.study.settings import SettingField, setting_fields

FACTORS = 2


def starter_study(backend: Backend, name: str = "my_study") -> str:
    """The text of a small study of `backend` that validates.

    It is the backend's own example where it has one (`starter_files` lie beside it then). Otherwise
    its factors are the backend's first settings that have two levels which make a difference, and
    its contexts the settings that name something (free text, such as a model or a data set).
    """
    if isinstance(backend, Starting):
        return _example_text(backend, name, backend.starter())
    chosen: dict[str, Sequence[Any]] = {}
    for field, levels in _candidates(backend):
        trial = {**chosen, field.name: levels}
        plan = _plan(_settings_text(backend, name, trial), backend)
        if plan is not None and not plan.merged:
            chosen = trial
        if len(chosen) == FACTORS:
            break
    return _settings_text(backend, name, chosen)


def starter_files(backend: Backend) -> Mapping[str, str]:
    """The files that a backend's starter study names, by name; they lie beside it."""
    return backend.starter().files if isinstance(backend, Starting) else {}


def _example_text(backend: Backend, name: str, example: Starter) -> str:
    settings = [f"    {key}: {json.dumps(value)}" for key, value in example.settings.items()]
    response = f"{{metric: {example.response}, direction: {example.direction}}}"
    return _text(
        backend,
        name,
        settings=["  settings:", *settings],
        varied=example.varied,
        factors=example.factors,
        contexts=[],
        responses=[
            "# What is measured, and which way is better. With a smallest_effect that matters",
            "# ({metric: NAME, direction: higher, smallest_effect: 0.02}), small effects can be",
            "# called equivalent.",
            "responses:",
            f"  {example.response}: {response}",
        ],
    )


def _settings_text(backend: Backend, name: str, factors: Mapping[str, Sequence[Any]]) -> str:
    return _text(
        backend,
        name,
        settings=["  settings: {}"],
        varied=f"`ablatekit factor list --backend {backend.name}` shows what can be varied.",
        factors=factors,
        contexts=_context_lines(backend),
        responses=[
            "# What is measured; by default the backend's learning and generalization metrics.",
            "# With a smallest_effect that matters, small effects can be called equivalent:",
            "# responses:",
            "#   learning: {metric: NAME, summary: final, smallest_effect: 0.02}",
        ],
    )


def _plan(text: str, backend: Backend) -> Plan | None:
    try:
        return build_plan(parse_study(text, Path("starter.yaml")), backend)
    except UsageError:
        return None


def _candidates(backend: Backend) -> Iterator[tuple[SettingField, tuple[Any, Any]]]:
    for field in setting_fields(backend.settings).values():
        levels = None if field.execution else _two_levels(field)
        if levels is not None:
            yield field, levels


def _two_levels(field: SettingField) -> tuple[Any, Any] | None:
    default, annotation = field.info.default, field.info.annotation
    if get_origin(annotation) is Literal:
        others = [value for value in get_args(annotation) if value != default]
        return (default, others[0]) if others else None
    if isinstance(default, bool):
        return default, not default
    if isinstance(default, int | float) and default > 0:
        return default, 2 * default
    return None


def _context_fields(backend: Backend) -> Iterator[SettingField]:
    for field in setting_fields(backend.settings).values():
        is_text = field.info.annotation is str and field.info.default is not PydanticUndefined
        if is_text and field.info.default and not field.execution:
            yield field


def _text(
    backend: Backend,
    name: str,
    *,
    settings: Sequence[str],
    varied: str,
    factors: Mapping[str, Sequence[Any]],
    contexts: Sequence[str],
    responses: Sequence[str],
) -> str:
    lines = [
        "# A study: which design choices matter, by how much, and would it hold elsewhere?",
        "# Check it with `ablatekit study validate`, look at it with `ablatekit study plan`.",
        "version: 1",
        f"name: {name}",
        "question: Which of these design choices matter?",
        "",
        "# What trains. Settings given here are the same in every run; what is not given has the",
        f"# backend's default (`ablatekit backend show {backend.name}`).",
        "backend:",
        f"  name: {backend.name}",
        *settings,
        "",
        "# Design choices under study: every level is compared with the baseline level. The short",
        "# form varies the setting of the factor's name; in the long form a level sets settings:",
        "#   size: {baseline: small, levels: {small: {a: 1, b: 2}, large: {a: 4, b: 8}}}",
        f"# {varied}",
        "factors:",
        *(f"  {key}: {_factor(levels)}" for key, levels in factors.items()),
        "",
        *contexts,
        "# Independent repeats of every cell in every context. One gives no measure of chance.",
        "replicates: 2",
        "",
        "# full: every combination of levels. custom: {kind: custom, cells: [...]} lists them.",
        "design: {kind: full}",
        "# Combinations to leave out, for instance [{one_factor: a_level, another: a_level}].",
        "exclude: []",
        "",
        *responses,
        "",
        "# Further keys: price: samples (what a level's price counts) and, where contexts carry a",
        "# covariate, predict_at: {params: 7e9}.",
        "analysis: {interactions: 2, inference: both, alpha: 0.05, adjust: holm, diverged: score}",
        "dispatch: {executor: local, workers: auto, retries: 2}",
        "",
    ]
    return "\n".join(lines)


def _factor(levels: Sequence[Any]) -> str:
    values = ", ".join(scalar_text(level) for level in levels)
    return f"{{baseline: {scalar_text(levels[0])}, levels: [{values}]}}"


def _context_lines(backend: Backend) -> list[str]:
    fields = list(islice(_context_fields(backend), 3))
    if not fields:
        return []
    return [
        "# What conclusions must hold across; every combination is run. Add values: conclusions",
        "# about contexts like these (broad inference) need three or more of a variable.",
        "# With a covariate of its values, effects are shown against it and predicted elsewhere:",
        f"#   {fields[0].name}: {{levels: {{A: {{params: 1e8}}, B: {{params: 3e8}}, ...}}}}",
        "contexts:",
        *(f"  {field.name}: [{scalar_text(field.info.default)}]" for field in fields),
        "",
    ]
