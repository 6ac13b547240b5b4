from __future__ import annotations

from pathlib import Path

import pytest

from ablatekit.dispatch.executors.base import Workload
from ablatekit.dispatch.executors.slots import (
    Machine,
    available_devices,
    available_memory,
    memory_warning,
    plan_slots,
)
from ablatekit.runs.records import Resources

GIB = 2**30


def visible(slots):
    return [slot.environment.get("CUDA_VISIBLE_DEVICES") for slot in slots]


def workload(workers="auto", runs=100, **need):
    return Workload(need=Resources(**need), runs=runs, workers=workers)


@pytest.mark.parametrize(
    ("workers", "cpus", "runs", "cores", "expected"),
    [
        ("auto", 1, 100, 8, 8),
        ("auto", 3, 100, 8, 2),
        ("auto", 16, 100, 8, 1),
        ("auto", 1, 5, 8, 5),
        (3, 4, 100, 2, 3),
        (3, 1, 2, 8, 2),
    ],
)
def test_number_of_workers(workers, cpus, runs, cores, expected):
    slots = plan_slots(workload(workers, runs, cpus=cpus), Machine(cores=cores))
    assert len(slots) == expected
    assert {slot.environment["OMP_NUM_THREADS"] for slot in slots} == {str(cpus)}


@pytest.mark.parametrize(
    ("share", "devices", "expected"),
    [
        (1.0, ("0", "1"), ["0", "1"]),
        (0.5, ("0", "1"), ["0", "1", "0", "1"]),
        (1 / 3, ("0",), ["0", "0", "0"]),
        (2.0, ("0", "1", "2", "3"), ["0,1", "2,3"]),
        (2.0, ("0", "1", "2"), ["0,1"]),
        (0.0, ("0",), [None] * 8),
        (1.0, (), [None] * 8),
    ],
)
def test_every_worker_sees_its_share_of_the_gpus(share, devices, expected):
    slots = plan_slots(workload(gpus=share), Machine(cores=8, devices=devices))
    assert visible(slots) == expected


def test_an_explicit_number_of_workers_shares_the_gpus_in_turn():
    slots = plan_slots(workload(3, gpus=1.0), Machine(cores=8, devices=("0", "1")))
    assert visible(slots) == ["0", "1", "0"]


@pytest.mark.parametrize(
    ("workers", "need", "memory", "expected"),
    [
        ("auto", 4.0, 16.0, 4),
        ("auto", 4.0, 15.9, 3),
        ("auto", 40.0, 16.0, 1),
        ("auto", 4.0, None, 8),
        (6, 4.0, 16.0, 6),
    ],
)
def test_auto_plans_no_more_workers_than_the_memory_holds(workers, need, memory, expected):
    slots = plan_slots(workload(workers, memory=need), Machine(cores=8, memory=memory))
    assert len(slots) == expected


@pytest.mark.parametrize(("memory", "warns"), [(16.0, True), (24.0, False), (None, False)])
def test_more_workers_than_the_memory_holds_are_a_warning(memory, warns):
    warning = memory_warning(workload(6, memory=4.0), Machine(cores=8, memory=memory), 6)
    assert warns == (
        warning == "runs at once: 6, which may need 24.0 GiB of memory; this machine has 16.0 GiB"
    )
    assert warns == (warning is not None)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    return root


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/memory.max": str(2 * GIB)}, 2),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/memory.max": "max"}, 8),
        ({"proc/self/cgroup": "0::/host/path", "sys/fs/cgroup/memory.max": str(3 * GIB)}, 3),
        (
            {
                "proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/id\n0::/",
                "sys/fs/cgroup/memory/docker/id/memory.limit_in_bytes": str(4 * GIB),
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            },
            4,
        ),
    ],
)
def test_the_memory_is_the_machines_or_a_smaller_limit_of_its_control_groups(
    tmp_path, monkeypatch, files, expected
):
    monkeypatch.setattr("ablatekit.dispatch.executors.slots.physical_memory", lambda: 8 * GIB)
    assert available_memory(write(tmp_path, files)) == expected


def test_memory_that_the_system_does_not_tell_is_unknown(tmp_path, monkeypatch):
    monkeypatch.setattr("ablatekit.dispatch.executors.slots.physical_memory", lambda: None)
    assert available_memory(tmp_path) is None


@pytest.mark.parametrize(("value", "expected"), [("", ()), ("2, 5", ("2", "5"))])
def test_devices_are_those_that_are_visible(monkeypatch, value, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert available_devices() == expected
