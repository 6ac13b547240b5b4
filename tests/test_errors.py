from __future__ import annotations

import pytest

from ablatekit.errors import LISTED, nearest

SETTINGS = ("rollouts", "queries_per_round", "kl_coefficient", "learning_rate")
ELSEWHERE = {
    "num_generations": "rollouts",
    "batch_size": "queries_per_round",
    "kl_coef": "kl_coefficient",
    "beta": "kl_coefficient",
    "seeds": "replicates",
}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("rolouts", "rollouts"),
        ("num_generations", "rollouts"),
        ("num-generations", "rollouts"),
        ("Num_Generation", "rollouts"),
        ("actor.kl_coef", "kl_coefficient"),
        ("--beta", "kl_coefficient"),
        ("batch_size", "queries_per_round"),
        ("rate", "learning_rate"),
    ],
)
def test_a_name_that_means_a_known_one_gets_that_alone(name: str, meant: str) -> None:
    assert nearest(name, SETTINGS, ELSEWHERE) == f"Did you mean {meant!r}?"


def test_another_name_of_what_is_not_there_is_no_match() -> None:
    assert nearest("seeds", SETTINGS, ELSEWHERE).startswith("Known: kl_coefficient")


def test_of_many_names_the_first_are_listed() -> None:
    names = [f"name{number:03}" for number in range(LISTED + 66)]
    told = nearest("?", names)
    assert told.count(",") == LISTED - 1
    assert told.endswith(" and 66 more")
    assert nearest("?", names[:LISTED]).count("more") == 0
    assert nearest("?", []) == "None is known"
