"""The backend passes the suite that every backend passes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ablatekit.testing.backend_suite import BackendSuite

PROGRAM = Path(__file__).with_name("programs")


class TestCommandBackend(BackendSuite):
    backend_name = "command"
    settings: ClassVar = {
        "command": "python train.py --lr {lr} --data {data} --seed {seed} --metrics {metrics}"
        " --items {items}",
        "items": "items.jsonl",
        "cwd": str(PROGRAM),
        "study_dir": str(PROGRAM),
        "lr": 0.1,
    }
    other_cell: ClassVar = {"lr": 0.2}
    contexts: ClassVar = ({"data": "a.csv"}, {"data": "b.csv"})
