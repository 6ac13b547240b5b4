"""CPU seconds of `ablatekit analyze`: by factors against a formula, and against `import pandas`.

    OPENBLAS_NUM_THREADS=1 python benchmarks/analyze_speed.py [--rounds 3]

Both ratios are of whole processes and come from one run, whose commands alternate. The first table
is ten strategies in 63 contexts with 8 to 10 runs each; the second one 1,008 runs of twelve
two-level factors, 168 cells in each of 6 contexts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

STRATEGIES, CONTEXTS = 10, 63
FACTORS, CELLS = 12, 168


def strategies_table() -> pd.DataFrame:
    rng = np.random.default_rng(5)
    strategy, model, data = np.indices((STRATEGIES, 9, CONTEXTS // 9)).reshape(3, -1)
    row = np.repeat(np.arange(len(strategy)), rng.integers(8, 11, len(strategy)))
    context = (model * (CONTEXTS // 9) + data)[row]
    mean = rng.normal(0, 1, CONTEXTS)[context] + 0.1 * strategy[row]
    varying = rng.normal(0, 0.2, (STRATEGIES, CONTEXTS))[strategy[row], context]
    return pd.DataFrame(
        {
            "strategy": np.char.add("s", strategy[row].astype(str)),
            "model": np.char.add("m", model[row].astype(str)),
            "data": np.char.add("d", data[row].astype(str)),
            "context": np.char.add("c", context.astype(str)),
            "y": mean + varying + rng.normal(0, 0.5, len(row)),
        }
    )


def factors_table() -> pd.DataFrame:
    rng = np.random.default_rng(6)
    cells = rng.permutation(2**FACTORS)[:CELLS]
    cell, context = (axis.reshape(-1) for axis in np.meshgrid(cells, np.arange(6)))
    level = (cell[:, None] >> np.arange(FACTORS)) & 1
    y = rng.normal(0, 1, 6)[context] + level @ rng.normal(0, 0.3, FACTORS)
    columns = {f"f{j}": np.where(level[:, j], "on", "off") for j in range(FACTORS)}
    return pd.DataFrame(
        {
            **columns,
            "model": np.char.add("m", (context % 3).astype(str)),
            "data": np.char.add("d", (context // 3).astype(str)),
            "y": y + rng.normal(0, 0.5, len(y)),
        }
    )


def cpu_seconds(command: list[str]) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        strategies, factors = Path(folder) / "strategies.csv", Path(folder) / "factors.csv"
        strategies_table().to_csv(strategies, index=False)
        factors_table().to_csv(factors, index=False)
        analyze = [sys.executable, "-m", "ablatekit", "analyze"]
        names = ",".join(f"f{j}" for j in range(FACTORS))
        by_factors = ["--response", "y", "--contexts", "model,data", "--factors"]
        commands = {
            "import pandas": [sys.executable, "-c", "import pandas"],
            "10 strategies, by factors": [*analyze, str(strategies), *by_factors, "strategy"],
            "10 strategies, by a formula": [
                *analyze, str(strategies), "--formula", "y ~ strategy + (1 | context)",
            ],
            "1,008 runs x 12 factors": [*analyze, str(factors), *by_factors, names],
        }  # fmt: skip
        print(f"load of the machine when it began: {os.getloadavg()[0]:.1f}")
        measured = [
            {name: cpu_seconds(line) for name, line in commands.items()} for _ in range(rounds)
        ]
    show({name: float(np.median([row[name] for row in measured])) for name in commands})


def show(cpu: dict[str, float]) -> None:
    print("\n| command | CPU s |\n|---|---|")
    for name, seconds in cpu.items():
        print(f"| {name} | {seconds:.3f} |")
    pandas, factors, formula, many = cpu.values()
    print("\n| floor | measured | met |\n|---|---|---|")
    floors = [
        ("by factors <= 2 times the formula way", factors / formula, 2.0),
        ("1,008 runs x 12 factors <= 4 times `import pandas`", many / pandas, 4.0),
    ]
    for floor, ratio, limit in floors:
        print(f"| {floor} | {ratio:.2f} | {'yes' if ratio <= limit else 'NO'} |")


if __name__ == "__main__":
    main()
