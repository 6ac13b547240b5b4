from __future__ import annotations

import pytest

from ablatekit.dispatch.slots import available_devices, largest, plan_slots
from ablatekit.runs.records import Resources


def visible(slots):
    return [slot.environment.get("CUDA_VISIBLE_DEVICES") for slot in slots]


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
    slots = plan_slots(workers, Resources(cpus=cpus), runs, cores, ())
    assert len(slots) == expected
    assert {slot.environment["OMP_NUM_THREADS"] for slot in slots} == {str(cpus)}


@pytest.mark.parametrize(
    ("share", "devices", "expected"),
    [
        (1.0, ["0", "1"], ["0", "1"]),
        (0.5, ["0", "1"], ["0", "1", "0", "1"]),
        (1 / 3, ["0"], ["0", "0", "0"]),
        (2.0, ["0", "1", "2", "3"], ["0,1", "2,3"]),
        (2.0, ["0", "1", "2"], ["0,1"]),
        (0.0, ["0"], [None] * 8),
        (1.0, [], [None] * 8),
    ],
)
def test_every_worker_sees_its_share_of_the_gpus(share, devices, expected):
    slots = plan_slots("auto", Resources(cpus=1, gpus=share), 100, 8, devices)
    assert visible(slots) == expected


def test_an_explicit_number_of_workers_shares_the_gpus_in_turn():
    slots = plan_slots(3, Resources(cpus=1, gpus=1.0), 100, 8, ["0", "1"])
    assert visible(slots) == ["0", "1", "0"]


def test_the_largest_need_suffices_for_all():
    needs = [Resources(cpus=2, gpus=0.5, memory=1.0), Resources(cpus=1, gpus=1.0, memory=4.0)]
    assert largest(needs) == Resources(cpus=2, gpus=1.0, memory=4.0)


@pytest.mark.parametrize(("value", "expected"), [("", ()), ("2, 5", ("2", "5"))])
def test_devices_are_those_that_are_visible(monkeypatch, value, expected):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert available_devices() == expected
