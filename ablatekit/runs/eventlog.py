"""`events.jsonl`: append-only, one sealed line for each event of an attempt.

A line counts when it ends in a newline, carries the right CRC-32 and the next sequence number, so
that a log torn by a killed process reads as a prefix of the truth.
"""

from __future__ import annotations

import json
import math
import os
import time
import zlib
from collections.abc import Iterator

from ablatekit.canonical import canonical_json
from ablatekit.runs.records import MetricEvent
from ablatekit.runs.workspace import AttemptDirectory

_SYNC_SECONDS = 1.0
_CRC_LENGTH = len(',"crc":"01234567"}\n')


class EventWriter:
    """Appends the events of one attempt. An attempt has one writer, once."""

    def __init__(self, attempt: AttemptDirectory) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._path = attempt.events
        self._descriptor = os.open(attempt.events, flags, 0o666)
        self._synced = time.monotonic()
        self.count = 0

    def write(self, event: MetricEvent) -> None:
        """Append one event with one system call.

        Raises OSError when the disk takes only part of it: the torn line is no event.
        """
        line = _event_line(self.count, event)
        written = os.write(self._descriptor, line)
        if written != len(line):
            raise OSError(28, f"short write: {written} of {len(line)} bytes", str(self._path))
        self.count += 1
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Make what was written survive a power cut."""
        os.fdatasync(self._descriptor)
        self._synced = time.monotonic()

    def close(self) -> None:
        os.close(self._descriptor)


def read_events(attempt: AttemptDirectory) -> tuple[MetricEvent, ...]:
    """The events of one attempt up to the first line that is torn, damaged or out of sequence."""
    try:
        content = attempt.events.read_bytes()
    except FileNotFoundError:
        return ()
    return tuple(_sealed_events(content))


def _event_line(sequence: int, event: MetricEvent) -> bytes:
    metrics = {name: encode_number(value) for name, value in event.metrics.items()}
    value = {"sequence": sequence, "step": event.step, "time": event.time, "metrics": metrics}
    body = canonical_json(value).encode()
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def _sealed_events(content: bytes) -> Iterator[MetricEvent]:
    for sequence, line in enumerate(content.splitlines(keepends=True)):
        body = line[:-_CRC_LENGTH] + b"}"
        if line[-_CRC_LENGTH:] != b',"crc":"%08x"}\n' % zlib.crc32(body):
            return
        value = json.loads(body)
        if value["sequence"] != sequence:
            return
        metrics = {name: float(number) for name, number in value["metrics"].items()}
        yield MetricEvent(step=value["step"], time=value["time"], metrics=metrics)


def encode_number(value: float) -> float | str:
    """JSON has no NaN and no infinities; Python reads their names back as numbers."""
    number = float(value)
    return number if math.isfinite(number) else str(number)
