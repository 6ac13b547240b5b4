"""A plain Python function as a backend: `f(settings, seed) -> metrics`.

A study names it under `backend: {name: function, settings: {function: train.py:train}}`. Every
other setting of the study is the function's own: it gets all of them in a parameter called
`settings` (a read-only mapping whose names are attributes, too), single ones in parameters of their
names, and a seed of the run's own in one called `seed`. It returns its metrics as a mapping from
name to number, with outcomes of items under `items` where it has them; or it yields (step, metrics)
as it goes. Planning reads its source and executes nothing of it; the source is part of what
identifies a run.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import GeneratorType
from typing import Any, ClassVar, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from ablatekit.backend import Lack, Progress, Rule, RunContext, Settings, Starter
from ablatekit.errors import Location, Problem, UsageError, nearest
from ablatekit.references import hash_of_source, imported_names, referenced, source_of
from ablatekit.runs.records import MetricSpec, Resources, RunResult, RunSpec

FUNCTION, RESOURCES, SETTINGS, SEED, ITEMS = "function", "resources", "settings", "seed", "items"
SECONDS = "cost/seconds"
SEED_BITS = 31
"""What every library takes: numpy's legacy seeding ends at 32 bits, others have signed ones."""
ITEM_COLUMNS: Mapping[str, Any] = {"split": "test", "dataset": "", "sample": 0}
"""Columns of item outcomes that a function may leave out, and what they then hold."""
ITEM_KEYS = ("split", "dataset", "item", "sample")
Metrics: TypeAlias = Mapping[str, float]
EXAMPLE_FILE = "train_example.py"
EXAMPLE = '''"""A stand-in for your own function: a line is fitted by gradient descent."""

import random


def train(learning_rate, batch_size, seed):
    draw = random.Random(seed)
    slope = 0.0
    for step in range(1, 51):
        xs = [draw.gauss(0, 1) for _ in range(batch_size)]
        gradient = sum((slope * x - 2 * x - draw.gauss(0, 1)) * x for x in xs) / len(xs)
        slope -= learning_rate * gradient
        yield step, {"error": abs(slope - 2)}
'''


class ResourceSettings(BaseModel):
    """What one run of the function occupies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cpus: int = Field(default=1, ge=1)
    """Cores; as many runs execute side by side as the machine's cores hold."""
    gpus: float = Field(default=0.0, ge=0)
    """GPUs, or the share of one."""
    memory: float = Field(default=1.0, gt=0)
    """Memory in GiB."""


class FunctionSettings(BaseModel):
    """Which function runs; every other setting of the study is the function's own."""

    model_config = ConfigDict(extra="allow", frozen=True)

    function: str = Field(default="", json_schema_extra={"input": True})
    """The function, as path/file.py:name (beside the study file) or module:name."""
    resources: ResourceSettings = Field(
        default_factory=ResourceSettings, json_schema_extra={"execution": True}
    )
    """What one run occupies."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a function, read from its source.

    The first `unnamed` of them are passed by position only; `required` have no default;
    `takes_rest`: it has `**parameters`.
    """

    name: str
    parameters: tuple[str, ...]
    unnamed: int
    required: frozenset[str]
    takes_rest: bool
    where: Location

    @property
    def takes_any(self) -> bool:
        """Whether it gets settings that none of its parameters is called after."""
        return self.takes_rest or SETTINGS in self.parameters

    @property
    def named(self) -> tuple[str, ...]:
        """The parameters that are single settings."""
        return tuple(name for name in self.parameters if name not in (SETTINGS, SEED))


class SettingsView(Mapping[str, Any]):
    """Settings of a run, read-only: `settings.lr` is `settings["lr"]`.

    A dotted name is itself (`settings["net.depth"]`) and the way through the groups that it names
    (`settings.net.depth`).
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.__dict__["_values"] = dict(values)

    def __getitem__(self, name: str) -> Any:
        if name in self._values:
            return self._values[name]
        start = f"{name}."
        group = {
            key.removeprefix(start): value
            for key, value in self._values.items()
            if key.startswith(start)
        }
        if not group:
            raise KeyError(f"the study gives no setting {name!r}. {nearest(name, self._values)}")
        return SettingsView(group)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.partition(".")[0] for name in self._values))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __getattr__(self, name: str) -> Any:
        if name == "_values":  # a copy that pickle has made and not filled yet
            raise AttributeError(name)
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"settings are read-only: {name} = {value!r}")

    def __repr__(self) -> str:
        return f"settings({', '.join(f'{k}={v!r}' for k, v in self._values.items())})"

    def __reduce__(self) -> tuple[type[SettingsView], tuple[dict[str, Any]]]:
        return SettingsView, (self._values,)


class FunctionBackend:
    """A study's function behind the contract of a backend."""

    name: ClassVar[str] = "function"
    results_version: ClassVar[int] = 1
    settings: ClassVar[type[BaseModel]] = FunctionSettings
    lacks: ClassVar[frozenset[Lack]] = frozenset(
        {"step_zero", "stop_points", "content", "repeatability", "metric_names"}
    )

    def rules(self) -> Sequence[Rule]:
        """A function's own combinations are its own affair."""
        return ()

    def metrics(self, settings: Settings) -> Sequence[MetricSpec]:  # noqa: ARG002
        """How long it took; everything else a study's responses say."""
        return (
            MetricSpec(name=SECONDS, direction="lower", unit="s", role="cost", repeatable=False),
        )

    def resources(self, settings: Settings) -> Resources:
        """What the study says that a run occupies."""
        start = f"{RESOURCES}."
        stated = {
            name.removeprefix(start): value
            for name, value in settings.items()
            if name.startswith(start)
        }
        return Resources(**ResourceSettings(**stated).model_dump())

    def examine(self, settings: Settings, progress: Progress) -> Sequence[str]:  # noqa: ARG002
        """Whether the function takes the study's settings, from its source alone."""
        file, name = _source(settings)
        signature = signature_of(file, name)
        problems = list(_signature_problems(signature, settings))
        if problems:
            raise UsageError(*problems)
        return tuple(_warnings(signature, file))

    def starter(self) -> Starter:
        """A small function with two parameters."""
        return Starter(
            settings={FUNCTION: f"{EXAMPLE_FILE}:train"},
            factors={"learning_rate": (0.1, 0.01), "batch_size": (8, 32)},
            varied="Every parameter of the function can be varied.",
            response="error",
            direction="lower",
            files={EXAMPLE_FILE: EXAMPLE},
        )

    def content(self, settings: Settings) -> Mapping[str, str]:
        """The hash of the function's source."""
        file, name = _source(settings)
        return {FUNCTION: hash_of_source(name, file)}

    def run(self, run: RunSpec, context: RunContext) -> RunResult:
        """Call the function, with what it prints in the attempt's log."""
        _require_planned_source(run)
        file, name = _source(run.settings)
        signature = signature_of(file, name)
        function = imported_function(file, name)
        given = own_settings(run.settings)
        seed = context.seeds.integer(SEED) % 2**SEED_BITS
        return _Call(name, context).record(lambda: _called(function, signature, given, seed))


def own_settings(settings: Settings) -> dict[str, Any]:
    """The settings that are the function's, by dotted name."""
    ours = (FUNCTION, RESOURCES)
    return {name: value for name, value in settings.items() if name.partition(".")[0] not in ours}


def _source(settings: Settings) -> tuple[Path, str]:
    reference = str(settings[FUNCTION])
    if not reference:
        raise UsageError(_no_function(settings))
    try:
        return source_of(reference)
    except UsageError as error:
        told = (Problem(p.rule, f"{FUNCTION}: {reference}", p.remedy) for p in error.problems)
        raise UsageError(*told) from None


def _no_function(settings: Settings) -> Problem:
    """The refusal, at the setting that holds a function under another name if there is one."""
    rule, remedy = "the study names no function", "Write function: path/file.py:name"
    texts = {
        name: value for name, value in own_settings(settings).items() if isinstance(value, str)
    }
    named = next((name for name, value in texts.items() if ".py" in value or ":" in value), None)
    if named is None:
        return Problem(rule, f"{FUNCTION}: ''", f"{remedy} in backend.settings")
    return Problem(rule, f"{named}: {texts[named]}", f"{remedy}, in place of {named}")


def _require_planned_source(run: RunSpec) -> None:
    file, name = _source(run.settings)
    if run.content.get(FUNCTION) != hash_of_source(name, file):
        rule = f"the source of {name!r} has changed since the study was planned"
        raise UsageError(Problem(rule, str(file), "Repeat the command: it plans the study again"))


def signature_of(file: Path, name: str) -> Signature:
    """The parameters of a function of a file. Raises UsageError where no `def` makes it."""
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError) as error:
        line = Location(str(file), getattr(error, "lineno", None))
        raise UsageError(Problem("not Python", str(error), "Mend the file", line)) from None
    made = [node for node in tree.body if getattr(node, "name", None) == name]
    if not made or isinstance(made[-1], ast.ClassDef):
        known = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        rule = f"no function {name!r} is defined in {file.name}"
        raise UsageError(Problem(rule, f"{FUNCTION}: {file}:{name}", nearest(name, known)))
    node = made[-1]
    where = Location(str(file), getattr(node, "lineno", None))
    if not isinstance(node, ast.FunctionDef):
        remedy = "Define it with `def`, and call what is asynchronous with asyncio.run inside it"
        raise UsageError(Problem(f"{name!r} is no plain function", "async def", remedy, where))
    return _signature(name, node.args, where)


def _signature(name: str, arguments: ast.arguments, where: Location) -> Signature:
    by_position = [*arguments.posonlyargs, *arguments.args]
    without = by_position[: len(by_position) - len(arguments.defaults)]
    keyword_only = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    needed = [*without, *(part for part, default in keyword_only if default is None)]
    parameters = (*by_position, *arguments.kwonlyargs)
    return Signature(
        name,
        tuple(part.arg for part in parameters),
        len(arguments.posonlyargs),
        frozenset(part.arg for part in needed),
        arguments.kwarg is not None,
        where,
    )


def _signature_problems(signature: Signature, settings: Settings) -> Iterator[Problem]:
    """What the function and the study do not have in common."""
    given = {
        name.partition(".")[0]: f"{name}: {value}" for name, value in own_settings(settings).items()
    }
    for name, shown in given.items():
        if name in (SEED, SETTINGS):
            remedy = (
                f"Rename the setting: every run gets a {SEED} of its own, and `replicates: N` says"
                " how many there are"
            )
            yield Problem(f"{name!r} is no setting of a function", shown, remedy)
        elif name not in signature.named and not signature.takes_any:
            free = [part for part in signature.named if part not in given]
            hint = nearest(name, free) if free else ""
            added = f"Add it, or a parameter called {SETTINGS}, which gets all settings"
            remedy = hint if hint.startswith("Did") else added
            yield Problem(f"{signature.name}() takes no {name!r}", shown, remedy)
    for name in signature.named:
        if name in signature.required and name not in given:
            remedy = f"Give {name} in backend.settings, or a default in {signature.where}"
            shown = f"{FUNCTION}: {settings[FUNCTION]}"
            yield Problem(f"{signature.name}() needs a setting {name!r}", shown, remedy)


def _warnings(signature: Signature, file: Path) -> Iterator[str]:
    if SEED not in signature.parameters:
        yield (
            f"{signature.name}() takes no {SEED}: its replicates repeat one run, unless it draws"
            " from a generator that nobody has seeded"
        )
    lacking = sorted({name for name in imported_names(file) if not _is_there(name, file.parent)})
    if lacking:
        yield f"{file.name} imports what is not installed here: {', '.join(lacking)}"


def _is_there(name: str, folder: Path) -> bool:
    """Whether an import of a top-level name would find something."""
    if (folder / f"{name}.py").is_file() or (folder / name).is_dir() or name in sys.modules:
        return True
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def imported_function(file: Path, name: str) -> Callable[..., Any]:
    """The function, imported as `python file.py` would find what lies beside it.

    The module has its own name where that is free, so that what it defines can be pickled.
    """
    root, module = _module_name(file)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.origin == str(file):
        function = getattr(importlib.import_module(module), name)
    else:
        function = referenced(f"{file}:{name}")
    if not callable(function):
        raise UsageError(Problem(f"{name!r} is no function", type(function).__name__))
    called: Callable[..., Any] = function
    return called


def _module_name(file: Path) -> tuple[Path, str]:
    """The folder to import from, and the dotted name of a file's module below it."""
    root, parts = file.parent, [file.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    return root, ".".join(parts)


def _called(
    function: Callable[..., Any], signature: Signature, given: Mapping[str, Any], seed: int
) -> Any:
    """What a call with the settings of a run returns."""
    view = SettingsView(given)
    known = {SETTINGS: view, SEED: seed, **{name: view[name] for name in view}}
    passed = {name: known[name] for name in signature.parameters if name in known}
    if signature.takes_rest:
        passed |= {name: view[name] for name in view if name not in passed}
    unnamed = [name for name in signature.parameters[: signature.unnamed] if name in passed]
    by_position = [passed.pop(name) for name in unnamed]
    return function(*by_position, **passed)


@dataclass
class _Call:
    """One call of a function: what it logs, and the last metrics that were numbers."""

    name: str
    context: RunContext
    last: dict[str, float] = field(default_factory=dict)
    step: int | None = None
    began: float = field(default_factory=time.monotonic)

    def record(self, call: Callable[[], Any]) -> RunResult:
        """Make the call and log what it returns, or every step that it yields."""
        returned = call()
        if isinstance(returned, GeneratorType):
            failed = self._follow(returned)
        else:
            failed = self._log(1, returned)
        self.context.log(self.step or 0, {SECONDS: time.monotonic() - self.began})
        metrics = {**self.last, SECONDS: time.monotonic() - self.began}
        if failed:
            return RunResult(status="diverged", metrics=metrics, message=failed)
        return RunResult(status="finished", metrics=metrics)

    def _follow(self, steps: Iterable[Any]) -> str:
        """Log (step, metrics) as they come, up to the first that diverged; the reason, if any."""
        for yielded in steps:
            step, metrics = self._pair(yielded)
            failed = self._log(step, metrics)
            if failed:
                return failed
        if self.step is None:
            raise UsageError(self._refusal("yields (step, metrics) at least once", "nothing"))
        return ""

    def _pair(self, yielded: Any) -> tuple[int, Any]:
        pair = yielded if isinstance(yielded, tuple) and len(yielded) == 2 else (None, None)
        step = _number(pair[0])
        if step is None or step < 0 or step != int(step):
            raise UsageError(self._refusal("yields (step, metrics)", _shown(yielded)))
        if self.step is not None and step <= self.step:
            rule = "yields steps that rise"
            raise UsageError(self._refusal(rule, f"{int(step)} after {self.step}"))
        return int(step), pair[1]

    def _log(self, step: int, returned: Any) -> str:
        """Keep one set of metrics; why the run has diverged, where one is no finite number."""
        metrics, items = self._metrics(returned)
        finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
        self.step = step
        if finite:
            self.context.log(step, finite)
        if len(finite) < len(metrics):
            broken = ", ".join(
                f"{name} = {value}" for name, value in metrics.items() if name not in finite
            )
            self.last = {**finite, **self.last} if self.last else finite
            return f"{self.name}() reported {broken} at step {step}"
        self.last |= finite
        if items is not None:
            self.context.log_items(step, self._item_table(items))
        return ""

    def _metrics(self, returned: Any) -> tuple[dict[str, float], Any]:
        """Numbers by name, and the item outcomes if there are any."""
        if not isinstance(returned, Mapping):
            raise UsageError(self._refusal("returns a mapping of metrics", _shown(returned)))
        items = returned.get(ITEMS)
        numbers: dict[str, float] = {}
        for name, value in returned.items():
            if name == ITEMS and not isinstance(value, int | float):
                continue
            number = _number(value)
            if not isinstance(name, str) or not name or number is None:
                rule = "returns one number under each name"
                raise UsageError(self._refusal(rule, f"{name!r}: {_shown(value)}"))
            numbers[name] = number
        if not numbers:
            raise UsageError(self._refusal("returns at least one metric", "none"))
        return numbers, None if ITEMS in numbers else items

    def _item_table(self, items: Any) -> dict[str, list[Any]]:
        """Outcomes of items as columns: from a frame, from columns, or from a list of rows."""
        rows = items.to_dict("list") if hasattr(items, "to_dict") else items
        if isinstance(rows, list | tuple) and rows and isinstance(rows[0], Mapping):
            rows = {name: [row.get(name) for row in rows] for name in rows[0]}
        rule = "gives its items as rows or columns with `item` and `outcome`"
        if not isinstance(rows, Mapping) or not {"item", "outcome"} <= rows.keys():
            raise UsageError(self._refusal(rule, _shown(items)))
        table = {str(name): list(column) for name, column in rows.items()}
        count = len(table["item"])
        if not count or any(len(column) != count for column in table.values()):
            raise UsageError(self._refusal(rule, "columns that are empty or differ in length"))
        outcomes = [_number(outcome) for outcome in table["outcome"]]
        if any(outcome is None or not math.isfinite(outcome) for outcome in outcomes):
            raise UsageError(self._refusal("gives every item a number as its outcome", "others"))
        absent: dict[str, list[Any]] = {
            name: [value] * count for name, value in ITEM_COLUMNS.items()
        }
        texts: dict[str, list[Any]] = {
            "item": [str(item) for item in table["item"]],
            "outcome": outcomes,
        }
        complete = {**absent, **table, **texts}
        keys = list(zip(*(map(str, complete[name]) for name in ITEM_KEYS), strict=True))
        if len(set(keys)) < count:
            twice = ", ".join(next(key for key in keys if keys.count(key) > 1))
            raise UsageError(self._refusal("gives each sample of an item once", twice))
        return complete

    def _refusal(self, rule: str, received: str) -> Problem:
        remedy = 'Return metrics such as {"accuracy": 0.91}'
        return Problem(f"{self.name}() {rule}", received, remedy)


def _number(value: Any) -> float | None:
    """A number of any library as a float; None for what is no single number."""
    if isinstance(value, str | bytes | bool) or value is None:
        return float(value) if isinstance(value, bool) else None
    try:
        return float(value)
    # A tensor of two values refuses with a RuntimeError.
    except (TypeError, ValueError, OverflowError, RuntimeError):
        return None


def _shown(value: Any) -> str:
    text = repr(value)
    text = text if len(text) <= 60 else f"{text[:60]}..."
    return f"{text} ({type(value).__name__})"
