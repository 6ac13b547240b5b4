"""Time and peak memory of mixed models: ours, other Python packages, lme4/lmerTest/pbkrtest.

Every tool runs in a process of its own on the same data and one core, at run level in three rounds
that alternate. "Ours" includes the data pass, Satterthwaite and Kenward-Roger of all coefficients
(at run level the three starts and the Kenward-Roger ANOVA); the others are timed on what is named
in the row, and "ours: fit" is what a bare fit compares with. Ratios are of CPU seconds. Packages
read the table in the form that suits them best: where one does not know `a * b * c * d`, the
columns of the fixed effects are in the table. Tools that are not installed are left out, and named
with how to get them. At the end: whose Kenward-Roger is right, to how many digits.

    OPENBLAS_NUM_THREADS=1 python benchmarks/mixed_models.py [--cases run480 item633k ...] [--no-r]
"""

from __future__ import annotations

import argparse
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
from mixed_peers import FITS, KENWARD_ROGER, Tests, how_to_install, is_missing
from mixed_tables import (
    FIVE,
    effects_of,
    five_factors_table,
    insteval_table,
    item_table,
    ratings_table,
    run_table,
    unbalanced_table,
)

RUN_FORMULA = "y ~ a * b * c * d + (1 | model) + (1 | ds) + (1 | model:ds)"
ITEM_FORMULA = "y ~ a * b + (1 | run) + (1 | item)"
NESTED = ITEM_FORMULA + " + (1 | item:model)"
EVAL_FORMULA = "y ~ service + (1 | s) + (1 | d) + (1 | dept)"

OURS = "ours: fit + Satterthwaite + KR"
ALONE = (OURS,)
FIT_ONLY = (OURS, "lme4: fit")
BARE = "ours: fit"
PEERS = (OURS, BARE, "lme4: fit", "mixedlm: fit", "lme-python: fit", "kamino: fit")
RUN_LEVEL = (
    OURS, BARE, "ours: fit + Satterthwaite", "ours: KR anova alone", *PEERS[2:],
    "lmerTest: fit + summary",
)  # fmt: skip
LOGISTIC = (
    "ours: logistic, Laplace", "lme-python: logistic", "glmmTMB: fit", "lme4: glmer, Laplace",
)  # fmt: skip
ROUNDS = 3
REPEATS = 9
ABOVE = 1e-3
"""A criterion so far above ours is not the minimum; likelihoods that differ so are told apart."""
ENOUGH_SECONDS = 0.3
CODED = ("lme-python: fit", "kamino: fit")
"""Tools that do not know a product of four factors."""
FIVE_FORMULA = "y ~ 1 + " + " + ".join(
    f"(1 | {''.join(names)})" for names in effects_of(tuple(FIVE))
)

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
        "tools": (*PEERS, "statsmodels: fit"),
    },
    "item20k": {"formula": ITEM_FORMULA, "runs": 80, "items": 250, "tools": PEERS},
    "item633k": {"formula": ITEM_FORMULA, "runs": 480, "items": 1319, "tools": PEERS},
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
    "insteval": {"formula": EVAL_FORMULA, "insteval": True, "tools": PEERS},
    "ratings73k": {"formula": EVAL_FORMULA, "table": ratings_table, "tools": PEERS},
    "five_factors": {"formula": FIVE_FORMULA, "table": five_factors_table, "tools": PEERS},
    "logistic50k": {"formula": ITEM_FORMULA, "runs": 96, "items": 521, "tools": LOGISTIC},
    "logistic600k": {"formula": ITEM_FORMULA, "runs": 480, "items": 1250, "tools": LOGISTIC},
}  # fmt: skip


def table_of(name: str) -> pd.DataFrame:
    case = CASES[name]
    if case.get("insteval"):
        return insteval_table()
    if "table" in case:
        made: pd.DataFrame = case["table"]()
        return made
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


def run_ours_bare(name: str, table: pd.DataFrame) -> float:
    from ablatekit.analysis.engine.fit import fit_formula

    return fit_formula(table, CASES[name]["formula"]).criterion


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


PYTHON = {
    OURS: run_ours,
    BARE: run_ours_bare,
    "ours: fit + Satterthwaite": run_ours_fit,
    "ours: KR anova alone": run_ours_kr,
    "ours: logistic, Laplace": run_logistic,
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
    formula = CASES[name]["formula"]
    CASES["warm"] = {"formula": "y ~ a + (1 | model)"}
    peer = FITS.get(tool)
    if peer is not None and tool in CODED and "seeds" in CASES[name]:
        table, formula = coded_columns(table, formula)
    if peer is not None:
        peer("y ~ a + (1 | model)" if "logistic" not in tool else formula, warm_table(tool, table))
    elif tool.startswith("ours"):
        run_ours("warm", run_table(1))
    elapsed: list[float] = []
    cpu: list[float] = []
    while len(cpu) < REPEATS and sum(cpu) < ENOUGH_SECONDS:
        _started = (time.perf_counter(), time.process_time())
        value = peer(formula, table) if peer is not None else PYTHON[tool](name, table)
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


def warm_table(tool: str, table: pd.DataFrame) -> pd.DataFrame:
    """Rows of a first call that loads what the tool loads lazily."""
    return table.iloc[:4000] if "logistic" in tool else run_table(1)


def coded_columns(table: pd.DataFrame, formula: str) -> tuple[pd.DataFrame, str]:
    """The table with fixed effects as numeric columns and `model:ds` as one, and its formula."""
    from ablatekit.analysis.engine.formula import parse_formula
    from ablatekit.analysis.engine.frame import build_frame

    frame = build_frame(table, parse_formula(formula))
    columns = {f"x{j}": column for j, column in enumerate(frame.x[frame.cell][:, 1:].T)}
    pair = pd.Categorical(table["model"].astype(str) + ":" + table["ds"].astype(str))
    fixed = " + ".join(columns)
    return (
        table.assign(**columns, pair=pair),
        f"y ~ {fixed} + (1 | model) + (1 | ds) + (1 | pair)",
    )


def measure_python(name: str, tool: str, limit: float) -> dict[str, Any] | None:
    if tool not in PYTHON and tool not in FITS:
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
            sys.executable,
            "-m",
            "ablatekit",
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
    return with_r if tool in R_CODE else not is_missing(tool)


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


def against(name: str, rows: dict[str, dict[str, Any]], tool: str) -> None:
    """Whether ours is ahead: a bare fit of ours against a bare fit, else all of ours."""
    own = BARE if tool.endswith("fit") and BARE in rows else next(iter(rows))
    ratio = rows[tool]["cpu"] / rows[own]["cpu"]
    above = rows[tool].get("criterion", np.nan) - rows[own]["criterion"]
    met = "yes" if ratio > 1 else "NO"
    if not np.isfinite(ratio):
        measured = "it did not finish in the time limit"
    elif above > ABOVE:
        measured = f"{ratio:.3g}; it stops {above:.3g} above the minimum"
        met = met if met == "yes" else "no minimum"
    else:
        measured = f"{ratio:.3g}"
    print(f"| {name}: {tool} takes longer than {own} | {measured} | {met} |")


def kenward_roger_check(with_r: bool) -> None:
    """Standard errors and df of `y ~ a*b + ...` on unbalanced rows, by every package, against R."""
    table = unbalanced_table()
    formula = "y ~ a * b + (1 | model) + (1 | ds) + (1 | pair)"
    categories = table.astype(dict.fromkeys(("a", "b", "model", "ds", "pair"), "category"))
    found = {"ours": kenward_roger_ours(formula, categories)}
    for package, tests in KENWARD_ROGER.items():
        if is_missing(package):
            continue
        try:
            found[package] = tests(formula, categories)
        except (ValueError, ArithmeticError, AttributeError, TypeError, RuntimeError) as error:
            print(f"  {package}: {type(error).__name__}: {error}", file=sys.stderr)
    reference = kenward_roger_r(formula, table) if with_r else found["ours"]
    source = "pbkrtest" if with_r else "ours (R is not installed)"
    print(f"\n### Kenward-Roger of `{formula}`, {len(table)} rows, against {source}\n")
    print("| package | se of a | df of a | worst se, relative | worst df, relative | right |")
    print("|---|---|---|---|---|---|")
    rows = {**found, **({"R: lmerTest + pbkrtest": reference} if with_r else {})}
    for package, tests_of in rows.items():
        se, df = tests_of[1]
        worst = np.abs(np.divide(tests_of, reference) - 1.0).max(axis=0)
        right = "yes" if worst.max() < 1e-4 else "NO"
        print(
            f"| {package} | {se:.7g} | {df:.7g} | {worst[0]:.1e} | {worst[1]:.1e} | {right} |",
            flush=True,
        )


def kenward_roger_ours(formula: str, table: pd.DataFrame) -> Tests:
    from ablatekit.analysis.engine.fit import fit_formula
    from ablatekit.analysis.posthoc.coefficient_tests import linear_model

    fit = fit_formula(table, formula)
    tests = linear_model(fit, "kenward-roger").coefficients
    return list(zip(tests.se.tolist(), tests.df.tolist(), strict=True))


def kenward_roger_r(formula: str, table: pd.DataFrame) -> Tests:
    """R's, from a fit with a tight stop: lme4's own leaves 1e-5 in the df."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        table.to_csv(path, index=False, float_format="%.17g")
        code = (
            "suppressMessages({library(lmerTest); library(pbkrtest)});"
            f' d <- read.csv("{path}", stringsAsFactors = TRUE);'
            ' control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-11));'
            f" m <- lmer({formula}, d, control = control);"
            ' s <- coef(summary(m, ddf = "Kenward-Roger"));'
            ' cat(sprintf("%.12g %.12g\n", s[, 2], s[, 3]), sep = "")'
        )
        done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return [(float(se), float(df)) for se, df in rows]


def floors(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    """The floors that this run can show, each with what was measured (CPU seconds)."""
    print("\n### Floors\n\n| floor | measured | met |\n|---|---|---|")
    for name, rows in found.items():
        for tool in rows:
            if tool in FITS or tool in R_CODE:
                against(name, rows, tool)
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
    for name in ("insteval", "ratings73k"):
        if name in found:
            cpu = found[name][OURS]["cpu"]
            print(f"| {name}: {OURS} < 1.5 s | {cpu:.3g} s | {'yes' if cpu < 1.5 else 'NO'} |")
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
    missing = how_to_install({tool for name in names for tool in CASES[name]["tools"]})
    lines = [missing, "" if with_r else "not installed: R with lme4, lmerTest, pbkrtest, glmmTMB"]
    print("\n".join(line for line in lines if line))
    floors({name: compare(name, with_r, options.limit) for name in names})
    kenward_roger_check(with_r)


if __name__ == "__main__":
    main()
