from __future__ import annotations

import numpy as np
import pytest

from ablatekit.runs.seeds import Seeds
from ablatekit.testing.backend_suite import MemoryContext
from ablatekit.testing.simulated import SimulatedBackend, item_chances, planted_means
from ablatekit.testing.specs import run_spec

BACKEND = SimulatedBackend()


@pytest.fixture
def final_scores(tmp_path):
    """Final (train, test) Pass@1 of replicates (replicates, 2)."""

    def run(replicates, **settings):
        scores = []
        for replicate in range(replicates):
            spec = run_spec(BACKEND, settings, {"model": "m", "dataset": "d"}, replicate)
            folder = tmp_path / spec.run_id
            folder.mkdir()
            context = MemoryContext(Seeds(spec.run_id, spec.context_id), folder, folder)
            metrics = BACKEND.run(spec, context).metrics
            scores.append([metrics["train/pass@1"], metrics["test/pass@1"]])
        return np.array(scores)

    return run


@pytest.mark.parametrize(
    ("switches", "learning", "generalization"),
    [
        ({"helps_both": True}, 0.08, 0.08),
        ({"helps_learning_only": True}, 0.08, 0.0),
        ({"hurts_generalization": True}, 0.0, -0.08),
        ({"null": True}, 0.0, 0.0),
        ({"interacts_a": True}, 0.0, 0.0),
        ({"interacts_a": True, "interacts_b": True}, 0.08, 0.08),
        ({"dose": "low"}, 0.04, 0.04),
        ({"dose": "high"}, 0.08, 0.08),
        ({"dose": "zero"}, 0.0, 0.0),
    ],
)
def test_planted_means_differ_by_the_planted_effects(switches, learning, generalization):
    baseline, cell = planted_means({}), planted_means(switches)
    assert cell.learning - baseline.learning == pytest.approx(learning)
    assert cell.generalization - baseline.generalization == pytest.approx(generalization)


def test_models_differ_in_the_effect_that_varies_and_in_no_other():
    models = [f"model-{number}" for number in range(40)]

    def effects(switch):
        return np.array(
            [
                planted_means({"model": model, switch: True}).learning
                - planted_means({"model": model}).learning
                for model in models
            ]
        )

    assert np.ptp(effects("helps_both")) < 1e-12
    assert np.std(effects("varies_by_model"), ddof=1) == pytest.approx(0.04, rel=0.4)
    assert np.mean(effects("varies_by_model")) == pytest.approx(0.08, abs=3 * 0.04 / np.sqrt(40))


def test_runs_have_the_planted_mean_and_the_planted_spread(final_scores):
    settings = {"helps_learning_only": True, "rounds": 4, "evaluate_every": 4}
    scores = final_scores(200, **settings)
    truth = planted_means({**settings, "model": "m", "dataset": "d"})
    error = 4 * 0.02 / np.sqrt(200)
    assert np.mean(scores, axis=0) == pytest.approx(
        [truth.learning, truth.generalization], abs=error
    )
    assert np.std(scores, axis=0, ddof=1) == pytest.approx([0.02, 0.02], rel=0.25)


def test_item_outcomes_have_the_mean_of_the_run(final_scores):
    exact = final_scores(1, rounds=2, seed_sd=0.0)
    on_items = final_scores(1, rounds=2, seed_sd=0.0, items=2000)
    assert on_items == pytest.approx(exact, abs=4 * 0.5 / np.sqrt(2000))


@pytest.mark.parametrize("mean", [0.01, 0.3, 0.97])
def test_item_chances_average_to_the_mean(mean):
    difficulty = np.random.default_rng(1).standard_normal(500)
    assert np.mean(item_chances(mean, difficulty)) == pytest.approx(mean, abs=1e-9)


def test_a_diverged_run_keeps_its_last_valid_scores(tmp_path):
    spec = run_spec(BACKEND, {"diverge_rate": 1.0, "rounds": 50}, {"model": "m"})
    context = MemoryContext(Seeds(spec.run_id, spec.context_id), tmp_path, tmp_path)
    result = BACKEND.run(spec, context)
    assert result.status == "diverged"
    assert "NaN in round" in result.message
    assert context.metrics[-1][1] == result.metrics


def test_where_a_run_executes_is_no_part_of_its_identity():
    calm = run_spec(BACKEND, {}, {"model": "m"})
    harsh = run_spec(BACKEND, {"crash_rate": 0.5, "sleep": 1.0}, {"model": "m"})
    assert harsh.run_id == calm.run_id
    assert harsh.execution["crash_rate"] == 0.5
