"""What every backend must fulfil, as tests that a plugin's own test suite inherits.

    class TestMyBackend(BackendSuite):
        backend_name = "mine"
        settings = {"rounds": 3}
        other_cell = {"optimizer": "sgd"}
        contexts = ({"model": "a"}, {"model": "b"})

The runs are executed in the test's process, so keep them small. pytest collects the subclass.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ValidationError

from ablatekit.backend import Backend, Examining
from ablatekit.canonical import canonical_json
from ablatekit.errors import RunInterruptedError
from ablatekit.plugins import load_backend
from ablatekit.runs.records import MetricSpec, RunResult, RunSpec, part_metric
from ablatekit.runs.seeds import Seeds
from ablatekit.study.settings import documented
from ablatekit.testing.specs import run_spec

_Entry = tuple[int, dict[str, Any]]
_ITEM_COLUMNS = frozenset({"split", "dataset", "item", "sample", "outcome"})


@dataclass
class MemoryContext:
    """A `RunContext` in memory; asks to stop at the `stop_after`-th question, if given."""

    seeds: Seeds
    checkpoint_dir: Path
    cache_dir: Path
    stop_after: int | None = None
    metrics: list[_Entry] = field(default_factory=list)
    items: list[_Entry] = field(default_factory=list)
    resumed: int | None = None
    asked: int = 0

    @cached_property
    def output_dir(self) -> Path:
        return Path(tempfile.mkdtemp(prefix="output-", dir=self.checkpoint_dir.parent))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self.metrics.append((step, {name: float(value) for name, value in metrics.items()}))

    def log_items(self, step: int, table: Mapping[str, Sequence[Any]]) -> None:
        self.items.append((step, {name: list(column) for name, column in table.items()}))

    def resumed_at(self, step: int) -> None:
        assert not self.metrics, "resumed_at comes before anything is logged"
        self.resumed = step

    def progress(self, done: float, total: float) -> None:
        assert 0 <= done <= total

    def should_stop(self) -> bool:
        self.asked += 1
        return self.stop_after is not None and self.asked >= self.stop_after

    @contextmanager
    def cache_lock(self, name: str) -> Iterator[Path]:
        folder = self.cache_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


@dataclass(frozen=True)
class _Record:
    """What a run left behind, attempts merged."""

    result: RunResult
    metrics: list[_Entry]
    items: list[_Entry]


class BackendSuite:
    """The conformance tests; subclass it, name the backend, and choose small runs."""

    backend_name: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    """Settings of every run of the suite, by dotted name."""
    other_cell: ClassVar[Mapping[str, Any]]
    """Settings that make another cell of the same context."""
    contexts: ClassVar[Sequence[Mapping[str, str]]] = ({},)
    """Contexts to run in."""
    stop_after: ClassVar[int] = 2
    """At which question `should_stop()` the run is interrupted."""

    @property
    def backend(self) -> Backend:
        """The installed backend."""
        return load_backend(self.backend_name)

    def spec(self, replicate: int = 1, context: int = 0, **settings: Any) -> RunSpec:
        """A run of the suite."""
        chosen = {**self.settings, **settings}
        return run_spec(self.backend, chosen, self.contexts[context], replicate)

    def execute(self, spec: RunSpec, folder: Path, *, interrupt: bool = False) -> _Record:
        """Execute a run, once stopped and continued if asked for."""
        places = (folder / spec.run_id / "checkpoint", folder / "cache")
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        seeds = Seeds(spec.run_id, spec.context_id)
        stopped = MemoryContext(seeds, *places, stop_after=self.stop_after)
        if interrupt:
            _interrupted(self.backend, spec, stopped)
        context = MemoryContext(seeds, *places)
        result = self.backend.run(spec, context)
        if not interrupt:
            return _Record(result, context.metrics, context.items)
        assert context.resumed is not None, "an interrupted run resumes and says so"
        return _Record(
            result,
            _until(stopped.metrics, context.resumed) + context.metrics,
            _until(stopped.items, context.resumed) + context.items,
        )

    def partial(self, spec: RunSpec) -> list[MetricSpec]:
        """The metrics that are measured on a part of the items at some steps."""
        return [metric for metric in self.backend.metrics(spec.settings) if metric.partial]

    def repeatable(self, record: _Record) -> dict[str, Any]:
        """What must be equal between two executions of one run."""
        specs = self.backend.metrics(self.spec().settings)
        left_out = {spec.name for spec in specs if not spec.repeatable}
        history = [(step, _without(metrics, left_out)) for step, metrics in record.metrics]
        return {
            "status": record.result.status,
            "metrics": _without(record.result.metrics, left_out),
            "history": history,
            "items": record.items,
        }

    def test_every_setting_has_a_default_and_a_meaning(self) -> None:
        for name, part in _settings(documented(self.backend.settings)):
            assert not part.is_required(), f"{name} has no default"
            assert part.description, f"{name} has no description"

    def test_unknown_settings_are_refused(self) -> None:
        try:
            self.backend.settings.model_validate({"no_such_setting": 1})
        except ValidationError:
            return
        raise AssertionError("settings must forbid what they do not know")

    def test_rules_name_existing_settings_and_valid_values(self) -> None:
        known = {**self.spec().settings, **self.spec().execution}
        names = [rule.name for rule in self.backend.rules()]
        assert len(names) == len(set(names)), "two rules have the same name"
        for rule in self.backend.rules():
            referred = set(rule.when) | set(rule.then)
            referred |= set(rule.names)
            assert referred <= set(known), f"{rule.name}: {referred - set(known)}"
            assert rule.why, f"{rule.name} does not say why"
            assert bool(rule.then) == (rule.kind in ("inert", "alias")), rule.name
            rule.applies(known)

    def test_metrics_have_unique_names(self) -> None:
        names = [spec.name for spec in self.backend.metrics(self.spec().settings)]
        assert names
        assert len(names) == len(set(names))

    def test_resources_are_positive(self) -> None:
        need = self.backend.resources(self.spec().settings)
        assert need.cpus >= 1
        assert need.gpus >= 0
        assert need.memory > 0

    def test_content_hashes_are_stable_and_cover_the_context(self) -> None:
        for number, context in enumerate(self.contexts):
            settings = self.spec(context=number).settings
            content = self.backend.content(settings)
            assert content == self.backend.content(settings)
            assert set(context) <= set(content), "what a context names has a content hash"

    def test_what_is_seen_before_a_run_is_told_in_words_and_the_same_twice(self) -> None:
        backend = self.backend
        if not isinstance(backend, Examining):
            return
        for number in range(len(self.contexts)):
            settings = self.spec(context=number).settings
            told = list(backend.examine(settings, _count_sensibly))
            assert all(isinstance(warning, str) and warning for warning in told)
            assert told == list(backend.examine(settings, _count_sensibly))

    def test_a_run_reports_what_it_declares(self, tmp_path: Path) -> None:
        spec = self.spec()
        record = self.execute(spec, tmp_path)
        declared = {metric.name for metric in self.backend.metrics(spec.settings)}
        of_parts = {part_metric(metric.name) for metric in self.partial(spec)}
        logged = {name for _, metrics in record.metrics for name in metrics}
        assert logged == declared | of_parts
        assert set(record.result.metrics) <= declared
        assert record.result.status == "finished"
        steps = [step for step, _ in record.metrics]
        assert steps == sorted(steps), "steps never go back"
        assert steps[0] == 0, "the untrained model is evaluated"

    def test_every_evaluation_tells_of_one_set_of_items(self, tmp_path: Path) -> None:
        spec = self.spec()
        record = self.execute(spec, tmp_path)
        for metric in self.partial(spec):
            steps = _series(record.metrics, metric.name)
            on_part = _series(record.metrics, part_metric(metric.name))
            assert set(on_part) <= set(steps), "beside the value on all items"
            assert {min(steps), max(steps)} <= set(on_part), "at the first and the last step"
            between = [step for step in steps if step not in on_part]
            for step, value in _means_of_part(record.items, metric.items, between).items():
                logged = on_part.get(step, steps.get(step))
                assert logged is not None
                assert math.isclose(logged, value, rel_tol=1e-9), "the mean over the part"

    def test_item_outcomes_are_complete(self, tmp_path: Path) -> None:
        for _, table in self.execute(self.spec(), tmp_path).items:
            assert set(table) >= _ITEM_COLUMNS
            assert len({len(column) for column in table.values()}) == 1
            keys = list(zip(table["split"], table["item"], table["sample"], strict=True))
            assert len(keys) == len(set(keys)), "an item x sample is one row of an evaluation"

    def test_a_run_is_reproducible(self, tmp_path: Path) -> None:
        first = self.execute(self.spec(), tmp_path / "first")
        second = self.execute(self.spec(), tmp_path / "second")
        assert canonical(self.repeatable(first)) == canonical(self.repeatable(second))

    def test_a_resumed_run_equals_an_undisturbed_one(self, tmp_path: Path) -> None:
        whole = self.execute(self.spec(), tmp_path / "whole")
        resumed = self.execute(self.spec(), tmp_path / "resumed", interrupt=True)
        assert canonical(self.repeatable(resumed)) == canonical(self.repeatable(whole))

    def test_replicates_are_independent_trainings(self, tmp_path: Path) -> None:
        first, second = (
            self.repeatable(self.execute(self.spec(replicate), tmp_path)) for replicate in (1, 2)
        )
        assert canonical(first["history"]) != canonical(second["history"])

    def test_step_zero_is_common_to_all_runs_of_a_context(self, tmp_path: Path) -> None:
        for number in range(len(self.contexts)):
            specs = (
                self.spec(context=number),
                self.spec(2, number),
                self.spec(1, number, **self.other_cell),
            )
            starts = {canonical(self._start(self.execute(spec, tmp_path))) for spec in specs}
            assert len(starts) == 1

    def _start(self, record: _Record) -> list[Any]:
        """Responses and item outcomes at step 0."""
        specs = self.backend.metrics(self.spec().settings)
        roles = ("learning", "generalization")
        names = {spec.name for spec in specs if spec.role in roles}
        scores = [_only(metrics, names) for step, metrics in record.metrics if step == 0]
        return [scores, [table for step, table in record.items if step == 0]]


def _count_sensibly(_what: str, done: int, total: int) -> None:
    assert 0 <= done <= total


def canonical(value: Any) -> str:
    """A text that is equal for equal values, NaN included."""
    return canonical_json(_without_nan(value))


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    return repr(value) if isinstance(value, float) else value


def _interrupted(backend: Backend, spec: RunSpec, context: MemoryContext) -> None:
    try:
        backend.run(spec, context)
    except RunInterruptedError:
        return
    raise AssertionError("a run that is asked to stop raises RunInterruptedError")


def _until(entries: Sequence[_Entry], step: int) -> list[_Entry]:
    return [entry for entry in entries if entry[0] <= step]


def _without(values: Mapping[str, float], names: set[str]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name not in names}


def _only(values: Mapping[str, float], names: set[str]) -> dict[str, float]:
    return {name: value for name, value in values.items() if name in names}


def _series(entries: Sequence[_Entry], name: str) -> dict[int, float]:
    """A metric by step."""
    return {step: metrics[name] for step, metrics in entries if name in metrics}


def _means_of_part(
    entries: Sequence[_Entry], split: str, between: Sequence[int]
) -> dict[int, float]:
    """By step, the mean outcome of a split's items that the steps in between have."""
    tables = {step: table for step, table in entries if split in table["split"]}
    parts = [_keys(tables[step], split) for step in between if step in tables]
    assert all(part == parts[0] for part in parts), "the part is the same at every step"
    means = {}
    for step, table in tables.items() if parts else ():
        rows = zip(table["split"], table["dataset"], table["item"], table["outcome"], strict=True)
        kept = [value for at, *key, value in rows if at == split and tuple(key) in parts[0]]
        means[step] = sum(kept) / len(kept)
    return means


def _keys(table: Mapping[str, Sequence[Any]], split: str) -> set[tuple[Any, ...]]:
    rows = zip(table["split"], table["dataset"], table["item"], strict=True)
    return {(dataset, item) for at, dataset, item in rows if at == split}


def _settings(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, part in model.model_fields.items():
        yield prefix + name, part
        if isinstance(part.annotation, type) and issubclass(part.annotation, BaseModel):
            yield from _settings(part.annotation, f"{prefix}{name}.")
