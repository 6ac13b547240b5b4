"""Logs the planted runs with W&B, offline: `python make_wandb.py FOLDER` writes FOLDER/wandb."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from planted_runs import planted_runs

folder = Path(sys.argv[1]).resolve()
folder.mkdir(parents=True, exist_ok=True)
os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true", WANDB_DIR=str(folder))
os.environ.update(WANDB_DISABLE_GIT="true", WANDB_DISABLE_CODE="true", WANDB_CONSOLE="off")

import wandb  # noqa: E402

for run in planted_runs():
    settings = wandb.Settings(x_disable_stats=True, x_disable_meta=True, x_save_requirements=False)
    with wandb.init(project="planted", name=run.name, config=run.config, settings=settings) as log:
        for step, metrics in run.points:
            log.log(metrics, step=step)
