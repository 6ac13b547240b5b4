"""One schema for every way in: what each writes is valid, and nothing that it writes is unknown."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from pydantic import TypeAdapter

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.core.schema.codes import ARGUMENTS, Code
from ablatekit.analysis.core.schema.published import schema_text
from ablatekit.analysis.core.schema.vocabulary import statement
from ablatekit.analysis.formula.analyse import formula_analysis
from ablatekit.analysis.formula.options import FormulaOptions
from ablatekit.analysis.study import analyse
from ablatekit.analysis.table import analyse_table
from ablatekit.report.write import analysis_json

PUBLISHED = Path(__file__).parents[2] / "docs" / "analysis.schema.json"
MODULE = "ablatekit.analysis.core.schema.published"
WRITE_IT = f"from {MODULE} import schema_text; print(schema_text(), end='')"


@cache
def _adapter() -> TypeAdapter[Analysis]:
    return TypeAdapter(Analysis)


def _statements(value: Any) -> list[Any]:
    if isinstance(value, dict) and value.keys() == {"code", "arguments"}:
        return [value, *_statements(value["arguments"])]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [found for part in parts for found in _statements(part)]


def _valid(analysis: Analysis) -> set[str]:
    """Check an analysis as it is written; the codes that it used."""
    content = json.loads(analysis_json(analysis))
    read = _adapter().validate_python(content)
    assert _adapter().dump_python(read) == content, "a key that the schema does not know"
    statements = _statements(content)
    for found in statements:
        assert sorted(found["arguments"]) == sorted(ARGUMENTS[found["code"]])
    return {found["code"] for found in statements}


@pytest.fixture
def table() -> pd.DataFrame:
    """Two factors, six contexts of which one misses a cell, two runs per cell."""
    rng = np.random.default_rng(8)
    rows = [
        {"a": a, "b": b, "model": f"m{m}", "dataset": f"d{d}", "r": r}
        for a in ("a0", "a1")
        for b in ("b0", "b1", "b2")
        for m in range(3)
        for d in range(2)
        for r in range(2)
    ]
    frame = pd.DataFrame(rows)
    frame["y"] = (frame["a"] == "a1") * 1.0 + rng.normal(size=len(frame))
    frame["hit"] = (frame["y"] > 0).astype(float)
    frame["v"] = rng.uniform(0.5, 1.5, len(frame))
    lost = (frame["a"] == "a1") & (frame["b"] == "b2") & (frame["model"] == "m0")
    return frame[~(lost & (frame["dataset"] == "d0"))]


def test_the_published_schema_is_that_of_the_types() -> None:
    text = PUBLISHED.read_text(encoding="utf-8")
    assert text == schema_text(), f'make it again: python -c "{WRITE_IT}" > {PUBLISHED.name}'


def test_every_code_has_its_arguments() -> None:
    assert set(ARGUMENTS) == set(get_args(Code))
    assert statement("assumes_order", order=2) == {
        "code": "assumes_order", "arguments": {"order": 2}
    }  # fmt: skip
    with pytest.raises(TypeError, match="assumes_order takes"):
        statement("assumes_order", level=2)


def test_an_analysis_by_factors_is_valid(table: pd.DataFrame) -> None:
    codes = _valid(analyse_table(table, "y", ["a", "b"], ["model", "dataset"]))
    assert {"contexts_left_out", "cell_means_t", "levels_t"} <= codes


def test_an_analysis_with_items_and_lost_runs_is_valid(study: Any, response: Any) -> None:
    rng = np.random.default_rng(2)
    rows = [
        {"run": f"{a}{r}", "a": f"a{a}", "item": i, "hit": float(rng.random() < 0.4 + 0.2 * a)}
        for a in range(2)
        for r in range(4)
        for i in range(12)
    ]
    assert "item_model" in _valid(analyse_table(pd.DataFrame(rows), "hit", ["a"]))
    frame = pd.DataFrame(rows).groupby(["run", "a"], as_index=False)["hit"].mean()
    planned = [response("learning", metric="hit"), response("generalization", metric="other")]
    frame = frame.assign(other=rng.random(len(frame)), status="finished")
    frame.loc[0, "status"] = "diverged"
    plan, tables = study(frame, ["a"], responses=planned)
    assert {"gap", "diverged_with_score"} <= _valid(analyse(plan, tables, {}, []))


@pytest.mark.parametrize(
    ("formula", "options", "key"),
    [
        ("y ~ a * b + (1 | model:dataset)",
         FormulaOptions(df="kenward-roger", pairwise=True, means=["a:b"], smallest_effect=0.5),
         "random_effects"),
        ("y ~ a + (0 + a || model)",
         FormulaOptions(method="ml", against="y ~ 1 + (0 + a || model)"), "likelihood_ratio"),
        ("y ~ a + (1 | model)",
         FormulaOptions(random_tests=True, random_intervals="profile"), "random_intervals"),
        ("y ~ a * b", FormulaOptions(df="satterthwaite"), "vcov_robust"),
        ("hit ~ a + (1 | model)", FormulaOptions(family="binomial"), "vcov_conditional"),
        ("y ~ a", FormulaOptions(variances="v"), "meta"),
    ],
)  # fmt: skip
def test_an_analysis_by_formula_is_valid(
    formula: str, options: FormulaOptions, key: str, table: pd.DataFrame
) -> None:
    analysis = formula_analysis(table, formula, options, {"table": "t.csv"})
    assert key in next(iter(analysis["responses"].values()))
    _valid(analysis)
