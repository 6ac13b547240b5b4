"""Our kinds of design pass their suite, and the suite finds kinds that are broken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import pytest

from ablatekit.design.cells import CellLevels
from ablatekit.design.kinds.full import FullDesign
from ablatekit.study.factors import Factor
from ablatekit.study.schema import DesignPart
from ablatekit.testing import design_suite
from ablatekit.testing.design_suite import DesignSuite


class TestFull(DesignSuite):
    kind = "full"


class TestCustom(DesignSuite):
    kind = "custom"
    part: ClassVar = {
        "cells": [{}, {"dose": "low"}, {"dose": "high"}, {"helps_both": True, "dose": "high"}]
    }
    broken_parts: ClassVar = (
        {},
        {"cells": []},
        {"cells": [{}, {"dose": "none"}]},
        {"cells": [{"dosis": "low"}]},
        {"cells": [{}, {"dose": "lo"}]},
    )


class Repeated(FullDesign):
    """Gives its first cell twice."""

    def cells(self, factors: Sequence[Factor]) -> Iterator[CellLevels]:
        cells = list(super().cells(factors))
        return iter([cells[0], *cells[:-1]])


class Partial(FullDesign):
    """Leaves the first factor out."""

    def cells(self, factors: Sequence[Factor]) -> Iterator[CellLevels]:
        return super().cells(factors[1:])


class Shuffled(FullDesign):
    """Takes its order from the process."""

    def cells(self, factors: Sequence[Factor]) -> Iterator[CellLevels]:
        cells = list(super().cells(factors))
        order = np.random.permutation(len(cells))  # noqa: NPY002
        return iter([cells[place] for place in order])


class Verbose(FullDesign):
    """Says a paragraph."""

    def says(self, factors: Sequence[Factor], cells: Sequence[CellLevels]) -> Iterator[str]:  # noqa: ARG002
        yield "Much\ncan be estimated"


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Repeated, "test_cells_are_distinct_and_have_a_level_of_every_factor"),
        (Partial, "test_cells_are_distinct_and_have_a_level_of_every_factor"),
        (Partial, "test_the_size_is_the_number_of_cells"),
        (Shuffled, "test_cells_depend_on_the_study_alone"),
        (Verbose, "test_what_it_says_is_one_line_each"),
    ],
)
def test_a_broken_kind_is_found(
    broken: type[FullDesign], test: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    getattr(TestFull(), test)()

    def made(part: DesignPart) -> FullDesign:
        return broken(part)

    monkeypatch.setattr(design_suite, "design_kind", made)
    with pytest.raises(AssertionError):
        getattr(TestFull(), test)()
