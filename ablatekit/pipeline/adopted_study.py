"""The study that runs made elsewhere amount to: factors, contexts, replicates and a command."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import pandas as pd

from ablatekit.analysis.proposal.base import Proposal
from ablatekit.analysis.tables.item_table import RUN
from ablatekit.errors import Problem, UsageError
from ablatekit.plugins import load_backend
from ablatekit.runs.workspace import Workspace
from ablatekit.study.factors import level_name
from ablatekit.study.names import RESERVED
from ablatekit.study.scalars import ScalarValue, resolve_scalar, scalar_number
from ablatekit.study.settings import nest
from ablatekit.study.written import study_text

BACKEND = "command"
MOST_RUNS = 10_000
"""Of a full crossing: a table of more is meant otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedStudy:
    """A study made of runs that are there, and how to find a run's place in it.

    `levels` holds, by column, the level of the study for each level of the table; `seeds` the
    replicate for each seed, empty where repeats count in the order of the table. `renamed` are
    columns that have another name in the study.
    """

    text: str
    source: str
    levels: Mapping[str, Mapping[str, str]]
    seed: str | None
    seeds: Mapping[str, int]
    metrics: tuple[str, ...]
    response: str
    renamed: Mapping[str, str]

    def place_of(self, row: pd.Series[Any]) -> tuple[str, ...]:
        """The levels of a row in the words of the study."""
        return tuple(known[str(row[name])] for name, known in self.levels.items())

    def replicate_of(self, row: pd.Series[Any], earlier: int) -> int:
        """The number of a repeat: by its seed, else by how many of its cell stand before it."""
        return earlier if self.seed is None else self.seeds[str(row[self.seed])]


def described(
    frame: pd.DataFrame,
    proposal: Proposal,
    source: str,
    command: str | None,
    settings: Mapping[str, str],
) -> AdoptedStudy:
    """The study of a table whose factors, contexts and seeds are text.

    `settings` are those of the backend beside the command, by dotted name, as they are typed.
    Raises UsageError for a factor that is not set in some runs, and for too large a crossing.
    """
    labels = [*proposal.factors, *proposal.contexts]
    _refuse_gaps(frame, labels)
    seed, seeds = _seeds(frame, proposal)
    replicates = len(seeds) if seed is not None else _repeats(frame, proposal)
    names = _own_names([*labels, *proposal.responses])
    values = {name: _values(list(frame[name].unique())) for name in labels}
    _refuse_large(values, replicates)
    response = proposal.responses[0]
    given = {name: resolve_scalar(text) for name, text in settings.items()}
    stated = {"command": command} if command else {"program_checked": "run"}
    content = {
        "version": 1,
        "name": study_name(source),
        "question": f"Which choices behind {source} matter?",
        "backend": {"name": BACKEND, "settings": {**stated, **nest(given)}},
        "factors": {
            names[name]: _factor(name, names[name], values[name], proposal.baselines.get(name))
            for name in proposal.factors
        },
        "contexts": {names[name]: list(values[name].values()) for name in proposal.contexts},
        "replicates": replicates,
        "responses": {
            names[name]: _response(name, names[name], proposal) for name in proposal.responses
        },
        "analysis": {"interactions": proposal.interactions},
    }
    measured = [x.column for x in proposal.left_out if x.reason["code"] == "column_measures"]
    return AdoptedStudy(
        text=study_text({key: value for key, value in content.items() if value != {}}),
        source=source,
        levels={name: _called(values[name]) for name in labels},
        seed=seed,
        seeds=seeds,
        metrics=tuple(dict.fromkeys((*proposal.responses, *measured))),
        response=response,
        renamed={name: own for name, own in names.items() if name != own},
    )


def study_name(source: str) -> str:
    """A name for the study of a source, free of what a workspace calls its own."""
    stem = re.sub(r"[^A-Za-z0-9_.\-]+", "_", PurePath(source.replace(":", "_")).stem)
    plain = stem.strip("_.-") or "runs"
    taken = Workspace(Path()).reserved_names
    reserved = plain in taken or not plain[0].isalpha()
    return f"adopted_{plain}"[:80] if reserved else plain[:80]


def _refuse_gaps(frame: pd.DataFrame, labels: Sequence[str]) -> None:
    empty = [name for name in labels if frame[name].isna().any()]
    if empty:
        rule = "a study has no factor that is set in some of its runs only"
        remedy = f"Leave it out: --exclude {','.join(empty)}; or fill its empty cells"
        raise UsageError(Problem(rule, ", ".join(empty), remedy))


def _refuse_large(values: Mapping[str, Mapping[str, ScalarValue]], replicates: int) -> None:
    runs = replicates
    for levels in values.values():
        runs *= len(levels)
    if runs > MOST_RUNS:
        remedy = "Name fewer factors by --factors"
        raise UsageError(Problem("the full crossing has too many runs", f"{runs:,}", remedy))


def _seeds(frame: pd.DataFrame, proposal: Proposal) -> tuple[str | None, dict[str, int]]:
    """The column of seeds whose values number the repeats, and the replicate of each.

    Seeds that are of one run or cell only number nothing.
    """
    repeats = _repeats(frame, proposal)
    for name in proposal.replicates:
        if name not in frame.columns or frame[name].isna().any():
            continue
        seeds = sorted(frame[name].unique(), key=_by_number)
        if 1 < len(seeds) <= repeats:
            return name, {seed: number for number, seed in enumerate(seeds)}
    return None, {}


def _repeats(frame: pd.DataFrame, proposal: Proposal) -> int:
    """The most runs that a cell has in a context."""
    runs = frame.drop_duplicates(RUN) if proposal.by_item else frame
    return int(runs.groupby([*proposal.factors, *proposal.contexts], sort=False).size().max())


def _by_number(text: str) -> tuple[bool, float, str]:
    number = scalar_number(text)
    return number is None, float(number or 0), text


def _own_names(columns: Sequence[str]) -> dict[str, str]:
    """A name that a study file takes for every column, none of them a setting of the backend.

    Points stay, as programs read `optimizer.lr`, where no other name begins so.
    """
    taken = {*RESERVED, *load_backend(BACKEND).settings.model_fields}
    roots = {column.partition(".")[0] for column in columns if "." in column}
    names: dict[str, str] = {}
    for column in columns:
        plain = re.sub(r"[^A-Za-z0-9_.\-]+", "_", column).strip("_.-") or "column"
        plain = plain if plain[0].isalpha() else f"x_{plain}"
        root = plain.partition(".")[0]
        if root in taken or root in columns or column in roots or ".." in plain:
            plain = plain.replace(".", "_")
        while plain in taken:
            plain += "_"
        taken.add(plain)
        names[column] = plain[:80]
    return names


def _values(levels: Sequence[str]) -> dict[str, ScalarValue]:
    """What a study writes for each level: a number where all are that stay apart, else text."""
    numbers = [scalar_number(level) for level in levels]
    values: list[ScalarValue] = [
        level if number is None else number for level, number in zip(levels, numbers, strict=True)
    ]
    called = {level_name(value) for value in values}
    return dict(zip(levels, values if len(called) == len(levels) else levels, strict=True))


def _called(values: Mapping[str, ScalarValue]) -> dict[str, str]:
    return {level: level_name(value) for level, value in values.items()}


def _factor(
    column: str, name: str, values: Mapping[str, ScalarValue], baseline: str | None
) -> dict[str, Any]:
    first = next(iter(values.values()))
    stated = first if baseline is None else values[baseline]
    label = {} if name == column else {"label": column}
    return {"baseline": stated, "levels": list(values.values()), **label}


def _response(column: str, name: str, proposal: Proposal) -> dict[str, Any]:
    label = {} if name == column else {"label": column}
    items = {"items": column} if proposal.by_item else {}
    return {"metric": column, "direction": proposal.directions[column], **items, **label}
