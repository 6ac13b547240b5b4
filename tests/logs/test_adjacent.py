from __future__ import annotations

from pathlib import Path

import pytest

from ablatekit.logs.adjacent import configuration_beside, configuration_in_names


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (
            ["lr=0.1,opt=adam,seed=0", "lr=0.01,opt=sgd,seed=1"],
            [{"lr": 0.1, "opt": "adam", "seed": 0}, {"lr": 0.01, "opt": "sgd", "seed": 1}],
        ),
        (
            ["optimizer.lr=1e-4_seed=0", "optimizer.lr=3e-4_seed=0"],
            [{"optimizer.lr": "1e-4", "seed": 0}, {"optimizer.lr": "3e-4", "seed": 0}],
        ),
        (
            ["llama/lr0.1_seed0", "qwen/lr0.2_seed1"],
            [
                {"folder_1": "llama", "lr": 0.1, "seed": 0},
                {"folder_1": "qwen", "lr": 0.2, "seed": 1},
            ],
        ),
        (["grpo-1e-4", "grpo-3e-4"], [{"folder_2": "1e-4"}, {"folder_2": "3e-4"}]),
        (["a", "a-b"], [{}, {}]),
        ([], []),
    ],
)
def test_names_of_folders_tell_what_runs_were_given(
    names: list[str], told: list[dict[str, object]]
) -> None:
    assert configuration_in_names(names) == told


def test_the_configuration_of_a_model_is_none_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama", "hidden_size": 8}')
    (tmp_path / "args.json").write_text('{"optimizer": {"lr": 0.1}}')
    assert configuration_beside(tmp_path) == {"optimizer.lr": 0.1}


@pytest.mark.parametrize("text", ["[1, 2]", "{", ""])
def test_a_file_that_is_no_configuration_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.json").write_text(text)
    assert configuration_beside(tmp_path) == {}


def test_hydra_is_asked_first(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("lr: 0.5\n")
    (tmp_path / "config.yaml").write_text("lr: 0.1\n")
    assert configuration_beside(tmp_path) == {"lr": 0.5}
