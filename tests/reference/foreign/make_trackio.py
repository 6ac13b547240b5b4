"""Logs the planted runs with trackio: `python make_trackio.py FOLDER` writes FOLDER/planted.db."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from planted_runs import planted_runs

folder = Path(sys.argv[1]).resolve()
folder.mkdir(parents=True, exist_ok=True)
os.environ["TRACKIO_DIR"] = str(folder)
os.environ["HF_HUB_OFFLINE"] = "1"

import trackio  # noqa: E402 (reads its folder from the environment when imported)

for run in planted_runs():
    trackio.init(
        project="planted",
        name=run.name,
        config=run.config,
        embed=False,
        auto_log_gpu=False,
        auto_log_cpu=False,
    )
    for step, metrics in run.points:
        trackio.log(metrics, step=step)
    trackio.finish()
