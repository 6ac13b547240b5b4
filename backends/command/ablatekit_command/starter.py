"""The study that `ablatekit study init --backend command` writes."""

from __future__ import annotations

STARTER = """\
# A study of a program: which of its choices matter, by how much, would it hold elsewhere?
# Check it with `ablatekit study validate`, look at it with `ablatekit study plan`.
version: 1
name: my_study
question: Which of these choices matter?

# What stands below goes where the command names it; {seed} is another number in every run. The
# program writes a line of JSON to {metrics}: {"test/accuracy": 0.8}. One that logs already stays as
# it is: metrics: {wandb: logs}, {tensorboard: logs}, {csv: log.csv} ... as its README says.
# Every setting: `ablatekit backend show command`.
backend:
  name: command
  settings:
    command: >-
      python train.py --lr {lr} --optimizer {optimizer} --dataset {dataset}
      --seed {seed} --metrics {metrics}

# Design choices under study: every level is compared with the baseline level. A level may set
# several: size: {baseline: small, levels: {small: {depth: 2, width: 64}, large: {depth: 4}}}
factors:
  lr: {baseline: 0.1, levels: [0.1, 0.3]}
  optimizer: {baseline: sgd, levels: [sgd, adam]}

# What conclusions must hold across; every combination is run.
contexts:
  dataset: [digits, letters, words]

# Independent repeats of every cell in every context. One gives no measure of chance.
replicates: 2

# What is measured, and what would be too small to matter.
responses:
  accuracy: {metric: test/accuracy, direction: higher, smallest_effect: 0.01}
"""
