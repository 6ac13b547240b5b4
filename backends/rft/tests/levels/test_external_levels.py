"""Levels of others: a package's and a user's, from the command line to the report."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.content import check_sources
from ablatekit_rft.levels.external import installed_levels, level_hash
from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.run.build import train
from ablatekit_rft.settings import RftSettings
from ablatekit_rft.traits.measures import check_claims
from pydantic import ValidationError

from ablatekit.errors import PluginError, UsageError
from ablatekit.runs.records import RunSpec

PACKAGE = '''
from ablatekit_rft.levels.types import level


@level(
    "advantage",
    "halved",
    formula="A_i = r_i / 2",
    source="a package of this test",
    peers={"TRL": "none", "verl": "none", "OpenRLHF": "none"},
)
def halved(view):
    """Half of the reward."""
    return view.rewards / 2
'''

STUDY = """
version: 1
name: others
question: Does half the reward teach as much?
backend:
  name: rft
  settings:
    model: tiny-llama
    budget: {unit: rounds, amount: 4}
    queries_per_round: 8
    train_items: 32
    learning_rate: 3e-4
    evaluation: {points: 1, probe_items: 32, test_items: 8}
factors:
  advantage: {baseline: none, levels: [none, halved, "OWN"]}
replicates: 2
responses:
  learning: {metric: train/pass@1, smallest_effect: 0.1, items: train}
"""

OWN = '''
def quartered(view):
    """A quarter of the reward."""
    return view.rewards / 4
'''


def install(folder: Path) -> Path:
    """A package as an installer leaves it: a module, and metadata with its entry point."""
    (folder / "half_levels.py").write_text(PACKAGE)
    metadata = folder / "half_levels-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: half-levels\nVersion: 1.0\n")
    entry = "[ablatekit.factors]\nhalf = half_levels:halved\n"
    (metadata / "entry_points.txt").write_text(entry)
    return folder


def ablatekit(folder: Path, *arguments: str, status: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from ablatekit.cli.main import main; main()", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "study.yaml").write_text(STUDY.replace("OWN", "own.py:quartered"))
    return install(tmp_path)


def test_levels_of_others_are_listed_planned_run_and_reported(workplace: Path) -> None:
    shown = ablatekit(workplace, "factor", "show", "advantage", "--backend", "rft")
    assert "A_i = r_i / 2" in shown
    listed = json.loads(ablatekit(workplace, "factor", "list", "--backend", "rft", "--json"))
    advantage = next(row for row in listed if row["name"] == "advantage")
    assert advantage["allowed"].endswith("halved | module:function")
    assert advantage["levels"]["halved"]["source"] == "a package of this test"
    assert "valid" in ablatekit(workplace, "study", "validate", "study.yaml").lower()
    ablatekit(workplace, "study", "run", "study.yaml", "--workspace", "out")
    report = next((workplace / "out").rglob("report.md")).read_text()
    assert "halved" in report
    assert "quartered" in report


def content_of(folder: Path, name: str) -> str:
    code = f"""
from ablatekit_rft.backend import RftBackend
print(RftBackend().content({{"advantage": {name!r}}})["advantage"])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_the_source_of_a_level_is_part_of_the_runs_identity(workplace: Path) -> None:
    first = content_of(workplace, "halved"), content_of(workplace, "own.py:quartered")
    (workplace / "half_levels.py").write_text(PACKAGE.replace("rewards / 2", "rewards / 3"))
    (workplace / "own.py").write_text(OWN.replace("/ 4", "/ 5"))
    second = content_of(workplace, "halved"), content_of(workplace, "own.py:quartered")
    assert len({*first, *second}) == 4


def test_an_unknown_name_is_refused_with_the_nearest_of_all(workplace: Path) -> None:
    (workplace / "study.yaml").write_text(STUDY.replace('"OWN"', "halvd"))
    said = ablatekit(workplace, "study", "validate", "study.yaml", status=2)
    assert "Did you mean 'halved'" in said
    assert "study.yaml:" in said


def test_a_package_that_takes_our_name_is_refused(workplace: Path) -> None:
    (workplace / "half_levels.py").write_text(PACKAGE.replace('"halved"', '"group_norm"'))
    said = ablatekit(workplace, "study", "validate", "study.yaml", status=2)
    assert "offered twice; received 'group_norm' of ablatekit-rft, half-levels" in said
    assert "Traceback" not in said


def test_a_package_that_cannot_be_imported_is_named(workplace: Path) -> None:
    (workplace / "half_levels.py").write_text("import no_such_module")
    said = ablatekit(workplace, "study", "validate", "study.yaml", status=2)
    assert "half-levels" in said
    assert "no_such_module" in said
    assert "Traceback" not in said


def test_a_package_with_another_signature_gets_one_message_with_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path)
    (tmp_path / "half_levels.py").write_text(PACKAGE.replace("(view)", "(view, settings)"))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "half_levels", raising=False)
    with pytest.raises(PluginError, match=r"half_levels\.py:\d+.*Write `def halved\(view\)`"):
        installed_levels.__wrapped__()
    monkeypatch.delitem(sys.modules, "half_levels")


def own_level(folder: Path, text: str, name: str = "own.py") -> str:
    (folder / name).write_text(text)
    return f"{folder / name}:quartered"


def test_our_levels_are_no_content_and_a_users_are(tmp_path: Path) -> None:
    reference = own_level(tmp_path, OWN)
    backend = RftBackend()
    assert set(backend.content({"advantage": "group_norm"})) == {"model", "dataset"}
    found = backend.content({"advantage": reference})
    assert set(found) == {"model", "dataset", "advantage"}
    same = own_level(tmp_path, OWN, "moved.py")
    assert level_hash(get_level("advantage", same)) == found["advantage"]


def test_a_source_that_changed_after_planning_stops_the_run(tmp_path: Path) -> None:
    reference = own_level(tmp_path, OWN)
    settings = RftSettings(advantage=reference)
    planned = RftBackend().content({"advantage": reference})
    check_sources(settings, planned)
    own_level(tmp_path, OWN.replace("/ 4", "/ 8"))
    with pytest.raises(UsageError, match="source of a level or of the verifier has changed"):
        check_sources(settings, planned)


CLAIMING = '''
from ablatekit_rft.levels.types import level


@level("advantage", "mine", formula="A_i = CODE", source="here", traits={"shift_invariant"})
def mine(view):
    """Mine."""
    return CODE
'''


@pytest.mark.parametrize(
    ("code", "is_true"), [("view.rewards", False), ("view.rewards - view.rewards.mean()", True)]
)
def test_a_trait_that_a_users_level_claims_is_measured_before_it_trains(
    tmp_path: Path, code: str, is_true: bool
) -> None:
    (tmp_path / "claiming.py").write_text(CLAIMING.replace("CODE", code), encoding="utf-8")
    run = RunSpec(
        backend="rft",
        results_version=2,
        settings={"advantage": f"{tmp_path / 'claiming.py'}:mine"},
        context={},
        content={},
        replicate=0,
    )
    if is_true:
        check_claims(RftSettings.from_dotted(run.settings))
        return
    with pytest.raises(UsageError, match=r"has the traits that it claims.*shift_invariant") as held:
        train(run, None)  # type: ignore[arg-type]
    (problem,) = held.value.problems
    assert problem.where is not None
    assert problem.where.file.endswith("claiming.py")


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (OWN, "own.py:quarter", "quartered"),
        ("quartered = 3", "own.py:quartered", "a level is a function"),
        ("import no_such_module", "own.py:quartered", "no_such_module"),
        ("def quartered(:", "own.py:quartered", "cannot import"),
        ("\nquartered = undefined", "own.py:quartered", r"own\.py:2: cannot import.*NameError"),
        ("import sys\nsys.exit(0)", "own.py:quartered", r"own\.py:2: cannot import.*SystemExit"),
        ("x = 1\ndef quartered(:", "own.py:quartered", r"own\.py:2: cannot import.*SyntaxError"),
        ("import json\njson.loads('{')", "own.py:quartered", r"own\.py:2: .*JSONDecodeError"),
        (OWN, "other.py:quartered", "no such file"),
        (OWN, "no_such_package:quartered", "cannot import"),
    ],
)
def test_what_is_no_level_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(text)
    with pytest.raises(ValidationError) as refused:
        RftSettings(advantage=name)
    (details,) = refused.value.errors()
    assert re.search(said, f"{details['msg']}. {details['ctx']['remedy']}")


def test_a_module_that_exits_while_a_study_is_planned_ends_nothing_in_silence(
    workplace: Path,
) -> None:
    (workplace / "own.py").write_text("import sys\n\nsys.exit(0)\n")
    said = ablatekit(workplace, "study", "plan", "study.yaml", status=2)
    assert "own.py:3: cannot import" in said
    assert "Traceback" not in said


def test_a_level_of_another_stage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(PACKAGE)
    reference = f"{tmp_path / 'own.py'}:halved"
    assert RftSettings(advantage=reference).advantage == reference
    with pytest.raises(ValidationError, match="a level of advantage, not of reward_coding"):
        RftSettings(reward_coding=reference)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("view.rewards.numpy()", r"numpy\.ndarray of shape \(8,\)"),
        ("view.rewards.mean()", r"torch\.Tensor of shape \(\)"),
        ("view.rewards[1:]", r"torch\.Tensor of shape \(7,\)"),
        ("view.rewards[:, None].repeat(1, 99)", r"torch\.Tensor of shape \(8, 99\)"),
        ("view.rewards / 0", r"torch\.Tensor of shape \(8,\), not finite"),
        ("None", "NoneType None"),
    ],
)
def test_what_a_level_must_not_give_is_refused(
    train_toy: Any, make_context: Any, make_settings: Any, tmp_path: Path, given: str, said: str
) -> None:
    named = own_level(tmp_path, f"def quartered(view):\n    return {given}\n")
    wanted = rf"quartered' must give a finite torch tensor of shape \(8,\) or \(8, \d\).*{said}"
    with pytest.raises(UsageError, match=wanted):
        train_toy(make_settings(advantage=named), make_context())


def test_rewards_of_another_shape_are_refused(
    train_toy: Any, make_context: Any, make_settings: Any, tmp_path: Path
) -> None:
    named = own_level(tmp_path, "def quartered(outcome):\n    return outcome[0]\n")
    with pytest.raises(UsageError, match=r"reward_coding level .*quartered' must give.*\(\)"):
        train_toy(make_settings(reward_coding=named), make_context())


def test_a_users_function_trains(
    train_toy: Any, make_context: Any, make_settings: Any, tmp_path: Path
) -> None:
    import torch

    settings = make_settings(advantage=own_level(tmp_path, OWN), optimizer="sgd", grad_clip=None)
    quarter = {"advantage": "none", "optimizer": "sgd", "grad_clip": None}
    own = train_toy(settings, make_context(folder="own"))[1]
    ours = train_toy(
        make_settings(**quarter, learning_rate=make_settings().learning_rate / 4),
        make_context(folder="ours"),
    )[1]
    for left, right in zip(own.parameters(), ours.parameters(), strict=True):
        assert torch.allclose(left, right, rtol=1e-5, atol=1e-7)
