"""Searches a grid with Optuna and keeps its storages: `python make_optuna.py FOLDER`.

Needs optuna >= 5, no network. The study `grid` (grid.db and grid.log alike) minimises a loss over
optimizer {sgd, adam} x layers {1, 2} x four seeds: adam has exactly .25 less than sgd, two layers
.1 less than one. Two more trials stand there: one that failed, one that was pruned. The study
`front` of grid.db has two objectives of opposite direction.
"""

import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

NOISE = (0.02, -0.02, 0.01, -0.01)


def loss(optimizer, layers, seed):
    return 1.0 - 0.25 * (optimizer == "adam") - 0.1 * (layers == 2) + NOISE[seed]


def grid(storage):
    space = {"optimizer": ["sgd", "adam"], "layers": [1, 2], "seed": [0, 1, 2, 3]}
    study = optuna.create_study(
        study_name="grid",
        storage=storage,
        direction="minimize",
        sampler=optuna.samplers.GridSampler(space, seed=1),
    )
    study.set_metric_names(["loss"])
    study.optimize(_objective)
    study.sampler = optuna.samplers.RandomSampler(seed=1)
    study.enqueue_trial({"optimizer": "sgd", "layers": 1, "seed": 0})
    failed = study.ask()
    _suggested(failed)
    study.tell(failed, state=optuna.trial.TrialState.FAIL)
    study.enqueue_trial({"optimizer": "adam", "layers": 2, "seed": 1})
    pruned = study.ask()
    _suggested(pruned)
    pruned.report(5.0, 1)
    study.tell(pruned, state=optuna.trial.TrialState.PRUNED)


def _suggested(trial):
    optimizer = trial.suggest_categorical("optimizer", ["sgd", "adam"])
    return optimizer, trial.suggest_int("layers", 1, 2), trial.suggest_int("seed", 0, 3)


def _objective(trial):
    chosen = _suggested(trial)
    trial.set_user_attr("host", "a")
    return loss(*chosen)


def front(storage):
    study = optuna.create_study(
        study_name="front", storage=storage, directions=["maximize", "minimize"]
    )
    for width in (8, 16):
        for seed in range(3):
            study.enqueue_trial({"width": width, "seed": seed})
            trial = study.ask()
            trial.suggest_categorical("width", [8, 16])
            trial.suggest_int("seed", 0, 2)
            study.tell(trial, [width / 20 + NOISE[seed], width * 2.0])


def main(folder):
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    database = f"sqlite:///{folder / 'grid.db'}"
    grid(database)
    front(database)
    grid(JournalStorage(JournalFileBackend(str(folder / "grid.log"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
