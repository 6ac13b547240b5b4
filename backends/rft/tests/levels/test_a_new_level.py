"""A new level takes one file: as a function that a study names, or as a module beside ours.

The file says what the level reads, needs and does; rules, plans and documentation follow.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from ablatekit_rft.backend import RftBackend
from ablatekit_rft.levels.registry import get_level
from ablatekit_rft.testing.level_suite import LevelSuite
from pydantic import ValidationError

from ablatekit.design.build import build_plan, study_backend
from ablatekit.design.plan import Plan
from ablatekit.errors import StudyError
from ablatekit.study.load import load_study

README = Path(__file__).parents[2] / "README.md"

MEDIAN = '''
"""Advantages against the median."""

from ablatekit_rft.levels.types import level


@level(
    "advantage",
    "median_baseline",
    formula="A_i = r_i - median_g(r)",
    source="a test",
    needs={"groups"},
    traits={"shift_invariant", "scale_equivariant", "centred", "within_query"},
    min_group=2,
)
def median_baseline(view):
    """The reward minus the median of its group."""
    baselines = view.rewards.clone()
    for query in range(int(view.group.max()) + 1):
        rows = view.group == query
        baselines[rows] = view.rewards[rows].median()
    return view.rewards - baselines


LEVELS = (median_baseline,)
'''

STUDY = """
version: 1
name: medians
question: Does a median teach as well as a mean?
backend:
  name: rft
  settings:
    model: tiny-llama
    budget: {{unit: rounds, amount: 4}}
    rollouts: {rollouts}
    queries_per_round: 8
    train_items: 32
    advantage: {advantage}
    evaluation: {{points: 1, probe_items: 32, test_items: 8}}
factors:
  reward_coding: {{baseline: "01", levels: ["01", neg, pm1]}}
  advantage_eps: {{baseline: 1e-8, levels: [1e-8, 1e-4]}}
replicates: 2
responses:
  learning: {{metric: train/pass@1, smallest_effect: 0.1, items: train}}
"""

PRINTED = """
import ablatekit_rft.levels.advantage as package
package.__path__.append({folder!r})
from pathlib import Path
from ablatekit.design.build import build_plan, study_backend
from ablatekit.study.load import load_study
from ablatekit_rft.document import factors_page
loaded = load_study(Path({study!r}))
plan = build_plan(loaded, study_backend(loaded))
print(len({{cell.unit for cell in plan.cells}}), plan.warnings)
print(factors_page())
"""


def planned(folder: Path, advantage: str, rollouts: int = 4) -> Plan:
    (folder / "study.yaml").write_text(STUDY.format(advantage=advantage, rollouts=rollouts))
    loaded = load_study(folder / "study.yaml")
    return build_plan(loaded, study_backend(loaded))


def merged_codings(plan: Plan) -> set[frozenset[str]]:
    """The codings of cells that are one unit."""
    return {frozenset(cell.levels["reward_coding"] for cell in cells) for cells in plan.merged}


def test_a_level_that_a_study_names_takes_part_in_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("median.py").write_text(MEDIAN)
    plan = planned(tmp_path, "median.py:median_baseline")
    # neg is 01, pm1 is itself, and there is no eps to read.
    assert merged_codings(plan) == {frozenset({"01", "neg"}), frozenset({"pm1"})}
    assert sorted(len(cells) for cells in plan.merged) == [2, 4]
    assert any(warning.startswith("doubled_reward: ") for warning in plan.warnings)
    with pytest.raises(StudyError, match="a group advantage compares rollouts of one query"):
        planned(tmp_path, "median.py:median_baseline", rollouts=1)


def test_without_a_trait_nothing_is_merged_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain function: what it reads is in its signature, what it does is not."""
    monkeypatch.chdir(tmp_path)
    Path("plain.py").write_text("def less(view, *, advantage_eps):\n    return view.rewards - 1\n")
    plan = planned(tmp_path, "plain.py:less")
    assert plan.merged == ()
    assert not any("doubled_reward" in warning for warning in plan.warnings)


def test_the_level_is_what_it_claims(tmp_path: Path) -> None:
    (tmp_path / "median.py").write_text(MEDIAN)
    level = get_level("advantage", f"{tmp_path / 'median.py'}:median_baseline")
    suite = LevelSuite()
    suite.test_its_traits_are_what_it_does(level)
    suite.test_it_changes_nothing_that_it_is_given(level)
    suite.test_what_it_gives_has_the_shape_of_its_stage(level)


def test_the_levels_that_the_readme_shows_pass_the_suite(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    names = []
    for block in blocks:
        named = re.search(r"^@level.*^def (\w+)", block, re.DOTALL | re.MULTILINE)
        if named:
            (tmp_path / f"{named[1]}.py").write_text(block)
            shown = get_level("advantage", f"{tmp_path / named[1]}.py:{named[1]}")
            LevelSuite().test_its_traits_are_what_it_does(shown)
            names.append(named[1])
    assert names == ["median_baseline", "halved"]


def test_a_module_beside_ours_is_planned_and_listed(tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "median.py").write_text(MEDIAN)
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.format(advantage="median_baseline", rollouts=4))
    code = PRINTED.format(folder=str(modules), study=str(study))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    first, page = done.stdout.split("\n", 1)
    assert first.startswith("2 ")
    assert "doubled_reward" in first
    assert "| `median_baseline` | A_i = r_i - median_g(r) |" in page
    listed = [line for line in page.splitlines() if line.startswith("| group_of_one |")]
    assert "median_baseline" in listed[0]


def _refusal(advantage: str) -> str:
    """What is wrong with a level, and what to do about it."""
    with pytest.raises(ValidationError) as refused:
        RftBackend.settings(advantage=advantage)
    (details,) = refused.value.errors()
    return f"{details['msg']}. {details.get('ctx', {}).get('remedy', '')}"


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        ("view, settings", r"own\.py:2: a level of advantage takes its settings by keyword"),
        ("view, settings", r"Write `def halved\(view\)`.*`def halved\(view, \*, advantage_eps\)`"),
        ("view, **settings", "takes its settings by keyword"),
        (
            "view, *, advantage_epsilon",
            "'advantage_epsilon' by keyword: no such setting. Did you mean 'advantage_eps'",
        ),
    ],
)
def test_another_signature_gets_one_message_with_the_right_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signature: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(f"\ndef halved({signature}):\n    return view.rewards / 2\n")
    assert re.search(said, _refusal("own.py:halved"))
    with pytest.raises(StudyError) as refused:
        planned(tmp_path, "own.py:halved")
    assert len(refused.value.problems) == 1


def test_a_trait_of_another_stage_is_refused_with_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("median.py").write_text(MEDIAN.replace('"shift_invariant"', '"shift_invarient"'))
    told = _refusal("median.py:median_baseline")
    assert re.search(r"median\.py:.*Did you mean 'shift_invariant'", told)
