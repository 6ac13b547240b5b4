"""Logs the planted runs with MLflow: `python make_mlflow.py FOLDER` writes FOLDER/mlflow.db.

With a second argument `files`, MLflow's file store FOLDER/mlruns instead.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from planted_runs import planted_runs

folder = Path(sys.argv[1]).resolve()
folder.mkdir(parents=True, exist_ok=True)
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
os.chdir(folder)  # artifacts, which nobody logs, would go here

import mlflow  # noqa: E402

CONTEXT = (
    "mlflow.user",
    "mlflow.source.name",
    "mlflow.source.git.commit",
    "mlflow.source.git.branch",
    "mlflow.source.git.repoURL",
)
"""Tags that MLflow would fill with facts about the machine."""

files = sys.argv[2:] == ["files"]
mlflow.set_tracking_uri((folder / "mlruns").as_uri() if files else "sqlite:///mlflow.db")
mlflow.create_experiment("planted", artifact_location="mlflow-artifacts:/planted")
mlflow.set_experiment("planted")
for run in planted_runs():
    with mlflow.start_run(run_name=run.name, tags=dict.fromkeys(CONTEXT, "planted")):
        optimizer = run.config["optimizer"]
        params = {f"optimizer.{name}": value for name, value in optimizer.items()}
        params |= {name: value for name, value in run.config.items() if name != "optimizer"}
        mlflow.log_params(params)
        for step, metrics in run.points:
            mlflow.log_metrics(metrics, step=step)
