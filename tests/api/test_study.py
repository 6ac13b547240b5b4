"""A study stated in Python is the study of its file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ablatekit
from ablatekit import Study
from ablatekit.errors import StudyError

STATED: dict[str, Any] = {
    "name": "stated",
    "backend": "simulated",
    "question": "Which: # matters, 'really'?",
    "settings": {"rounds": np.int64(4), "seed_sd": 0.01},
    "factors": {
        "helps_both": {"baseline": False, "levels": [False, True]},
        "dose": {"baseline": "none", "levels": np.array(["none", "high"])},
        "size": {"baseline": "q1", "levels": {"q1": {"batch": 1}, "q2": {"batch": 2}}},
    },
    "contexts": {"model": {"levels": {"1e-4": {"params": 1e-9}, "b": {"params": 3}}}},
    "replicates": 2,
    "responses": {"score": {"metric": "test/pass@1", "smallest_effect": 0.02}},
    "exclude": [{"dose": "high", "size": "q2"}],
    "analysis": {"interactions": 1},
    "tracking": {"uri": None},
}


def test_a_saved_study_is_the_same_study(tmp_path: Path) -> None:
    study = Study(**STATED)
    path = study.save(tmp_path / "study.yaml")
    assert study.save(path) == path
    assert path.read_text(encoding="utf-8") == study.to_yaml()
    stated, loaded = (ablatekit.plan(one, workspace=tmp_path) for one in (study, path))
    assert stated.hash == loaded.hash
    assert stated.runs.equals(loaded.runs)
    assert len(stated.cells) == 6
    loaded_study = ablatekit.load_study(path)
    assert study == loaded_study
    assert hash(study) == hash(loaded_study)
    assert study != Study(**{**STATED, "replicates": 7})
    assert study != path


def test_a_study_says_what_it_is() -> None:
    study = Study(**STATED)
    assert repr(study) == (
        "Study(stated: factors helps_both, dose, size; 2 replicates on simulated)"
    )
    assert (study.name, study.path) == ("stated", None)
    assert "# matters, &#39;really&#39;" in study._repr_html_()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"factors": {"dose": ["none", "high"]}}, "factors.dose: factors.dose must be a mapping"),
        ({"replicates": "2"}, 'replicates: replicates must be an integer; received "2"'),
        ({"analysis": {"alfa": 0.1}}, "analysis.alfa: unknown key"),
        ({"exclude": [{"dose": "low"}]}, "exclude[0].dose"),
        ({"settings": {"rounds": float("nan")}}, "backend.settings.rounds: float has no place"),
        ({"settings": {"rounds": object()}}, "backend.settings.rounds: object has no place"),
        ({"name": "../up"}, "name: name has another form"),
        ({"responses": ["learning"]}, "responses: responses must be a mapping"),
        ({"factors": {}}, "factors: factors must have at least 1 item"),
    ],
)
def test_mistakes_name_their_key(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError) as refused:
        Study(**{**STATED, **wrong})
    assert said in str(refused.value)


def test_mistakes_that_the_backend_finds_name_their_key(tmp_path: Path) -> None:
    study = Study(**{**STATED, "settings": {"rouns": 4}})
    with pytest.raises(StudyError) as refused:
        ablatekit.plan(study, workspace=tmp_path)
    assert str(refused.value).startswith(
        "backend.settings.rouns: unknown setting of backend 'simulated'"
    )
    assert "Did you mean 'rounds'" in str(refused.value)


def test_a_function_is_given_once() -> None:
    with pytest.raises(
        StudyError, match=r"backend\.settings\.function: the function is given twice"
    ):
        Study(**{**STATED, "backend": train, "settings": {"function": "train.py:train"}})


def test_another_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("mine\n", encoding="utf-8")
    with pytest.raises(StudyError, match="there is another file"):
        Study(**STATED).save(tmp_path / "study.yaml")
    with pytest.raises(StudyError, match="its folder does not exist"):
        Study(**STATED).save(tmp_path / "nowhere" / "study.yaml")


def test_a_file_is_loaded_with_overrides_and_its_lines(tmp_path: Path) -> None:
    path = Study(**STATED).save(tmp_path / "study.yaml")
    study = ablatekit.load_study(path, {"replicates": 3, "exclude": []})
    assert study.path == path
    assert len(ablatekit.plan(study, workspace=tmp_path).runs) == 8 * 2 * 3
    assert ablatekit.load_study(path, ["replicates=3"]).name == "stated"
    with pytest.raises(StudyError, match=r"--set replicates=three: replicates must be an integer"):
        ablatekit.load_study(path, {"replicates": "three"})


def train(settings: Any, seed: int) -> dict[str, float]:
    return {"accuracy": settings.lr + seed}


def test_a_function_is_named_as_the_study_sees_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Path(__file__)
    monkeypatch.chdir(here.parent)
    study = Study(
        name="own",
        backend=train,
        factors={"lr": {"baseline": 0.1, "levels": [0.1, 0.2]}},
        responses={
            "accuracy": "higher",
            "seconds": {"metric": "cost/seconds", "direction": "lower"},
        },
    )
    assert f'{{function: "{here.name}:train"}}' in study.to_yaml()
    text = study.save(tmp_path / "study.yaml").read_text(encoding="utf-8")
    assert f"{os.path.relpath(here, tmp_path)}:train" in text
    assert "accuracy: {metric: accuracy, direction: higher}" in text
    assert "seconds: {metric: cost/seconds, direction: lower}" in text
    plans = [ablatekit.plan(one, workspace=tmp_path) for one in (study, tmp_path / "study.yaml")]
    assert set(plans[0].runs["run"]) == set(plans[1].runs["run"])
