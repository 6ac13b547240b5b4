"""The reader of each format that `metrics` may name."""

from __future__ import annotations

from ablatekit.logs.base import RunLog
from ablatekit.logs.csv import CsvLog
from ablatekit.logs.jsonl import JsonlLog
from ablatekit.logs.text import TextLog


def log_of(name: str, pattern: str | None) -> RunLog:
    """The reader of a format; `pattern` is that of `stdout_regex`."""
    if name == "stdout_regex":
        return TextLog(pattern or "")
    return {"jsonl": JsonlLog, "csv": CsvLog}[name]()
