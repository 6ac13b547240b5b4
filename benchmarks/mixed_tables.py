"""The tables of benchmarks/mixed_models.py: run level, item level, lme4's InstEval."""

from __future__ import annotations

import subprocess
import tempfile
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
        table = pd.read_csv(path)
    return table.astype(dict.fromkeys(("s", "d", "dept", "service"), "category"))
