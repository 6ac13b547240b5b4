r"""What planning says of a command before anything runs, at the lines of the study."""

from __future__ import annotations

import re

import pytest
from ablatekit_command.backend import CommandBackend

from ablatekit.design.build import build_plan
from ablatekit.errors import StudyError
from ablatekit.study.load import load_study, parse_study

STUDY = """version: 1
name: tried
backend:
  name: command
  settings:
    command: "python train.py --lr {lr} --data {data} --seed {seed} --metrics {metrics}"
factors:
  lr: {baseline: 0.1, levels: [0.1, 0.2]}
contexts:
  data: [a.csv, b.csv]
responses: {acc: {metric: acc, direction: higher}}
"""
LINE = '    command: "python train.py --lr {lr} --data {data} --seed {seed} --metrics {metrics}"'


@pytest.fixture
def plan(folder):
    def made(*replaced: tuple[str, str], text: str = STUDY):
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        return build_plan(parse_study(text, folder / "study.yaml"), CommandBackend())

    return made


def command(text: str) -> tuple[str, str]:
    return LINE, f"    command: '{text}'"


def more(text: str) -> tuple[str, str]:
    return "  settings:\n", f"  settings:\n    {text}\n"


def test_a_plan_knows_scripts_and_data_by_their_content(plan, folder):
    first = plan()
    content = first.runs[0].spec.content
    assert set(content) == {"command train.py", "data"}
    assert first.warnings == ()
    assert first.lacks
    (folder / "train.py").write_text("print(1)")
    assert {run.run_id for run in first.runs}.isdisjoint(run.run_id for run in plan().runs)


def test_what_a_script_imports_from_beside_it_decides_results(plan, folder):
    (folder / "train.py").write_text("import json\nfrom model import net\nfrom src.data import a\n")
    (folder / "model.py").write_text("import layers\nnet = 1\n")
    (folder / "layers.py").write_text("width = 1\n")
    (folder / "unused.py").write_text("")
    (folder / "src").mkdir()
    (folder / "src" / "data.py").write_text("a = 1\n")
    first = plan()
    assert set(first.runs[0].spec.content) == {
        "command train.py", "data", "imported layers.py", "imported model.py",
        "imported src/data.py",
    }  # fmt: skip
    (folder / "layers.py").write_text("width = 2\n")
    assert {run.run_id for run in first.runs}.isdisjoint(run.run_id for run in plan().runs)


def test_a_link_to_a_study_is_the_study(plan, folder, tmp_path):
    study = folder / "study.yaml"
    study.write_text(STUDY, encoding="utf-8")
    link = tmp_path / "linked.yaml"
    link.symlink_to(study)
    linked = build_plan(load_study(link), CommandBackend())
    assert {run.run_id for run in linked.runs} == {run.run_id for run in plan().runs}


def test_more_files_decide_results_where_the_study_says_so(plan, folder):
    (folder / "src").mkdir()
    (folder / "src" / "model.py").write_text("a = 1")
    files = more('files: ["src/**/*.py"]')
    first = plan(files)
    assert "files src/model.py" in first.runs[0].spec.content
    (folder / "src" / "model.py").write_text("a = 2")
    assert plan(files).runs[0].run_id != first.runs[0].run_id


def test_a_study_elsewhere_is_the_same_study(plan, folder):
    first = plan()
    moved = folder.with_name("moved")
    folder.rename(moved)
    again = build_plan(parse_study(STUDY, moved / "study.yaml"), CommandBackend())
    assert [run.run_id for run in again.runs] == [run.run_id for run in first.runs]


def test_a_level_may_set_the_command(plan):
    levels = (
        "{baseline: a, levels: {a: {command: 'python train.py {data} {seed} 1'},"
        " b: {command: 'python train.py {data} {seed} 2'}}}"
    )
    made = plan((LINE, "    {}"), ("lr: {baseline: 0.1, levels: [0.1, 0.2]}", f"kind: {levels}"))
    assert len({run.spec.settings["command"] for run in made.runs}) == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([command("python train.py {lr} {data} {sed}")],
         (r"study.yaml:6:14: command has an unknown placeholder; received command: \{sed\}."
         r" Did you mean 'seed'\?")),
        ([more('comand: "python x.py"')],
         r"study.yaml:6:13: .*'comand'; received .*Did you mean 'command'\?"),
        ([(LINE, '    comand: "python train.py"')],
         r"^\S*study.yaml:6:13: no setting of .*comand.*Did you mean 'command'\?$"),
        ([(LINE, '    script: "python train.py"')], r"study.yaml:6:13: .*Did you mean 'command'\?"),
        ([more("workdir: x")], r"study.yaml:6:14: .*'workdir'.*Did you mean 'cwd'\?"),
        ([more("environment: {A: 1}")], r"study.yaml:6:22: .*Did you mean 'env'\?"),
        ([command("python train.py {lr} {data} --seed {seed")],
         r"^\S*study.yaml:6:14: a placeholder is open; received command: \{seed. Write \{seed\}$"),
        ([more("env: [A]")], r"study.yaml:6:10: setting 'env' must be a mapping \(key: value\)"),
        ([command("python train.py {data} {seed}")],
         (r"study.yaml:8:32: the command does not use the parameter 'lr'; received lr: 0.1."
         r" Write \{lr\}")),
        ([command("python trian.py {lr} {data} {seed}")],
         r"study.yaml:6:14: there is no script 'trian.py'.* Did you mean 'train.py'\?"),
        ([command("pythn train.py {lr} {data} {seed}")], r"there is no program 'pythn'"),
        ([command("./train.sh {lr} {data} {seed}")], r"there is no program './train.sh'"),
        ([command("bash run.sh {lr} {data} {seed}")], r"there is no script 'run.sh'"),
        ([command("python -m no_such_package {lr} {data}")], r"no module 'no_such_package'"),
        ([command("python train.py {lr:.2f} {data} {seed}")], r"placeholders have no format"),
        ([command("python train.py --x={arguments}")], r"stands for several arguments"),
        ([command('python train.py "{lr} {data} {seed}')], r"a quotation is open"),
        ([command("")], r"study.yaml:6:14: there is no command"),
        ([more("python: /no/such/python")], r"study.yaml:6:13: there is no such interpreter"),
        ([more("cwd: no/such/folder")], r"study.yaml:6:10: there is no such working directory"),
        ([more('files: ["lib/*.py"]')], r"study.yaml:6:12: no file is called so"),
        ([more("config: {template: none.yaml}")], r"study.yaml:6:24: there is no such template"),
        ([more("config: {file: made.ini}")], r"study.yaml:6:20: the config file has no known form"),
        ([more("metrics: {stdout_regex: 'loss (?P<loss'}")], r"study.yaml:6:29: the pattern finds"),
        ([more("metrics: {stdout_regex: 'loss (.*)'}")], r"no named group for a metric"),
        ([more("metrics: {jsonl: a.jsonl, csv: a.csv}")], r"metrics come from one place"),
        ([more("metrics: {jsnl: a.jsonl}")], r"unknown setting.*Did you mean 'metrics.jsonl'\?"),
        ([more("metrics: metrics.jsonl")], r"study.yaml:6:14: setting 'metrics' must be"),
        ([more('diverged: ["loss is high"]')], r"study.yaml:6:15: a condition of divergence"),
        ([more("items: items.txt")], r"study.yaml:6:12: the file of items has no known format"),
        ([more('out: "{run_dir}/x"'), command("python train.py {arguments} {seed}")],
         r"study.yaml:6:10: a parameter's value is passed on as it is"),
        ([more("metrics: {csv: ../m.csv}")], r"study.yaml:6:20: every run would use the same pl"),
        ([more("items: /tmp/items.csv")], r"study.yaml:6:12: every run would use the same place"),
        ([more("config: {template: latin.txt}")], r"study.yaml:6:24: the template is no text"),
        ([more("exit_codes: {diverged: [0]}")], r"an exit code means one thing"),
        ([more("seed: 7")], r"study.yaml:6:11: 'seed' is what every run gets.*replicates"),
        ([more('env: {RATE: "{rate}"}')], r"study.yaml:6:17: env.RATE has an unknown placeholder"),
        ([command("python train.py {lr} {data} {seed} {items}")], r"Set items first"),
        ([command("python train.py {lr} {data} {seed} | tee log")],
         r"study.yaml:6:14: no shell is involved.*received command: \"\|\"\. .*bash"),
        ([command("python train.py {lr} {data} {seed} >log 2>&1")], r">log.*\n.*no shell.*2>&1"),
        ([command("CUDA=0 python train.py {lr} {data} {seed}")], r"variables .* set under env"),
        ([command("source env.sh {lr} {data} {seed}")], r"No shell is involved: set cwd or env"),
        ([more('env: {"A=B": x}')], r"study.yaml:6:18: an environment variable has a name"),
        ([more("env: {A: null}")],
         r"study.yaml:6:14: setting 'env.A' must be a string or an integer or a num[^\n]*\Z"),
        ([more("steps: many")], r"study.yaml:6:12: the last step is a whole number"),
        ([more('steps: "{lr}"')], r"study.yaml:6:12: .*\{lr\} is 0.1 here"),
        ([more('note: "a\\0b"'), command("python train.py {arguments} {seed}")],
         r"study.yaml:6:11: an argument has a null character"),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_at_its_line(plan, folder, changes, told):
    (folder / "latin.txt").write_bytes(b"\xe4")
    with pytest.raises(StudyError) as error:
        plan(*changes)
    assert re.search(told, str(error.value)), str(error.value)


def test_a_list_of_arguments_may_hold_numbers(plan):
    words = "[python, train.py, --epochs, 3, '{lr}', '{data}', '{seed}']"
    assert plan((LINE, f"    command: {words}")).runs


def test_all_mistakes_are_told_at_once(plan):
    with pytest.raises(StudyError) as error:
        plan(command("python train.py {lrr} {dta} {seed}"), more("colour: red"))
    told = str(error.value)
    assert all(f"'{name}'" in told for name in ("lr", "data", "colour"))
    assert len(error.value.problems) == 5


def test_a_template_is_checked_before_any_run(plan, folder):
    (folder / "t.yaml").write_text("rate: {lr}\ndata: {data}\nwrong: {rate}\n")
    template = more("config: {template: t.yaml}")
    with pytest.raises(StudyError, match=r"t.yaml has an unknown placeholder.*\{rate\}"):
        plan(template, command("python train.py {config} {seed}"))
    (folder / "t.yaml").write_text("rate: {lr}\ndata: {data}\nopen: [1\n")
    with pytest.raises(StudyError, match="the written file would be no YAML"):
        plan(template, command("python train.py {config} {seed}"))
    (folder / "t.yaml").write_text("rate: {lr}\ndata: {data}\n")
    made = plan(template, command("python train.py {config} {seed}"))
    assert "config.template" in made.runs[0].spec.content


def test_a_parameter_may_be_unused_where_the_study_says_so(plan):
    assert plan(more("may_be_unused: [depth]"), more("depth: 3")).runs


def test_a_program_of_another_machine_is_a_warning(plan):
    made = plan(command("apptainer run image.sif {lr} {data} {seed}"), more("program_checked: run"))
    told = "there is no program 'apptainer' on this machine: each run looks as it starts"
    assert made.warnings == (told,)


@pytest.mark.parametrize(
    ("words", "told"), [("--out $HOME/x", "$HOME/x"), ("--out=~/x $(date)", "~/x, $(date)")]
)
def test_what_only_a_shell_replaces_is_warned_of(plan, words, told):
    made = plan(command(f"python train.py {{lr}} {{data}} {{seed}} {words}"))
    assert made.warnings == (f"no shell is involved: the program gets {told} as it is written",)


def test_a_shell_gets_its_code_as_it_is(plan):
    code = 'bash -c "cd /tmp && echo $0 | cat > /dev/null" {lr} {data} {seed}'
    assert plan(command(code)).warnings == ()


def test_a_command_without_a_seed_is_warned_of(plan):
    made = plan(command("python train.py {lr} {data}"))
    assert "ABLATEKIT_SEED" in made.warnings[0]
