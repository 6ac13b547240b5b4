"""One archive with a study, its plan, its tables and its report: the analysis runs again from it.

Neither the backend nor the workspace is needed: `plan.json` and the tables are all that the
analysis reads. Members, in a zip file:

    README.txt  study.yaml  plan.json  analysis.json
    tables/{runs,history,results,...,items}.parquet
    report/{index.html, report.md, brief.md, card.png, effects.csv, analysis.json, figures/}
    report/{report.tex, table1.tex, references.bib}
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablatekit.analysis.core.layout import context_label
from ablatekit.analysis.core.schema.analysis import SCHEMA_VERSION, Analysis
from ablatekit.analysis.tables.study_tables import (
    HISTORY_COLUMNS,
    OUTCOME_COLUMNS,
    RESULT_COLUMNS,
    RUN_COLUMNS,
    StudyTables,
    collect,
)
from ablatekit.canonical import read_json, write_atomically
from ablatekit.design.plan import Plan
from ablatekit.errors import Problem, WorkspaceError
from ablatekit.legible import MASK, masked, masked_json
from ablatekit.report.language import page
from ablatekit.report.write import analysis_json, export_contents
from ablatekit.runs.runlog import read_items
from ablatekit.runs.workspace import Workspace
from ablatekit.themes import Theme

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

EPOCH = (1980, 1, 1, 0, 0, 0)
EXECUTION = ("cost",)
"""Entries of `provenance` that the analysis itself adds."""


UNREADABLE = (
    OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError,
    ValueError, KeyError, TypeError, AttributeError, IndexError,
)  # fmt: skip
"""What a damaged or foreign archive raises: of zip, JSON and Parquet, or of another outline."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle holds, apart from its report and item outcomes."""

    plan: Plan
    tables: StudyTables
    analysis: Analysis


def write_bundle(
    path: Path,
    study_file: bytes,
    plan: Plan,
    workspace: Workspace,
    analysis: Analysis,
    theme: Theme = "auto",
) -> None:
    """Bundle a study that was run in `workspace`; `analysis` is that of `plan` and its results.

    The same study gives the same bytes. Item outcomes are streamed: they may not fit in memory.
    """
    tables = collect(plan, workspace)
    title = analysis["study"].get("title") or analysis["study"]["name"]
    members = {
        "README.txt": page.BUNDLE.format(title=title, name=path.name).encode(),
        "study.yaml": masked(study_file.decode()).encode(),
        "plan.json": _in_order(plan),
        "analysis.json": analysis_json(analysis),
        **{f"tables/{name}.parquet": _parquet(table) for name, table in _frames(tables).items()},
        **{f"report/{name}": content for name, content in export_contents(analysis, theme).items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        items = Path(folder) / "items.parquet"
        archive = Path(folder) / "bundle.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as bundle:
            for name, content in members.items():
                bundle.writestr(_member(name), content)
            if _write_items(items, plan, workspace):
                bundle.writestr(_member("tables/items.parquet"), items.read_bytes())
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, archive.read_bytes())


def read_bundle(path: Path) -> Bundle:
    """What the analysis needs from a bundle. Raises WorkspaceError for another kind of file."""
    try:
        with zipfile.ZipFile(path) as archive:
            plan = _plan(json.loads(archive.read("plan.json")))
            analysis: Analysis = json.loads(archive.read("analysis.json"))
            tables = StudyTables(**dict(_read_frames(archive)))
    except UNREADABLE as error:
        raise _no_bundle(path, f"{type(error).__name__}: {error}") from error
    wrong = [*_lacking(plan, tables)] or [*_contradictions(plan, tables)]
    if wrong:
        raise _no_bundle(path, "; ".join(wrong[:3]))
    if not isinstance(analysis, dict):
        raise _no_bundle(path, "analysis.json: no mapping")
    if is_current(analysis):
        check_analysis(analysis, path)
    return Bundle(plan, tables, analysis)


def _no_bundle(path: Path, why: str) -> WorkspaceError:
    remedy = "Make one with: ablatekit study export STUDY"
    return WorkspaceError(Problem("this is not a bundle of a study", f"{path}: {why}", remedy))


def _plan(content: Any) -> Plan:
    """The plan of a bundle; ValueError where a part of it has another type than a plan's."""
    plan = Plan.from_json(content)
    wrong = _wrong_type(Plan, content)
    if wrong:
        raise ValueError(wrong)
    return plan


def _wrong_type(kind: type, content: Any) -> str:
    """The first part of a JSON value that is not what a type says, and why; empty if all are."""
    from pydantic import TypeAdapter, ValidationError

    try:
        TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}"
    return ""


def _lacking(plan: Plan, tables: StudyTables) -> Iterator[str]:
    """Columns that an analysis reads and the tables of a bundle do not have."""
    blocking = plan.contexts[0] if plan.contexts else ()
    needed = {
        "runs": (*RUN_COLUMNS, *(factor.name for factor in plan.factors), *blocking),
        "history": HISTORY_COLUMNS,
        "results": RESULT_COLUMNS,
        "outcomes": OUTCOME_COLUMNS,
    }
    for name, columns in needed.items():
        table = getattr(tables, name)
        yield from (f"{name}.{column} is missing" for column in columns if column not in table)


def _contradictions(plan: Plan, tables: StudyTables) -> Iterator[str]:
    """What the plan of a bundle does not agree on with itself or with the tables."""
    if not 0.0 < plan.analysis.alpha < 0.5:
        yield f"alpha is {plan.analysis.alpha}"
    levels = {factor.name: {*factor.levels} for factor in plan.factors}
    for cell in plan.cells:
        strange = [name for name, level in cell.levels.items() if level not in levels[name]]
        yield from (f"{name} {cell.levels[name]}: unknown level" for name in strange)
    planned = {
        "unit": {cell.unit for cell in plan.cells},
        "context": {context_label(context) for context in plan.contexts},
        "run": {run.run_id for run in plan.runs},
    }
    for column, names in planned.items():
        unplanned = set(tables.runs[column]) - names
        if unplanned:
            yield f"{column} {min(map(str, unplanned))}: not planned"


def analyse_bundle(bundle: Bundle) -> Analysis:
    """The analysis of the bundled tables; equal to the bundled one unless ablatekit changed.

    A plan whose passwords are masked keeps the hash of the one that was frozen.
    """
    from ablatekit.analysis.study import analyse

    known = bundle.analysis
    provenance = {
        name: value for name, value in known["provenance"].items() if name not in EXECUTION
    }
    fresh = analyse(bundle.plan, bundle.tables, provenance, known["deviations"])
    if MASK in json.dumps(bundle.plan.to_json()):
        fresh["study"]["plan_hash"] = known["study"]["plan_hash"]
    return fresh


def read_analysis(path: Path) -> Analysis:
    """An `analysis.json`. Raises WorkspaceError for another file or an older schema."""
    try:
        content: Analysis = read_json(path)
        version = content["schema_version"]
        content["responses"], content.get("design", {"contexts": []})["contexts"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _no_analysis(path, f"{type(error).__name__}: {error}") from error
    if "design" not in content:
        rule = "the analysis of a formula has no cells that another study could share"
        remedy = "Analyse the tables by --factors and --contexts"
        raise WorkspaceError(Problem(rule, str(path), remedy))
    if not is_current(content):
        rule = f"this analysis.json has schema version {version}, not {SCHEMA_VERSION}"
        remedy = "Analyse the archive again: ablatekit study report X.zip"
        raise WorkspaceError(Problem(rule, str(path), remedy))
    check_analysis(content, path)
    return content


def check_analysis(content: Analysis, path: Path) -> None:
    """Raise WorkspaceError where a part of an analysis has another form than its schema says."""
    wrong = _wrong_type(Analysis, content)
    if wrong:
        raise _no_analysis(path, wrong)


def _no_analysis(path: Path, why: str) -> WorkspaceError:
    remedy = "Name the analysis.json, the file or the archive of a study"
    problem = Problem("this is not an analysis.json of a study", f"{path}: {why}", remedy)
    return WorkspaceError(problem)


def is_current(analysis: Analysis) -> bool:
    """Whether an analysis has the schema that reports are made of."""
    return analysis.get("schema_version") == SCHEMA_VERSION


def same_analysis(fresh: Analysis, bundled: Analysis) -> bool | None:
    """Whether two analyses are the same bytes; None for a bundled one of an older schema.

    What an older one says in sentences is not comparable; `benchmarks/same_numbers.py` compares
    its numbers. A second opinion is about an analysis, and no part of it.
    """
    if not is_current(bundled):
        return None
    first, second = (_without_opinion(analysis) for analysis in (fresh, bundled))
    return analysis_json(first) == analysis_json(second)


def _without_opinion(analysis: Analysis) -> Analysis:
    alone = analysis.copy()
    alone.pop("second_opinion", None)
    return alone


def _in_order(plan: Plan) -> bytes:
    """The plan with its keys in the order of the study, which names contexts and cells."""
    content = masked_json(plan.to_json())
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()


def _frames(tables: StudyTables) -> Mapping[str, pd.DataFrame]:
    return {part.name: getattr(tables, part.name) for part in fields(StudyTables)}


def _read_frames(archive: zipfile.ZipFile) -> Iterator[tuple[str, pd.DataFrame]]:
    import pandas as pd

    for part in fields(StudyTables):
        content = archive.read(f"tables/{part.name}.parquet")
        yield part.name, pd.read_parquet(io.BytesIO(content))


def _parquet(table: pd.DataFrame) -> bytes:
    """A table without passwords: its texts are masked, as those of the plan are."""
    buffer = io.BytesIO()
    texts = {
        name: [masked(value) if isinstance(value, str) else value for value in table[name]]
        for name in table.columns
        if any(_tells(value) for value in table[name].unique())
    }
    table.assign(**texts).to_parquet(buffer, index=False, compression="zstd")
    return buffer.getvalue()


def _tells(value: Any) -> bool:
    """Whether a value is a text with a password."""
    return isinstance(value, str) and masked(value) != value


def _masked_items(table: pa.Table) -> pa.Table:
    """Item outcomes whose texts are masked; the same table where none tells a password."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not pa.types.is_string(kind) and not pa.types.is_large_string(kind):
            continue
        texts = table.column(place).to_pylist() if _any_tells(table.column(place)) else []
        if texts:
            hidden = pa.array([text and masked(text) for text in texts], kind).cast(field.type)
            table = table.set_column(place, field, hidden)
    return table


def _any_tells(column: pa.ChunkedArray) -> bool:
    return any(_tells(value) for value in column.unique().to_pylist())


def _write_items(path: Path, plan: Plan, workspace: Workspace) -> bool:
    """Write the item outcomes of all runs, one run in memory at a time; False if there are none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    for run in sorted(plan.runs, key=lambda run: run.order):
        table = read_items(workspace.run(run.run_id))
        if table is None or not table.num_rows:
            continue
        names = pa.array([run.run_id] * table.num_rows).dictionary_encode()
        table = _masked_items(table.add_column(0, "run", names))
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table.cast(writer.schema))
    if writer is not None:
        writer.close()
    return writer is not None


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    return info
