"""Messages of the command line in the words of Python: arguments in place of options."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import ParamSpec, TypeVar

from ablatekit.errors import DamagedFileError, Problem, UsageError

P = ParamSpec("P")
R = TypeVar("R")
ARGUMENTS = {
    "new": "new=True",
    "baseline": "baselines",
    "covariate": "covariates",
    "scale": "scales",
}
"""Options whose argument is called otherwise."""
_OPTION = re.compile(r"(?<![\w-])--(?P<name>[a-z][a-z-]*)(?P<value> (?=[A-Z]{2}|[\"'{]))?")
_COMMAND = re.compile(r"ablatekit study (?P<name>run|status|plan) [^\s`]+")


def told_in_python(function: Callable[P, R]) -> Callable[P, R]:
    """The function, with the remedies of its refusals in the words of Python."""

    @wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return function(*arguments, **options)
        except DamagedFileError:
            raise
        except UsageError as error:
            raise type(error)(*map(in_python, error.problems)) from None

    return call


def in_python(problem: Problem) -> Problem:
    """A problem as one reads it who calls functions."""
    return replace(problem, rule=_argument(problem.rule), remedy=_argument(problem.remedy))


def _argument(text: str) -> str:
    return _OPTION.sub(_named, _COMMAND.sub(r"ablatekit.\g<name>(study)", text))


def _named(match: re.Match[str]) -> str:
    name = match["name"].replace("-", "_")
    return ARGUMENTS.get(name, name) + ("=" if match["value"] else "")
