"""Logs the planted runs by PyTorch's SummaryWriter: `python make_tensorboard.py FOLDER`.

One folder a run; `add_hparams` adds one of its own below it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from planted_runs import METRIC, planted_runs
from torch.utils.tensorboard import SummaryWriter


def flat(config: dict[str, object]) -> dict[str, object]:
    """The single values of a configuration; hparams know neither nesting nor null."""
    inner = config["optimizer"]
    assert isinstance(inner, dict)
    values = {**{f"optimizer.{name}": value for name, value in inner.items()}, **config}
    return {name: value for name, value in values.items() if isinstance(value, str | int | float)}


for run in planted_runs():
    writer = SummaryWriter(str(Path(sys.argv[1]) / run.name))
    for step, metrics in run.points:
        for name, value in metrics.items():
            writer.add_scalar(name, value, step)
    writer.add_hparams(flat(run.config), {METRIC: run.accuracy[-1]}, run_name="hparams")
    writer.close()
