"""The suite finds what it is there to find: broken backends fail the right test."""

from __future__ import annotations

from typing import Any

import pytest

from ablatekit.testing import backend_suite
from ablatekit.testing.backend_suite import BackendSuite
from ablatekit.testing.simulated import SimulatedBackend


class Forgetful(SimulatedBackend):
    """Starts afresh after an interruption without a word."""

    def run(self, run, context):
        for path in context.checkpoint_dir.iterdir():
            path.unlink()
        return super().run(run, context)


class Restless(SimulatedBackend):
    """Takes its randomness from the process."""

    draws: Any = iter(range(1000))

    def run(self, run, context):
        context.seeds = backend_suite.Seeds(f"draw {next(self.draws)}", context.seeds.context_id)
        return super().run(run, context)


class Stubborn(SimulatedBackend):
    """Never stops."""

    def run(self, run, context):
        context.stop_after = None
        return super().run(run, context)


class Undeclared(SimulatedBackend):
    """Reports more than it declares."""

    def run(self, run, context):
        result = super().run(run, context)
        context.log(99, {"surprise": 1.0})
        return result


class Uncommon(SimulatedBackend):
    """Draws its evaluation items for every run."""

    def run(self, run, context):
        context.seeds = backend_suite.Seeds(run.run_id, run.run_id)
        return super().run(run, context)


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Forgetful, "test_a_resumed_run_equals_an_undisturbed_one"),
        (Restless, "test_a_run_is_reproducible"),
        (Stubborn, "test_a_resumed_run_equals_an_undisturbed_one"),
        (Undeclared, "test_a_run_reports_what_it_declares"),
        (Uncommon, "test_step_zero_is_common_to_all_runs_of_a_context"),
    ],
)
def test_a_broken_backend_is_found(broken, test, tmp_path, monkeypatch):
    class Suite(BackendSuite):
        backend_name = "simulated"
        settings = {"rounds": 4, "items": 30}  # noqa: RUF012
        other_cell = {"helps_both": True}  # noqa: RUF012
        contexts = ({"model": "m"},)

    getattr(Suite(), test)(tmp_path / "sound")
    monkeypatch.setattr(backend_suite, "load_backend", lambda _name: broken())
    with pytest.raises(AssertionError):
        getattr(Suite(), test)(tmp_path / "broken")
