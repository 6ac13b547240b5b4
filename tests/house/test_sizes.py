"""The rules of the house, as `benchmarks/house.py` counts them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "house.py"


@pytest.fixture(scope="module")
def house() -> Any:
    spec = importlib.util.spec_from_file_location("house", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["house"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def code(house: Any) -> Any:
    return house.without_tests(house.sources())


@pytest.fixture(scope="module")
def product(house: Any, code: Any) -> Any:
    modules = house.product(code)
    assert len(modules) > 100
    return modules


def test_no_function_is_longer_than_a_screen(house: Any, code: Any) -> None:
    assert house.long_functions(code) == []


def test_no_module_is_too_long_to_read(house: Any, code: Any) -> None:
    assert house.long_modules(code) == []


def test_the_median_function_is_short(house: Any, code: Any) -> None:
    assert house.median_function(code) <= house.MEDIAN_LINES


def test_no_modules_import_each_other_in_a_circle(house: Any, product: Any) -> None:
    assert house.circles(house.imports(product)) == []


def test_a_circle_would_be_seen(house: Any) -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set()}
    assert house.circles(graph) == [["a", "b", "c"]]


def test_a_folder_holds_what_a_reader_takes_in(house: Any, product: Any) -> None:
    assert house.crowded_folders(product) == []


def test_a_class_of_the_core_has_a_name_of_its_own(house: Any, product: Any) -> None:
    core = [module for module in product if module.name.startswith("ablatekit.")]
    assert house.same_classes(core) == {}
