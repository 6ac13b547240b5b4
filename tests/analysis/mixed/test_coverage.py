"""A fast, seeded subset of benchmarks/coverage.py: four Monte-Carlo standard errors of slack."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    path = Path(__file__).parents[3] / "benchmarks" / "coverage.py"
    spec = importlib.util.spec_from_file_location("mixed_coverage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mixed_coverage"] = module
    spec.loader.exec_module(module)
    return module


def slack(draws: int) -> float:
    return float(4.0 * np.sqrt(0.05 * 0.95 / draws))


def test_closed_form_is_the_engine(coverage: ModuleType) -> None:
    assert coverage.check_narrow_against_engine() < 1e-10


@pytest.mark.parametrize("name", ["S2 t_c=.4", "S5 t=0"])
def test_narrow_coverage_and_broad_type_one_error(name: str, coverage: ModuleType) -> None:
    scenario = next(s for s in coverage.SCENARIOS if s.name == name)
    rates = coverage.simulate(scenario, 400, 0, seed=3)
    for estimand in coverage.contrasts():
        assert rates[f"narrow {estimand}"] == pytest.approx(0.95, abs=slack(400))
        assert rates[f"broad t {estimand}"] == pytest.approx(0.05, abs=slack(400))


def test_kenward_roger_keeps_its_level(coverage: ModuleType) -> None:
    scenario = next(s for s in coverage.SCENARIOS if s.name == "S2 t_c=.4")
    rates = coverage.simulate(scenario, 50, 50, seed=4)
    assert rates["broad KR average"] < 0.05 + slack(50)
