"""`ablatekit study adopt`: runs that were made elsewhere become a study that can be completed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablatekit.cli.analyze_options import (
    Baselines,
    Contexts,
    Direction,
    Excluded,
    Factors,
    ReaderName,
    Responses,
    Table,
    Where,
)
from ablatekit.cli.study_files import Json, WorkspaceOption

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from ablatekit.analysis.proposal.base import Proposal
    from ablatekit.logs.base import LoggedRun
    from ablatekit.pipeline.adopt import Adoption
    from ablatekit.report.proposal import Recognised

MOST_LISTED = 20


Output = Annotated[
    Path, typer.Option("--output", "-o", metavar="FILE", help="The study file to write.")
]
StudyName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of the study. Default: by the source.")
]
Command = Annotated[
    str | None,
    typer.Option(
        metavar="COMMAND",
        help='What runs the missing cells: "python train.py --lr {lr} --seed {seed}".',
    ),
]
BackendSettings = Annotated[
    list[str] | None,
    typer.Option(
        metavar="KEY=VALUE",
        help="Further settings of the command backend, such as metrics.csv=log.csv; may be"
        " repeated.",
    ),
]
Replace = Annotated[
    bool, typer.Option("--replace", help="Write a study file anew that is there already.")
]


def adopt(
    source: Table,
    output: Output = Path("study.yaml"),
    name: StudyName = None,
    command: Command = None,
    setting: BackendSettings = None,
    response: Responses = None,
    factors: Factors = None,
    contexts: Contexts = None,
    baseline: Baselines = None,
    where: Where = None,
    exclude: Excluded = None,
    direction: Direction = None,
    reader: ReaderName = None,
    workspace: WorkspaceOption = None,
    replace: Replace = False,
    as_json: Json = False,
) -> None:
    """Make a study of runs that are there: they count as done, and what is missing can be run.

    Factors, contexts, seeds and the response are proposed as by `ablatekit analyze SOURCE`.
    """
    from ablatekit.cli.analyze import names_in, pairs
    from ablatekit.pipeline.adopt import adopt as adopted
    from ablatekit.pipeline.adopted_study import described
    from ablatekit.report import proposal as proposals
    from ablatekit.runs.workspace import find_workspace

    roles = {"--response": response, "--factors": factors, "--contexts": contexts}
    names = {option: names_in(text) for option, text in {**roles, "--exclude": exclude}.items()}
    stated = proposals.stated_of(
        names, pairs("--baseline", baseline), pairs("--where", where), {"direction": direction}
    )
    recognised = proposals.recognise(source, reader, stated)
    proposal = recognised.proposal
    frame = _in_words(source, reader, proposal)
    study = described(frame, proposal, str(source), command, pairs("--setting", setting), name)
    outcome = adopted(
        frame, proposal, study, output, find_workspace(workspace), _logged(recognised),
        replace=replace,
    )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(_as_json(outcome, output), indent=2))
        return
    _tell(recognised, outcome, study.renamed, output, runs_more=command is not None)


def _in_words(source: Path, reader: str | None, proposal: Proposal) -> pd.DataFrame:
    """The rows of a proposal, what tells runs apart as text."""
    from ablatekit.analysis.tables.read import read_table
    from ablatekit.analysis.tables.values import in_words, rows_where, without_unplaced

    labels = [*proposal.factors, *proposal.contexts, *proposal.replicates]
    frame = read_table(source, [*labels, *proposal.where], reader)
    rows = in_words(rows_where(frame, proposal.where), labels)
    return without_unplaced(rows, proposal.responses, proposal.factors, proposal.contexts)[0]


def _logged(recognised: Recognised) -> Mapping[str, LoggedRun]:
    """The histories of runs, where the reader of the source knows them."""
    from ablatekit.analysis.tables.read import logged_runs
    from ablatekit.errors import TableError

    try:
        return {run.name: run for run in logged_runs(recognised.source, recognised.reader)}
    except TableError:  # a table has no histories
        return {}


def _as_json(outcome: Adoption, output: Path) -> dict[str, Any]:
    plan = outcome.study.plan
    return {
        "study": plan.study,
        "file": str(output),
        "runs": len(plan.runs),
        "adopted": outcome.adopted,
        "known": outcome.known,
        "not_adopted": outcome.refused,
        "missing": list(outcome.missing),
    }


def _tell(
    recognised: Recognised,
    outcome: Adoption,
    renamed: Mapping[str, str],
    output: Path,
    *,
    runs_more: bool,
) -> None:
    from ablatekit.cli.console import show_proposal
    from ablatekit.legible import legible

    show_proposal(recognised, to_error=False, alone=True)
    for line in _lines(outcome, renamed, output, runs_more=runs_more):
        typer.echo(legible(line))


def _lines(
    outcome: Adoption, renamed: Mapping[str, str], output: Path, *, runs_more: bool
) -> Iterator[str]:
    plan = outcome.study.plan
    yield ""
    for column, name in renamed.items():
        yield f"{column} is called {name} in the study"
    known = f", {len(outcome.known)} were there already" if outcome.known else ""
    yield (
        f"wrote {output}: {len(plan.runs)} runs, {len(outcome.adopted)} adopted{known},"
        f" {len(outcome.missing)} missing"
    )
    yield from _listed("not adopted", [f"{n}: {why}" for n, why in outcome.refused.items()])
    yield from _listed("missing", outcome.missing)
    if outcome.missing and runs_more:
        yield f"next: ablatekit study run {output}"
    elif outcome.missing:
        yield "to run what is missing: repeat this with --command COMMAND --replace"
    if not (outcome.missing and runs_more):
        yield f"next: ablatekit study report {output}"


def _listed(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield f"{title}:"
    yield from (f"  {text}" for text in texts[:MOST_LISTED])
    if len(texts) > MOST_LISTED:
        yield f"  and {len(texts) - MOST_LISTED} more"
