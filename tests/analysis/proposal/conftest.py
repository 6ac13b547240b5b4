"""Tables of runs with planted structure."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest


@pytest.fixture
def make_runs():
    """A crossed table of 48 runs as a tracker exports it, its columns changed by keyword."""

    def make(**changed):
        rng = np.random.default_rng(1)
        grid = itertools.product((1e-4, 3e-4), (16, 32), ("adam", "sgd"), "abc", (0, 1))
        frame = pd.DataFrame(
            [
                {
                    "run_name": f"r{number}",
                    "lr": lr,
                    "batch_size": batch,
                    "optimizer": optimizer,
                    "model": model,
                    "seed": seed,
                    "epochs": 3,
                    "host": "n1",
                    "created": f"2026-01-{number % 28 + 1:02d}T08:00",
                    "train_loss": rng.random(),
                    "test_acc": rng.random(),
                    "val_acc": rng.random(),
                    "runtime": 100 * rng.random(),
                }
                for number, (lr, batch, optimizer, model, seed) in enumerate(grid)
            ]
        )
        return frame.assign(**changed)

    return make
