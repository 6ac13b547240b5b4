from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from ablatekit.study.messages import rule_text, without_union_tags


class Choices(BaseModel):
    model_config = ConfigDict(extra="forbid")

    words: str | list[str] = ""
    variables: dict[str, str | int | bool] = {}
    rate: float = 0.1
    depth: int = 1


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"words": 3}, {("words",): "must be a string or a list"}),
        ({"words": ["a", 3]}, {("words", "list[str]", 1): "must be a string"}),
        (
            {"variables": {"A": None, "B": None}},
            {
                ("variables", "A"): "must be a string or an integer or true or false",
                ("variables", "B"): "must be a string or an integer or true or false",
            },
        ),
        (
            {"rate": "x", "depth": "x"},
            {("rate",): "must be a number", ("depth",): "must be an integer"},
        ),
    ],
)
def test_a_value_of_none_of_several_kinds_is_one_mistake(values, told):
    with pytest.raises(ValidationError) as error:
        Choices.model_validate(values, strict=True)
    errors = without_union_tags(error.value.errors())
    assert {each["loc"]: rule_text(each) for each in errors} == told
