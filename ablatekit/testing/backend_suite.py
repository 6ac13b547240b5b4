"""What every backend must fulfil, as tests that a plugin's own test suite inherits.

    class TestMyBackend(BackendSuite):
        backend_name = "mine"
        settings = {"rounds": 3}
        other_cell = {"optimizer": "sgd"}
        contexts = ({"model": "a"}, {"model": "b"})

The runs are executed in the test's process, so keep them small. pytest collects the subclass.
What a backend does without it declares in `lacks` (`ablatekit.backend.Lack`): that is not demanded
of it, and where a run can show that the declaration is wrong, its test fails. The table in
CONTRIBUTING says what each test wants.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar, get_args

from pydantic import BaseModel, ValidationError

from ablatekit.backend import Backend, Examining, Lack, Rule, lacks
from ablatekit.canonical import canonical_json
from ablatekit.errors import RunInterruptedError, UsageError
from ablatekit.plugins import load_backend
from ablatekit.runs.records import MetricSpec, RunResult, RunSpec, part_metric
from ablatekit.runs.seeds import Seeds
from ablatekit.study.settings import documented, is_open, models_in, nest
from ablatekit.testing.specs import run_spec

_Entry = tuple[int, dict[str, Any]]
_ITEM_COLUMNS = frozenset({"split", "dataset", "item", "sample", "outcome"})
_UNKNOWN = "no_such_setting"
_RESUMED = "a run that continues from a checkpoint calls context.resumed_at(step)"


def demand(holds: bool, wanted: str, why: str, received: object = "") -> None:
    """Fail unless `holds`, with what a test of the suite wants, why, and what it got."""
    __tracebackhide__ = True
    if not holds:
        seen = f"\n  received: {received}" if received != "" else ""
        raise AssertionError(f"{wanted}\n  why: {why}{seen}")


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
        for name, value in metrics.items():
            demand(
                hasattr(value, "__float__"),
                f"metric {name} is a number",
                "it is analysed as one",
                repr(value),
            )
        self.metrics.append((step, {name: float(value) for name, value in metrics.items()}))

    def log_items(self, step: int, table: Mapping[str, Sequence[Any]]) -> None:
        self.items.append((step, {name: list(column) for name, column in table.items()}))

    def resumed_at(self, step: int) -> None:
        wanted = "resumed_at is called before anything is logged"
        demand(not self.metrics, wanted, "it says which earlier entries are dropped", step)
        self.resumed = step

    def progress(self, done: float, total: float) -> None:
        wanted = "progress(done, total) has 0 <= done <= total"
        demand(0 <= done <= total, wanted, "a bar is drawn of it", f"{done} of {total}")

    def should_stop(self) -> bool:
        self.asked += 1
        return self.stop_after is not None and self.asked >= self.stop_after

    @contextmanager
    def cache_lock(self, name: str) -> Iterator[Path]:
        folder = self.cache_dir / name
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


@dataclass(frozen=True)
class _Executed:
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

    def execute(self, spec: RunSpec, folder: Path, *, interrupt: bool = False) -> _Executed:
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
        _demand_result(result)
        if not interrupt:
            return _Executed(result, context.metrics, context.items)
        if context.resumed is None:
            demand(False, _RESUMED, "a reader must know which earlier entries to drop")
        resumed = context.resumed or 0
        return _Executed(
            result,
            _until(stopped.metrics, resumed) + context.metrics,
            _until(stopped.items, resumed) + context.items,
        )

    def lacking(self, what: Lack) -> bool:
        """Whether the backend declares that it does without."""
        return what in lacks(self.backend)

    def partial(self, spec: RunSpec) -> list[MetricSpec]:
        """The metrics that are measured on a part of the items at some steps."""
        return [metric for metric in self.backend.metrics(spec.settings) if metric.partial]

    def repeatable(self, record: _Executed) -> dict[str, Any]:
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

    def test_what_it_lacks_is_declared_in_known_words(self) -> None:
        declared, known = lacks(self.backend), get_args(Lack)
        wanted = f"`lacks` is a frozenset of the words {', '.join(known)}"
        is_set = isinstance(declared, frozenset) and set(declared) <= set(known)
        demand(is_set, wanted, "any other word would change nothing", repr(declared))
        contradicted = {"randomness", "repeatability"} <= set(declared)
        wanted = "`lacks` has randomness or repeatability, not both"
        why = "replicates of runs that differ each time are not the same run"
        demand(not contradicted, wanted, why, repr(declared))

    def test_every_setting_has_a_default_and_a_meaning(self) -> None:
        for name, part in _settings(documented(self.backend.settings)):
            why = "a study states only what differs from the defaults"
            demand(not part.is_required(), f"the setting {name} has a default", why)
            wanted = f"the setting {name} has a docstring below it, or a description"
            demand(bool(part.description), wanted, "`ablatekit factor show` says what it means")

    def test_unknown_settings_are_refused(self) -> None:
        if is_open(self.backend.settings):
            self._examine_refuses_unknown()
            return
        for prefix in _models(self.backend.settings):
            name = f"{prefix}{_UNKNOWN}"
            wanted = f'the settings refuse {name}: model_config = ConfigDict(extra="forbid")'
            why = "a misspelt setting would silently leave the default in place"
            demand(_is_refused(self.backend.settings, name), wanted, why)

    def _examine_refuses_unknown(self) -> None:
        """Settings that are open are the backend's to check, where their values are known."""
        backend = self.backend
        wanted = f'examine(settings, progress) raises UsageError that shows "{_UNKNOWN}: 1"'
        why = "with extra='allow' any name is taken, and only the backend sees a misspelt one"
        if not isinstance(backend, Examining):
            raise AssertionError(f"{wanted}\n  why: {why}\n  received: no method examine")
        try:
            backend.examine({**self._asked(), _UNKNOWN: 1}, _count_sensibly)
        except UsageError as error:
            demand(f"{_UNKNOWN}: 1" in str(error), wanted, "the study's line is found by it", error)
            return
        demand(False, wanted, why, "no refusal")

    def _asked(self, context: int = 0) -> dict[str, Any]:
        """What a backend is asked about a run: all settings, those of the execution included."""
        spec = self.spec(context=context)
        return {**spec.settings, **spec.execution}

    def test_rules_name_existing_settings_and_valid_values(self) -> None:
        known = self._asked()
        names = [rule.name for rule in self.backend.rules()]
        doubled = sorted({name for name in names if names.count(name) > 1})
        demand(not doubled, "every rule has a name of its own", "messages cite it", doubled)
        for rule in self.backend.rules():
            _demand_rule(rule, known)

    def test_metrics_have_unique_names(self) -> None:
        names = [spec.name for spec in self.backend.metrics(self.spec().settings)]
        wanted = "metrics(settings) declares at least one MetricSpec"
        why = "a study must know its responses; or lacks = frozenset({'metric_names'})"
        demand(bool(names) or self.lacking("metric_names"), wanted, why)
        doubled = sorted({name for name in names if names.count(name) > 1})
        demand(not doubled, "every metric has a name of its own", "one direction each", doubled)

    def test_resources_are_positive(self) -> None:
        need = self.backend.resources(self.spec().settings)
        sound = need.cpus >= 1 and need.gpus >= 0 and need.memory > 0
        wanted = "resources: cpus at least 1, gpus at least 0, memory above 0 (GiB)"
        demand(sound, wanted, "as many runs execute at once as fit into the machine", need)

    def test_content_hashes_are_stable_and_cover_the_context(self) -> None:
        for number, context in enumerate(self.contexts):
            asked = self._asked(number)
            content = self.backend.content(asked)
            same = content == self.backend.content(asked)
            demand(same, "content(settings) is the same twice", "it identifies a run", content)
            missing = sorted(set(context) - set(content))
            wanted = f"content(settings) has a hash for {', '.join(missing)}"
            why = (
                "a run is known by what its data and model contain, not by their names; a backend"
                " without such hashes declares lacks = frozenset({'content'})"
            )
            demand(not missing or self.lacking("content"), wanted, why, dict(content))

    def test_what_is_seen_before_a_run_is_told_in_words_and_the_same_twice(self) -> None:
        backend = self.backend
        if not isinstance(backend, Examining):
            return
        for number in range(len(self.contexts)):
            asked = self._asked(number)
            told = list(backend.examine(asked, _count_sensibly))
            in_words = all(isinstance(warning, str) and warning for warning in told)
            demand(in_words, "examine returns sentences", "the plan prints them", told)
            again = list(backend.examine(asked, _count_sensibly))
            wanted = "examine says the same twice"
            demand(told == again, wanted, "what it says is part of the frozen plan", again)

    def test_a_run_reports_what_it_declares(self, tmp_path: Path) -> None:
        spec = self.spec()
        record = self.execute(spec, tmp_path)
        declared = {metric.name for metric in self.backend.metrics(spec.settings)}
        of_parts = {part_metric(metric.name) for metric in self.partial(spec)}
        logged = {name for _, metrics in record.metrics for name in metrics}
        demand(bool(logged), "a run logs metrics: context.log(step, {...})", "nothing else is kept")
        missing = sorted((declared | of_parts) - logged)
        why = "a declared metric may be a study's response"
        demand(not missing, "a run logs every metric that it declares", why, f"missing: {missing}")
        undeclared = sorted((logged | set(record.result.metrics)) - declared - of_parts)
        why = "direction and unit are asked before the run; or lacks = frozenset({'metric_names'})"
        open_names = self.lacking("metric_names") or not undeclared
        demand(open_names, "metrics(settings) declares whatever a run logs", why, undeclared)
        only_returned = sorted(set(record.result.metrics) - logged)
        wanted = "the metrics of RunResult are logged, too"
        demand(not only_returned, wanted, "responses are read from the log", only_returned)
        wanted = "a small run of the suite ends as finished"
        demand(record.result.status == "finished", wanted, "the suite looks at it", record.result)
        self._demand_steps([step for step, _ in record.metrics])

    def _demand_steps(self, steps: list[int]) -> None:
        demand(steps == sorted(steps), "steps never go back", "they are time", steps)
        starts = self.lacking("step_zero") or steps[0] == 0
        wanted = "the first metrics are logged at step 0, before any training"
        why = (
            "equal starts are checked, and progress is measured from there; a backend that does not"
            " evaluate before training declares lacks = frozenset({'step_zero'})"
        )
        demand(starts, wanted, why, f"first step {steps[0]}")

    def test_every_evaluation_tells_of_one_set_of_items(self, tmp_path: Path) -> None:
        spec = self.spec()
        record = self.execute(spec, tmp_path)
        for metric in self.partial(spec):
            _demand_one_part(metric, record)

    def test_item_outcomes_are_complete(self, tmp_path: Path) -> None:
        for step, table in self.execute(self.spec(), tmp_path).items:
            missing = sorted(_ITEM_COLUMNS - set(table))
            wanted = "log_items gets the columns split, dataset, item, sample, outcome"
            demand(not missing, wanted, "items are paired by them", f"missing: {missing}")
            lengths = {name: len(column) for name, column in table.items()}
            equal = len(set(lengths.values())) == 1
            demand(equal, "all columns of log_items have one length", "a row is an item", lengths)
            columns = (table[name] for name in ("split", "dataset", "item", "sample"))
            keys = list(zip(*columns, strict=True))
            doubled = len(keys) - len(set(keys))
            wanted = "an item x sample is one row of an evaluation"
            why = "a row that is there twice would count twice"
            demand(not doubled, wanted, why, f"{doubled} rows too many at step {step}")

    def test_a_run_is_reproducible(self, tmp_path: Path) -> None:
        if self.lacking("repeatability"):
            return
        first = self.repeatable(self.execute(self.spec(), tmp_path / "first"))
        second = self.repeatable(self.execute(self.spec(), tmp_path / "second"))
        why = (
            "a run that is lost is executed again; take all randomness from context.seeds, declare"
            " metrics such as seconds with repeatable=False, or declare"
            " lacks = frozenset({'repeatability'})"
        )
        _demand_equal(second, first, "the same run gives the same results twice", why)

    def test_a_resumed_run_equals_an_undisturbed_one(self, tmp_path: Path) -> None:
        whole = self.repeatable(self.execute(self.spec(), tmp_path / "whole"))
        if self.lacking("stop_points"):
            again = self.repeatable(self._undeterred(tmp_path / "again"))
            wanted = "a run that has no stop point and starts again gives the same results"
            why = "it is killed when a study drains, and executed again in the same folder"
        else:
            again = self.repeatable(self.execute(self.spec(), tmp_path / "resumed", interrupt=True))
            wanted = "a run that is stopped and continued gives the results of an undisturbed one"
            why = (
                "a study may be stopped at any time; keep the state of every random stream in the"
                " checkpoint"
            )
        if not self.lacking("repeatability"):
            _demand_equal(again, whole, wanted, why)

    def _undeterred(self, folder: Path) -> _Executed:
        """A second execution in one folder, asked to stop where there is no stop point."""
        spec = self.spec()
        self.execute(spec, folder)
        places = (folder / spec.run_id / "checkpoint", folder / "cache")
        seeds = Seeds(spec.run_id, spec.context_id)
        context = MemoryContext(seeds, *places, stop_after=1)
        try:
            result = self.backend.run(spec, context)
        except RunInterruptedError:
            wanted = (
                "a backend that raises RunInterruptedError has stop points: take them from lacks"
            )
            raise AssertionError(
                f"{wanted}\n  why: it would be killed where it could stop"
            ) from None
        return _Executed(result, context.metrics, context.items)

    def test_replicates_are_independent_trainings(self, tmp_path: Path) -> None:
        first, second = (
            self.repeatable(self.execute(self.spec(replicate), tmp_path)) for replicate in (1, 2)
        )
        same = canonical(first["history"]) == canonical(second["history"])
        if self.lacking("randomness"):
            wanted = "replicates of a backend that lacks randomness are the same"
            demand(same, wanted, "these differ: take randomness from lacks", second["history"])
            return
        why = (
            "they measure chance; draw from context.seeds, which differ between replicates, or"
            " declare lacks = frozenset({'randomness'})"
        )
        demand(not same, "replicates 1 and 2 differ", why, second["history"])

    def test_step_zero_is_common_to_all_runs_of_a_context(self, tmp_path: Path) -> None:
        for number in range(len(self.contexts)):
            specs = (
                self.spec(context=number),
                self.spec(2, number),
                self.spec(1, number, **self.other_cell),
            )
            starts = {canonical(self._start(self.execute(spec, tmp_path))) for spec in specs}
            wanted = "what is evaluated at step 0 is equal in all runs of a context"
            why = (
                "nothing is trained there, and all runs of a context evaluate the same items with"
                " the same draws (context.seeds.common); a trained model is logged at step 1 or"
                " later"
            )
            demand(len(starts) == 1, wanted, why, " / ".join(sorted(starts)))

    def _start(self, record: _Executed) -> list[Any]:
        """Responses and item outcomes at step 0."""
        specs = self.backend.metrics(self.spec().settings)
        roles = ("learning", "generalization")
        names = {spec.name for spec in specs if spec.role in roles}
        scores = [_only(metrics, names) for step, metrics in record.metrics if step == 0]
        return [scores, [table for step, table in record.items if step == 0]]


def _demand_result(result: object) -> None:
    wanted = 'run returns RunResult(status="finished" or "diverged", metrics={...})'
    demand(isinstance(result, RunResult), wanted, "it is how a run ends", repr(result))


def _demand_rule(rule: Rule, known: Mapping[str, Any]) -> None:
    """A rule is about settings that exist, says why, and changes settings if it is to merge."""
    referred = set(rule.when) | set(rule.then) | set(rule.names)
    unknown = sorted(referred - set(known))
    wanted = f"the rule {rule.name} names settings of the backend"
    demand(not unknown, wanted, "it would never apply", unknown)
    demand(bool(rule.why), f"the rule {rule.name} says why", "the message prints it")
    wanted = f"the rule {rule.name} has `then` exactly if it is inert or an alias"
    merges = rule.kind in ("inert", "alias")
    demand(bool(rule.then) == merges, wanted, "these set settings, the others do not", rule.kind)
    rule.applies(known)


def _demand_one_part(metric: MetricSpec, record: _Executed) -> None:
    """The values of a partial metric are about one part of the items at every step."""
    steps = _series(record.metrics, metric.name)
    name = part_metric(metric.name)
    on_part = _series(record.metrics, name)
    beside = set(on_part) <= set(steps)
    demand(beside, f"{name} stands beside {metric.name}", "it is its value on a part", on_part)
    at_ends = bool(steps) and {min(steps), max(steps)} <= set(on_part)
    wanted = f"{name} is logged at the first and the last step"
    demand(at_ends, wanted, "curves show one set of items", sorted(on_part))
    between = [step for step in steps if step not in on_part]
    for step, value in _means_of_part(record.items, metric.items, between).items():
        logged = on_part.get(step, steps.get(step))
        equal = logged is not None and math.isclose(logged, value, rel_tol=1e-9)
        wanted = f"the value on the part at step {step} is the mean over its items, {value}"
        demand(equal, wanted, "what is shown can be recomputed", logged)


def _demand_equal(
    results: Mapping[str, Any], expected: Mapping[str, Any], wanted: str, why: str
) -> None:
    __tracebackhide__ = True
    for part, value in expected.items():
        equal = canonical(results[part]) == canonical(value)
        demand(equal, wanted, why, f"{part} {_first_difference(results[part], value)}")


def _first_difference(values: Any, expected: Any) -> str:
    """The first entries that differ; of values that are no lists, both."""
    if not isinstance(values, list):
        return f"{values}, before {expected}"
    pairs = zip_longest(values, expected, fillvalue="nothing")
    at = next((pair for pair in pairs if canonical(pair[0]) != canonical(pair[1])), ("", ""))
    return f"{at[0]}, before {at[1]}"


def _is_refused(model: type[BaseModel], name: str) -> bool:
    try:
        model.model_validate(nest({name: 1}))
    except ValidationError:
        return True
    return False


def _models(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted prefix of every group of settings, the outermost first."""
    yield prefix
    for name, part in model.model_fields.items():
        for below in models_in(part.annotation):
            yield from _models(below, f"{prefix}{name}.")


def _count_sensibly(_what: str, done: int, total: int) -> None:
    demand(0 <= done <= total, "progress(what, done, total) has 0 <= done <= total", "it is shown")


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
    wanted = (
        "a run that finds context.should_stop() true keeps a checkpoint, raises RunInterruptedError"
    )
    why = (
        "a study that drains waits for it; a backend that cannot stop declares"
        " lacks = frozenset({'stop_points'})"
    )
    asked = f"should_stop() was called {context.asked} times, true from call {context.stop_after}"
    demand(False, wanted, why, asked)


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
    same = all(part == parts[0] for part in parts)
    demand(same, "the part is the same at every step", "curves show one set of items", parts)
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
