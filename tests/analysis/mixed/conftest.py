from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

REFERENCE = Path(__file__).parents[2] / "reference" / "stats"


@cache
def _cases() -> dict[str, Any]:
    text = (REFERENCE / "reference_public.json").read_text(encoding="utf-8")
    cases: dict[str, Any] = json.loads(text)["cases"]
    return cases


class Corpus:
    """The R reference cases (lme4, lmerTest, pbkrtest, emmeans, car, effectsize, metafor)."""

    folder = REFERENCE

    @staticmethod
    def case(name: str) -> dict[str, Any]:
        return _cases()[name]

    @staticmethod
    def names(*kinds: str) -> list[str]:
        return [name for name, case in _cases().items() if case["kind"] in kinds]

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
