"""What the documents show works: the README's program, and the recipes without their trainers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ablatekit_command.backend import CommandBackend
from ablatekit_command.invocation import RUN_NAMES, invocation
from ablatekit_command.settings import CommandSettings, parameters

from ablatekit.design.build import build_plan
from ablatekit.study.load import load_study, parse_study
from ablatekit.study.settings import setting_fields

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN = {"seed": 1, "context_seed": 2, "replicate": 0, "run_id": "i", "run_dir": "/run",
       "checkpoint_dir": "/checkpoint"}  # fmt: skip


def _block(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert match is not None
    return match[1]


def test_the_program_of_the_readme_is_a_study(tmp_path, context):
    (tmp_path / "train.py").write_text(_block("python"), encoding="utf-8")
    plan = build_plan(parse_study(_block("yaml"), tmp_path / "study.yaml"), CommandBackend())
    assert len(plan.runs) == 4 * plan.replicates
    assert plan.warnings == ()
    result = CommandBackend().run(plan.runs[0].spec, context())
    assert result.status == "finished"
    assert set(result.metrics) == {"loss", "test/accuracy"}


def test_every_setting_and_placeholder_is_in_the_readme():
    settings = {name.partition(".")[0] for name in setting_fields(CommandSettings)}
    assert not [name for name in settings if f"`{name}" not in README]
    formats = setting_fields(CommandSettings)
    assert not [name for name in formats if name.rpartition(".")[2] not in README]
    assert not [name for name in RUN_NAMES if f"{{{name}}}" not in README]


def _invocations(name):
    loaded = load_study(ROOT / "recipes" / f"{name}.yaml")
    plan = build_plan(loaded, CommandBackend())
    for run in plan.runs:
        given = {**run.spec.settings, **run.spec.execution}
        settings = CommandSettings.from_dotted(given)
        yield plan, invocation(settings, parameters(given), RUN, resumed=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("verl", ["-m", "verl.trainer.main_ppo", "algorithm.adv_estimator=rloo", "data.seed=1",
                  "actor_rollout_ref.actor.optim.lr=3e-6", "trainer.resume_mode=auto",
                  "trainer.default_local_dir=/checkpoint"]),
        ("openrlhf", ["--algo.advantage.estimator", "dr_grpo", "--algo.kl.use_loss", "--train.seed",
                      "--algo.advantage.no_std_norm", "--ckpt.load_enable", "/run/tensorboard"]),
        ("prime_rl", ["uv", "@", "/run/study.toml", "--resume"]),
    ],
)  # fmt: skip
def test_a_recipe_plans_without_its_trainer(name, words):
    seen = list(_invocations(name))
    plan = seen[0][0]
    said = {word for _, made in seen for word in made.arguments}
    assert set(words) <= said
    assert not [word for word in said if re.search(r"\{[a-z_]+\}", word)]
    assert len({(*made.arguments, made.config_text) for _, made in seen}) == len(plan.cells)
    assert any("on this machine" in warning for warning in plan.warnings)


def test_the_overlay_of_prime_rl_holds_what_varies():
    texts = {made.config_text for _, made in _invocations("prime_rl")}
    assert all('path = "/run/metrics.jsonl"' in text for text in texts)
    assert any("max_off_policy_steps = 1\n" in text and 'type = "max_rl"' in text for text in texts)
