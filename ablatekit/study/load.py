"""From a path to a validated study that remembers where everything in it was written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ablatekit.errors import Location, Problem, StudyError
from ablatekit.study.factors import ContextVariable, Factor, read_contexts, read_factors
from ablatekit.study.messages import position, show, study_problems
from ablatekit.study.names import check_names
from ablatekit.study.parts import study_model
from ablatekit.study.schema import StudySchema
from ablatekit.study.written import study_text
from ablatekit.study.yaml_source import (
    Node,
    at_their_keys,
    override,
    parse_override,
    parse_yaml,
    read_source,
)


@dataclass(frozen=True, slots=True)
class LoadedStudy:
    """A study with its factors and contexts read, and the positions for later messages.

    `text` is the file as it was written; `overrides` are the `--set` options applied to it.
    """

    study: StudySchema
    path: Path
    text: str
    source: Node
    factors: tuple[Factor, ...]
    contexts: tuple[ContextVariable, ...]
    overrides: tuple[str, ...] = ()

    def where(self, *loc: str | int) -> Location:
        """Position of the value at `loc`, or of the nearest one around it."""
        return self.source.where_value(loc)

    def where_key(self, *loc: str | int) -> Location:
        """Position of the key at `loc`, or of the nearest one around it."""
        return self.source.where_key(loc)


def load_study(path: Path | str, overrides: Sequence[str] = ()) -> LoadedStudy:
    """Read, override (`key=value`, dotted keys) and validate a study file.

    Raises StudyError with every problem that the failing step finds, each with its position. The
    backend is not asked: `ablatekit.design.build_plan` does that.
    """
    return parse_study(read_source(Path(path)), Path(path), overrides)


def parse_study(text: str, path: Path, overrides: Sequence[str] = ()) -> LoadedStudy:
    """`load_study` for text that is not (yet) a file; `path` is what messages call it."""
    source = _overridden(parse_yaml(text, str(path)), overrides)
    return _loaded(source, path, text, tuple(overrides))


def stated_study(content: Mapping[str, Any], path: Path) -> LoadedStudy:
    """`load_study` for what Python states: the same study as a file with this content.

    Messages name the key in place of file and line. `path` is where its file would lie.
    """
    text = study_text(content)
    return _loaded(at_their_keys(parse_yaml(text, str(path))), path, text, ())


def _loaded(source: Node, path: Path, text: str, overrides: tuple[str, ...]) -> LoadedStudy:
    study = _validated(source)
    factors = read_factors(study, source)
    contexts = read_contexts(study, source)
    loaded = LoadedStudy(study, path, text, source, factors, contexts, overrides)
    problems = check_names(study, source, factors, contexts)
    if problems:
        raise StudyError(*problems)
    return loaded


def _overridden(source: Node, overrides: Sequence[str]) -> Node:
    if overrides and not isinstance(source.content, dict):
        return source
    for option in overrides:
        source = override(source, *parse_override(option))
    return source


def _validated(source: Node) -> StudySchema:
    data = source.plain()
    if not isinstance(data, dict):
        remedy = "Write keys such as `name:`, `backend:` and `factors:`"
        raise StudyError(Problem("a study is a mapping", show(data), remedy, source.where))
    model, problems = study_model(source)
    try:
        study = model.model_validate(data)
    except ValidationError as error:
        problems += study_problems(error, source, model)
        raise StudyError(*sorted(problems, key=position)) from None
    if problems:
        raise StudyError(*problems)
    return study
