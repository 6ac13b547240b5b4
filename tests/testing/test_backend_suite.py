"""The suite finds what it is there to find: broken backends fail the right test."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ablatekit.runs.records import part_metric
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


class Partly(SimulatedBackend):
    """Evaluates the first ten items between the first and the last step, and says so."""

    part = slice(0, 10)

    def metrics(self, settings):
        return [replace(spec, partial=bool(spec.items)) for spec in super().metrics(settings)]

    def run(self, run, context):
        log, log_items, last = context.log, context.log_items, run.settings["rounds"]
        of_part = {}

        def keep_items(step, table):
            ends = step in (0, last)
            rows = [at for at, item in enumerate(table["item"]) if int(item.split("-")[1]) < 10]
            chosen = {name: [column[at] for at in rows] for name, column in table.items()}
            for split in ("train", "test"):
                outcomes = zip(chosen["split"], chosen["outcome"], strict=True)
                values = [outcome for at, outcome in outcomes if at == split]
                of_part[f"{split}/pass@1"] = sum(values[self.part]) / len(values[self.part])
            log_items(step, table if ends else chosen)

        def keep(step, metrics):
            if step in (0, last):
                beside = {part_metric(name): value for name, value in of_part.items()}
                log(step, {**metrics, **beside})
            else:
                log(step, {**metrics, **of_part})

        context.log, context.log_items = keep, keep_items
        return super().run(run, context)


class Silent(Partly):
    """Says nothing of the part where it evaluates all items."""

    def run(self, run, context):
        log = context.log
        context.log = lambda step, metrics: log(
            step, {name: value for name, value in metrics.items() if not name.startswith("part/")}
        )
        return super().run(run, context)


class Mistaken(Partly):
    """Takes other items for the part where it evaluates all of them."""

    part = slice(0, 3)


class Moody(SimulatedBackend):
    """Warns of something else every time."""

    said: Any = iter(range(1000))

    def examine(self, _settings, progress):
        progress("moods", 1, 1)
        return [f"mood {next(self.said)}"]


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Forgetful, "test_a_resumed_run_equals_an_undisturbed_one"),
        (Restless, "test_a_run_is_reproducible"),
        (Stubborn, "test_a_resumed_run_equals_an_undisturbed_one"),
        (Undeclared, "test_a_run_reports_what_it_declares"),
        (Uncommon, "test_step_zero_is_common_to_all_runs_of_a_context"),
        (Silent, "test_a_run_reports_what_it_declares"),
        (Silent, "test_every_evaluation_tells_of_one_set_of_items"),
        (Mistaken, "test_every_evaluation_tells_of_one_set_of_items"),
    ],
)
def test_a_broken_backend_is_found(broken, test, tmp_path, monkeypatch):
    class Suite(BackendSuite):
        backend_name = "simulated"
        settings = {"rounds": 4, "items": 30}  # noqa: RUF012
        other_cell = {"helps_both": True}  # noqa: RUF012
        contexts = ({"model": "m"},)

    sound = Partly if issubclass(broken, Partly) else SimulatedBackend
    monkeypatch.setattr(backend_suite, "load_backend", lambda _name: sound())
    getattr(Suite(), test)(tmp_path / "sound")
    monkeypatch.setattr(backend_suite, "load_backend", lambda _name: broken())
    with pytest.raises(AssertionError):
        getattr(Suite(), test)(tmp_path / "broken")


def test_a_backend_whose_warnings_change_is_found(monkeypatch):
    class Suite(BackendSuite):
        backend_name = "simulated"
        contexts = ({"model": "m"},)

    test = "test_what_is_seen_before_a_run_is_told_in_words_and_the_same_twice"
    getattr(Suite(), test)()
    monkeypatch.setattr(backend_suite, "load_backend", lambda _name: Moody())
    with pytest.raises(AssertionError):
        getattr(Suite(), test)()
