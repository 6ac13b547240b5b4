"""A study in Python: read from its file, or stated and saved as one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablatekit.api.function_source import PlacedFunction, placed_function
from ablatekit.api.messages import told_in_python
from ablatekit.canonical import write_atomically
from ablatekit.errors import Location, Problem, StudyError, UsageError
from ablatekit.study.load import LoadedStudy, stated_study
from ablatekit.study.load import load_study as load_file

if TYPE_CHECKING:
    from ablatekit.runs.workspace import Workspace
    from ablatekit.study.schema import StudySchema

VERSION = 1
FUNCTION = "function"
FILE = "study.yaml"
_EMPTY: tuple[Any, ...] = (None, "", (), [], {})


class Study:
    """A question, a design, a backend and an analysis: what a study file holds.

    `backend` is the name of an installed backend, or a function `f(settings, seed) -> metrics`, or
    the mapping that a study file has; `settings` are the same in every run. Everything else is as
    in a study file, with its keys and its messages. `responses` may leave out a `metric` that is
    called as they are, and say the direction alone: `{"accuracy": "higher"}`. Raises StudyError for
    what a study file would be refused for, with the key in place of a line.
    """

    def __init__(
        self,
        *,
        name: str,
        backend: str | Callable[..., Any] | Mapping[str, Any],
        factors: Mapping[str, Any],
        settings: Mapping[str, Any] | None = None,
        contexts: Mapping[str, Any] | None = None,
        replicates: int = 1,
        responses: Mapping[str, Any] | None = None,
        question: str = "",
        title: str | None = None,
        design: Mapping[str, Any] | None = None,
        exclude: Sequence[Mapping[str, Any]] = (),
        analysis: Mapping[str, Any] | None = None,
        dispatch: Mapping[str, Any] | None = None,
        tracking: Mapping[str, Any] | None = None,
        report: Mapping[str, Any] | None = None,
    ) -> None:
        self._function = placed_function(backend) if _is_function(backend) else None
        self._content: dict[str, Any] = {
            "version": VERSION,
            "name": name,
            **_given(question=question, title=title),
            "backend": _backend_part(backend, self._function, settings),
            "factors": factors,
            **_given(contexts=contexts),
            "replicates": replicates,
            **_given(design=design, exclude=list(exclude), responses=_responses(responses)),
            **_given(analysis=analysis, dispatch=dispatch, tracking=tracking, report=report),
        }
        self._file: LoadedStudy | None = None
        stated_study(self._content, Path(FILE))

    @classmethod
    def _of_file(cls, loaded: LoadedStudy) -> Study:
        study = cls.__new__(cls)
        study._file, study._function, study._content = loaded, None, {}
        return study

    @property
    def name(self) -> str:
        """What the study is called."""
        return self._said.name

    @property
    def path(self) -> Path | None:
        """The file that it was read from; None for one that was stated in Python."""
        return None if self._file is None else self._file.path

    def to_yaml(self) -> str:
        """The text of its file."""
        return self._loaded(Path(FILE)).text

    def save(self, path: str | Path) -> Path:
        """Write its file, and beside it that of its function where it has one; the path.

        Such a file loads to the same study. One that is there already is replaced only by itself.
        """
        place = Path(path)
        if not place.parent.is_dir():
            where = Location(str(place))
            raise StudyError(Problem("its folder does not exist", str(place.parent), "", where))
        text = self._written(place).text
        if place.exists() and place.read_text(encoding="utf-8") != text:
            remedy = "Name another file, or remove this one"
            raise StudyError(Problem("there is another file", "", remedy, Location(str(place))))
        write_atomically(place, text.encode())
        return place

    def placed(self, workspace: Workspace) -> LoadedStudy:
        """The study with a place on disk: its own file, or its folder in the workspace.

        The file of a function is written to that folder: planning reads its source.
        """
        if self._file is not None:
            return self._file
        path = workspace.study(str(self._content["name"])).path / FILE
        if self._function is None or self._function.text is None:
            return self._loaded(path)
        return self._written(path)

    def _written(self, path: Path) -> LoadedStudy:
        """The study at a path, with what its function is called there, whose file is written."""
        if self._function is None:
            return self._loaded(path)
        part = self._content["backend"]
        settings = {**part["settings"], FUNCTION: self._function.written_in(path.parent)}
        return stated_study({**self._content, "backend": {**part, "settings": settings}}, path)

    def _loaded(self, path: Path) -> LoadedStudy:
        return self._file or stated_study(self._content, path)

    def __eq__(self, other: object) -> bool:
        """Whether both say the same; where their files lie does not matter."""
        return isinstance(other, Study) and self._said == other._said

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def _said(self) -> StudySchema:
        return self._loaded(Path(FILE)).study

    def __repr__(self) -> str:
        study = self._said
        factors = ", ".join(study.factors)
        shown = f"factors {factors}; {study.replicates} replicates on {study.backend.name}"
        return f"Study({study.name}: {shown})"

    def _repr_html_(self) -> str:
        from markupsafe import Markup

        from ablatekit.legible import legible

        return str(Markup("<pre>{}</pre>").format(legible(self.to_yaml())))


@told_in_python
def load_study(path: str | Path, overrides: Mapping[str, Any] | Sequence[str] = ()) -> Study:
    """The study in a file. `overrides` maps dotted keys to values, as `--set KEY=VALUE` does.

    Raises StudyError with every mistake at its file, line and column.
    """
    return Study._of_file(load_file(Path(path), _options(overrides)))


def as_study(study: Study | str | Path) -> Study:
    """A study, or the one in the file that is named."""
    if isinstance(study, Study):
        return study
    if not isinstance(study, str | Path):
        remedy = "Give what Study(...) or load_study(FILE) returns, or the path of a file"
        raise UsageError(Problem("this is no study", type(study).__name__, remedy))
    return load_study(study)


def _options(overrides: Mapping[str, Any] | Sequence[str]) -> list[str]:
    if not isinstance(overrides, Mapping):
        return list(overrides)
    from ablatekit.study.written import flow_text

    return [f"{key}={flow_text(value, key)}" for key, value in overrides.items()]


def _is_function(backend: object) -> bool:
    return not isinstance(backend, str | Mapping)


def _given(**parts: Any) -> dict[str, Any]:
    """The keys that say something."""
    return {name: value for name, value in parts.items() if value not in _EMPTY}


def _backend_part(
    backend: Any, function: PlacedFunction | None, settings: Mapping[str, Any] | None
) -> Any:
    """The key `backend` of the file."""
    given = dict(settings or {})
    if function is not None:
        if FUNCTION in given:
            where = Location(f"backend.settings.{FUNCTION}")
            remedy = "Leave it out, or name the backend 'function' and the function here"
            raise StudyError(Problem("the function is given twice", given[FUNCTION], remedy, where))
        reference = function.reference
        return {"name": FUNCTION, "settings": {FUNCTION: reference, **given}}
    if isinstance(backend, Mapping):
        return {**backend, "settings": {**backend.get("settings", {}), **given}}
    return {"name": backend, **_given(settings=given)}


def _responses(responses: Any) -> Any:
    """Responses of the file: those that name no metric are called as it is."""
    if not isinstance(responses, Mapping):
        return responses
    parts: dict[str, Any] = {}
    for name, part in responses.items():
        stated = {"direction": part} if isinstance(part, str) else part
        parts[name] = {"metric": name, **stated} if isinstance(stated, Mapping) else stated
    return parts
