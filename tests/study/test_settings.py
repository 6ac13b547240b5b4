from __future__ import annotations

from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from ablatekit.study.settings import (
    fields_at,
    flatten,
    flatten_model,
    is_known,
    nest,
    overlap,
    setting_fields,
)


class Adam(BaseModel):
    kind: Literal["adam"] = "adam"
    beta: float = 0.9


class Sgd(BaseModel):
    kind: Literal["sgd"] = "sgd"
    momentum: float = 0.0


class Place(BaseModel):
    device: str = "cpu"


class Everything(BaseModel):
    rate: float = 1.0
    optimizer: Annotated[Adam | Sgd, Field(discriminator="kind")] = Adam()
    weights: dict[str, float] = {}
    clip: Annotated[float, Field(gt=0)] | None = Field(
        default=None, json_schema_extra={"unstated": True}
    )
    place: Place = Field(default=Place(), json_schema_extra={"execution": True})


def test_fields_have_dotted_names_and_inherit_execution() -> None:
    fields = setting_fields(Everything)
    assert list(fields) == [
        "rate",
        "optimizer.kind",
        "optimizer.beta",
        "optimizer.momentum",
        "weights",
        "clip",
        "place.device",
    ]
    assert [name for name, field in fields.items() if field.execution] == ["place.device"]
    assert [name for name, field in fields.items() if field.unstated] == ["clip"]


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("rate", True),
        ("optimizer", True),
        ("optimizer.beta", True),
        ("optimizer.gamma", False),
        ("weights.any", True),
        ("rate.x", False),
        ("rat", False),
    ],
)
def test_known_names(name: str, known: bool) -> None:
    assert is_known(name, setting_fields(Everything)) is known


def test_a_model_is_flattened_through_its_parts_but_not_its_mappings() -> None:
    settings = Everything(optimizer=Sgd(momentum=0.5), weights={"a": 1.0})
    assert flatten_model(settings) == {
        "rate": 1.0,
        "optimizer.kind": "sgd",
        "optimizer.momentum": 0.5,
        "weights": {"a": 1.0},
        "clip": None,
        "place.device": "cpu",
    }


_NAMES = st.sampled_from(["a", "b", "c"])
_TREES = st.recursive(
    st.integers(), lambda tree: st.dictionaries(_NAMES, tree, min_size=1), max_leaves=8
)


@given(st.dictionaries(_NAMES, _TREES))
def test_nest_undoes_flatten(tree: dict[str, object]) -> None:
    assert nest({name: one.value for name, one in flatten(tree, ()).items()}) == tree


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a\.b"):
        flatten({"a": {"b": 1}, "a.b": 2}, ())


def test_names_overlap_when_one_contains_the_other() -> None:
    assert overlap("a", "a.b")
    assert overlap("a.b", "a.b")
    assert not overlap("a.b", "a.bc")


def test_fields_at_a_location_of_a_union() -> None:
    assert set(fields_at(Everything, ("optimizer",))) == {"kind", "beta", "momentum"}
    assert "rate" in fields_at(Everything, ())
    assert fields_at(Everything, ("rate",)) == {}
