"""A plain function as a backend: what it gets, what it may return, and what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ablatekit.canonical import read_json
from ablatekit.design.build import build_plan
from ablatekit.design.plan import Plan
from ablatekit.dispatch.progress import SilentObserver
from ablatekit.errors import StudyError, UsageError
from ablatekit.functions import FunctionBackend, SettingsView, imported_function
from ablatekit.pipeline.frozen import prepare
from ablatekit.pipeline.run import RunOptions, StudyOutcome, run_study
from ablatekit.runs.records import RunResult, RunSpec
from ablatekit.runs.seeds import Seeds
from ablatekit.runs.workspace import Workspace
from ablatekit.study.load import parse_study
from ablatekit.testing.backend_suite import MemoryContext

STUDY = """
version: 1
name: plain
backend: {name: function, settings: {function: SOURCE, epochs: 3}}
factors:
  lr: {baseline: 0.1, levels: [0.1, 0.2]}
replicates: 2
responses: {score: {metric: accuracy, direction: higher}}
tracking: {uri: null}
"""
TAKES_ALL = "def train(settings, seed):\n    "
GIVEN = {"lr": 0.1, "net.depth": 2}
Call = tuple[RunResult, MemoryContext]


def called(folder: Path, source: str, settings: Mapping[str, Any] = GIVEN) -> Call:
    file = folder / "train.py"
    file.write_text(source, encoding="utf-8")
    asked = {"function": f"{file}:train", **settings}
    backend = FunctionBackend()
    spec = RunSpec(
        backend="function",
        results_version=1,
        settings=asked,
        context={},
        content=backend.content(asked),
        replicate=1,
    )
    context = MemoryContext(Seeds(spec.run_id, spec.context_id), folder, folder)
    return backend.run(spec, context), context


def planned(
    folder: Path, source: str, text: str = STUDY, reference: str = "train.py:train"
) -> Plan:
    (folder / "train.py").write_text(source, encoding="utf-8")
    loaded = parse_study(text.replace("SOURCE", reference), folder / "study.yaml")
    return build_plan(loaded, FunctionBackend())


def refusal(folder: Path, source: str, text: str = STUDY, reference: str = "train.py:train") -> str:
    with pytest.raises(StudyError) as refused:
        planned(folder, source, text, reference)
    return str(refused.value)


@pytest.mark.parametrize(
    "source",
    [
        TAKES_ALL + "return {'score': settings.lr, 'depth': settings.net.depth}",
        TAKES_ALL + "return {'score': settings['lr'], 'depth': settings['net.depth']}",
        "def train(lr, net): return {'score': lr, 'depth': net.depth}",
        "def train(lr, /, *, net, more=1): return {'score': lr, 'depth': net['depth']}",
        "def train(lr, **others): return {'score': lr, 'depth': others['net'].depth}",
    ],
)
def test_a_function_gets_its_settings_as_it_asks_for_them(tmp_path: Path, source: str) -> None:
    result, context = called(tmp_path, source)
    numbers = {name: value for name, value in result.metrics.items() if name != "cost/seconds"}
    assert (result.status, numbers) == ("finished", {"score": 0.1, "depth": 2.0})
    assert context.metrics[0] == (1, {"score": 0.1, "depth": 2.0})


def test_settings_are_read_only_and_name_the_nearest() -> None:
    view = SettingsView(GIVEN)
    assert dict(pickle.loads(pickle.dumps(view))) == dict(view)
    assert list(view) == ["lr", "net"]
    assert view.get("absent", 7) == 7
    assert getattr(view, "absent", 7) == 7
    with pytest.raises(AttributeError, match="read-only"):
        view.lr = 3
    with pytest.raises(AttributeError, match=r"no setting 'lrr'\. Did you mean 'lr'"):
        _ = view.lrr


def test_the_seed_is_the_runs_own_and_small_enough_for_every_library(tmp_path: Path) -> None:
    seeds = {
        called(tmp_path, "def train(settings, seed): return {'seed': seed}", {"lr": lr})[0].metrics[
            "seed"
        ]
        for lr in (0.1, 0.2, 0.3)
    }
    assert len(seeds) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_generator_gives_curves(tmp_path: Path) -> None:
    source = TAKES_ALL + "yield from ((step, {'loss': 1 / (step + 1)}) for step in range(3))"
    result, context = called(tmp_path, source)
    assert [entry for entry in context.metrics if "loss" in entry[1]] == [
        (0, {"loss": 1.0}),
        (1, {"loss": 0.5}),
        (2, {"loss": 1 / 3}),
    ]
    assert result.metrics["loss"] == 1 / 3


@pytest.mark.parametrize(
    "items",
    [
        "[{'item': 1, 'outcome': True}, {'item': 2, 'outcome': 0}]",
        "{'item': [1, 2], 'outcome': [1.0, 0.0]}",
        "__import__('pandas').DataFrame({'item': [1, 2], 'outcome': [1, 0]})",
    ],
)
def test_outcomes_of_items_come_beside_the_metrics(tmp_path: Path, items: str) -> None:
    result, context = called(tmp_path, TAKES_ALL + f"return {{'accuracy': 0.5, 'items': {items}}}")
    assert set(result.metrics) == {"accuracy", "cost/seconds"}
    assert context.items == [
        (
            1,
            {
                "split": ["test", "test"],
                "dataset": ["", ""],
                "sample": [0, 0],
                "item": ["1", "2"],
                "outcome": [1.0, 0.0],
            },
        )
    ]


def test_a_number_of_any_library_is_one(tmp_path: Path) -> None:
    source = (
        "import numpy as np\n" + TAKES_ALL + "return {'a': np.float32(0.5), 'b': np.array([2])[0]}"
    )
    assert called(tmp_path, source)[0].metrics.items() >= {"a": 0.5, "b": 2.0}.items()


def test_nan_is_a_divergence_with_the_last_numbers(tmp_path: Path) -> None:
    source = TAKES_ALL + "yield 1, {'loss': 0.5}\n    yield 2, {'loss': float('nan')}\n    1 / 0"
    result, context = called(tmp_path, source)
    assert result.status == "diverged"
    assert result.message == "train() reported loss = nan at step 2"
    assert result.metrics["loss"] == 0.5
    assert all(value == value for _, metrics in context.metrics for value in metrics.values())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("pass", "returns a mapping of metrics; received None"),
        ("return 0.9", "returns a mapping of metrics; received 0.9 (float)"),
        ("return {}", "returns at least one metric"),
        ("return {'a': '0.9'}", "one number under each name; received 'a': '0.9' (str)"),
        ("return {'a': [0.9, 0.8]}", "one number under each name"),
        ("return {1: 0.9}", "one number under each name; received 1: 0.9"),
        ("yield {'a': 1}", "yields (step, metrics)"),
        ("yield 2, {'a': 1}; yield 2, {'a': 1}", "steps that rise; received 2 after 2"),
        ("yield from ()", "yields (step, metrics) at least once"),
        ("return {'a': 1, 'items': [{'item': 1}]}", "`item` and `outcome`"),
        ("return {'a': 1, 'items': {'item': [1], 'outcome': ['x']}}", "number as its outcome"),
        ("return {'a': 1, 'items': {'item': [1], 'outcome': [1, 2]}}", "differ in length"),
        (
            "return {'a': 1, 'items': {'item': [1, 2, 1], 'outcome': [1, 1, 0]}}",
            "gives each sample of an item once; received test, , 1, 0",
        ),
    ],
)
def test_what_is_no_metrics_is_refused_in_words(tmp_path: Path, body: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        called(tmp_path, TAKES_ALL + body)
    assert said in str(refused.value)
    assert "train()" in str(refused.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "def train(lrr, epochs, seed): ...",
            "study.yaml:6:32: train() takes no 'lr'; received lr: 0.1",
        ),
        ("def train(lr, seed): ...", "epochs: 3"),
        ("def train(lr, epochs, depth, seed): ...", "train() needs a setting 'depth'"),
        (
            "def trian(lr, epochs): ...",
            "no function 'train' is defined in train.py; received function: train.py:",
        ),
        ("train = print", "no function 'train' is defined"),
        ("class train: ...", "no function 'train' is defined"),
        ("async def train(settings): ...", "is no plain function"),
        ("def train(settings:", "train.py:1: not Python"),
    ],
)
def test_a_function_that_does_not_fit_is_refused_when_planning(
    tmp_path: Path, source: str, said: str
) -> None:
    assert said in refusal(tmp_path, source)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("''", "the study names no function"),
        ("nowhere.py:train", "no such file"),
        ("train.py", "a function is named by its file"),
        ("no_such_module:train", "no module 'no_such_module' with a source"),
        ("math:sqrt", "no module 'math' with a source"),
    ],
)
def test_a_reference_that_leads_nowhere_has_its_line(
    tmp_path: Path, reference: str, said: str
) -> None:
    message = refusal(tmp_path, "def train(settings, seed): ...", reference=reference)
    assert said in message
    assert "study.yaml:4:" in message


def test_the_seed_is_no_setting(tmp_path: Path) -> None:
    text = STUDY.replace("epochs: 3", "seed: 3")
    message = refusal(tmp_path, "def train(lr, seed): ...", text)
    assert "'seed' is no setting of a function; received seed: 3. Rename" in message


def test_planning_executes_nothing_of_the_file(tmp_path: Path) -> None:
    source = "raise SystemExit('executed')\ndef train(settings, seed): ..."
    assert len(planned(tmp_path, source).runs) == 4


def test_what_a_function_lacks_is_a_warning_of_the_plan(tmp_path: Path) -> None:
    plan = planned(tmp_path, "import no_such_library\ndef train(lr, epochs): ...")
    assert "takes no seed" in plan.warnings[0] + plan.warnings[1]
    assert "not installed here: no_such_library" in plan.warnings[0] + plan.warnings[1]


def test_runs_are_identified_by_the_source_and_by_what_lies_beside_it(tmp_path: Path) -> None:
    source = "import beside\ndef train(settings, seed): ..."
    (tmp_path / "beside.py").write_text("import further\n", encoding="utf-8")
    (tmp_path / "further.py").write_text("A = 1\n", encoding="utf-8")
    (tmp_path / "stranger.py").write_text("A = 1\n", encoding="utf-8")
    ids = [{run.run_id for run in planned(tmp_path, source).runs}]
    for name in ("beside.py", "further.py", "stranger.py"):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write("B = 2\n")
        ids.append({run.run_id for run in planned(tmp_path, source).runs})
    assert ids[0].isdisjoint(ids[1])
    assert ids[1].isdisjoint(ids[2])
    assert ids[2] == ids[3]


def test_the_plan_does_not_depend_on_where_the_study_lies(tmp_path: Path) -> None:
    plans = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        plans.append(planned(tmp_path / name, "def train(settings, seed): ..."))
    assert plans[0].hash == plans[1].hash
    assert plans[0].runs[0].run_id == plans[1].runs[0].run_id


def test_a_source_that_changed_after_the_plan_is_not_run(tmp_path: Path) -> None:
    (run, *_) = planned(tmp_path, "def train(settings, seed): return {'accuracy': 1}").runs
    (tmp_path / "train.py").write_text("def train(settings, seed): return {'accuracy': 2}")
    context = MemoryContext(Seeds("", ""), tmp_path, tmp_path)
    with pytest.raises(UsageError, match="has changed since the study was planned"):
        FunctionBackend().run(run.spec, context)


def test_a_function_of_a_file_can_be_pickled(tmp_path: Path) -> None:
    file = tmp_path / "a_module_of_its_own.py"
    file.write_text("def train(settings, seed): return {'accuracy': 1}", encoding="utf-8")
    function = imported_function(file, "train")
    assert pickle.loads(pickle.dumps(function)) is function
    file = tmp_path / "json.py"  # a name that is taken is left alone
    file.write_text("def train(settings, seed): return {'accuracy': 2}", encoding="utf-8")
    assert imported_function(file, "train")({}, 0) == {"accuracy": 2}
    assert read_json.__module__ == "ablatekit.canonical"


def ran(folder: Path, source: str) -> StudyOutcome:
    (folder / "train.py").write_text(source, encoding="utf-8")
    study = folder / "study.yaml"
    study.write_text(STUDY.replace("SOURCE", "train.py:train"), encoding="utf-8")
    prepared = prepare(study, ("dispatch.retries=0",), Workspace(folder / "out"))
    return run_study(prepared, RunOptions(workers=2), SilentObserver())


def test_a_study_of_a_function_runs_in_workers(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("GAIN = 2.0\n", encoding="utf-8")
    source = (
        "import random, beside\n"
        "def train(lr, epochs, seed):\n"
        "    return {'accuracy': beside.GAIN * lr + random.Random(seed).gauss(0, 0.001)}\n"
    )
    outcome = ran(tmp_path, source)
    assert outcome.analysis is not None
    (effect, *_) = outcome.analysis["responses"]["score"]["effects"]
    assert effect["estimate"] == pytest.approx(0.2, abs=0.01)


def test_a_function_that_raises_fails_its_runs_in_one_line(tmp_path: Path) -> None:
    source = "def train(settings, seed):\n    raise ValueError('no such optimizer\\nmore')\n"
    outcome = ran(tmp_path, source)
    assert outcome.dispatch.counts.failed == 4
    (failed, *_) = outcome.dispatch.failed
    assert failed.message == "ValueError: no such optimizer"
    logs = [path.read_text() for path in (tmp_path / "out").rglob("output.txt")]
    assert all("Traceback" in log and "train.py" in log for log in logs)
