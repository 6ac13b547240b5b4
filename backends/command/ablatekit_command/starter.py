"""The study that `study init` writes, with the program that it runs."""

from __future__ import annotations

from ablatekit.backend import Starter

FILE = "train_example.py"
PROGRAM = '''"""A stand-in for your own program: a line is fitted by gradient descent."""

import argparse
import json
import random

parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float, required=True)
parser.add_argument("--batch-size", type=int, required=True)
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--metrics", required=True, help="where ablatekit looks for metrics")
chosen = parser.parse_args()

draw = random.Random(chosen.seed)
slope = 0.0
with open(chosen.metrics, "w") as metrics:
    for step in range(1, 51):
        xs = [draw.gauss(0, 1) for _ in range(chosen.batch_size)]
        gradient = sum((slope * x - 2 * x - draw.gauss(0, 1)) * x for x in xs) / len(xs)
        slope -= chosen.learning_rate * gradient
        print(json.dumps({"step": step, "error": abs(slope - 2)}), file=metrics)
'''


def starter() -> Starter:
    """A small program with two choices."""
    options = "--learning-rate {learning_rate} --batch-size {batch_size}"
    return Starter(
        settings={"command": f"python {FILE} {options} --seed {{seed}} --metrics {{metrics}}"},
        factors={"learning_rate": (0.1, 0.01), "batch_size": (8, 32)},
        varied="Whatever the command takes can be varied: {name} in it is a factor or a setting.",
        response="error",
        direction="lower",
        files={FILE: PROGRAM},
    )
