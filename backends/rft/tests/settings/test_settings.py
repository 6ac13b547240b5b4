"""Settings: the reference as defaults, bounds, documentation, and what YAML users may write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.levels.registry import levels_of
from ablatekit_rft.settings import Budget, Evaluation, RftSettings, Vllm
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ablatekit.canonical import content_hash
from ablatekit.study.settings import documented, setting_fields


def every_field() -> Iterator[tuple[str, FieldInfo]]:
    for model in (RftSettings, Budget, Evaluation, Vllm):
        for name, info in model.model_fields.items():
            yield f"{model.__name__}.{name}", info


documented(RftSettings)
FIELDS = dict(every_field())

STATED = "2bef2d4dd30bd106"
"""Of the settings that every run states, at results version 2."""


def test_a_new_setting_leaves_the_runs_of_earlier_studies_as_they_are() -> None:
    """One that every run states would give all of them other identities and other seeds."""
    fields = setting_fields(RftSettings).values()
    stated = sorted(field.name for field in fields if not (field.unstated or field.execution))
    remedy = "declare it UNSTATED (settings/base.py), or raise results_version and this hash"
    assert (RftBackend.results_version, content_hash(stated)) == (2, STATED), remedy


REFERENCE = {
    "advantage": "none",
    "rollouts": 1,
    "queries_per_round": 32,
    "aggregation": "seq_mean_token_sum",
    "kl_place": "none",
    "reward_coding": "01",
    "reward_noise": "none",
    "format_reward": "none",
    "length_shaping": "none",
    "truncation": "as_is",
    "group_filter": "none",
    "downsample": "none",
    "sample_policy": "epochs",
    "optimizer": "adamw",
    "weight_decay": 0.0,
    "grad_clip": 1.0,
    "lr_schedule": "constant",
    "temperature": 1.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "stop": (),
}


def test_the_defaults_are_the_minimalist_reference() -> None:
    dumped = RftSettings().model_dump()
    assert {name: dumped[name] for name in REFERENCE} == REFERENCE


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_documented(name: str) -> None:
    assert FIELDS[name].description
    assert len(FIELDS[name].description or "") > 15


@pytest.mark.parametrize("name", FIELDS)
def test_every_number_has_a_bound(name: str) -> None:
    info = FIELDS[name]
    numeric = {int, float} & {info.annotation, *get_args(info.annotation)}
    assert info.metadata or not numeric


@pytest.mark.parametrize("name", FIELDS)
def test_a_setting_of_levels_names_them_or_a_users_function(name: str) -> None:
    extra = FIELDS[name].json_schema_extra
    if isinstance(extra, dict) and "stage" in extra:
        assert name.split(".")[1] == extra["stage"]


def test_every_default_fulfils_its_own_bounds() -> None:
    assert RftSettings.model_validate(RftSettings().model_dump()) == RftSettings()


@pytest.mark.parametrize("written", ["01", 1, 1.0])
def test_reward_coding_may_be_written_without_quotes(written: Any) -> None:
    assert RftSettings(reward_coding=written).reward_coding == "01"


@pytest.mark.parametrize("written", [None, "none"])
def test_clipping_is_switched_off_by_null_or_by_name(written: Any) -> None:
    assert RftSettings(grad_clip=written).grad_clip is None


@pytest.mark.parametrize(
    "given",
    [
        {"rollouts": 0},
        {"rollouts": True},
        {"queries_per_round": 0},
        {"learning_rate": -1e-4},
        {"learning_rate": float("nan")},
        {"kl_coefficient": float("inf")},
        {"temperature": 0},
        {"grad_clip": 0},
        {"warmup_fraction": 1},
        {"train_items": 0},
        {"max_new_tokens": 0},
        {"threads": 0},
        {"reward_coding": 0},
        {"advantage": "grpo"},
        {"aggregation": None},
        {"budget": {"amount": 0}},
        {"budget": {"unit": "epochs"}},
        {"budget": {"rounds": 3}},
        {"evaluation": {"points": 0}},
        {"evaluation": {"intermediate_fraction": 0}},
        {"evaluation": {"temperature": 0.6}},
        {"rollout": 2},
        {"engine": "sglang"},
        {"top_p": 0},
        {"top_p": 1.1},
        {"top_k": -1},
        {"min_p": 1},
        {"stop": [""]},
        {"evaluation": {"stop": [""]}},
        {"vllm": {"gpu_memory_utilization": 1}},
    ],
    ids=str,
)
def test_values_out_of_bounds_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RftSettings.model_validate(given)


def test_no_learning_is_a_setting_too() -> None:
    assert RftSettings(learning_rate=0).learning_rate == 0.0


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        RftSettings().rollouts = 2


def test_dotted_names_reach_nested_settings() -> None:
    settings = RftSettings.from_dotted(
        {"budget.unit": "samples", "budget.amount": 640, "evaluation.points": 2, "rollouts": 4}
    )
    assert settings == RftSettings(
        budget=Budget(unit="samples", amount=640), evaluation=Evaluation(points=2), rollouts=4
    )


@pytest.mark.parametrize("name", ["budget.unti", "budgets.unit", "budget.unit.name"])
def test_unknown_dotted_names_are_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        RftSettings.from_dotted({name: "samples"})


def test_only_where_a_run_executes_stays_out_of_the_run_id() -> None:
    def declared(model: type[BaseModel]) -> set[str]:
        extras = {name: info.json_schema_extra for name, info in model.model_fields.items()}
        return {name for name, e in extras.items() if isinstance(e, dict) and e.get("execution")}

    assert declared(RftSettings) == {"device", "gpu_share", "threads", "vllm"}
    assert declared(Budget) | declared(Evaluation) == set()


@pytest.mark.parametrize(
    "name",
    [
        "advantage",
        "aggregation",
        "kl_place",
        "kl_estimator",
        "reward_coding",
        "optimizer",
        "lr_schedule",
        "engine",
    ],
)
def test_every_choice_documents_its_levels(name: str) -> None:
    info = RftSettings.model_fields[name]
    assert isinstance(info.json_schema_extra, dict)
    levels = info.json_schema_extra["levels"]
    assert isinstance(levels, dict)
    assert set(levels) == set(get_args(info.annotation) or levels_of(stage_of(name)))
    for level in levels.values():
        assert isinstance(level, dict)
        assert level["doc"]
        assert level["formula"]
        assert level["source"]
        assert isinstance(level["peers"], dict)
        assert set(level["peers"]) == {"TRL", "verl", "OpenRLHF"}


def stage_of(name: str) -> Any:
    extra = RftSettings.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return extra["stage"]


def test_the_json_schema_of_the_settings_can_be_made() -> None:
    schema = RftSettings.model_json_schema()
    assert schema["properties"]["advantage"]["levels"]["rloo"]["min_group"] == 2
