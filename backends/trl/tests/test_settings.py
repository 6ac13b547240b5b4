"""The settings are rft's by name, say what they are in TRL, and read as rft's."""

from __future__ import annotations

from typing import Any

import pytest
from ablatekit_rft.levels.registry import levels_of
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.settings.data import DataSettings
from ablatekit_rft.settings.protocol import ProtocolSettings
from ablatekit_trl.settings import LEVELS, TrlSettings

from ablatekit.errors import nearest
from ablatekit.study.settings import documented

SHARED_PARTS = DataSettings.model_fields.keys() | ProtocolSettings.model_fields.keys()
OURS = ("trainer", "gradient_accumulation")
"""Settings that rft has no need of."""
EXECUTION = ("gpu_share", "threads")


def test_every_setting_says_what_it_is_in_trl() -> None:
    fields = documented(TrlSettings).model_fields
    for name in fields.keys() - SHARED_PARTS - {"trainer", *EXECUTION}:
        assert "TRL:" in (fields[name].description or ""), name


def test_names_are_those_of_rft() -> None:
    assert TrlSettings.model_fields.keys() - RftSettings.model_fields.keys() == {*OURS}


def test_the_levels_are_rfts() -> None:
    for stage, names in LEVELS.items():
        assert set(names) <= set(levels_of(stage)), stage


@pytest.mark.parametrize(
    ("name", "value"),
    [("model", "tiny-neox"), ("few_shot", 2), ("temperature", 0.7), ("max_new_tokens", 5)],
)
def test_rft_reads_the_same_values(name: str, value: Any) -> None:
    settings = TrlSettings.from_dotted({name: value, "evaluation.test_items": 7})
    read = settings.as_rft()
    assert getattr(read, name) == value
    assert read.evaluation.test_items == 7
    assert read.engine == "policy"


@pytest.mark.parametrize(("unit", "amount", "rounds"), [("rounds", 5, 5), ("samples", 65, 3)])
def test_a_round_is_never_cut(unit: str, amount: int, rounds: int) -> None:
    chosen = {"budget.unit": unit, "budget.amount": amount, "rollouts": 4, "queries_per_round": 8}
    assert TrlSettings.from_dotted(chosen).rounds == rounds


def test_nothing_has_a_name() -> None:
    settings = TrlSettings.from_dotted(
        {"grad_clip": "none", "lora_rank": "none", "off_policy_mask": "none", "reward_coding": 1}
    )
    assert settings.grad_clip is settings.lora_rank is settings.off_policy_mask is None
    assert settings.reward_coding == "01"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("num_generations", "rollouts"),
        ("steps_per_generation", "minibatches"),
        ("gradient_accumulation_steps", "gradient_accumulation"),
        ("beta", "kl_coefficient"),
        ("scale_rewards", "advantage"),
        ("max_completion_length", "max_new_tokens"),
    ],
)
def test_trls_own_names_are_understood(theirs: str, ours: str) -> None:
    assert nearest(theirs, TrlSettings.model_fields, TrlSettings.other_names) == (
        f"Did you mean {ours!r}?"
    )
