"""The most memory that a run held."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

import torch

GIB = 2.0**30
RESET_PEAK = "5"  # man 5 proc, /proc/pid/clear_refs
BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


def forget_peak(device: torch.device) -> None:
    """Measure from now on: a worker's earlier runs do not count."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
    except OSError:
        # Without it the number is the most that the process has ever held.
        return


def peak_gib(device: torch.device) -> float:
    """GiB: allocated on the GPU, or resident in memory where the run is on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    status = Path("/proc/self/status")
    held = re.search(r"VmHWM:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if held:
        return int(held[1]) * 1024 / GIB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_OF_MAXRSS / GIB
