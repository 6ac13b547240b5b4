"""A user's verifier: a function named by `module:function` or `path/to/file.py:function`.

It is called with the question, the gold answer and the completion, all text, and returns true
(correct), false (wrong) or None (it cannot judge), or a pair of one of these and whether the
completion has the right form. It runs in a process of its own.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ablatekit.canonical import file_hash
from ablatekit.errors import Problem, UsageError
from ablatekit_rft.verdicts import Judgement, Verdict

REFERENCE = re.compile(r"(?P<place>[^:]+):(?P<function>[A-Za-z_]\w*)")
_VERDICTS = {True: Verdict.CORRECT, False: Verdict.WRONG, None: Verdict.ERROR}


def is_reference(text: str) -> bool:
    """Whether a text has the form of a reference to a function."""
    return REFERENCE.fullmatch(text) is not None


def source_file(reference: str) -> Path:
    """The file that holds a user's function. Raises UsageError when there is none."""
    found = REFERENCE.fullmatch(reference)
    place = found["place"] if found else reference
    path = Path(place) if place.endswith(".py") else _module_file(place)
    if not path.is_file():
        remedy = "Name a module that can be imported, or a .py file: path/to/file.py:function"
        raise UsageError(Problem("no such file of a verifier", repr(reference), remedy))
    return path.resolve()


def _module_file(name: str) -> Path:
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        spec = None
    return Path(spec.origin if spec and spec.origin else name)


def source_hash(reference: str) -> str:
    """SHA-256 of the file that holds a user's function: part of the run's identity."""
    return file_hash(source_file(reference))


def judge_of(reference: str) -> Callable[[str, str, str], Judgement]:
    """The judge of (question, gold, completion) that a reference names."""
    function = _load(reference)

    def judge(question: str, gold: str, completion: str) -> Judgement:
        said = function(question, gold, completion)
        verdict, format_ok = said if isinstance(said, tuple) else (said, True)
        return Judgement(_VERDICTS[None if verdict is None else bool(verdict)], bool(format_ok))

    return judge


def _load(reference: str) -> Callable[[str, str, str], Any]:
    place, _, name = reference.rpartition(":")
    if place.endswith(".py"):
        path = source_file(reference)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        if spec is None or spec.loader is None:
            raise UsageError(Problem("not a Python file", str(path)))
        module = importlib.util.module_from_spec(spec)
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    else:
        module = importlib.import_module(place)
    function = getattr(module, name, None)
    if not callable(function):
        raise UsageError(Problem("no such function", repr(reference), f"Define {name} there"))
    return function  # type: ignore[no-any-return]
