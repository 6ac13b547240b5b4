"""Analyses of tables: data frames, and whatever the readers of `ablatekit analyze` read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.formula.options import FormulaOptions
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.api.results import StudyAnalysis
from ablatekit.design.plan import Plan
from ablatekit.errors import Problem, UsageError, nearest

if TYPE_CHECKING:
    from ablatekit.analysis.tables.annotations import Annotations

Roles = Mapping[str, str | Sequence[str] | None]
MEASURED = ("direction", "unit", "smallest_effect")
PLANNED = ("alpha", "interactions", "diverged")
ANNOTATED = ("price", "covariates", "predict_at", "scales")
FRAME = "a data frame"
BY_FACTORS = ("baselines", "where", "exclude", "wide", "reader", *MEASURED, *PLANNED, *ANNOTATED)
BY_FORMULA = ("formula", "reader", *(part.name for part in fields(FormulaOptions)))


def analyzed_table(
    source: Any, roles: Roles, options: Mapping[str, Any], *, second_opinion: bool
) -> StudyAnalysis:
    """The analysis of a data frame, or of what a reader makes of a file or folder."""
    _check_source(source)
    by_formula = options.get("formula") is not None
    _check_options(options, BY_FORMULA if by_formula else BY_FACTORS)
    _check_numbers(options)
    named = {role: _names(given) for role, given in roles.items()}
    if by_formula:
        _refuse_roles(named)
        return _by_formula(source, options)
    if named["response"] and named["factors"]:
        return _by_factors(source, named, options, second_opinion=second_opinion)
    roles, chosen, said = _proposed(source, named, options)
    analysis = _by_factors(source, roles, chosen, second_opinion=second_opinion)
    return replace(analysis, proposed=said)


def _check_source(source: Any) -> None:
    if not isinstance(source, str | Path | pd.DataFrame):
        remedy = "Give a study, a data frame, or the path of a table"
        raise UsageError(Problem("nothing to analyse", type(source).__name__, remedy))
    if not isinstance(source, pd.DataFrame):
        return
    if source.columns.nlevels > 1:
        remedy = 'Join them: frame.columns = [".".join(map(str, name)) for name in frame]'
        rule = "each column of the data frame has one name"
        raise UsageError(Problem(rule, f"{source.columns.nlevels} levels of names", remedy))
    names = pd.Index([str(name) for name in source.columns])
    doubled = dict.fromkeys(names[names.duplicated()])
    if doubled:
        rule = "each column of the data frame has a name of its own"
        raise UsageError(Problem(rule, ", ".join(doubled), "Drop or rename one of them"))


def _check_options(options: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [name for name in options if name not in known]
    if unknown:
        raise UsageError(
            *(Problem("no such argument here", repr(n), nearest(n, known)) for n in unknown)
        )


def _check_numbers(options: Mapping[str, Any]) -> None:
    alpha, smallest = options.get("alpha", 0.05), options.get("smallest_effect")
    problems = [] if 0 < alpha < 0.5 else [Problem("alpha lies between 0 and 0.5", str(alpha))]
    if smallest is not None and not smallest > 0:
        problems.append(Problem("smallest_effect is above 0", str(smallest)))
    if problems:
        raise UsageError(*problems)


def _names(given: str | Sequence[str] | None) -> list[str]:
    """Columns: a list of names, or one text with commas between them as on the command line."""
    if isinstance(given, str):
        return [name.strip() for name in given.split(",") if name.strip()]
    return list(given or [])


def _refuse_roles(named: Mapping[str, Sequence[str]]) -> None:
    given = [role for role, columns in named.items() if columns]
    if given:
        remedy = "The formula names its columns itself"
        raise UsageError(Problem("has no meaning with a formula", ", ".join(given), remedy))


def _proposed(
    source: Any, named: Mapping[str, Sequence[str]], options: Mapping[str, Any]
) -> tuple[dict[str, Sequence[str]], dict[str, Any], str]:
    """Roles and options with what the table suggests for the rest, and the suggestion in words."""
    from ablatekit.analysis.proposal.base import Stated
    from ablatekit.report.proposal import lines, recognise, recognise_table

    stated = Stated(
        responses=tuple(named["response"]),
        factors=tuple(named["factors"]),
        contexts=tuple(named["contexts"]),
        baselines=_levels(options.get("baselines")),
        exclude=tuple(_names(options.get("exclude"))),
        where=_levels(options.get("where")),
        direction=options.get("direction"),
        interactions=options.get("interactions"),
    )
    if isinstance(source, pd.DataFrame):
        recognised = recognise_table(
            Path(FRAME), lambda labels: _frame(source, labels, None), stated
        )
        recognised = replace(recognised, reader=FRAME)
    else:
        recognised = recognise(Path(source), options.get("reader"), stated)
    proposal = recognised.proposal
    roles = {
        "response": proposal.responses, "factors": proposal.factors, "contexts": proposal.contexts
    }  # fmt: skip
    chosen = {
        "baselines": dict(proposal.baselines),
        "where": dict(proposal.where),
        "interactions": proposal.interactions,
        "messages": proposal.warnings,
    }
    call = _call(source, {**roles, **{key: chosen[key] for key in ("baselines", "where")}})
    return {**roles}, {**options, **chosen}, "\n".join(lines(recognised, call))


def _call(source: Any, stated: Mapping[str, Any]) -> str:
    """The call that states what was proposed."""
    first = "frame" if isinstance(source, pd.DataFrame) else repr(str(source))
    said = [f"{name}={_plain(value)!r}" for name, value in stated.items() if value]
    return f"ablatekit.analyze({', '.join([first, *said])})"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _levels(given: Mapping[str, Any] | None) -> dict[str, str]:
    """Levels by column as tables write them."""
    return {name: str(level) for name, level in (given or {}).items()}


def _by_factors(
    source: Any,
    named: Mapping[str, Sequence[str]],
    options: Mapping[str, Any],
    *,
    second_opinion: bool,
) -> StudyAnalysis:
    from ablatekit.analysis.table import DEFAULTS, analyse_table
    from ablatekit.analysis.tables.measures import Measure
    from ablatekit.analysis.tables.readers.base import MESSAGES
    from ablatekit.analysis.tables.values import rows_where

    factors, contexts = named["factors"], named["contexts"]
    baselines, where = _levels(options.get("baselines")), _levels(options.get("where"))
    unknown = [name for name in baselines if name not in factors]
    if unknown:
        raise UsageError(*(Problem("not a factor", n, nearest(n, factors)) for n in unknown))
    kept: list[tuple[Plan, StudyTables]] = []

    def keep(analysis: Analysis, plan: Plan, tables: StudyTables) -> Analysis:
        kept.append((plan, tables))
        return _checked(analysis, plan, tables) if second_opinion else analysis

    rule = {name: options[name] for name in MEASURED if name in options}
    frame = rows_where(_frame(source, [*factors, *contexts, *where], options.get("reader")), where)
    frame.attrs[MESSAGES] = [*frame.attrs.get(MESSAGES, ()), *options.get("messages", ())]
    analysis = analyse_table(
        frame,
        [Measure(column=name, **rule) for name in named["response"]],
        factors,
        contexts,
        baselines,
        replace(DEFAULTS, **{name: options[name] for name in PLANNED if name in options}),
        _provenance(source),
        _names(options.get("wide")),
        _annotations(options),
        keep,
    )
    plan, tables = kept[0]
    return StudyAnalysis(analysis, plan, lambda: tables)


def _checked(analysis: Analysis, plan: Plan, tables: StudyTables) -> Analysis:
    from ablatekit.pipeline.second_opinion import with_second_opinion

    return with_second_opinion(analysis, plan, tables)


def _by_formula(source: Any, options: Mapping[str, Any]) -> StudyAnalysis:
    from ablatekit.analysis.formula.analyse import formula_analysis
    from ablatekit.analysis.tables.read import labels_of, read_for_formula

    formula = str(options["formula"])
    known = {part.name for part in fields(FormulaOptions)}
    chosen = FormulaOptions(**{name: value for name, value in options.items() if name in known})
    if isinstance(source, pd.DataFrame):
        frame = source.copy()
    else:
        labels = labels_of(f"{formula} {chosen.against or ''}", chosen.categorical)
        mentioned = f"{formula} {chosen.mentioned}"
        frame = read_for_formula(Path(source), mentioned, options.get("reader"), labels)
    return StudyAnalysis(formula_analysis(frame, formula, chosen, _provenance(source)))


def _frame(source: Any, labels: Sequence[str], reader: str | None) -> pd.DataFrame:
    """A copy of a data frame with names as columns, or the table that a reader makes."""
    if isinstance(source, pd.DataFrame):
        frame = source.copy()
        frame.columns = pd.Index([str(name) for name in frame.columns])
        return frame
    from ablatekit.analysis.tables.read import read_table

    return read_table(Path(source), labels, reader)


def _annotations(options: Mapping[str, Any]) -> Annotations:
    from ablatekit.analysis.tables.annotations import read_annotations

    texts = (_pairs(options.get(name)) for name in ("covariates", "predict_at", "scales"))
    return read_annotations(options.get("price"), *texts)


def _pairs(given: Any) -> list[str]:
    """NAME=VALUE texts, of a mapping or as they are."""
    if isinstance(given, Mapping):
        return [f"{name}={value}" for name, value in given.items()]
    return _names(given)


def _provenance(source: Any) -> dict[str, str]:
    from ablatekit.canonical import content_hash, file_hash
    from ablatekit.version import __version__

    if isinstance(source, pd.DataFrame):
        hashed = pd.util.hash_pandas_object(source.astype(str), index=False).tolist()
        told = {
            "table": FRAME,
            "table_hash": content_hash([list(map(str, source)), hashed]),
        }
        return {"ablatekit": __version__, **told}
    path = Path(source)
    hashed_file = {"table_hash": file_hash(path)} if path.is_file() else {}
    return {"ablatekit": __version__, "table": str(source), **hashed_file}
