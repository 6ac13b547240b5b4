"""What every kind of design must fulfil, as tests that a plugin's own test suite inherits.

    class TestMyDesign(DesignSuite):
        kind = "mine"
        part = {"resolution": 4}
        broken_parts = ({"resolution": 0},)

The factors are those of the backend `simulated`. pytest collects the subclass.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel

from ablatekit.design.build import build_plan
from ablatekit.design.cells import CellLevels
from ablatekit.design.crossing import Crossing, cross
from ablatekit.design.kinds.base import DesignKind, design_kind
from ablatekit.errors import Problem, StudyError
from ablatekit.plugins import load_backend, load_plugin
from ablatekit.study.load import LoadedStudy, parse_study


class DesignSuite:
    """The conformance tests; subclass it, name the kind, and give a part that is valid."""

    kind: ClassVar[str]
    part: ClassVar[Mapping[str, Any]] = {}
    """What stands beside `kind:` in a valid study of these factors."""
    broken_parts: ClassVar[Sequence[Mapping[str, Any]]] = ()
    """What the kind must refuse, with one line of the study file each."""
    factors: ClassVar[Mapping[str, Sequence[Any]]] = {
        "helps_both": (False, True),
        "dose": ("none", "low", "high"),
    }
    """Levels by factor, the baseline first: settings of the backend `simulated`."""

    def study(self, part: Mapping[str, Any] | None = None, **keys: Any) -> LoadedStudy:
        """A study with this design; `keys` are further parts of its file."""
        factors = {
            name: {"baseline": levels[0], "levels": list(levels)}
            for name, levels in self.factors.items()
        }
        content = {
            "version": 1,
            "name": "conformance",
            "backend": {"name": "simulated"},
            "factors": factors,
            "design": {"kind": self.kind, **(self.part if part is None else part)},
            **keys,
        }
        return parse_study(json.dumps(content, indent=1), Path("study.yaml"))

    def chosen(self) -> tuple[DesignKind, LoadedStudy]:
        """The kind as the study makes it, and the study."""
        loaded = self.study()
        return design_kind(loaded.study.design), loaded

    def test_the_kind_fulfils_its_contract(self) -> None:
        kind, loaded = self.chosen()
        assert kind.name == self.kind
        assert isinstance(loaded.study.design, kind.settings), "the part is the kind's settings"

    def test_every_key_has_a_meaning(self) -> None:
        settings: type[BaseModel] = load_plugin("design", self.kind).settings
        assert settings.__doc__, "editors show what the kind is"
        for name, info in settings.model_fields.items():
            assert info.description, f"{name} has no description"

    def test_unknown_keys_and_broken_parts_are_refused_at_their_line(self) -> None:
        for part in ({**self.part, "no_such_key": 1}, *self.broken_parts):
            problems = self._refusal(part)
            assert all(problem.where and problem.where.line for problem in problems), part
            assert all(problem.where and problem.where.file == "study.yaml" for problem in problems)

    def _refusal(self, part: Mapping[str, Any], **keys: Any) -> Sequence[Problem]:
        try:
            cross(self.study(part, **keys))
        except StudyError as error:
            return error.problems
        raise AssertionError(f"{part} must be refused")

    def test_a_valid_part_has_no_problems(self) -> None:
        kind, loaded = self.chosen()
        assert list(kind.problems(loaded.factors, loaded.source)) == []

    def test_the_size_is_the_number_of_cells(self) -> None:
        kind, loaded = self.chosen()
        assert kind.size(loaded.factors) == len(list(kind.cells(loaded.factors))) > 0

    def test_cells_are_distinct_and_have_a_level_of_every_factor(self) -> None:
        kind, loaded = self.chosen()
        cells = list(kind.cells(loaded.factors))
        levels = {factor.name: set(factor.level_names) for factor in loaded.factors}
        for cell in cells:
            assert list(cell) == list(levels), "factors in the order of the study"
            assert all(cell[name] in known for name, known in levels.items())
        assert len({tuple(cell.values()) for cell in cells}) == len(cells)

    def test_cells_depend_on_the_study_alone(self) -> None:
        state = np.random.get_state()  # noqa: NPY002 (what a kind may not depend on)
        try:
            listed = [self._cells(seed) for seed in (1, 2)]
        finally:
            np.random.set_state(state)  # noqa: NPY002
        assert listed[0] == listed[1]

    def _cells(self, seed: int) -> list[CellLevels]:
        np.random.seed(seed)  # noqa: NPY002
        kind, loaded = self.chosen()
        return list(kind.cells(loaded.factors))

    def test_a_plan_has_these_cells_in_this_order(self) -> None:
        kind, loaded = self.chosen()
        plan = build_plan(loaded, load_backend("simulated"))
        assert plan.design == self.kind
        assert [cell.levels for cell in plan.cells] == list(kind.cells(loaded.factors))

    def test_exclusions_take_their_cells_away(self) -> None:
        whole = cross(self.study())
        *rest, last = whole.cells
        if not self._stays(whole):
            self._refusal(self.part, exclude=[dict(last)])
            return
        left = cross(self.study(exclude=[dict(last)]))
        assert left.excluded == (last,)
        assert left.cells == tuple(rest)

    def _stays(self, whole: Crossing) -> bool:
        """Whether every level is left when the last cell goes."""
        rest = [set(cell.items()) for cell in whole.cells[:-1]]
        return set(whole.cells[-1].items()) <= set().union(*rest)

    def test_what_it_says_is_one_line_each(self) -> None:
        kind, loaded = self.chosen()
        for sentence in kind.says(loaded.factors, list(kind.cells(loaded.factors))):
            assert sentence
            assert sentence == sentence.strip().splitlines()[0]
