"""Time and peak memory of mixed models: ours, statsmodels, mixedlm, lme4/lmerTest/pbkrtest.

Every tool runs in a process of its own on the same data and one core, at run level in three rounds
that alternate. Ours includes the data pass, Satterthwaite and Kenward-Roger of all coefficients (at
run level the three starts and the Kenward-Roger ANOVA); the others are timed on what is named in
the row. Ratios are of CPU seconds. Tools that are not installed are left out.

    OMP_NUM_THREADS=1 python benchmarks/mixed_models.py [--cases run480 item633k ...] [--no-r]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from mixed_tables import insteval_table, item_table, run_table

RUN_FORMULA = "y ~ a * b * c * d + (1 | model) + (1 | ds) + (1 | model:ds)"
ITEM_FORMULA = "y ~ a * b + (1 | run) + (1 | item)"
NESTED = ITEM_FORMULA + " + (1 | item:model)"
EVAL_FORMULA = "y ~ service + (1 | s) + (1 | d) + (1 | dept)"

OURS = "ours: fit + Satterthwaite + KR"
ALONE = (OURS,)
FIT_ONLY = (OURS, "lme4: fit")
ALSO_MIXEDLM = (*FIT_ONLY, "mixedlm: fit")
ALSO_LMERTEST = (*ALSO_MIXEDLM, "lmerTest: fit + summary")
RUN_LEVEL = (OURS, "ours: fit + Satterthwaite", "ours: KR anova alone", *ALSO_LMERTEST[1:])
ROUNDS = 3

CASES: dict[str, dict[str, Any]] = {
    "run96": {
        "formula": RUN_FORMULA, "seeds": 1, "kr": True, "tools": (*RUN_LEVEL, "pbkrtest: KR anova"),
    },
    "run480": {
        "formula": RUN_FORMULA, "seeds": 5, "kr": True, "tools": (*RUN_LEVEL, "pbkrtest: KR anova"),
    },
    "run1920": {"formula": RUN_FORMULA, "seeds": 20, "tools": RUN_LEVEL},
    "item12k": {
        "formula": ITEM_FORMULA, "runs": 48, "items": 250,
        "tools": (*ALSO_MIXEDLM, "statsmodels: fit"),
    },
    "item633k": {"formula": ITEM_FORMULA, "runs": 480, "items": 1319, "tools": ALSO_MIXEDLM},
    "item633k_missing": {
        "formula": ITEM_FORMULA, "runs": 480, "items": 1319, "missing": 0.1, "tools": FIT_ONLY,
    },
    "item633k_slopes": {
        "formula": "y ~ a * b + (1 | run) + (1 + a | item)", "runs": 480, "items": 1319,
        "tools": ALONE,
    },
    "item633k_nested": {"formula": NESTED, "runs": 480, "items": 1319, "tools": ALONE},
    "item633k_nested_missing": {
        "formula": NESTED, "runs": 480, "items": 1319, "missing": 0.1, "tools": ALONE,
    },
    "item6M": {"formula": ITEM_FORMULA, "runs": 480, "items": 12600, "tools": ALONE},
    "item10M": {"formula": ITEM_FORMULA, "runs": 1000, "items": 10000, "tools": ALONE},
    "item9.5M_missing": {
        "formula": ITEM_FORMULA, "runs": 2000, "items": 5000, "missing": 0.05, "tools": ALONE,
    },
    "parquet10M": {
        "formula": "y ~ a * b + (1 | run) + (1 | item)", "runs": 1000, "items": 10000,
        "tools": ("ours: ablatekit analyze FILE.parquet",),
    },
    "insteval": {"formula": EVAL_FORMULA, "insteval": True, "tools": ALSO_MIXEDLM},
    "logistic50k": {
        "formula": ITEM_FORMULA, "runs": 96, "items": 521,
        "tools": ("ours: logistic, Laplace", "glmmTMB: fit", "lme4: glmer, Laplace"),
    },
}  # fmt: skip


def table_of(name: str) -> pd.DataFrame:
    case = CASES[name]
    if case.get("insteval"):
        return insteval_table()
    if "seeds" in case:
        return run_table(case["seeds"])
    return item_table(case["runs"], case["items"], case.get("missing", 0.0))


def run_ours(name: str, table: pd.DataFrame) -> float:
    from ablatekit.analysis.engine.fit import fit_formula
    from ablatekit.analysis.engine.information import Information
    from ablatekit.analysis.posthoc.anova import anova
    from ablatekit.analysis.posthoc.coefficient_tests import linear_model

    fit = fit_formula(table, CASES[name]["formula"])
    information = Information(fit)
    for method in ("satterthwaite", "kenward-roger"):
        model = linear_model(fit, method, information)  # type: ignore[arg-type]
        assert np.isfinite(model.coefficients.df).all()
    if CASES[name].get("kr"):
        anova(model, "III")
    return fit.criterion


def run_ours_fit(name: str, table: pd.DataFrame) -> float:
    from ablatekit.analysis.engine.fit import fit_formula
    from ablatekit.analysis.posthoc.coefficient_tests import linear_model

    fit = fit_formula(table, CASES[name]["formula"])
    assert len(linear_model(fit).coefficients.df)
    return fit.criterion


def run_ours_kr(name: str, table: pd.DataFrame) -> float:
    """Only the Kenward-Roger ANOVA; the fit is made before the clock starts."""
    from ablatekit.analysis.engine.fit import fit_formula
    from ablatekit.analysis.posthoc.anova import anova
    from ablatekit.analysis.posthoc.coefficient_tests import linear_model

    fit = fit_formula(table, CASES[name]["formula"])
    global _started
    _started = (time.perf_counter(), time.process_time())
    anova(linear_model(fit, "kenward-roger"), "III")
    return fit.criterion


def run_logistic(name: str, table: pd.DataFrame) -> float:
    from ablatekit.analysis.engine.formula import parse_formula
    from ablatekit.analysis.engine.frame import build_frame
    from ablatekit.analysis.engine.glmm import fit_logistic

    return fit_logistic(build_frame(table, parse_formula(CASES[name]["formula"]))).minus2ll


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
    OURS: run_ours,
    "ours: fit + Satterthwaite": run_ours_fit,
    "ours: KR anova alone": run_ours_kr,
    "ours: logistic, Laplace": run_logistic,
    "mixedlm: fit": run_mixedlm,
    "statsmodels: fit": run_statsmodels,
}
R_CODE = {
    "lme4: fit": "m <- lme4::lmer(f, d)",
    "lmerTest: fit + summary": "m <- lmerTest::lmer(f, d); s <- summary(m)",
    "pbkrtest: KR anova": 'a <- anova(m, type = "III", ddf = "Kenward-Roger")',
    "glmmTMB: fit": "m <- glmmTMB::glmmTMB(f, d, family = binomial)",
    "lme4: glmer, Laplace": "m <- lme4::glmer(f, d, family = binomial)",
}
R_BEFORE = {"pbkrtest: KR anova": "m <- lmerTest::lmer(f, d);"}
R_WARM = {tool: f"{R_CODE[tool]}; times <- 5" for tool in ("lme4: fit", "lmerTest: fit + summary")}
_started = (0.0, 0.0)


def peak_mb() -> float:
    """Peak memory of this process alone; ru_maxrss starts at what the parent held."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def single(name: str, tool: str) -> None:
    """One measurement in this process, printed as JSON."""
    global _started
    table = table_of(name)
    warm = run_table(1)
    if tool.startswith("ours"):
        CASES["warm"] = {"formula": "y ~ a + (1 | model)"}
        run_ours("warm", warm)
    repeats = 5 if len(table) < 20_000 and tool.startswith(("ours", "mixedlm")) else 1
    elapsed, cpu = [], []
    for _ in range(repeats):
        _started = (time.perf_counter(), time.process_time())
        value = PYTHON[tool](name, table)
        elapsed.append(time.perf_counter() - _started[0])
        cpu.append(time.process_time() - _started[1])
    print(
        json.dumps(
            {
                "seconds": float(np.median(elapsed)),
                "cpu": float(np.median(cpu)),
                "peak_mb": peak_mb(),
                "criterion": value,
                "rows": len(table),
            }
        )
    )


def measure_python(name: str, tool: str, limit: float) -> dict[str, Any] | None:
    if tool not in PYTHON:
        return measure_command(name)
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
        f" {R_BEFORE.get(tool, '')} times <- 1; if (nrow(d) < 20000) {{{R_WARM.get(tool, '')}}};"
        f" t0 <- proc.time(); for (i in 1:times) suppressMessages({{{R_CODE[tool]}}});"
        " t <- (proc.time() - t0) / times;"
        ' p <- as.numeric(sub("[^0-9]*([0-9]+).*", "\\\\1",'
        ' grep("VmHWM", readLines("/proc/self/status"), value = TRUE)));'
        ' v <- if (inherits(m, "lmerMod")) REMLcrit(m) else -2 * as.numeric(logLik(m));'
        ' cat(sprintf("%.6f %.6f %.1f %.8f\\n", t[3], t[1] + t[2], p / 1024, v))'
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


def write_text_table(name: str, path: str) -> None:
    """A Parquet file whose factors, runs and items are plain text."""
    table = table_of(name)
    text = dict.fromkeys(("a", "b", "run", "item"), str)
    table.astype(text).to_parquet(path, index=False)


def measure_command(name: str) -> dict[str, Any]:
    """The whole command on a Parquet file whose factors, runs and items are plain text."""
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "items.parquet", Path(folder) / "out.json"
        write = [sys.executable, __file__, "--write", name, str(path)]  # keeps this process small
        subprocess.run(write, check=True)
        rows = pq.ParquetFile(path).metadata.num_rows
        command = [
            str(Path(sys.executable).with_name("ablatekit")),
            "analyze",
            str(path),
            "--json",
            str(out),
        ]
        started = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--formula", CASES[name]["formula"]], stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0
        seconds = time.perf_counter() - started
        found = json.loads(out.read_text(encoding="utf-8"))["responses"]["y"]["model"]
    return {
        "seconds": seconds,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
        "criterion": found["criterion"],
        "rows": rows,
    }


def installed(tool: str, with_r: bool) -> bool:
    if tool in R_CODE:
        return with_r
    return not tool.startswith("mixedlm") or importlib.util.find_spec("mixedlm") is not None


def measure(name: str, tool: str, path: Path, limit: float) -> dict[str, Any] | None:
    if tool in R_CODE:
        return measure_r(name, tool, path, limit)
    return measure_python(name, tool, limit)


def compare(name: str, with_r: bool, limit: float) -> dict[str, dict[str, Any]]:
    rounds: dict[str, list[dict[str, Any]]] = {}
    tools = [tool for tool in CASES[name]["tools"] if installed(tool, with_r)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        if set(tools) & set(R_CODE):
            table_of(name).to_csv(path, index=False)
        for turn in range(ROUNDS if "seeds" in CASES[name] else 1):
            for tool in tools:
                if turn and tool == "pbkrtest: KR anova":
                    continue
                row = measure(name, tool, path, limit)
                if row is not None:
                    rounds.setdefault(tool, []).append(row)
    rows = {tool: sorted(r, key=lambda one: one["cpu"])[len(r) // 2] for tool, r in rounds.items()}
    ours = rows[tools[0]]
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
    return rows


def floors(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    """The floors that this run can show, each with what was measured (CPU seconds)."""
    print("\n### Floors\n\n| floor | measured | met |\n|---|---|---|")
    wanted = [
        ("item633k", "lme4: fit", OURS, 100.0),
        ("insteval", "lme4: fit", OURS, 5.0),
        ("run480", "pbkrtest: KR anova", "ours: KR anova alone", 500.0),
        *((f"run{n}", "lme4: fit", "ours: fit + Satterthwaite", 1.0) for n in (96, 480, 1920)),
    ]
    for name, theirs, ours, ratio in wanted:
        rows = found.get(name, {})
        if theirs in rows and ours in rows:
            measured = rows[theirs]["cpu"] / rows[ours]["cpu"]
            print(
                f"| {name}: {theirs} takes >= {ratio:g} times {ours} | {measured:.3g} |"
                f" {'yes' if measured >= ratio else 'NO'} |"
            )
    if "item10M" in found:
        row = found["item10M"][OURS]
        met = row["cpu"] < 10.0 and row["peak_mb"] < 2048.0
        print(
            f"| item10M: {OURS} < 10 s and < 2 GB | {row['cpu']:.3g} s, {row['peak_mb']:.0f} MB |"
            f" {'yes' if met else 'NO'} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--no-r", action="store_true")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds per measurement")
    parser.add_argument("--single", nargs=2, metavar=("CASE", "TOOL"), help=argparse.SUPPRESS)
    parser.add_argument("--write", nargs=2, metavar=("CASE", "PATH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write_text_table(*options.write)
        return
    if options.single:
        single(*options.single)
        return
    with_r = not options.no_r and shutil.which("Rscript") is not None
    print(f"command: python {' '.join(['benchmarks/mixed_models.py', *sys.argv[1:]])}")
    print(f"load of the machine when it began: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    names = [name for name in options.cases if with_r or not CASES[name].get("insteval")]
    floors({name: compare(name, with_r, options.limit) for name in names})


if __name__ == "__main__":
    main()
