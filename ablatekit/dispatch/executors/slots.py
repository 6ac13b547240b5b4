"""How many runs this machine holds at once, and what each of them may use."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ablatekit.dispatch.executors.base import Workload
from ablatekit.runs.records import Resources
from ablatekit.worker import available_cores, physical_memory

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
_DEVICES_VARIABLE = "CUDA_VISIBLE_DEVICES"
_GIB = 2**30
_MEMORY_LIMITS = (("", "memory.max"), ("memory", "memory.limit_in_bytes"))
"""Where version 2 and version 1 of control groups say it: mount below the root, file."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Place for one worker. The environment is set before the worker imports anything heavy."""

    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What this process may use: cores, CUDA devices by name, memory in GiB (None: unknown)."""

    cores: int
    devices: tuple[str, ...] = ()
    memory: float | None = None

    @classmethod
    def here(cls) -> Machine:
        """This machine, as far as this process may use it."""
        return cls(cores=available_cores(), devices=available_devices(), memory=available_memory())


def plan_slots(workload: Workload, machine: Machine) -> tuple[Slot, ...]:
    """Slots for the runs of a workload; at least one.

    `auto` is as many as the cores, the memory and the GPUs hold; a run that wants a share of a GPU
    shares it with as many others as fit. An explicit number is taken as it is, GPUs in turn.
    """
    seats = _seats(workload.need.gpus, machine.devices)
    room = _room(workload.need, machine, seats) if workload.workers == "auto" else workload.workers
    count = max(1, min(room, workload.runs))
    return tuple(Slot(_environment(workload.need, seats, number)) for number in range(count))


def memory_warning(workload: Workload, machine: Machine, slots: int) -> str | None:
    """What to know when so many runs at once may need more memory than there is."""
    needed = slots * workload.need.memory
    if machine.memory is None or needed <= machine.memory:
        return None
    return (
        f"runs at once: {slots}, which may need {needed:.1f} GiB of memory; this machine has"
        f" {machine.memory:.1f} GiB"
    )


def available_devices() -> tuple[str, ...]:
    """GPUs that this process may use, as CUDA names them; found without importing torch."""
    visible = os.environ.get(_DEVICES_VARIABLE)
    if visible is not None:
        return tuple(name.strip() for name in visible.split(",") if name.strip())
    driver = Path("/proc/driver/nvidia/gpus")
    return tuple(str(number) for number, _ in enumerate(driver.glob("*")))


def available_memory(root: Path = Path("/")) -> float | None:
    """GiB that this process may use: the machine's, or less by a limit of its control group.

    `root` is where `proc` and `sys` are mounted. None where the system does not tell.
    """
    machine = physical_memory()
    bounds = [*_control_group_limits(root), *([machine] if machine is not None else [])]
    return min(bounds) / _GIB if bounds else None


def _control_group_limits(root: Path) -> Iterator[int]:
    """Memory limits in bytes of this process's control group and of those that contain it."""
    for group in _control_groups(root):
        for mount, name in _MEMORY_LIMITS:
            file = root / "sys/fs/cgroup" / mount / group.relative_to("/") / name
            try:
                text = file.read_text(encoding="utf-8").strip()
            except OSError:
                continue
            if text.isdigit():
                yield int(text)


def _control_groups(root: Path) -> set[PurePosixPath]:
    """The groups of this process and all above them; lines read `number:controllers:path`."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    paths = (PurePosixPath(line.split(":", 2)[2]) for line in lines if line.count(":") >= 2)
    return {group for path in paths if path.is_absolute() for group in (path, *path.parents)}


def _room(need: Resources, machine: Machine, seats: Sequence[str]) -> int:
    """Number of runs that this machine holds."""
    bounds = [machine.cores // need.cpus]
    if machine.memory is not None and need.memory > 0:
        bounds.append(int(machine.memory / need.memory))
    if need.gpus > 0 and machine.devices:
        bounds.append(len(seats))
    return min(bounds)


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
