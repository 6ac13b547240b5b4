"""Folders of lm-evaluation-harness: samples_TASK_DATE.jsonl beside results_DATE.json."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd

from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.tables.readers.base import DIRECTIONS, MESSAGES
from ablatekit.analysis.tables.readers.items.item_frame import ItemRun, item_frame
from ablatekit.analysis.tables.readers.jsonl import json_objects
from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.values import flatten

SAMPLES = re.compile(r"samples_(?P<task>.+)_(?P<date>\d{4}-\d\d-\d\dT[^_]*)\.jsonl(?:\.gz)?")
MODEL_KEYS = ("peft", "delta", "pretrained", "model", "path", "engine")
"""Arguments of a model that name it, in the order in which lm-eval looks for a name."""
NOT_METRICS = frozenset(
    {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics",
     "doc_hash", "prompt_hash", "target_hash"}
)  # fmt: skip
SEEDS = ("random_seed", "numpy_seed", "torch_seed", "fewshot_seed")
NO_FILTER = "none"


class LmEvalReader:
    """One row per evaluation, task and document; filters are columns, not rows.

    A metric under the filter `strict-match` is the column `metric[strict-match]`, under the filter
    `none` it is `metric`; `outcome` is the first of a task. Documents are paired by their hash.
    Evaluations of one model and task with the same settings are reruns: the latest counts.
    """

    name: ClassVar[str] = "lm_eval"
    suffixes: ClassVar[tuple[str, ...]] = ()

    def claims(self, path: Path) -> bool:
        """Whether it is such a samples file, or a folder with one in it at any depth."""
        if path.is_file():
            return SAMPLES.fullmatch(path.name) is not None
        return any(SAMPLES.fullmatch(file.name) for file in path.rglob("samples_*"))

    def columns(self, path: Path) -> Sequence[str]:
        """The names of the columns; the files are read for them."""
        return [str(name) for name in self.read(path).columns]

    def read(
        self, path: Path, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The rows of all evaluations in a folder, or of the one in a file."""
        evaluations = [_evaluation(path, file) for file in _sample_files(path)]
        if not evaluations:
            rule = "the folder holds no samples of lm-eval (samples_TASK_DATE.jsonl)"
            remedy = "Evaluate with --log_samples"
            raise TableError(Problem(rule, "", remedy, Location(str(path))))
        latest = _latest(evaluations)
        samples = {id(evaluation): _samples(evaluation.file) for evaluation in latest}
        runs = [_item_run(evaluation, samples[id(evaluation)]) for evaluation in latest]
        frame = item_frame(runs, labels)
        told = [*_reruns(evaluations, latest), *_without_results(latest)]
        told += [message for evaluation in latest for message in samples[id(evaluation)].messages]
        frame.attrs[MESSAGES] = [*told, *frame.attrs[MESSAGES]]
        frame.attrs[DIRECTIONS] = _directions(latest, samples)
        return frame if columns is None else frame[list(columns)]


@dataclass(frozen=True)
class _Evaluation:
    """One task of one evaluation; `folder` is where it lies below the source."""

    file: Path
    folder: str
    task: str
    date: str
    results: Mapping[str, Any]
    settings: Mapping[str, Any]


@dataclass
class _Samples:
    """What a samples file holds: per document (position, hash) its metrics by column."""

    documents: dict[tuple[str, str], dict[str, float]] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    """Column -> metric, in the order of the file."""
    messages: list[Statement] = field(default_factory=list)


def _sample_files(path: Path) -> list[Path]:
    files = [path] if path.is_file() else sorted(path.rglob("samples_*"))
    return [file for file in files if file.is_file() and SAMPLES.fullmatch(file.name)]


def _evaluation(source: Path, file: Path) -> _Evaluation:
    match = SAMPLES.fullmatch(file.name)
    assert match is not None
    task, date = match["task"], match["date"]
    below = file.parent.relative_to(source) if source.is_dir() else Path()
    folder = "" if below == Path() else below.as_posix()
    results = _results(file.with_name(f"results_{date}.json"))
    settings = _settings(results, task) if results else {"model": file.parent.name}
    return _Evaluation(file, folder, task, date, results, settings)


def _results(file: Path) -> Mapping[str, Any]:
    """The results that were written together with samples; empty without them."""
    if not file.is_file():
        return {}
    try:
        results = json.loads(file.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        problem = Problem(f"cannot be read as JSON ({error})", "", "", Location(str(file)))
        raise TableError(problem) from error
    if not isinstance(results, dict):
        raise TableError(Problem("these are no results of lm-eval", "", "", Location(str(file))))
    return results


def _settings(results: Mapping[str, Any], task: str) -> dict[str, Any]:
    """What an evaluation was given, by name; arguments of the model that differ from its name."""
    config = _mapping(results.get("config"))
    name = results.get("model_name") or results.get("model_name_sanitized")
    arguments = _arguments(config.get("model_args"))
    options = _arguments(config.get("gen_kwargs"))
    return {
        "model": name,
        "model_type": config.get("model"),
        **{k: v for k, v in arguments.items() if k not in MODEL_KEYS or v != name},
        **{f"gen_kwargs.{key}": value for key, value in options.items()},
        "num_fewshot": _mapping(results.get("n-shot")).get(task),
        "limit": config.get("limit"),
        "system_instruction": results.get("system_instruction"),
        "chat_template": results.get("chat_template_sha"),
        "task_version": _mapping(results.get("versions")).get(task),
        **{seed: config.get(seed) for seed in SEEDS},
    }


def _arguments(given: object) -> dict[str, Any]:
    """`a=1,b=2` or a mapping, by dotted name."""
    if isinstance(given, Mapping):
        return flatten(given)
    parts = [part.partition("=") for part in str(given or "").split(",")]
    return {key.strip(): value.strip() for key, _, value in parts if key.strip()}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _latest(evaluations: Sequence[_Evaluation]) -> list[_Evaluation]:
    """Of evaluations that agree in folder, task and settings, the one with the latest date."""
    last: dict[str, _Evaluation] = {}
    for evaluation in sorted(evaluations, key=lambda e: e.date):
        last[_identity(evaluation)] = evaluation
    return [evaluation for evaluation in evaluations if last[_identity(evaluation)] is evaluation]


def _identity(evaluation: _Evaluation) -> str:
    return json.dumps([evaluation.folder, evaluation.task, dict(evaluation.settings)], default=str)


def _reruns(found: Sequence[_Evaluation], latest: Sequence[_Evaluation]) -> list[Statement]:
    kept = {id(evaluation) for evaluation in latest}
    names = [_run_name(e) for e in found if id(e) not in kept]
    return [statement("earlier_left_out", runs=names)] if names else []


def _without_results(latest: Sequence[_Evaluation]) -> list[Statement]:
    names = [_run_name(evaluation) for evaluation in latest if not evaluation.results]
    return [statement("no_settings_stated", runs=names)] if names else []


def _run_name(evaluation: _Evaluation) -> str:
    folder = f"{evaluation.folder}/" if evaluation.folder else ""
    return f"{folder}{evaluation.task}_{evaluation.date}"


def _samples(file: Path) -> _Samples:
    samples = _Samples()
    repeated = 0
    left_out: Counter[str] = Counter()
    for line, row in json_objects(file):
        document = _document(file, line, row)
        values = samples.documents.setdefault(document, {})
        under = str(row.get("filter", NO_FILTER))
        names = {name: name if under == NO_FILTER else f"{name}[{under}]" for name in _metrics(row)}
        repeated += any(column in values for column in names.values())
        for name, column in names.items():
            number = _number(row.get(name))
            if number is None:
                left_out[column] += 1
                continue
            samples.metrics.setdefault(column, name)
            values[column] = number
    if repeated:
        samples.messages.append(statement("rows_repeated", source=file.name, rows=repeated))
    if left_out:
        samples.messages.append(statement("no_item_values", metrics=sorted(left_out)))
    return samples


def _document(file: Path, line: int, row: Mapping[str, Any]) -> tuple[str, str]:
    """Position and hash; older files have no hash."""
    if "doc_id" not in row and "doc_hash" not in row:
        rule = "the line is no sample of lm-eval: it has neither doc_id nor doc_hash"
        raise TableError(Problem(rule, "", "", Location(str(file), line)))
    position = str(row.get("doc_id", ""))
    return position, str(row.get("doc_hash") or position)


def _metrics(row: Mapping[str, Any]) -> list[str]:
    """What a sample was measured by; older files do not list it."""
    listed = row.get("metrics")
    if isinstance(listed, list):
        return [str(name) for name in listed]
    return [name for name in row if name not in NOT_METRICS]


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, bool | int | float) else None


def _item_run(evaluation: _Evaluation, samples: _Samples) -> ItemRun:
    """Documents of the same content are one item, with a sample each."""
    run = ItemRun(
        name=_run_name(evaluation),
        dataset=evaluation.task,
        settings={"settings": evaluation.settings},
        about={"folder": evaluation.folder},
        metrics=list(samples.metrics),
        started=_started(evaluation.results),
        status="finished" if evaluation.results else None,
    )
    seen: Counter[str] = Counter()
    for (_, digest), values in samples.documents.items():
        run.add(digest, seen[digest], values)
        seen[digest] += 1
    run.same_items = sum(1 for count in seen.values() if count > 1)
    return run


def _started(results: Mapping[str, Any]) -> float | None:
    date = results.get("date")
    return float(date) if isinstance(date, int | float) else None


def _directions(
    evaluations: Sequence[_Evaluation], samples: Mapping[int, _Samples]
) -> dict[str, Literal["higher", "lower"]]:
    """Which side is better by `higher_is_better`, of columns where the tasks agree."""
    told: dict[str, set[bool]] = {}
    for evaluation in evaluations:
        known = _mapping(_mapping(evaluation.results.get("higher_is_better")).get(evaluation.task))
        columns = samples[id(evaluation)].metrics
        for column, better in _known_columns(columns, known):
            told.setdefault(column, set()).add(better)
    return {c: "higher" if True in told[c] else "lower" for c in told if len(told[c]) == 1}


def _known_columns(
    columns: Mapping[str, str], known: Mapping[str, Any]
) -> Iterator[tuple[str, bool]]:
    for place, (column, metric) in enumerate(columns.items()):
        if isinstance(known.get(metric), bool):
            yield column, known[metric]
            if place == 0:
                yield "outcome", known[metric]
