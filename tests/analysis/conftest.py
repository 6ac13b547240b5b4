from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ablatekit.analysis.table import DEFAULTS, plan_from_table
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan, PlannedResponse

REFERENCE = Path(__file__).parents[1] / "reference" / "stats"


def make_response(name: str, **changes: Any) -> PlannedResponse:
    values: dict[str, Any] = {
        "name": name,
        "metric": name,
        "summary": "final",
        "direction": "higher",
        "smallest_effect": None,
        "items": None,
        "label": name,
    }
    return PlannedResponse(**{**values, **changes})


@pytest.fixture(scope="session")
def response() -> Callable[..., PlannedResponse]:
    return make_response


@pytest.fixture(scope="session")
def study() -> Callable[..., tuple[Plan, StudyTables]]:
    def build(
        frame: pd.DataFrame,
        factors: Sequence[str],
        contexts: Sequence[str] = (),
        *,
        responses: Sequence[PlannedResponse] | str = "y",
        baselines: Mapping[str, str] | None = None,
        smallest: float | None = None,
        **analysis: Any,
    ) -> tuple[Plan, StudyTables]:
        if isinstance(responses, str):
            responses = [make_response(responses, smallest_effect=smallest)]
        chosen = replace(DEFAULTS, **analysis)
        return plan_from_table(frame, responses, factors, contexts, baselines or {}, chosen)

    return build


@pytest.fixture(scope="session")
def factorial() -> Callable[..., pd.DataFrame]:
    """A frame of a factorial: levels `l0, l1, ...`, contexts model x dataset, normal noise."""

    def build(
        sizes: Sequence[int],
        models: int = 3,
        datasets: int = 2,
        replicates: int = 2,
        seed: int = 0,
        mean: Callable[..., float] | None = None,
        sd: float = 1.0,
    ) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        names = "ABCDEFGH"[: len(sizes)]
        rows = []
        for m, d in itertools.product(range(models), range(datasets)):
            for cell in itertools.product(*(range(size) for size in sizes)):
                for _ in range(replicates):
                    value = mean(*cell, m, d) if mean else 0.0
                    levels = {n: f"l{i}" for n, i in zip(names, cell, strict=True)}
                    y = value + sd * rng.normal()
                    rows.append({**levels, "model": f"m{m}", "dataset": f"d{d}", "y": y})
        return pd.DataFrame(rows)

    return build


@pytest.fixture(scope="session")
def pick() -> Callable[..., Any]:
    """The only row of a list that has these entries."""

    def choose(rows: Sequence[Mapping[str, Any]], **entries: Any) -> Any:
        found = [row for row in rows if all(row[k] == v for k, v in entries.items())]
        assert len(found) == 1, (entries, len(found))
        return found[0]

    return choose


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Any]:
    """A case of the R reference values, with its data as `frame`."""
    cases = json.loads((REFERENCE / "reference_fixed.json").read_text())["cases"]

    def load(name: str) -> Any:
        return {**cases[name], "frame": pd.read_csv(REFERENCE / cases[name]["data"])}

    return load


@cache
def _cases() -> dict[str, Any]:
    text = (REFERENCE / "reference_public.json").read_text(encoding="utf-8")
    cases: dict[str, Any] = json.loads(text)["cases"]
    return cases


@cache
def _estimable() -> dict[str, Any]:
    text = (REFERENCE.parent / "estimable" / "reference.json").read_text(encoding="utf-8")
    values: dict[str, Any] = json.loads(text)
    return values


class Corpus:
    """The R reference cases (lme4, lmerTest, pbkrtest, emmeans, car, effectsize, metafor)."""

    folder = REFERENCE
    estimable = REFERENCE.parent / "estimable"

    @staticmethod
    def case(name: str) -> dict[str, Any]:
        return _cases()[name]

    @staticmethod
    def names(*kinds: str) -> list[str]:
        return [name for name, case in _cases().items() if case["kind"] in kinds]

    @staticmethod
    def at_mean(name: str, table: str, rows: Any) -> Any:
        """The same ANOVA where factors are tested at the mean of the covariates, if it differs."""
        return _estimable()["at_mean"].get(name, {}).get(table, rows)

    @staticmethod
    def goodnight(name: str) -> dict[str, Any]:
        """F tests by estimable functions, with the table that they are of as `frame`."""
        case = _estimable()["goodnight"][name]
        return {**case, "frame": pd.read_csv(Corpus.estimable / case["data"])}

    @staticmethod
    def curve() -> list[dict[str, Any]]:
        """Type III of a factor that interacts with a curve, at the mean of its columns."""
        return list(_estimable()["curve"])

    @staticmethod
    def no_intercept() -> list[dict[str, Any]]:
        """The test of a factor that stands for the intercept, averaged over the other factor."""
        return list(_estimable()["no_intercept"])

    @staticmethod
    def table(case: dict[str, Any]) -> pd.DataFrame:
        data = pd.read_csv(REFERENCE / case["data"])
        for factor, levels in (case.get("factors") or {}).items():
            data[factor] = pd.Categorical(data[factor].astype(str), categories=levels)
        return data

    @staticmethod
    def column(rows: list[dict[str, Any]], *names: str) -> np.ndarray[Any, Any]:
        name = next(n for n in names if n in rows[0])
        return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=float)

    @staticmethod
    def error(ours: Any, theirs: Any, floor: float = 1e-300) -> float:
        """Largest relative error; NaN must agree."""
        a = np.atleast_1d(np.asarray(ours, dtype=float))
        b = np.atleast_1d(np.asarray(theirs, dtype=float))
        assert a.shape == b.shape
        assert np.array_equal(np.isnan(a), np.isnan(b))
        known = ~np.isnan(b)
        scale = np.maximum(np.abs(b[known]), floor)
        return float((np.abs(a - b)[known] / scale).max(initial=0.0))


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return Corpus()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    kinds = {"lmm_case": ("lmm",), "ols_case": ("ols",), "meta_case": ("meta",)}
    for fixture, wanted in kinds.items():
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, Corpus.names(*wanted))
