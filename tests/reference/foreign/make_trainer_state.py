"""Trains by transformers' Trainer: `python make_trainer_state.py FOLDER`, one folder a run.

The evaluation gives the planted accuracy. Checkpoints keep trainer_state.json alone.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from planted_runs import PlantedRun, planted_runs
from transformers import Trainer, TrainingArguments


class Line(torch.nn.Module):
    """A line through one parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.ones(1))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """The squared error."""
        return {"loss": ((self.slope * x - labels) ** 2).mean()}


class PlantedTrainer(Trainer):
    """Evaluates to the planted accuracy of the step."""

    planted: PlantedRun

    def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
        """The accuracy planted for this step."""
        metrics = {"eval_accuracy": self.planted.accuracy[self.state.global_step - 1]}
        self.log(dict(metrics))
        return metrics


data = [{"x": float(number), "labels": 2.0 * number} for number in range(4)]
for run in planted_runs():
    optimizer = run.config["optimizer"]
    name = f"optimizer={optimizer['name']},lr={optimizer['lr']}"
    folder = Path(sys.argv[1]) / f"{name},dataset={run.config['dataset']},seed={run.config['seed']}"
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=len(run.accuracy),
        per_device_train_batch_size=2,
        learning_rate=optimizer["lr"] / 1000,
        eval_strategy="steps",
        eval_steps=1,
        logging_steps=1,
        save_steps=2,
        save_only_model=True,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        seed=run.config["seed"],
    )
    trainer = PlantedTrainer(Line(), arguments, train_dataset=data, eval_dataset=data)
    trainer.planted = run
    trainer.train()
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "trainer_state.json":
            path.unlink()
