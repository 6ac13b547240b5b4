"""What the functions of `ablatekit` return: plans, runs, analyses and comparisons to look at.

Each shows itself: `repr` is what the command line prints, a notebook shows the same as HTML.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablatekit.analysis.core.schema.analysis import Analysis
from ablatekit.analysis.tables.study_tables import StudyTables
from ablatekit.design.plan import Plan
from ablatekit.dispatch.coordinator import DispatchOutcome, FailedRun
from ablatekit.errors import Problem, UsageError, nearest
from ablatekit.report.document import Document, Fold, Paragraph, Picture, Section, Warnings
from ablatekit.runs.runlog import RunState
from ablatekit.themes import Theme

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure
    from rich.console import Console, RenderableType

    from ablatekit.pipeline.frozen import PreparedStudy
    from ablatekit.report.comparison.studies import Studies

WIDTH = 100
"""Characters of a line of text."""


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """What a study would run, decided before anything runs: cells, runs and their order."""

    prepared: PreparedStudy

    @property
    def plan(self) -> Plan:
        """The plan as the command line freezes it."""
        return self.prepared.plan

    @property
    def hash(self) -> str:
        """What identifies the plan."""
        return self.plan.hash

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before it runs."""
        return self.plan.warnings

    @property
    def cells(self) -> pd.DataFrame:
        """One row per combination of levels."""
        from ablatekit.api.frames import cells_frame

        return cells_frame(self.plan)

    @property
    def runs(self) -> pd.DataFrame:
        """One row per run in its order, with its state in the workspace."""
        from ablatekit.api.frames import planned_frame

        return planned_frame(self.plan, self.prepared.workspace)

    def __repr__(self) -> str:
        from ablatekit.cli.plan_tables import print_plan
        from ablatekit.design.build import study_backend
        from ablatekit.design.describe import setting_defaults

        console = _console()
        defaults = setting_defaults(study_backend(self.prepared.loaded))
        print_plan(self.plan, defaults, show_all=False, console=console)
        return _trimmed(console)

    def _repr_html_(self) -> str:
        from ablatekit.api.pages import plan_document
        from ablatekit.report.formats.fragment import render_fragment

        return render_fragment(plan_document(self.plan))


@dataclass(frozen=True, eq=False)
class StudyStatus:
    """Where the runs of a study stand in a workspace."""

    prepared: PreparedStudy

    @cached_property
    def counts(self) -> Mapping[RunState, int]:
        """How many runs are in which state."""
        from ablatekit.pipeline.frozen import study_status

        return study_status(self.prepared)

    @property
    def done(self) -> bool:
        """Whether every run has a result."""
        return set(self.counts) <= {"finished", "diverged"}

    @property
    def runs(self) -> pd.DataFrame:
        """One row per planned run with its state."""
        from ablatekit.api.frames import planned_frame

        return planned_frame(self.prepared.plan, self.prepared.workspace)

    def __repr__(self) -> str:
        plan = self.prepared.plan
        counts = ", ".join(f"{count} {state}" for state, count in sorted(self.counts.items()))
        return f"{plan.study}: {len(plan.runs)} runs: {counts}"

    def _repr_html_(self) -> str:
        from ablatekit.report.formats.fragment import render_fragment

        facts = [(state, str(count)) for state, count in sorted(self.counts.items())]
        title = self.prepared.plan.study
        return render_fragment(Document(title=title, question="", facts=facts, sections=[]))


@dataclass(frozen=True, eq=False)
class StudyAnalysis:
    """Effects with their verdicts, and everything around them.

    `data` is the analysis as `analysis.json` holds it. `plan` is what was analysed and `read` gives
    its tables, both None for a formula. `proposed` says by what a table was analysed whose columns
    were not named.
    """

    data: Analysis
    plan: Plan | None = None
    read: Callable[[], StudyTables] | None = None
    proposed: str = ""

    @property
    def effects(self) -> pd.DataFrame:
        """One row per effect: what is compared, by which estimand, estimate, p and verdict."""
        from ablatekit.api.frames import effects_frame

        return effects_frame(self.data)

    @property
    def configurations(self) -> pd.DataFrame:
        """One row per cell against the baseline cell."""
        from ablatekit.api.frames import configurations_frame

        return configurations_frame(self.data)

    @property
    def runs(self) -> pd.DataFrame:
        """One row per run with the value of each response."""
        from ablatekit.api.frames import runs_frame

        return runs_frame(*self._tables())

    @property
    def items(self) -> pd.DataFrame:
        """One row per run and evaluation item; empty where there are none."""
        from ablatekit.api.frames import items_frame

        return items_frame(*self._tables())

    @property
    def figures(self) -> dict[str, str]:
        """The figures of the report by name, with their titles."""
        return {picture.id: picture.title for picture in self._document.pictures()}

    def figure(self, name: str = "forest") -> Figure:
        """A figure of the report, as matplotlib's; of several of one kind the first.

        Raises UsageError for a name that no figure has or begins with.
        """
        pictures = list(self._document.pictures())
        exact = [picture for picture in pictures if picture.id == name]
        chosen = exact or [part for part in pictures if part.id.startswith(f"{name}-")]
        if not chosen:
            remedy = nearest(name, self.figures)
            raise UsageError(Problem("the report has no such figure", repr(name), remedy))
        return drawn(chosen[0])

    def report(self) -> Report:
        """The whole report, which a notebook shows in place."""
        return Report(self._document)

    def write_report(self, folder: str | Path, theme: Theme = "auto") -> Path:
        """Write the report's files to a folder; the page.

        Raises WorkspaceError where a file would be replaced that no report wrote.
        """
        from ablatekit.report.write import write_report

        return write_report(self.data, Path(folder), theme).html

    @cached_property
    def _document(self) -> Document:
        from ablatekit.report.compose import compose

        return compose(self.data)

    def _tables(self) -> tuple[Plan, StudyTables]:
        if self.plan is None or self.read is None:
            remedy = "Analyse the table by factors: analyze(table, response=..., factors=[...])"
            raise UsageError(Problem("a fitted formula has no table of runs", "", remedy))
        return self.plan, self.read()

    def __repr__(self) -> str:
        from ablatekit.report.formats.terminal import answer

        said = [f"{self.proposed}\n"] if self.proposed else []
        return "\n".join([*said, _as_text(answer(self.data))])

    def shown(self) -> Document:
        """What a notebook shows: the brief, or the first section of an analysis without one."""
        head = _head(self._document)
        if not self.proposed:
            return head
        lines = self.proposed.splitlines()
        care = [line.strip(" !") for line in lines if line.startswith("  ! ")]
        said = [line for line in lines if not line.startswith("  ! ")]
        blocks = [*([Warnings(care)] if care else []), *map(Paragraph, said)]
        fold = Fold("By what it was analysed", blocks)
        return replace(head, sections=[*head.sections, Section("proposed", "", "", [fold])])

    def _repr_html_(self) -> str:
        from ablatekit.report.formats.fragment import render_fragment

        return render_fragment(self.shown())


@dataclass(frozen=True, eq=False)
class Report:
    """The whole report inside a notebook."""

    document: Document

    def __repr__(self) -> str:
        return f"Report({self.document.title})"

    def _repr_html_(self) -> str:
        from ablatekit.report.formats.fragment import render_frame

        return render_frame(self.document)


@dataclass(frozen=True, eq=False)
class StudyRuns:
    """What a call of `run` has brought about.

    `analysis` is None while runs are outstanding; `path` is the page of the written report.
    """

    outcome: DispatchOutcome
    analysis: StudyAnalysis | None
    path: Path | None
    warnings: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are planned, finished, diverged, failed, remaining, and were executed."""
        from dataclasses import asdict

        return asdict(self.outcome.counts)

    @property
    def failed(self) -> tuple[FailedRun, ...]:
        """The runs without a result after all their attempts, with their last words."""
        return self.outcome.failed

    @property
    def interrupted(self) -> bool:
        """Whether it was stopped; the same call continues."""
        return self.outcome.interrupted

    def _said(self) -> list[str]:
        counts = self.outcome.counts
        done = counts.finished + counts.diverged
        told = [f"{done} of {counts.planned} runs have a result, {counts.executed} of them new"]
        told += [f"{counts.diverged} diverged"] if counts.diverged else []
        told += ["interrupted: the same call continues"] if self.interrupted else []
        told += [f"failed: {run.label}: {run.kind}: {run.message}" for run in self.failed]
        told += [f"warning: {text}" for text in self.warnings]
        return told + ([f"report: {self.path}"] if self.path else [])

    def __repr__(self) -> str:
        shown = [] if self.analysis is None else [repr(self.analysis)]
        return "\n".join([*self._said(), *shown])

    def _repr_html_(self) -> str:
        from ablatekit.report.formats.fragment import render_fragment

        document = Document(title="", question="", facts=[], sections=[])
        if self.analysis is not None:
            document = self.analysis.shown()
        return render_fragment(replace(document, sections=[*document.sections, self._section()]))

    def _section(self) -> Section:
        """What was done, and what the reader must know of it."""
        from ablatekit.legible import legible

        said = [legible(text) for text in self._said()]
        care = [text for text in said if text.startswith(("failed", "warning", "interrupted"))]
        blocks = [Paragraph(text) for text in said if text not in care]
        return Section("runs", "", "", [*([Warnings(care)] if care else []), *blocks])


@dataclass(frozen=True, eq=False)
class ComparedStudies:
    """The effects of two studies, held against each other: agree, differ or undecided."""

    studies: Studies

    @property
    def effects(self) -> pd.DataFrame:
        """One row per level that both studies have: their estimates, the difference, agreement."""
        import pandas as pd

        records = [_flat(effect) for effect in self.studies.found.to_json()["effects"]]
        return pd.DataFrame(records)

    def figure(self) -> Figure:
        """Both estimates of every level side by side, as matplotlib's figure."""
        return drawn(next(iter(self._document.pictures())))

    def write_report(self, folder: str | Path, theme: Theme = "auto") -> Path:
        """Write a page of both studies with its files to a folder; the page."""
        from ablatekit.report.write import write_comparison

        return write_comparison(self.studies, Path(folder), theme)

    @cached_property
    def _document(self) -> Document:
        from ablatekit.report.comparison.page import comparison_document

        return comparison_document(self.studies)

    def __repr__(self) -> str:
        from ablatekit.report.formats.terminal import comparison

        return _as_text(comparison(self.studies.found, self.studies.first))

    def _repr_html_(self) -> str:
        from ablatekit.report.formats.fragment import render_fragment

        return render_fragment(_head(self._document))


def drawn(picture: Picture) -> Figure:
    """A picture as a figure, which a notebook shows also where nothing of pyplot was imported."""
    from ablatekit.api.progress import show_figures
    from ablatekit.report.figures.render import light_figure

    show_figures()
    figure = light_figure(picture)
    figure.add_axes((0.0, 0.0, 1.0, 1.0)).set_axis_off()  # IPython shows none without axes
    return figure


def _head(document: Document) -> Document:
    sections = [] if document.brief is not None else document.sections[:1]
    return replace(document, sections=sections)


def _flat(effect: Mapping[str, Any]) -> dict[str, Any]:
    """A compared effect with the parts of both studies as columns of their own."""
    flat: dict[str, Any] = {}
    for key, value in effect.items():
        nested = value if key in ("first", "second") else None
        flat |= {f"{key}_{name}": part for name, part in nested.items()} if nested else {key: value}
    return flat


def _as_text(parts: Iterable[RenderableType]) -> str:
    """What a terminal prints, without its colours."""
    console = _console()
    for part in parts:
        console.print(part)
    return _trimmed(console)


def _console() -> Console:
    """A console that keeps what is printed, inside a notebook too."""
    from rich.console import Console

    return Console(
        file=io.StringIO(),
        width=WIDTH,
        markup=False,
        highlight=False,
        emoji=False,
        force_jupyter=False,
        force_terminal=False,
    )


def _trimmed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())
