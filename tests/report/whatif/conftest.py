"""Small studies, analysed with any bounds, and the scripts of a page in a browser."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.formula.analyse import formula_analysis
from ablatekit.analysis.formula.options import FormulaOptions
from ablatekit.analysis.study import analyse
from ablatekit.analysis.table import DEFAULTS, plan_from_table
from ablatekit.design.plan import PlannedResponse
from ablatekit.report.whatif.payload import exploration

SCRIPTS = ("statistics.js", "choices.js", "headline.js", "whatif.js")


def response(name: str, **changes: Any) -> PlannedResponse:
    values: dict[str, Any] = {
        "name": name, "metric": name, "summary": "final", "direction": "higher",
        "smallest_effect": 0.02, "items": None, "label": name,
    }  # fmt: skip
    return PlannedResponse(**{**values, **changes})


def table(
    sizes: Sequence[int], models: int, datasets: int, replicates: int, seed: int = 0
) -> pd.DataFrame:
    """Runs of a full factorial whose effects differ between models."""
    rng = np.random.default_rng(seed)
    rows = []
    for model, dataset in itertools.product(range(models), range(datasets)):
        for cell in itertools.product(*map(range, sizes)):
            for _ in range(replicates):
                learning = 0.4 + 0.1 * model + 0.05 * dataset + 0.02 * cell[0] * (1 + (model == 1))
                learning += 0.008 * sum(cell) + 0.02 * rng.normal()
                levels = {name: f"l{level}" for name, level in zip("ABCDEF", cell, strict=False)}
                rows.append({
                    **levels, "model": f"m{model}", "dataset": f"d{dataset}",
                    "learning": learning,
                    "generalization": learning - 0.05 - 0.01 * cell[-1] + 0.015 * rng.normal(),
                    "loss": 3.0 - 2.0 * learning + 0.02 * rng.normal(),
                    "samples": 100.0 * (1 + cell[0]) * (1 + 3 * cell[-1]),
                })  # fmt: skip
    return pd.DataFrame(rows)


def analysed(
    frame: pd.DataFrame, factors: str = "AB", contexts: Sequence[str] = ("model", "dataset"),
    alpha: float = 0.05, margin: float | None = 0.02, names: Sequence[str] = (),
    margins: Sequence[float | None] = (),
) -> Any:  # fmt: skip
    """The analysis of a table under some bounds."""
    named = names or ("learning", "generalization")
    responses = [
        response(name, smallest_effect=own, direction="lower" if name == "loss" else "higher")
        for name, own in zip(named, margins or [margin] * len(named), strict=True)
    ]
    bounds = replace(DEFAULTS, alpha=alpha)
    return analyse(*plan_from_table(frame, responses, list(factors), contexts, {}, bounds), {}, ())


def holes(frame: pd.DataFrame) -> pd.DataFrame:
    """Without one cell at all, and without another in one model."""
    gone = (frame["A"] == "l2") & (frame["B"] == "l2")
    lost = (frame["A"] == "l1") & (frame["B"] == "l1") & (frame["model"] == "m0")
    return frame[~gone & ~lost]


STUDIES: Mapping[str, Callable[..., Any]] = {
    "two scopes": lambda **bounds: analysed(table((2, 3), 4, 3, 2), **bounds),
    "one scope": lambda **bounds: analysed(table((2, 2), 3, 2, 2), **bounds),
    "holes": lambda **bounds: analysed(holes(table((3, 3), 3, 2, 2)), **bounds),
    "one run per cell": lambda **bounds: analysed(table((2, 2), 3, 2, 1), **bounds),
    "thirteen levels": lambda **bounds: analysed(table((13, 2), 3, 1, 2), **bounds),
    "lower is better": lambda **bounds: analysed(
        table((2, 2), 3, 1, 3), contexts=["model"], names=["loss"], **bounds
    ),
    "no contexts": lambda **bounds: analysed(
        table((2, 2), 1, 1, 3), contexts=[], names=["loss"], **bounds
    ),
}


def fitted(formula: str, **options: Any) -> Any:
    """The analysis of a formula under some bounds."""
    frame = table((3, 2), 3, 2, 2)
    frame["solved"] = (frame["learning"] > frame["learning"].median()).astype(float)
    frame.loc[::7, "solved"] = 1.0 - frame.loc[::7, "solved"]
    return formula_analysis(frame, formula, FormulaOptions(**options))


FORMULAS: Mapping[str, Mapping[str, Any]] = {
    "least squares": {"formula": "learning ~ A + B + model"},
    "mixed": {"formula": "loss ~ A * B + (1 | model)"},
    "normal limit": {"formula": "learning ~ A + B + (1 | model)", "df": "asymptotic"},
    "dunnettx": {"formula": "learning ~ A + (1 | model)", "adjust": "dunnettx"},
    "mvt": {"formula": "learning ~ A + B + model", "adjust": "mvt"},
    "logistic": {"formula": "solved ~ A + B + (1 | model)", "family": "binomial"},
}


@pytest.fixture(scope="session")
def fitted_formula() -> Callable[..., Any]:
    """The analysis of one of `FORMULAS`."""
    return lambda name, **bounds: fitted(**{**FORMULAS[name], **bounds})


@pytest.fixture(params=FORMULAS)
def formula_name(request: pytest.FixtureRequest) -> str:
    """The name of every formula."""
    return str(request.param)


@pytest.fixture(scope="session")
def analysed_study() -> Callable[..., Any]:
    """The analysis of one of `STUDIES`."""
    return lambda name, **bounds: STUDIES[name](**bounds)


@pytest.fixture(params=STUDIES)
def study_name(request: pytest.FixtureRequest) -> str:
    """The name of every study."""
    return str(request.param)


def script(name: str) -> str:
    """A script of the page."""
    return (files("ablatekit.report.formats") / "templates" / name).read_text(encoding="utf-8")


@pytest.fixture
def scripts(chromium: Any) -> Iterator[Callable[[Any], Any]]:
    """Opens an empty page with the scripts of the what-if and the payload of an analysis."""
    pages = []

    def opening(analysis: Any) -> Any:
        page = chromium.new_page()
        pages.append(page)
        payload = json.dumps(exploration(analysis)).replace("<", "\\u003c")
        page.set_content(f'<script type="application/json" id="exploration">{payload}</script>')
        page.add_script_tag(content="\n".join(map(script, SCRIPTS)))
        return page

    yield opening
    for page in pages:
        page.close()
