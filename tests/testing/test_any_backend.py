"""The suite fits a backend that is a fit and a score: it declares what it does without."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from ablatekit.backend import Backend
from ablatekit.errors import Problem, RunInterruptedError, UsageError
from ablatekit.testing import backend_suite
from ablatekit.testing.backend_suite import BackendSuite

RIDGEFIT = Path(__file__).parents[1] / "packages" / "ridgefit"


def _module():
    """A third party's backend: a fit and a score, 60 lines."""
    spec = importlib.util.spec_from_file_location("ridgefit", RIDGEFIT / "ridgefit.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["ridgefit"] = module  # its settings' docstrings are read from its source
    spec.loader.exec_module(module)
    return module


_ridgefit = _module()
Ridge, RidgeSettings = _ridgefit.Ridge, _ridgefit.RidgeSettings


class _Drawn(Ridge):
    """Has chance in it, and a metric that only a run knows."""

    lacks = frozenset({"step_zero", "stop_points", "content", "metric_names"})

    def metrics(self, _settings):
        return []

    def run(self, run, context):
        log, noise = context.log, context.seeds.generator("noise").standard_normal()
        context.log = lambda step, metrics: log(step, {**metrics, "late": noise})
        return super().run(run, context)


class OpenSettings(RidgeSettings):
    model_config = ConfigDict(extra="allow", frozen=True)


class Open(Ridge):
    """Takes names that its settings do not declare, and looks at them before a run."""

    settings = OpenSettings

    def examine(self, settings, _progress):
        for name, value in settings.items():
            if name not in RidgeSettings.model_fields:
                raise UsageError(Problem("no option of the fit", f"{name}: {value}", "Remove it"))
        return ()


def _suite(monkeypatch, backend):
    class Suite(BackendSuite):
        backend_name = "ridge"
        other_cell = {"penalty": 10.0}  # noqa: RUF012
        contexts = ({"dataset": "waves"}, {"dataset": "hills"})

    assert isinstance(backend(), Backend)
    monkeypatch.setattr(backend_suite, "load_backend", lambda _name: backend())
    return Suite()


_TESTS = [name for name in dir(BackendSuite) if name.startswith("test_")]


@pytest.mark.parametrize("test", _TESTS)
@pytest.mark.parametrize("backend", [Ridge, _Drawn, Open])
def test_a_backend_is_not_asked_for_what_it_declares_to_lack(backend, test, tmp_path, monkeypatch):
    _call(_suite(monkeypatch, backend), test, tmp_path)


def _call(suite, test, folder):
    method = getattr(suite, test)
    needs_folder = "tmp_path" in method.__code__.co_varnames
    method(*[folder] if needs_folder else [])


class _Stops(Ridge):
    def run(self, run, context):
        if context.should_stop():
            raise RunInterruptedError("stopped")
        return super().run(run, context)


class _Remembers(_Drawn):
    """Leaves something behind that changes the next attempt."""

    def run(self, run, context):
        context.log(0, {"attempt": len(list(context.checkpoint_dir.iterdir()))})
        (context.checkpoint_dir / "here").touch()
        return super().run(run, context)


class _DrawnSecretly(Ridge):
    def run(self, run, context):
        context.log(1, {"test/r2": context.seeds.generator("noise").standard_normal()})
        return super().run(run, context)


class _AtZero(Ridge):
    def run(self, run, context):
        log = context.log
        context.log = lambda _step, metrics: log(0, metrics)
        return super().run(run, context)


class _Silent(Ridge):
    def run(self, run, context):
        context.log = lambda *_: None
        return super().run(run, context)


class _ForgetsResult(Ridge):
    def run(self, run, context):
        super().run(run, context)


class _LogsText(Ridge):
    def run(self, run, context):
        context.log(1, {"test/r2": "0.5"})
        return super().run(run, context)


class _OpenAndBlind(Ridge):
    settings = OpenSettings


class _OpenAndTolerant(Open):
    def examine(self, _settings, _progress):
        return ()


class _LenientPart(BaseModel):
    depth: int = 1
    """How deep."""


class _LenientSettings(RidgeSettings):
    part: _LenientPart = _LenientPart()
    """A group of settings."""


class _LenientInside(Ridge):
    settings = _LenientSettings


def _lacking(*words):
    return type("Lacking", (Ridge,), {"lacks": frozenset(words)})


_RESUMED = "test_a_resumed_run_equals_an_undisturbed_one"
_REPLICATES = "test_replicates_are_independent_trainings"
_CONTENT = "test_content_hashes_are_stable_and_cover_the_context"
_REPORTS = "test_a_run_reports_what_it_declares"
_UNKNOWN = "test_unknown_settings_are_refused"
_WORDS = "test_what_it_lacks_is_declared_in_known_words"


@pytest.mark.parametrize(
    ("backend", "test", "says"),
    [
        (_Stops, _RESUMED, "take them from lacks"),
        (_Remembers, _RESUMED, "starts again gives the same"),
        (_DrawnSecretly, _REPLICATES, "take randomness from lacks"),
        (_AtZero, "test_step_zero_is_common_to_all_runs_of_a_context", "logged at step 1"),
        (_Silent, _REPORTS, "a run logs metrics"),
        (_ForgetsResult, _REPORTS, "run returns RunResult"),
        (_LogsText, _REPORTS, "metric test/r2 is a number"),
        (_OpenAndBlind, _UNKNOWN, "no method examine"),
        (_OpenAndTolerant, _UNKNOWN, "no refusal"),
        (_LenientInside, _UNKNOWN, "part.no_such_setting"),
        (_lacking("stop_points", "content", "randomness"), _REPORTS, "'step_zero'"),
        (_lacking("step_zero", "content", "randomness"), _RESUMED, "'stop_points'"),
        (_lacking("step_zero", "stop_points", "randomness"), _CONTENT, "'content'"),
        (_lacking("step_zero", "stop_points", "content"), _REPLICATES, "'randomness'"),
        (_lacking("step_0"), _WORDS, "step_zero, stop_points"),
        (_lacking("randomness", "repeatability"), _WORDS, "not both"),
    ],
)
def test_what_is_missing_or_wrongly_declared_is_told(backend, test, says, tmp_path, monkeypatch):
    suite = _suite(monkeypatch, backend)
    with pytest.raises(AssertionError) as caught:
        _call(suite, test, tmp_path)
    message = str(caught.value)
    assert says in message
    assert "why: " in message
