"""Logs of Inspect: .eval archives and .json files, one or a folder of them."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import pandas as pd

from ablatekit.analysis.core.schema.vocabulary import Statement, statement
from ablatekit.analysis.tables.readers.base import DIRECTIONS, MESSAGES
from ablatekit.analysis.tables.readers.items.archive import Archive, opened_archive
from ablatekit.analysis.tables.readers.items.item_frame import ItemRun, item_frame
from ablatekit.canonical import content_hash
from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.values import flatten, leaves, seconds_of

START = 4096
"""Bytes in which a .json file shows whether it is a log."""
LOOKS_LIKE_LOG = re.compile(rb'"eval"\s*:\s*\{')
GRADES: Mapping[str, float] = MappingProxyType(
    {"c": 1.0, "i": 0.0, "p": 0.5, "n": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
)
"""What Inspect counts letters and words as: correct, incorrect, partial, no answer."""
MOST_EPOCHS = 1 << 31
UNFINISHED = "unfinished"


class InspectReader:
    """One row per log, sample and epoch, from headers and summaries; transcripts are not read.

    Every scorer is a column, one of a mapping `SCORER.KEY`. `outcome` is the score that the log
    names as its headline, else that of the first scorer. Items are the ids of samples in the data
    set that the log names, else in its task. A log that stopped early stays with its status.
    """

    name: ClassVar[str] = "inspect"
    suffixes: ClassVar[tuple[str, ...]] = (".eval",)

    def claims(self, path: Path) -> bool:
        """Whether it is a log, or a folder with one in it at any depth."""
        return any(True for _ in _log_files(path))

    def columns(self, path: Path) -> Sequence[str]:
        """The names of the columns; the logs are read for them."""
        return [str(name) for name in self.read(path).columns]

    def read(
        self, path: Path, labels: Collection[str] = (), columns: Sequence[str] | None = None
    ) -> pd.DataFrame:
        """The rows of all logs in a folder, or of one file."""
        logs = [_log(file, run) for file, run in _run_names(path).items()]
        if not logs:
            rule = "there is no log of Inspect"
            raise TableError(Problem(rule, "", "", Location(str(path))))
        kept, told = _without_copies(logs)
        kept, retried = _without_retried(kept)
        told += [*retried, *(message for log in kept for message in log.messages)]
        frame = item_frame([_item_run(log) for log in kept], labels)
        frame.attrs[MESSAGES] = [*told, *_unlike_items(kept), *frame.attrs[MESSAGES]]
        frame.attrs[DIRECTIONS] = _directions(kept)
        return frame if columns is None else frame[list(columns)]


@dataclass
class _Log:
    """A header and its samples: (id, epoch) -> values by column, in the order of the log."""

    file: Path
    run: str
    header: Mapping[str, Any]
    samples: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    """A hash of every item's input."""
    scores: list[str] = field(default_factory=list)
    graded: set[str] = field(default_factory=set)
    """Columns of grades, of which higher ones are better."""
    messages: list[Statement] = field(default_factory=list)

    @property
    def spec(self) -> Mapping[str, Any]:
        """What was evaluated and how."""
        return _mapping(self.header.get("eval"))

    @property
    def status(self) -> str:
        """How it ended, in words that a table may have."""
        told = str(self.header.get("status") or UNFINISHED)
        return UNFINISHED if told == "started" else told

    @property
    def dataset(self) -> str:
        """Where ids of samples mean the same items."""
        name = _mapping(self.spec.get("dataset")).get("name")
        return str(name or self.spec.get("task") or "")


def _log_files(path: Path) -> Iterator[Path]:
    for file in [path] if path.is_file() else path.rglob("*"):
        kind = file.suffix.lower()
        if kind in (".eval", ".json") and file.is_file():
            yield from [file] if kind == ".eval" or _looks_like_log(file) else []


def _looks_like_log(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return LOOKS_LIKE_LOG.search(opened.read(START)) is not None
    except OSError:
        return False


def _run_names(source: Path) -> dict[Path, str]:
    """Logs by their place below the source, in order; with a suffix where a name is not one log."""
    root = source if source.is_dir() else source.parent
    files = sorted(_log_files(source))
    uses = Counter(file.with_suffix("") for file in files)
    return {
        file: (file.with_suffix("") if uses[file.with_suffix("")] == 1 else file)
        .relative_to(root)
        .as_posix()
        for file in files
    }


def _log(file: Path, run: str) -> _Log:
    if file.suffix == ".json":
        header = _object(file, file.name, file.read_bytes())
        log = _Log(file, run, header)
        _refuse_unlike(log)
        _add_samples(log, _listed(header.get("samples")))
        return log
    with opened_archive(file) as archive:
        log = _Log(file, run, _header(file, archive))
        _refuse_unlike(log)
        _add_samples(log, _summaries(file, archive))
    return log


def _header(file: Path, archive: Archive) -> Mapping[str, Any]:
    """The header; what a log that is not finished has in its place."""
    names = archive.names()
    for name in ("header.json", "_journal/start.json"):
        if name in names:
            return _object(file, name, archive.read(name))
    rule = "the archive is no log of Inspect: it has no header"
    raise TableError(Problem(rule, ", ".join(names[:3]), "", Location(str(file))))


def _refuse_unlike(log: _Log) -> None:
    if not log.spec.get("task") or not log.spec.get("model"):
        rule = "the file is no log of Inspect: it names no task or no model"
        raise TableError(Problem(rule, "", "", Location(str(log.file))))


def _summaries(file: Path, archive: Archive) -> Iterator[Mapping[str, Any]]:
    """Summaries of samples; the samples themselves where a log of an old version has none."""
    names = archive.names()
    parts = [name for name in names if re.fullmatch(r"_journal/summaries/\d+\.json", name)]
    chosen = ["summaries.json"] if "summaries.json" in names else sorted(parts, key=_number_of)
    for name in chosen:
        yield from _listed(_parsed(file, name, archive.read(name)))
    if not chosen:
        for name in names:
            if name.startswith("samples/") and name.endswith(".json"):
                yield _object(file, name, archive.read(name))


def _number_of(name: str) -> int:
    return int(re.sub(r"\D", "", name))


def _add_samples(log: _Log, samples: Iterator[Mapping[str, Any]]) -> None:
    repeated = 0
    unread: dict[str, list[str]] = {}
    for sample in samples:
        key = (str(sample.get("id")), _epoch(sample))
        repeated += key in log.samples
        values: dict[str, float] = {}
        for score, value in _score_values(sample):
            number = _number(value)
            values[score] = math.nan if number is None else number
            if isinstance(value, bool) or str(value).lower() in GRADES:
                log.graded.add(score)
            if number is None and value is not None:
                unread.setdefault(score, []).append(str(value))
        log.samples[key] = values
        log.inputs[key[0]] = content_hash(json.dumps(sample.get("input")))
    log.scores = _ordered_scores(log)
    if repeated:
        log.messages.append(statement("rows_repeated", source=log.file.name, rows=repeated))
    for score, words in unread.items():
        shown = list(dict.fromkeys(words))
        told = statement("no_numbers", metric=score, words=shown, rows=len(words))
        log.messages.append(told)


def _epoch(sample: Mapping[str, Any]) -> int:
    epoch = sample.get("epoch")
    return epoch if isinstance(epoch, int) and 0 <= epoch < MOST_EPOCHS else 1


def _score_values(sample: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(column, value) of every score; one of a mapping or a list has a column per part."""
    for scorer, score in _mapping(sample.get("scores")).items():
        value = score.get("value") if isinstance(score, Mapping) else score
        if isinstance(value, list):
            value = {str(place): part for place, part in enumerate(value)}
        if isinstance(value, Mapping):
            yield from leaves(value, f"{scorer}.")
        else:
            yield scorer, value


def _number(value: object) -> float | None:
    if isinstance(value, bool | int | float):
        return float(value)
    word = str(value).strip().lower()
    if word in GRADES:
        return GRADES[word]
    try:
        return float(word)
    except ValueError:
        return None


def _ordered_scores(log: _Log) -> list[str]:
    """The columns of scores, the headline's first."""
    columns = list(dict.fromkeys(score for values in log.samples.values() for score in values))
    headline = _mapping(_mapping(log.header.get("results")).get("headline"))
    scorers = [scorer.get("name") for scorer in _listed(log.spec.get("scorers"))]
    order = [str(name) for name in (headline.get("score"), *scorers) if name]
    rank = {name: place for place, name in reversed(list(enumerate(order)))}
    return sorted(columns, key=lambda c: rank.get(c, rank.get(c.partition(".")[0], len(order))))


def _item_run(log: _Log) -> ItemRun:
    spec = log.spec
    run = ItemRun(
        name=log.run,
        dataset=log.dataset,
        settings=_settings(spec),
        about={"log": log.file.name, "eval_id": spec.get("eval_id")},
        metrics=log.scores,
        started=seconds_of(spec.get("created")),
        status=log.status,
    )
    for (item, epoch), values in log.samples.items():
        run.add(item, epoch, values)
    return run


def _settings(spec: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What a log was given, in groups; the groups stand before names that do not tell."""
    roles = {
        role: model.get("model") if isinstance(model, Mapping) else model
        for role, model in _mapping(spec.get("model_roles")).items()
    }
    config = _mapping(spec.get("config"))
    return {
        "eval": {
            "task": spec.get("task"),
            "model": spec.get("model"),
            "solver": spec.get("solver"),
            "task_version": spec.get("task_version"),
            **{name: config[name] for name in ("epochs", "limit") if name in config},
        },
        "task_args": flatten(_mapping(spec.get("task_args"))),
        "solver_args": flatten(_mapping(spec.get("solver_args"))),
        "generate": flatten(_mapping(spec.get("model_generate_config"))),
        "model_args": flatten(_mapping(spec.get("model_args"))),
        "model_roles": flatten(roles),
    }


def _directions(logs: Sequence[_Log]) -> dict[str, Literal["higher"]]:
    """Of columns of grades; `outcome` where it is one in every log."""
    graded = {score for log in logs for score in log.graded}
    first = {log.scores[0] for log in logs if log.scores}
    return dict.fromkeys([*sorted(graded), *(["outcome"] if first <= graded else [])], "higher")


def _without_copies(logs: Sequence[_Log]) -> tuple[list[_Log], list[Statement]]:
    """One log of every evaluation, that with most samples."""
    most: dict[str, _Log] = {}
    for log in logs:
        key = str(log.spec.get("eval_id") or log.run)
        if key not in most or len(log.samples) > len(most[key].samples):
            most[key] = log
    kept, others = _parted(logs, {log.run for log in most.values()})
    files = [log.file.name for log in others]
    return kept, [statement("copies_left_out", files=files)] if files else []


def _without_retried(logs: Sequence[_Log]) -> tuple[list[_Log], list[Statement]]:
    """Without logs that did not succeed and whose task a later log has tried again."""
    latest: dict[str, float] = {}
    for log in logs:
        key = _task_id(log)
        latest[key] = max(latest.get(key, -math.inf), _created(log))
    counted = {
        log.run for log in logs if log.status == "success" or _created(log) == latest[_task_id(log)]
    }
    kept, others = _parted(logs, counted)
    runs = [log.run for log in others]
    return kept, [statement("retried_left_out", runs=runs)] if runs else []


def _parted(logs: Sequence[_Log], runs: Collection[str]) -> tuple[list[_Log], list[_Log]]:
    """Those that are among the runs, and the others."""
    return [log for log in logs if log.run in runs], [log for log in logs if log.run not in runs]


def _task_id(log: _Log) -> str:
    return str(log.spec.get("task_id") or log.run)


def _created(log: _Log) -> float:
    return seconds_of(log.spec.get("created")) or -math.inf


def _unlike_items(logs: Sequence[_Log]) -> list[Statement]:
    """Items of one name whose input is not the same in all logs."""
    inputs: dict[tuple[str, str], set[str]] = {}
    for log in logs:
        for item, told in log.inputs.items():
            inputs.setdefault((log.dataset, item), set()).add(told)
    unlike: dict[str, list[str]] = {}
    for (dataset, item), hashes in inputs.items():
        if len(hashes) > 1:
            unlike.setdefault(dataset, []).append(item)
    return [statement("unlike_items", dataset=d, items=items) for d, items in unlike.items()]


def _object(file: Path, name: str, data: bytes) -> Mapping[str, Any]:
    value = _parsed(file, name, data)
    if isinstance(value, dict):
        return value
    raise TableError(Problem(f"{name} holds no object", "", "", Location(str(file))))


def _parsed(file: Path, name: str, data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        problem = Problem(f"{name} is not JSON ({error})", "", "", Location(str(file)))
        raise TableError(problem) from error


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: object) -> Iterator[Mapping[str, Any]]:
    """The objects in a list."""
    if isinstance(value, list):
        yield from (sample for sample in value if isinstance(sample, Mapping))
