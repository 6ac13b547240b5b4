"""Programs that log with the tools that they have."""

from __future__ import annotations

import json

import pytest

WRITTEN = [(0, {"acc": 0.5}), (1, {"acc": 0.75})]
WRITERS = {
    "wandb": "import wandb\nrun = wandb.init(project='p', settings=wandb.Settings(console='off'))\n"
    "for step in (0, 1): run.log({'acc': 0.5 + step / 4}, step=step)\nrun.finish()",
    "tensorboard": "import os\nfrom torch.utils.tensorboard import SummaryWriter\n"
    "log = SummaryWriter(os.environ['ABLATEKIT_METRICS'])\n"
    "for step in (0, 1): log.add_scalar('acc', 0.5 + step / 4, step)\nlog.close()",
    "mlflow": "import mlflow\nwith mlflow.start_run():\n"
    "    for step in (0, 1): mlflow.log_metric('acc', 0.5 + step / 4, step=step)",
}
PLACES = {"mlflow": "mlflow.db"}


def test_the_state_of_a_trainer(tried):
    state = {"log_history": [{"step": 10, "loss": 2.0}, {"step": 20, "eval_acc": 0.75}]}
    script = f"""
import os
folder = os.environ["ABLATEKIT_METRICS"] + "/checkpoint-20"
os.makedirs(folder)
open(folder + "/trainer_state.json", "w").write({json.dumps(state)!r})
"""
    done = tried(script, **{"metrics.trainer_state": "out"})
    assert done.context.metrics == [(10, {"loss": 2.0}), (20, {"eval_acc": 0.75})]


@pytest.mark.full
@pytest.mark.parametrize("name", WRITERS)
def test_what_a_tracker_writes_is_read(tried, name):
    done = tried(WRITERS[name], **{f"metrics.{name}": PLACES.get(name, name)})
    assert done.context.metrics == WRITTEN
    assert done.result.metrics == {"acc": 0.75}
