"""The reader of each format that `metrics` may name."""

from __future__ import annotations

from collections.abc import Mapping

from ablatekit.logs.base import RunLog
from ablatekit.logs.formats import load_log
from ablatekit.logs.text import TextLog

NEEDS: Mapping[str, tuple[str, str]] = {
    "tensorboard": ("tensorboard", "pip install 'ablatekit[tensorboard]'"),
    "wandb": ("wandb", "pip install 'ablatekit[wandb]'"),
}
"""Packages that read a format, beside the core's own, and how to get them."""


def log_of(name: str, pattern: str | None) -> RunLog:
    """The reader of a format; `pattern` is that of `stdout_regex`."""
    return TextLog(pattern or "") if name == "stdout_regex" else load_log(name)
