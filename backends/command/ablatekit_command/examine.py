"""Everything about a command that can be seen before it runs, all mistakes at once."""

from __future__ import annotations

import difflib
import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePath
from typing import Any

from ablatekit.errors import Problem, UsageError, nearest
from ablatekit.logs.text import TextLog
from ablatekit.study.messages import show
from ablatekit.study.settings import setting_fields
from ablatekit_command.conditions import read_condition
from ablatekit_command.config_files import understood
from ablatekit_command.content import looked_up_in, matches, module_of, script_of
from ablatekit_command.invocation import (
    PYTHONS,
    RUN_NAMES,
    SEVERAL,
    config_name,
    config_text,
    resume_words,
    split_words,
    stand_ins,
)
from ablatekit_command.items import FORMATS
from ablatekit_command.settings import CommandSettings
from ablatekit_command.templates import as_text, fill, formatted, only_placeholder, placeholders

SCRIPTS = (".py", ".sh", ".bash", ".R", ".r", ".jl", ".js", ".mjs", ".pl", ".rb", ".lua", ".m")
LAUNCHERS = ("bash", "sh", "zsh", "Rscript", "julia", "node", "perl", "ruby", "lua", "torchrun",
             "accelerate", "deepspeed", "mpirun", "uv", "env", "time", "nice")  # fmt: skip
"""Programs whose first argument that is called like a script is one."""
NO_COMMAND = Problem(
    "there is no command",
    'command: ""',
    'Give one: command: "python train.py --lr {lr} --seed {seed}"; runs that were adopted get one'
    " by: ablatekit study adopt SOURCE --command ... --replace",
)
_ALL_PARAMETERS = ("arguments", "overrides", "parameters")


def examine(settings: CommandSettings, parameters: Mapping[str, Any]) -> list[str]:
    """Warnings about a command. Raises UsageError with everything that cannot work."""
    problems = [*_command_problems(settings), *_setting_problems(settings)]
    if not settings.command and settings.program_checked == "plan":
        problems += _misspelt(parameters)
    _refuse(problems)
    texts = dict(_texts(settings))
    problems += _placeholder_problems(settings, parameters, texts)
    problems += _unused(settings, parameters, texts) if settings.command else []
    _refuse(problems)
    problems += _config_problems(settings, parameters)
    missing = list(missing_places(settings, parameters))
    if settings.program_checked == "plan":
        problems += missing
        missing = []
    _refuse(problems)
    if not settings.command:
        return ["there is no command: runs that lack a result cannot start"]
    later = (f"{problem}; each run looks for it as it starts" for problem in missing)
    return [*later, *_seed_warning(texts)]


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise UsageError(*problems)


def _command_problems(settings: CommandSettings) -> Iterator[Problem]:
    if not settings.command:
        if settings.program_checked == "plan":
            yield NO_COMMAND
        return
    for name in ("command", "resume"):
        value = getattr(settings, name)
        try:
            words = [] if isinstance(value, bool) else split_words(value)
        except ValueError as error:
            remedy = "Close it, or write the command as a list of arguments"
            yield Problem(f"a quotation is open ({error})", f"{name}: {show(value)}", remedy)
            continue
        if name == "command" and not words:
            yield Problem("the command has no words", f"command: {show(value)}")
        for word in words:
            yield from _misplaced(name, word)


def _misplaced(name: str, word: str) -> Iterator[Problem]:
    for each in set(SEVERAL).intersection(placeholders(word)):
        if word != f"{{{each}}}" or (name, each) == ("resume", "resume"):
            rule = f"{{{each}}} stands for several arguments, and so alone"
            yield Problem(rule, f"{name}: {show(word)}", f"Write it as a word: ... {{{each}}} ...")


def _setting_problems(settings: CommandSettings) -> Iterator[Problem]:
    given = settings.metrics.given
    if len(given) > 1:
        received = ", ".join(f"metrics.{name}: {show(value)}" for name, value in given.items())
        yield Problem("metrics come from one place", received, "Keep one of them")
    yield from _regex_problems(given.get("stdout_regex"))
    if settings.items and PurePath(settings.items).suffix not in FORMATS:
        remedy = f"Use one of {', '.join(FORMATS)}"
        rule = "the file of items has no known format"
        yield Problem(rule, f"items: {settings.items}", remedy)
    template = settings.config.template
    if template and not Path(template).is_file():
        remedy = "It is looked for beside the study file, then from the working directory"
        yield Problem("there is no such template", f"config.template: {template}", remedy)
    yield from _condition_problems(settings)
    both = set(settings.exit_codes.finished).intersection(settings.exit_codes.diverged)
    if both:
        received = f"exit_codes.diverged: {settings.exit_codes.diverged}"
        yield Problem("an exit code means one thing", received, f"Also in finished: {min(both)}")


def _regex_problems(pattern: str | None) -> Iterator[Problem]:
    try:
        if pattern is not None:
            TextLog(pattern)
    except ValueError as error:
        received = f"metrics.stdout_regex: {pattern}"
        remedy = r"For instance step (?P<step>\d+) loss (?P<loss>\S+)"
        yield Problem(f"the pattern finds no metrics: {error}", received, remedy)


def _condition_problems(settings: CommandSettings) -> Iterator[Problem]:
    for text in settings.diverged:
        try:
            read_condition(text)
        except ValueError:
            remedy = "Write METRIC > NUMBER, or with >=, < or <=: loss > 100"
            yield Problem(
                "a condition of divergence is not understood", f"diverged: {text}", remedy
            )


def _texts(settings: CommandSettings) -> Iterator[tuple[str, str]]:
    """Every text in which placeholders are replaced, by the setting that holds it."""
    yield "command", "\0".join(split_words(settings.command))
    yield "resume", "\0".join(resume_words(settings))
    yield from ((f"env.{name}", as_text(value)) for name, value in settings.env.items())
    yield "cwd", settings.cwd
    yield "items", settings.items
    yield "steps", str(settings.steps)
    kind, place = settings.metrics_source
    if kind != "stdout_regex":
        yield f"metrics.{kind}", place
    yield from _nested_texts(settings.config.values, "config.values")
    if settings.config.template:
        text = Path(settings.config.template).read_text(encoding="utf-8", errors="replace")
        yield "config.template", text


def _nested_texts(values: Any, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _nested_texts(value, f"{name}.{key}")
    elif isinstance(values, list):
        for value in values:
            yield from _nested_texts(value, name)
    elif isinstance(values, str):
        yield name, values


def _placeholder_problems(
    settings: CommandSettings, parameters: Mapping[str, Any], texts: Mapping[str, str]
) -> Iterator[Problem]:
    for name in sorted(set(parameters).intersection(RUN_NAMES)):
        rule = f"{name!r} is what every run gets from ablatekit: {RUN_NAMES[name]}"
        remedy = f"Call the parameter otherwise, or write {{{name}}} in the command"
        if name == "seed":
            remedy = "Write {seed} in the command, and say how many with replicates"
        yield Problem(rule, f"{name}: {show(parameters[name])}", remedy)
    for where, text in texts.items():
        known = {*parameters, *_run_names(settings, where)}
        shown = Path(settings.config.template).name if where == "config.template" else where
        for name in placeholders(text):
            if name not in known:
                rule = f"{shown} has an unknown placeholder"
                yield Problem(rule, f"{where}: {{{name}}}", _remedy(name, known, parameters))
        for name in formatted(text) if where != "config.template" else ():
            if name in known:
                rule = "placeholders have no format"
                yield Problem(rule, f"{where}: {{{name}...}}", f"Write {{{name}}}")


def _run_names(settings: CommandSettings, where: str) -> Iterator[str]:
    """The placeholders, beside parameters, that a text may have."""
    kind, _ = settings.metrics_source
    absent = {
        "metrics": kind == "stdout_regex" or where.startswith("metrics."),
        "items": not settings.items or where in ("items", f"metrics.{kind}"),
        "config": not config_name(settings) or where.startswith("config."),
        "arguments": where not in ("command", "resume"),
        "overrides": where not in ("command", "resume"),
        "resume": where != "command",
    }
    yield from (name for name in RUN_NAMES if not absent.get(name, False))


def _remedy(name: str, known: set[str], parameters: Mapping[str, Any]) -> str:
    if name in ("items", "config"):
        return f"Set {'items' if name == 'items' else 'config.file'} first"
    if name in RUN_NAMES:
        return f"{{{name}}} has no meaning here"
    told = nearest(name, known)
    if told.startswith("Did"):
        return told
    return f"Give the parameter {name}, or use: {', '.join((*parameters, *RUN_NAMES))}"


def _unused(
    settings: CommandSettings, parameters: Mapping[str, Any], texts: Mapping[str, str]
) -> Iterator[Problem]:
    used = {name for text in texts.values() for name in (*placeholders(text), *formatted(text))}
    if used.intersection(_ALL_PARAMETERS) or (
        settings.config.file and not settings.config.template
    ):
        return
    unknown = used - set(parameters) - set(RUN_NAMES)
    for name, value in parameters.items():
        if name in used or name in settings.may_be_unused or name in RUN_NAMES:
            continue
        rule = f"the command does not use the parameter {name!r}"
        yield Problem(rule, f"{name}: {show(value)}", _use(name, unknown))


def _use(name: str, unknown: set[str]) -> str:
    """What to do about an unused parameter: a misspelt setting, a misspelt placeholder, or use it.

    A misspelt name would otherwise leave its default in place without a word.
    """
    settings = {*setting_fields(CommandSettings), *CommandSettings.model_fields}
    meant = difflib.get_close_matches(name, [*settings, *unknown], n=1, cutoff=0.75)
    if meant:
        return f"Did you mean {meant[0]!r}?"
    return (
        f"Write {{{name}}} in it, or {{arguments}} for all; may_be_unused: [{name}] leaves it out"
    )


def _misspelt(parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Parameters that are nearly called like a setting, where there is no command to use them."""
    for name, value in parameters.items():
        if (remedy := _use(name, set())).startswith("Did"):
            rule = "no setting of the backend 'command', and no command uses it"
            yield Problem(rule, f"{name}: {show(value)}", remedy)


def _config_problems(settings: CommandSettings, parameters: Mapping[str, Any]) -> list[Problem]:
    """Whether the file that is written would be of its format."""
    name = config_name(settings)
    if not name:
        return []
    values = {**stand_ins(settings), **parameters}
    try:
        text = config_text(settings, parameters, values)
    except UsageError as error:
        return list(error.problems)
    wrong = understood(name, text)
    if wrong is None:
        return []
    where = "config.template" if settings.config.template else "config.file"
    rule = f"the written file would be no {PurePath(name).suffix[1:].upper()}: {wrong}"
    remedy = 'A text stands in quotation marks in the template: "{name}"'
    return [Problem(rule, f"{where}: {getattr(settings.config, where[7:])}", remedy)]


def missing_places(settings: CommandSettings, parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Command, program, script, working directory and files that are not there."""
    remedy = "Paths are relative to the folder of the study file"
    if not settings.command:
        yield NO_COMMAND
        return
    if not placeholders(settings.cwd) and not Path(settings.cwd).is_dir():
        yield Problem("there is no such working directory", f"cwd: {settings.cwd}", remedy)
        return
    for pattern in settings.files:
        if not matches(Path(settings.study_dir), pattern):
            yield Problem("no file is called so", f"files: {pattern}", remedy)
    values = {**stand_ins(settings), **parameters}
    words = [fill(word, values) if only_placeholder(word) not in SEVERAL else word
             for word in split_words(settings.command)]  # fmt: skip
    first = split_words(settings.command)[0]
    words[0] = first if first in PYTHONS else words[0]
    yield from _missing_program(settings, words[0])
    yield from _missing_script(settings, words)


def _missing_program(settings: CommandSettings, program: str) -> Iterator[Problem]:
    if program in PYTHONS:
        if settings.python and shutil.which(settings.python) is None:
            remedy = "Give the path of an interpreter"
            yield Problem("there is no such interpreter", f"python: {settings.python}", remedy)
        return
    if _is_program(settings, program):
        return
    remedy = "Install it, give its path, or set program_checked: run where it is on other machines"
    yield Problem(f"there is no program {program!r}", f"command: {program}", remedy)


def _is_program(settings: CommandSettings, program: str) -> bool:
    if "/" in program:
        path = looked_up_in(settings) / program
        return path.is_file() and os.access(path, os.X_OK)
    path_of_program = settings.env.get("PATH")
    return (
        shutil.which(program, path=as_text(path_of_program) if path_of_program else None)
        is not None
    )


def _missing_script(settings: CommandSettings, words: list[str]) -> Iterator[Problem]:
    base = looked_up_in(settings)
    module = module_of(words)
    if module is not None and not settings.python and not _importable(base, module):
        remedy = "Install it, set python, or set program_checked: run"
        yield Problem(f"there is no module {module!r}", f"command: {module}", remedy)
    script = _script(words)
    if script is not None and not (base / script).is_file():
        near = [path.name for path in base.glob(f"*{PurePath(script).suffix}")]
        close = difflib.get_close_matches(PurePath(script).name, near, n=1)
        remedy = f"Did you mean {close[0]!r}?" if close else f"It is looked for in {base}"
        yield Problem(f"there is no script {script!r}", f"command: {script}", remedy)


def _script(words: list[str]) -> str | None:
    if words[0] in PYTHONS:
        return script_of(words)
    if PurePath(words[0]).name not in LAUNCHERS:
        return None
    named = (word for word in words[1:] if not word.startswith("-"))
    return next((word for word in named if PurePath(word).suffix in SCRIPTS), None)


@cache
def _importable(base: Path, module: str) -> bool:
    """Whether the package that a module lies in is beside the study or can be imported here."""
    top = module.partition(".")[0]
    if (base / top).is_dir() or (base / f"{top}.py").is_file():
        return True
    return top in sys.builtin_module_names or importlib.util.find_spec(top) is not None


def _seed_warning(texts: Mapping[str, str]) -> Iterator[str]:
    used = {name for text in texts.values() for name in placeholders(text)}
    if used.isdisjoint({"seed", "replicate", "run_id"}):
        yield (
            "the command is not given {seed}: unless the program reads ABLATEKIT_SEED, replicates"
            " differ by chance alone or not at all"
        )
