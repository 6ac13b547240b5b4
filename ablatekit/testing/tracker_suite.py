"""What every tracker must fulfil, as tests that a plugin's own test suite inherits.

    class TestMyTracker(TrackerSuite):
        tracker_name = "mine"

        def stored(self, plan, workspace):
            return [StoredRun(...) for each record that the tracker shows]

        def wipe(self, plan, workspace):
            ...

The records of a few small runs are written below pytest's `tmp_path`. pytest collects the subclass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ablatekit.design.plan import Cell, Plan
from ablatekit.runs.runlog import AttemptEnd
from ablatekit.runs.workspace import Workspace
from ablatekit.testing.runs import small_plan, write_attempt
from ablatekit.tracking.base import Status, Tracker, make_tracker
from ablatekit.tracking.mirror import Mirror, MirrorOutcome

_WRITES = frozenset({"create", "add", "attach", "set_status", "delete"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A record as the tracker shows it, read without ablatekit.

    `points` are (metric, step, value, time in milliseconds), one each: the metric under whatever
    name the tracker holds it, the value as Python writes it. `files` are names of attached files.
    """

    run_id: str
    name: str
    status: Status
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: Sequence[tuple[str, int, str, int]]
    files: Sequence[str]


class CutOffError(Exception):
    """The mirror was killed."""


class _CutTracker:
    """A tracker whose mirror is killed before its `at`-th write."""

    def __init__(self, tracker: Tracker, at: int) -> None:
        self._tracker = tracker
        self._at = at
        self.writes = 0

    def __getattr__(self, name: str) -> Any:
        if name in _WRITES:
            self.writes += 1
            if self.writes == self._at:
                raise CutOffError
        return getattr(self._tracker, name)


class TrackerSuite:
    """The conformance tests; subclass it, name the tracker, and say how to read and to wipe it."""

    tracker_name: ClassVar[str]
    settings: ClassVar[Mapping[str, Any]] = {}
    """The tracker's own part of the study file."""
    points_at_once: ClassVar[int] = 3
    """Number of points that the mirror hands over in one call, so that a run takes several."""

    def stored(self, plan: Plan, workspace: Workspace) -> Sequence[StoredRun]:
        """Every record that the tracker shows of a study, once per record."""
        raise NotImplementedError

    def wipe(self, plan: Plan, workspace: Workspace) -> None:
        """Take away everything that the tracker holds of a study, as a user might."""
        raise NotImplementedError

    def tracker(self, plan: Plan, workspace: Workspace) -> Tracker:
        """The tracker of a study, as the mirror makes it, but for small calls."""
        tracker = make_tracker(self.tracker_name, plan, workspace, self.settings)
        setattr(tracker, "points_at_once", self.points_at_once)  # noqa: B010 - a class variable
        return tracker

    def sync(self, plan: Plan, workspace: Workspace, cut_at: int = 0) -> MirrorOutcome:
        """Mirror a study as it stands, killed before its `cut_at`-th write if that is not 0."""
        tracker: Any = self.tracker(plan, workspace)
        if cut_at:
            tracker = _CutTracker(tracker, cut_at)
        mirror = Mirror(plan, workspace, tracker)
        try:
            mirror.update()
        finally:
            mirror.close()
        assert mirror.outcome.warning == ""
        return mirror.outcome

    def runs(self, plan: Plan, workspace: Workspace) -> Mapping[str, StoredRun]:
        """The records by run id: one for each run, every point once."""
        stored = self.stored(plan, workspace)
        twice = [
            run_id for run_id, count in Counter(run.run_id for run in stored).items() if count > 1
        ]
        assert not twice, f"these runs have more than one record: {twice}"
        for run in stored:
            places = Counter(point[:2] for point in run.points)
            assert all(count == 1 for count in places.values()), f"points twice: {places}"
        return {run.run_id: replace(run, points=sorted(run.points)) for run in stored}

    def test_what_a_run_left_is_kept(self, tmp_path: Path) -> None:
        plan, workspace = small_plan(), Workspace(tmp_path)
        write_attempt(workspace, plan.runs[0], [0, 2, 3], items=True)
        outcome = self.sync(plan, workspace)
        assert (outcome.runs, outcome.metrics) == (1, 7)
        run = self.runs(plan, workspace)[plan.runs[0].run_id]
        assert run.name == "f=x | m | d | 1"
        assert run.status == "finished"
        assert run.params == {"f": "x", "model": "m", "dataset": "d", "replicate": "1"}
        assert run.tags["ablatekit.status"] == "finished"
        assert sorted(run.files) == ["items.parquet", "spec.json"]
        assert ("loss", 2, "1.0", 1_002_000) in run.points
        assert ("loss", 3, "nan", 1_003_000) in run.points
        assert [point[:3] for point in run.points if point[0] == "final"] == [("final", 3, "2.0")]

    def test_a_second_sync_changes_nothing(self, tmp_path: Path) -> None:
        plan, workspace = small_plan(), Workspace(tmp_path)
        for planned in plan.runs[:3]:
            write_attempt(workspace, planned, [0, 1], items=True)
        self.sync(plan, workspace)
        before = self.runs(plan, workspace)
        outcome = self.sync(plan, workspace)
        assert (outcome.runs, outcome.metrics) == (0, 0)
        assert self.runs(plan, workspace) == before

    def test_a_wiped_tracker_is_rebuilt_identical(self, tmp_path: Path) -> None:
        plan, workspace = small_plan(), Workspace(tmp_path)
        write_attempt(workspace, plan.runs[0], [0, 1, 2], status=None)
        self.sync(plan, workspace)
        write_attempt(workspace, plan.runs[0], [2, 3], resumed_at=1, time=2_000.0)
        write_attempt(workspace, plan.runs[1], [0], status="diverged")
        self.sync(plan, workspace)
        before = self.runs(plan, workspace)
        assert set(before) == {planned.run_id for planned in plan.runs[:2]}
        self.wipe(plan, workspace)
        self.sync(plan, workspace)
        assert self.runs(plan, workspace) == before

    def test_a_resumed_run_has_no_point_twice(self, tmp_path: Path) -> None:
        plan, workspace = small_plan(), Workspace(tmp_path)
        planned = plan.runs[0]
        write_attempt(workspace, planned, [0, 1, 2], status=None)
        self.sync(plan, workspace)
        assert self.runs(plan, workspace)[planned.run_id].status == "interrupted"
        write_attempt(workspace, planned, [2, 3], resumed_at=1, time=2_000.0)
        self.sync(plan, workspace)
        points = self.runs(plan, workspace)[planned.run_id].points
        steps = [(step, time) for metric, step, _, time in points if metric == "loss"]
        assert steps == [(0, 1_000_000), (1, 1_001_000), (2, 2_002_000), (3, 2_003_000)]

    def test_every_run_shows_how_it_stands(self, tmp_path: Path) -> None:
        plan, workspace = small_plan(levels=("x", "y", "z")), Workspace(tmp_path)
        failed = AttemptEnd(kind="exception", message="m", ended=1_500.0)
        stopped = AttemptEnd(kind="interrupted", message="m", ended=1_500.0)
        write_attempt(workspace, plan.runs[0], [0], status="diverged")
        write_attempt(workspace, plan.runs[1], [0], status=None, end=failed)
        write_attempt(workspace, plan.runs[2], [0], status=None, end=stopped)
        with ExitStack() as alive:
            write_attempt(workspace, plan.runs[3], [0], status=None, alive=alive)
            self.sync(plan, workspace)
            runs = self.runs(plan, workspace)
        statuses = [runs[planned.run_id].status for planned in plan.runs[:4]]
        assert statuses == ["finished", "failed", "interrupted", "running"]
        assert runs[plan.runs[0].run_id].tags["ablatekit.status"] == "diverged"
        self.sync(plan, workspace)
        ended = self.runs(plan, workspace)[plan.runs[3].run_id]
        assert ended.status == "interrupted", "a run that nobody executes is never left running"

    def test_other_parameters_make_another_record_of_the_same_run(self, tmp_path: Path) -> None:
        plan, workspace = small_plan(), Workspace(tmp_path)
        write_attempt(workspace, plan.runs[0], [0, 1])
        self.sync(plan, workspace)
        cells = (Cell(levels={**cell.levels, "g": "off"}, unit=cell.unit) for cell in plan.cells)
        self.sync(replace(plan, cells=tuple(cells)), workspace)
        (run,) = self.runs(plan, workspace).values()
        assert run.params["g"] == "off"

    def test_names_of_every_kind_are_kept_apart(self, tmp_path: Path) -> None:
        names = ("train/pass@1", "50% quantile (ms)", "größe", "a'b\"c", "long " * 30)
        plan, workspace = small_plan(levels=("it's `x`", "y; drop")), Workspace(tmp_path)
        write_attempt(workspace, plan.runs[0], [0, 1], metrics=names)
        assert self.sync(plan, workspace).metrics == 11
        (run,) = self.runs(plan, workspace).values()
        assert len({point[0] for point in run.points}) == 6
        assert len(run.points) == 11
        assert run.params["f"] == "it's `x`"
        assert self.sync(plan, workspace).runs == 0

    def test_a_mirror_that_dies_before_any_write_is_completed(self, tmp_path: Path) -> None:
        plan, workspace = small_plan(), Workspace(tmp_path)
        write_attempt(workspace, plan.runs[0], [0, 1, 2], items=True)
        self.sync(plan, workspace)
        whole = self.runs(plan, workspace)
        cuts = 0
        while self._dies(plan, workspace, cuts + 1):
            cuts += 1
            self.sync(plan, workspace)
            assert self.runs(plan, workspace) == whole
        assert cuts >= 6, "a record is made, filled in three calls, given its files and ended"

    def _dies(self, plan: Plan, workspace: Workspace, cut_at: int) -> bool:
        self.wipe(plan, workspace)
        try:
            self.sync(plan, workspace, cut_at)
        except CutOffError:
            return True
        return False

    def test_of_two_records_of_one_run_one_stays(self, tmp_path: Path) -> None:
        plan, workspace = small_plan(), Workspace(tmp_path)
        write_attempt(workspace, plan.runs[0], [0])
        forgetful: Any = _Forgetful(self.tracker(plan, workspace))
        mirror = Mirror(plan, workspace, forgetful)
        for _ in range(2):
            mirror.update()
            mirror.close()
        assert len(self.stored(plan, workspace)) == 2, "the tracker makes what it is told to make"
        self.sync(plan, workspace)
        assert len(self.runs(plan, workspace)) == 1

    def test_a_closed_tracker_holds_no_file_and_opens_again(self, tmp_path: Path) -> None:
        plan, workspace = small_plan(), Workspace(tmp_path)
        write_attempt(workspace, plan.runs[0], [0])
        tracker = self.tracker(plan, workspace)
        tracker.close()
        mirror = Mirror(plan, workspace, tracker)
        for _ in range(2):
            mirror.update()
            mirror.close()
            assert _open_files(tmp_path) == []
        assert (mirror.outcome.runs, mirror.outcome.metrics) == (1, 3)


class _Forgetful:
    """A tracker that names none of its records."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker

    def open(self) -> Sequence[Any]:
        self._tracker.open()
        return ()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracker, name)


def _open_files(folder: Path) -> list[str]:
    """Files below a folder that this process has open, where the system tells."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        return []
    targets = []
    for descriptor in descriptors.iterdir():
        try:
            targets.append(str(descriptor.readlink()))
        except FileNotFoundError:
            continue
    return [target for target in targets if target.startswith(str(folder))]
