"""How many runs this machine holds at once, and what each of them may use."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ablatekit.runs.records import Resources

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class Slot:
    """Place for one worker. The environment is set before the worker imports anything heavy."""

    environment: Mapping[str, str]


def largest(needs: Sequence[Resources]) -> Resources:
    """What suffices for each of several runs."""
    return Resources(
        cpus=max((need.cpus for need in needs), default=1),
        gpus=max((need.gpus for need in needs), default=0.0),
        memory=max((need.memory for need in needs), default=1.0),
    )


def plan_slots(
    workers: Literal["auto"] | int, need: Resources, runs: int, cores: int, devices: Sequence[str]
) -> tuple[Slot, ...]:
    """Slots for `runs` runs that need `need` each; at least one.

    `auto` is as many as the cores and the GPUs hold; a run that wants a share of a GPU shares it
    with as many others as fit. An explicit number is taken as it is, GPUs in turn.
    """
    seats = _seats(need.gpus, devices)
    room = cores // need.cpus if workers == "auto" else workers
    if workers == "auto" and need.gpus > 0 and devices:
        room = min(room, len(seats))
    count = max(1, min(room, runs))
    return tuple(Slot(_environment(need, seats, number)) for number in range(count))


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_devices() -> tuple[str, ...]:
    """GPUs that this process may use, as CUDA names them; found without importing torch."""
    visible = os.environ.get(_DEVICES_VARIABLE)
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip())
    driver = Path("/proc/driver/nvidia/gpus")
    return tuple(str(number) for number, _ in enumerate(driver.glob("*")))


def _seats(share: float, devices: Sequence[str]) -> tuple[str, ...]:
    """For each run that fits, the devices it sees: whole groups, or one device shared."""
    if share <= 0 or not devices:
        return ()
    if share < 1:
        return tuple(device for _ in range(int(1 / share + 1e-9)) for device in devices)
    size = int(-(-share // 1))
    groups = (devices[start : start + size] for start in range(0, len(devices), size))
    return tuple(",".join(group) for group in groups if len(group) == size)


def _environment(need: Resources, seats: Sequence[str], number: int) -> dict[str, str]:
    environment = dict.fromkeys(_THREAD_VARIABLES, str(need.cpus))
    if seats:
        environment[_DEVICES_VARIABLE] = seats[number % len(seats)]
    return environment
