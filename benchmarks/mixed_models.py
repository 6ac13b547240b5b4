"""Time and peak memory of mixed models: ours, statsmodels, mixedlm, lme4/lmerTest/pbkrtest.

Every tool runs in a process of its own on the same data. Ours includes the data pass, Satterthwaite
and Kenward-Roger of all coefficients (at run level the three starts and the Kenward-Roger ANOVA);
the others are timed on what is named in the row. Tools that are not installed are left out.

    OMP_NUM_THREADS=1 python benchmarks/mixed_models.py [--cases run480 item633k ...] [--no-r]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RUN_FORMULA = "y ~ a * b * c * d + (1 | model) + (1 | ds) + (1 | model:ds)"
ITEM_FORMULA = "y ~ a * b + (1 | run) + (1 | item)"
NESTED = ITEM_FORMULA + " + (1 | item:model)"
EVAL_FORMULA = "y ~ service + (1 | s) + (1 | d) + (1 | dept)"

CASES: dict[str, dict[str, Any]] = {
    "run96": {"formula": RUN_FORMULA, "seeds": 1, "kr": True, "statsmodels": False},
    "run480": {"formula": RUN_FORMULA, "seeds": 5, "kr": True},
    "run1920": {"formula": RUN_FORMULA, "seeds": 20, "kr": False},
    "item12k": {"formula": ITEM_FORMULA, "runs": 48, "items": 250, "statsmodels": True},
    "item633k": {"formula": ITEM_FORMULA, "runs": 480, "items": 1319},
    "item633k_missing": {"formula": ITEM_FORMULA, "runs": 480, "items": 1319, "missing": 0.1},
    "item633k_slopes": {
        "formula": "y ~ a * b + (1 | run) + (1 + a | item)", "runs": 480, "items": 1319, "r": False,
    },
    "item633k_nested": {"formula": NESTED, "runs": 480, "items": 1319, "r": False},
    "item633k_nested_missing": {
        "formula": NESTED, "runs": 480, "items": 1319, "missing": 0.1, "r": False,
    },
    "item6M": {"formula": ITEM_FORMULA, "runs": 480, "items": 12600, "r": False},
    "item10M": {"formula": ITEM_FORMULA, "runs": 1000, "items": 10000, "r": False},
    "item9.5M_missing": {
        "formula": ITEM_FORMULA, "runs": 2000, "items": 5000, "missing": 0.05, "r": False,
    },
    "insteval": {"formula": EVAL_FORMULA, "insteval": True},
}  # fmt: skip


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


def table_of(name: str) -> pd.DataFrame:
    case = CASES[name]
    if case.get("insteval"):
        return insteval_table()
    if "seeds" in case:
        return run_table(case["seeds"])
    return item_table(case["runs"], case["items"], case.get("missing", 0.0))


def run_ours(name: str, table: pd.DataFrame) -> float:
    from ablatekit.analysis.mixed.anova import anova
    from ablatekit.analysis.mixed.fit import fit_formula
    from ablatekit.analysis.mixed.information import Information
    from ablatekit.analysis.mixed.tests import linear_model

    fit = fit_formula(table, CASES[name]["formula"])
    information = Information(fit)
    for method in ("satterthwaite", "kenward-roger"):
        model = linear_model(fit, method, information)  # type: ignore[arg-type]
        assert np.isfinite(model.coefficients.df).all()
    if CASES[name].get("kr"):
        anova(model, "III")
    return fit.criterion


def run_ours_fit(name: str, table: pd.DataFrame) -> float:
    from ablatekit.analysis.mixed.fit import fit_formula
    from ablatekit.analysis.mixed.tests import linear_model

    fit = fit_formula(table, CASES[name]["formula"])
    assert len(linear_model(fit).coefficients.df)
    return fit.criterion


def run_ours_kr(name: str, table: pd.DataFrame) -> float:
    """Only the Kenward-Roger ANOVA; the fit is made before the clock starts."""
    from ablatekit.analysis.mixed.anova import anova
    from ablatekit.analysis.mixed.fit import fit_formula
    from ablatekit.analysis.mixed.tests import linear_model

    fit = fit_formula(table, CASES[name]["formula"])
    global _started
    _started = (time.perf_counter(), time.process_time())
    anova(linear_model(fit, "kenward-roger"), "III")
    return fit.criterion


def run_statsmodels(name: str, table: pd.DataFrame) -> float:
    import warnings

    import statsmodels.formula.api as smf

    warnings.simplefilter("ignore")
    table = table.assign(whole=1)
    parts = {"run": "0 + C(run)", "item": "0 + C(item)"}
    fixed = CASES[name]["formula"].split(" + (")[0]
    fit = smf.mixedlm(fixed, table, groups="whole", vc_formula=parts).fit(reml=True)
    return float(-2.0 * fit.llf)


def run_mixedlm(name: str, table: pd.DataFrame) -> float:
    import mixedlm  # type: ignore[import-not-found]

    fit = mixedlm.lmer(CASES[name]["formula"], table)
    return float(getattr(fit, "deviance", np.nan))


PYTHON = {
    "ours: fit + Satterthwaite + KR": run_ours,
    "ours: fit + Satterthwaite": run_ours_fit,
    "ours: KR anova alone": run_ours_kr,
    "mixedlm: fit": run_mixedlm,
    "statsmodels: fit": run_statsmodels,
}
R_CODE = {
    "lme4: fit": "m <- lme4::lmer(f, d)",
    "lmerTest: fit + summary": "m <- lmerTest::lmer(f, d); s <- summary(m)",
    "pbkrtest: KR anova": "m <- lmerTest::lmer(f, d); t0 <- proc.time();"
    ' a <- anova(m, type = "III", ddf = "Kenward-Roger")',
}
_started = (0.0, 0.0)


def single(name: str, tool: str) -> None:
    """One measurement in this process, printed as JSON."""
    global _started
    table = table_of(name)
    warm = run_table(1)
    if tool.startswith("ours"):
        CASES["warm"] = {"formula": "y ~ a + (1 | model)"}
        run_ours("warm", warm)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    repeats = 5 if len(table) < 20_000 and tool.startswith(("ours", "mixedlm")) else 1
    elapsed, cpu = [], []
    for _ in range(repeats):
        _started = (time.perf_counter(), time.process_time())
        value = PYTHON[tool](name, table)
        elapsed.append(time.perf_counter() - _started[0])
        cpu.append(time.process_time() - _started[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        json.dumps(
            {
                "seconds": float(np.median(elapsed)),
                "cpu": float(np.median(cpu)),
                "peak_mb": peak / 1024,
                "added_mb": (peak - before) / 1024,
                "criterion": value,
                "rows": len(table),
            }
        )
    )


def measure_python(name: str, tool: str, limit: float) -> dict[str, Any] | None:
    command = [sys.executable, __file__, "--single", name, tool]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"seconds": float("inf"), "cpu": float("inf"), "peak_mb": float("nan")}
    if done.returncode:
        print(f"  {tool}: failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def measure_r(name: str, tool: str, path: Path, limit: float) -> dict[str, Any] | None:
    code = (
        f'd <- read.csv("{path}", stringsAsFactors = TRUE); f <- {CASES[name]["formula"]};'
        " suppressMessages({library(lme4); library(lmerTest); library(pbkrtest)});"
        ' for (v in intersect(c("s", "d", "dept", "service"), names(d)))'
        ' if (v != "d" || nrow(d) == 73421) d[[v]] <- factor(d[[v]]);'
        f" t0 <- proc.time(); suppressMessages({{{R_CODE[tool]}}}); t <- proc.time() - t0;"
        ' p <- as.numeric(sub("[^0-9]*([0-9]+).*", "\\\\1",'
        ' grep("VmHWM", readLines("/proc/self/status"), value = TRUE)));'
        ' cat(sprintf("%.6f %.6f %.1f %.8f\\n", t[3], t[1] + t[2], p / 1024, lme4::REMLcrit(m)))'
    )
    try:
        done = subprocess.run(
            ["Rscript", "-e", code], capture_output=True, text=True, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return {"seconds": float("inf"), "cpu": float("inf"), "peak_mb": float("nan")}
    if done.returncode:
        print(f"  {tool}: failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    seconds, cpu, peak, value = map(float, done.stdout.split()[-4:])
    return {"seconds": seconds, "cpu": cpu, "peak_mb": peak, "criterion": value}


def tools_of(name: str, with_r: bool) -> list[str]:
    case = CASES[name]
    tools = ["ours: fit + Satterthwaite + KR"]
    if "seeds" in case:
        tools += ["ours: fit + Satterthwaite", "ours: KR anova alone"]
    if importlib.util.find_spec("mixedlm") and case.get("r", True):
        tools.append("mixedlm: fit")
    if case.get("statsmodels"):
        tools.append("statsmodels: fit")
    if with_r and case.get("r", True):
        tools += ["lme4: fit", "lmerTest: fit + summary"]
        if case.get("kr"):
            tools.append("pbkrtest: KR anova")
    return tools


def compare(name: str, with_r: bool, limit: float) -> None:
    rows: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        if with_r and CASES[name].get("r", True):
            table_of(name).to_csv(path, index=False)
        for tool in tools_of(name, with_r):
            if tool in PYTHON:
                row = measure_python(name, tool, limit)
            else:
                row = measure_r(name, tool, path, limit)
            if row is not None:
                rows[tool] = row
    ours = rows["ours: fit + Satterthwaite + KR"]
    print(f"\n### {name}: {CASES[name]['formula']}, {ours['rows']} rows\n")
    print("| tool | seconds | CPU s | times ours | peak MB | criterion |")
    print("|---|---|---|---|---|---|")
    for tool, row in rows.items():
        print(
            f"| {tool} | {row['seconds']:.4g} | {row['cpu']:.4g} |"
            f" {row['cpu'] / ours['cpu']:.3g} | {row['peak_mb']:.0f} |"
            f" {row.get('criterion', float('nan')):.6f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds per measurement")
    parser.add_argument("--single", nargs=2, metavar=("CASE", "TOOL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.single:
        single(*options.single)
        return
    with_r = not options.no_r and shutil.which("Rscript") is not None
    for name in options.cases:
        if CASES[name].get("insteval") and not with_r:
            continue
        compare(name, with_r, options.limit)


if __name__ == "__main__":
    main()
