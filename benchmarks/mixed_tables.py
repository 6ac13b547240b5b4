"""The tables of benchmarks/mixed_models.py: run level, item level, ratings, one run a cell."""

from __future__ import annotations

import subprocess
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def labels(codes: np.ndarray[Any, Any], count: int, prefix: str) -> pd.Categorical:
    names = [f"{prefix}{j:05d}" for j in range(count)]
    return pd.Categorical.from_codes(codes, names)  # type: ignore[arg-type]


def run_table(seeds: int) -> pd.DataFrame:
    """A 2^4 factorial over 3 models x 2 data sets with `seeds` replicates."""
    rng = np.random.default_rng(1)
    cell = np.tile(np.arange(96), seeds)
    model, ds = cell % 3, (cell // 3) % 2
    factors = {name: (cell // (6 * 2**j)) % 2 for j, name in enumerate("abcd")}
    y = rng.normal(0, 2, 3)[model] + rng.normal(0, 1.5, 2)[ds] + rng.normal(0, 0.5, 6)[cell % 6]
    y = y + 0.5 * factors["a"] + rng.normal(size=len(cell))
    columns = {name: labels(codes, 2, name) for name, codes in factors.items()}
    return pd.DataFrame(
        {"y": y, **columns, "model": labels(model, 3, "m"), "ds": labels(ds, 2, "s")}
    )


def item_table(runs: int, items: int, missing: float) -> pd.DataFrame:
    """0/1 outcomes of `items` items in `runs` runs of 3 models."""
    rng = np.random.default_rng(2)
    run = np.repeat(np.arange(runs, dtype=np.int32), items)
    item = np.tile(np.arange(items, dtype=np.int32), runs)
    if missing:
        keep = rng.random(len(run)) >= missing
        run, item = run[keep], item[keep]
    eta = rng.normal(0, 1.5, items)[item] + rng.normal(0, 0.3, runs)[run] + 0.3 * (run % 2)
    y = (rng.random(len(run)) < 1.0 / (1.0 + np.exp(-eta))).astype(np.float64)
    return pd.DataFrame(
        {
            "y": y,
            "a": labels((run % 2).astype(np.int8), 2, "a"),
            "b": labels((run // 2 % 2).astype(np.int8), 2, "b"),
            "model": labels((run // 4 % 3).astype(np.int8), 3, "m"),
            "run": labels(run, runs, "r"),
            "item": labels(item, items, "i"),
        }
    )


def insteval_table() -> pd.DataFrame:
    """lme4's InstEval (73,421 ratings), exported by R."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "insteval.csv"
        code = f'write.csv(lme4::InstEval, "{path}", row.names = FALSE)'
        subprocess.run(["Rscript", "-e", code], check=True, capture_output=True)
        table = pd.read_csv(path, dtype=dict.fromkeys(("s", "d", "dept", "service"), str))
    return table.astype(dict.fromkeys(("s", "d", "dept", "service"), "category"))


def ratings_table() -> pd.DataFrame:
    """The shape of InstEval without R: 73,421 ratings by 2,972 of 1,128 in 14 departments."""
    rng = np.random.default_rng(3)
    n, students, lecturers, departments = 73_421, 2972, 1128, 14
    department = rng.integers(0, departments, lecturers)
    s = np.concatenate([np.arange(students), rng.integers(0, students, n - students)])
    d = rng.permutation(
        np.concatenate([np.arange(lecturers), rng.integers(0, lecturers, n - lecturers)])
    )
    service = rng.integers(0, 2, n)
    # A tenth of the ratings are of service courses, given in another department.
    dept = np.where(rng.random(n) < 0.1, rng.integers(0, departments, n), department[d])
    y = 3.2 - 0.07 * service + rng.normal(0, 0.32, students)[s] + rng.normal(0, 0.5, lecturers)[d]
    y = y + rng.normal(0, 0.1, departments)[dept] + rng.normal(0, 1.18, n)
    codes = {"s": s, "d": d, "dept": dept, "service": service}
    columns = {name: labels(of, int(of.max()) + 1, name) for name, of in codes.items()}
    return pd.DataFrame({"y": y, **columns})


FIVE = {"a": 3, "b": 4, "c": 5, "d": 3, "e": 4}


def five_factors_table() -> pd.DataFrame:
    """One observation in every cell of five crossed factors, all of whose effects are random.

    The kind of table of https://github.com/JuliaStats/MixedModels.jl/issues/591; every interaction
    is a column of its own, so that every package can read it as a grouping factor.
    """
    rng = np.random.default_rng(4)
    shape = tuple(FIVE.values())
    index = dict(zip(FIVE, np.indices(shape).reshape(len(shape), -1), strict=True))
    y = rng.normal(0, 0.5, int(np.prod(shape)))
    columns: dict[str, Any] = {}
    for names in effects_of(tuple(FIVE)):
        sizes = tuple(FIVE[name] for name in names)
        codes = np.ravel_multi_index(tuple(index[name] for name in names), sizes)
        count = int(np.prod(sizes))
        y = y + rng.normal(0, 1.0 / len(names), count)[codes]
        columns["".join(names)] = labels(codes, count, "".join(names))
    return pd.DataFrame({"y": y, **columns})


def effects_of(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Main effects and interactions below the highest, which is the residual."""
    return [chosen for size in range(1, len(names)) for chosen in combinations(names, size)]


def unbalanced_table() -> pd.DataFrame:
    """150 rows of an unbalanced 2 x 3 design over 5 models x 4 data sets, as text."""
    rng = np.random.default_rng(11)
    n = 150
    a, b = rng.integers(0, 2, n), rng.choice(3, n, p=[0.5, 0.3, 0.2])
    model, ds = rng.integers(0, 5, n), rng.integers(0, 4, n)
    y = (
        rng.normal(0, 1, 5)[model]
        + rng.normal(0, 1, 4)[ds]
        + rng.normal(0, 0.5, 20)[model * 4 + ds]
    )
    y = y + 0.5 * a - 0.3 * b + rng.normal(0, 0.6, n)
    text = {"a": a, "b": b, "model": model, "ds": ds}
    pair = np.char.add(np.char.add(model.astype(str), "x"), ds.astype(str))
    columns = {name: np.char.add(name, codes.astype(str)) for name, codes in text.items()}
    return pd.DataFrame({"y": y, **columns, "pair": pair})
