"""What a program's end means, what comes back from it, and how it is stopped and continued."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest
from ablatekit_command.backend import CommandBackend
from ablatekit_command.follow import Follower

from ablatekit.errors import RunFailedError, RunInterruptedError, UsageError
from ablatekit.logs.base import LoggedRun
from ablatekit.runs.records import MetricEvent

LOG = "import json, os\nlog = open(os.environ['ABLATEKIT_METRICS'], 'w')\n"


def log(*rows: dict[str, object]) -> str:
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    return f"{LOG}log.write({lines!r})\nlog.flush()\n"


def test_metrics_items_and_the_environment_come_through(tried, capfd):
    script = f"""{log({"step": 1, "acc": 0.5}, {"step": 2, "acc": 0.75})}
print("rate", os.environ["RATE"], os.environ["ABLATEKIT_REPLICATE"], os.getcwd())
with open(os.environ["ABLATEKIT_ITEMS"], "w") as stream:
    stream.write("split,item,outcome\\ntest,x,1\\ntest,y,0\\n")
"""
    done = tried(script, lr=0.5, env={"RATE": "{lr}"}, items="items.csv")
    assert done.result.status == "finished"
    assert done.result.metrics == {"acc": 0.75}
    assert done.context.metrics == [(1, {"acc": 0.5}), (2, {"acc": 0.75})]
    step, table = done.context.items[0]
    assert step == 2
    assert table["item"] == ["x", "y"]
    assert table["outcome"] == [1.0, 0.0]
    assert "rate 0.5 1 " in capfd.readouterr().out


def test_values_never_split_and_reach_no_shell(tried, folder):
    script = f"{log({'acc': 1})}import sys; open('seen.json', 'w').write(json.dumps(sys.argv[1:]))"
    text = "two words; rm -rf $HOME '\""
    tried(script, command="python script.py --name {name} {arguments} {overrides}", name=text,
          layers=[1, 2], flag=True, absent=None)  # fmt: skip
    seen = json.loads((folder / "seen.json").read_text())
    assert seen[:2] == ["--name", text]
    assert seen[2:7] == ["--layers", "1", "2", "--flag", "true"]
    assert seen[7:] == ["layers=[1,2]", "flag=true", "absent=null"]


def test_overrides_are_quoted_as_hydra_reads_them_and_lists_are_arguments(tried, folder):
    script = f"{log({'acc': 1})}import sys; open('seen.json', 'w').write(json.dumps(sys.argv[1:]))"
    tried(script, command="python script.py {flags} {none} {overrides}", flags=["--a", "--b"],
          none=[], text="it's, so", path="a/b.c")  # fmt: skip
    seen = json.loads((folder / "seen.json").read_text())
    assert seen == ["--a", "--b", "text='it\\'s, so'", "path=a/b.c"]


@pytest.mark.parametrize("name", ["made.yaml", "made.json", "made.toml"])
def test_a_config_file_holds_nested_parameters_and_more(tried, folder, name):
    script = f"{log({'acc': 1})}import sys, shutil; shutil.copy(sys.argv[1], {str(folder)!r})"
    config = {
        "config.file": name,
        "config.values": {"seed": "{seed}", "optim": {"out": "{run_dir}/x"}},
    }
    tried(script, command="python script.py {config}", **{"optim.lr": 1e-5, "optim.name": "a'b"},
          layers=[1, 2], **config)  # fmt: skip
    import tomllib

    import yaml

    readers = {".yaml": yaml.safe_load, ".json": json.loads, ".toml": tomllib.loads}
    made = readers[Path(name).suffix]((folder / name).read_text())
    assert made["optim"].pop("out").endswith("/x")
    assert made["optim"] == {"lr": 1e-5, "name": "a'b"}
    assert made["layers"] == [1, 2]
    assert isinstance(made["seed"], int)


def test_a_template_keeps_its_own_braces(tried, folder):
    (folder / "t.json").write_text('{"lr": {lr}, "deep": {"a": {"b": {n}}}, "x": "{{lr}}"}')
    script = f"{log({'acc': 1})}import sys, shutil; shutil.copy(sys.argv[1], 'made.json')"
    tried(script, command="python script.py {config}", lr=0.5, n=3,
          **{"config.template": str(folder / "t.json")})  # fmt: skip
    made = json.loads((folder / "made.json").read_text())
    assert made == {"lr": 0.5, "deep": {"a": {"b": 3}}, "x": "{lr}"}


def test_printed_metrics_are_found_by_a_pattern(tried):
    pattern = r"step (?P<step>\d+) loss=(?P<loss>\S+)"
    script = "for step in (1, 2): print(f'step {step} loss={1 / step}, fine')"
    done = tried(script, **{"metrics.stdout_regex": pattern})
    assert done.context.metrics == [(1, {"loss": 1.0}), (2, {"loss": 0.5})]


def test_a_table_of_metrics(tried):
    script = (
        "import os\nopen(os.environ['ABLATEKIT_METRICS'], 'w').write('epoch,acc\\n0,.5\\n1,.75\\n')"
    )
    done = tried(script, **{"metrics.csv": "logs/table.csv"})
    assert done.context.metrics == [(0, {"acc": 0.5}), (1, {"acc": 0.75})]


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("raise SystemExit(3)", "exit code 3; it said last: hello"),
        ("raise ValueError('bad lr')", "exit code 1; it said last: ValueError: bad lr"),
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", "killed by SIGKILL, as the system"),
        ("os.killpg(0, 9)", "killed by SIGKILL"),
        ("import signal; os.kill(os.getpid(), signal.SIGSEGV)", "killed by SIGSEGV"),
        ("os._exit(137)", "killed by SIGKILL"),
        ("raise SystemExit('CUDA out of memory.')", r"exit code 1 \(out of memory\)"),
    ],
)
def test_a_program_that_fails_says_how(tried, end, told):
    script = f"{log({'acc': 1})}print('hello', flush=True)\n{end}"
    with pytest.raises(RunFailedError, match=told):
        tried(script)


@pytest.mark.parametrize(
    ("rows", "settings", "code", "why"),
    [
        ([{"step": 1, "loss": 2}, {"step": 2, "loss": math.nan}], {}, 0, "loss ended as nan"),
        ([{"step": 1, "loss": 2}, {"step": 2, "loss": math.inf}], {}, 1, "loss ended as inf"),
        ([{"step": 1, "loss": 2}], {"exit_codes.diverged": [7]}, 7, "exit code 7"),
    ],
)
def test_a_diverged_run_is_a_result_with_its_last_valid_metrics(tried, rows, settings, code, why):
    done = tried(f"{log(*rows)}raise SystemExit({code})", **settings)
    assert done.result.status == "diverged"
    assert why in done.result.message
    assert done.result.metrics == {"loss": 2.0}


def test_a_declared_condition_stops_the_program(tried):
    script = f"{log({'step': 1, 'loss': 2}, {'step': 2, 'loss': 500}, {'step': 3, 'loss': 1})}"
    done = tried(f"{script}import time; time.sleep(60)", diverged=["loss > 100"])
    assert done.result.status == "diverged"
    assert done.result.message == "loss > 100 at step 2"


def test_what_may_be_nan_is_no_divergence(tried):
    done = tried(log({"step": 1, "acc": 1, "val/f1": math.nan}), may_be_nan=["val/*"])
    assert done.result.status == "finished"
    assert done.result.metrics == {"acc": 1.0}


def test_without_a_metric_it_says_what_was_looked_for_and_what_was_there(tried):
    script = "import os; open(os.environ['ABLATEKIT_RUN_DIR'] + '/other.txt', 'w')"
    told = r"looked for jsonl at .*metrics\.jsonl, there is other\.txt in .*ABLATEKIT_METRICS"
    with pytest.raises(RunFailedError, match=told):
        tried(script)
    fixed = "open('metrics.jsonl', 'w').write('{}')"
    with pytest.raises(RunFailedError, match=r"study/metrics\.jsonl is there, .*cwd: '\{run"):
        tried(fixed)
    with pytest.raises(RunFailedError, match=r"its last line was 'loss: 3'"):
        tried("print('loss: 3')", **{"metrics.stdout_regex": r"loss=(?P<loss>\S+)"})
    with pytest.raises(RunFailedError, match=r"metrics cannot be read: .*jsonl:1: .*no JSON"):
        tried(f"{LOG}log.write('loss 3\\n')")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("split,item\ntest,1\n", "lack outcome"),
        (
            "split,item,outcome\ntest,1,high\n",
            "outcome is no finite number; received 'high' in row 1",
        ),
        ("split,item,outcome\ntest,1,1\ntest,1,0\n", "item x sample is there twice"),
        ("", "cannot be read"),
    ],
)
def test_items_that_are_none_fail_the_run(tried, text, told):
    script = f"{log({'acc': 1})}open(os.environ['ABLATEKIT_ITEMS'], 'w').write({text!r})"
    with pytest.raises(RunFailedError, match=told):
        tried(script, items="items.csv")


def test_declared_items_that_are_not_written_fail_the_run(tried):
    with pytest.raises(RunFailedError, match="wrote no items to"):
        tried(log({"acc": 1}), items="items.jsonl")


def test_a_program_that_is_not_there_is_refused_not_retried(tried):
    with pytest.raises(UsageError, match=r"there is no program 'no-such-program'"):
        tried(command="no-such-program {seed}", program_checked="run")


def test_another_interpreter(tried, folder):
    wrapper = folder / "own-python"
    wrapper.write_text(f'#!/bin/sh\nOWN=1 exec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    script = f"{log({'acc': 1})}assert os.environ['OWN'] == '1'"
    assert tried(script, python=str(wrapper)).result.status == "finished"


RESUMABLE = """
import json, os, signal, sys, time
place = os.environ["ABLATEKIT_CHECKPOINT_DIR"] + "/step"
step = int(open(place).read()) if "--resume" in sys.argv else 0
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
with open(os.environ["ABLATEKIT_METRICS"], "w") as log:
    while step < 6:
        step += 1
        log.write(json.dumps({"step": step, "acc": step / 6}) + "\\n"); log.flush()
        open(place, "w").write(str(step))
        if len(sys.argv) > 1 and sys.argv[1] == "wait" and step == 3:
            while not stopped: time.sleep(0.01)
        if stopped: sys.exit(1)
"""


def test_a_run_is_stopped_and_continued_behind_its_checkpoint(tried, stopped_at):
    settings = {"command": "python script.py {mode}", "mode": "wait", "resume": "--resume"}
    first = stopped_at(3)
    with pytest.raises(RunInterruptedError, match="stopped at step 3"):
        tried(RESUMABLE, first, **settings)
    second = tried(RESUMABLE, **{**settings, "mode": "on"})
    assert second.context.resumed == 3
    kept = [entry for entry in first.metrics if entry[0] <= 3]
    assert [step for step, _ in kept + second.context.metrics] == [1, 2, 3, 4, 5, 6]
    assert second.result.metrics == {"acc": 1.0}
    assert first.output_dir != second.context.output_dir


def test_a_continued_program_with_nothing_left_keeps_what_it_had(tried, stopped_at):
    settings = {"command": "python script.py {mode}", "mode": "wait", "resume": "--resume"}
    with pytest.raises(RunInterruptedError):
        tried(RESUMABLE, stopped_at(3), **settings)
    (stopped_at(3).checkpoint_dir / "step").write_text("6")
    done = tried(RESUMABLE, **{**settings, "mode": "on"})
    assert done.result.metrics == {"acc": 0.5}
    assert done.context.resumed == 3


def test_a_run_that_cannot_resume_is_not_stopped(tried, context):
    done = tried(log({"step": 1, "acc": 1}), context(stop_after=1))
    assert done.result.status == "finished"


def test_a_program_that_does_not_stop_is_killed(tried, context):
    script = (
        f"{log({'acc': 1})}import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(60)"
    )
    with pytest.raises(RunInterruptedError):
        tried(script, context(stop_after=8), resume=True, grace=0.3)


@pytest.mark.parametrize("apart", [False, True])
def test_what_a_program_leaves_running_ends_with_it(tried, ended, apart):
    script = f"""{log({"acc": 1})}
import subprocess, sys
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
left = subprocess.Popen(sleep, start_new_session={apart})
print("left", left.pid)
log.write(json.dumps({{"acc": 1, "pid": left.pid}}))
"""
    done = tried(script)
    assert ended(int(done.result.metrics["pid"]))


class Keras:
    """A log with two runs that call their metrics the same."""

    name = "keras"

    def claims(self, _path):
        return True

    def runs(self, _path):
        for name in ("train", "validation"):
            history = (MetricEvent(step=1, time=0.0, metrics={"loss": 0.5}),)
            yield LoggedRun(name=name, history=history, summary={"best": 1.0, "loss": 9.0})


def test_runs_of_one_log_keep_their_metrics_apart(context, tmp_path):
    place = context()
    Follower(Keras(), tmp_path, place, resumed=False).finish()
    assert place.metrics == [
        (1, {"train/loss": 0.5, "train/best": 1.0, "validation/loss": 0.5, "validation/best": 1.0})
    ]


def test_a_program_with_a_fixed_place_gets_a_folder_of_its_own(tried):
    script = "open('metrics.jsonl', 'w').write('{\"acc\": 1}\\n')"
    done = tried(script, command="python {study_dir}/script.py", cwd="{run_dir}")
    assert done.result.metrics == {"acc": 1.0}


def test_a_script_that_changes_after_planning_is_refused(folder, spec, context):
    (folder / "script.py").write_text(log({"acc": 1}))
    planned = spec({"command": "python script.py"})
    assert CommandBackend().run(planned, context()).status == "finished"
    (folder / "script.py").write_text(log({"acc": 2}))
    with pytest.raises(UsageError, match=r"changed since .* planned; received command script\.py"):
        CommandBackend().run(planned, context())


def test_what_cannot_be_started_is_refused(tried):
    with pytest.raises(UsageError, match="cannot be started: embedded null byte"):
        tried(log({"acc": 1}), command="python script.py {name}", name="a\0b")
