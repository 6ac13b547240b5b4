"""TRL's log lines by rft's names; a loss that is not finite is a divergence."""

from __future__ import annotations

import math
from typing import Any

import pytest
from ablatekit_rft.metrics import names as rft
from ablatekit_rft.metrics.specs import metric_specs
from ablatekit_trl.metrics import OF_TRL, reported, translated
from ablatekit_trl.settings import TrlSettings

LOGS = {name: float(place) for place, name in enumerate(OF_TRL)}


def test_names_and_units_are_rfts() -> None:
    settings = TrlSettings.from_dotted({"evaluation.samples": 4, "evaluation.pass_at": (2, 4)})
    known = {spec.name: spec for spec in metric_specs(settings.as_rft())}
    found = reported(settings)
    for spec in found:
        assert (spec.unit, spec.role, spec.partial) == (
            known[spec.name].unit,
            known[spec.name].role,
            known[spec.name].partial,
        )
    assert {rft.TRAIN_PASS, rft.TEST_PASS, rft.SAMPLES, "test/pass@4"} <= {
        spec.name for spec in found
    }


@pytest.mark.parametrize(
    ("chosen", "name"),
    [
        ({"kl_place": "loss"}, rft.KL_K3),
        ({"advantage": "rloo", "kl_place": "reward", "kl_estimator": "k1"}, rft.KL_K1),
    ],
)
def test_kl_has_the_name_of_its_estimator(chosen: dict[str, Any], name: str) -> None:
    settings = TrlSettings.from_dotted(chosen)
    assert translated(settings, {**LOGS, "kl": 0.5})[name] == 0.5
    assert name in {spec.name for spec in reported(settings)}


def test_a_log_line_is_translated() -> None:
    found = translated(TrlSettings(), {**LOGS, "epoch": 0.1, "step_time": 3.0})
    assert found == {name: LOGS[theirs] for theirs, name in OF_TRL.items()}


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_a_divergence(name: str, value: float) -> None:
    with pytest.raises(FloatingPointError, match=name):
        translated(TrlSettings(), {**LOGS, name: value})
