"""TensorBoard event files: every folder with them is a run; hparams say what it was given.

PyTorch's `add_hparams` writes into a folder of its own below the run's, Keras into `train` and
`validation`: all are one run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from ablatekit.errors import Location, Problem, TableError
from ablatekit.logs.adjacent import configuration_beside, configuration_in_names
from ablatekit.logs.base import LoggedRun, RunEnd
from ablatekit.logs.values import LoggedPoint, distinctly_named, flatten, in_order, number_of

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

PATTERN = "*tfevents*"
ARGUMENTS = ("args/text_summary", "args")
"""Where transformers logs its arguments, as JSON."""
HPARAMS, SCALARS = "hparams", "scalars"
PHASES = frozenset({"train", "validation", "val", "test", "eval"})
"""Folders into which Keras writes the metrics of one run side by side."""
HEAD_BYTES, TAIL_BYTES = 12, 4
MOST_CHECKED = 1 << 16
ENDS: Mapping[int, RunEnd] = MappingProxyType({1: "finished", 2: "crashed", 3: "running"})
"""By the plugin's numbers of a session's status."""
INSTALL = 'Install it with: pip install "ablatekit[tensorboard]"'


@dataclass(slots=True)
class _Folder:
    """What the event files of one folder say together."""

    points: list[LoggedPoint] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    end: RunEnd = "unknown"
    started: float | None = None
    cut: bool = False


class TensorboardLog:
    """An event file, or a folder with such files somewhere below it."""

    name: ClassVar[str] = "tensorboard"

    def claims(self, path: Path) -> bool:
        """Whether a name has tfevents in it, the file's own or one below the folder."""
        if path.is_dir():
            return any(found.is_file() for found in path.rglob(PATTERN))
        return path.match(PATTERN)

    def runs(self, path: Path) -> Iterator[LoggedRun]:
        """A run for every folder; several event files of a folder are a run that was resumed."""
        root = path if path.is_dir() else path.parent
        files = list(_below(path)) if path.is_dir() else [path]
        folders: dict[Path, list[Path]] = {}
        for file in files:
            folders.setdefault(file.parent, []).append(file)
        read = {folder: _read(paths) for folder, paths in sorted(folders.items())}
        yield from distinctly_named(_runs(_joined(_with_phases(read, root)), root))


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob(PATTERN)) if path.is_file())


def _with_phases(folders: Mapping[Path, _Folder], root: Path) -> dict[Path, _Folder]:
    """Folders of a run's phases as one: `epoch_loss` below train/ is `train/epoch_loss`."""
    phases = {path for path in folders if path.name in PHASES and path != root}
    joined = {path: content for path, content in folders.items() if path not in phases}
    for path in sorted(phases):
        content = folders[path]
        whole = joined.setdefault(path.parent, _Folder())
        for point in content.points:
            named = {_in_phase(name, path.name): value for name, value in point.metrics.items()}
            whole.points.append(point._replace(metrics=named))
        whole.config |= content.config
        whole.end = content.end if whole.end == "unknown" else whole.end
        starts = [start for start in (whole.started, content.started) if start is not None]
        whole.started = min(starts, default=None)
        whole.cut = whole.cut or content.cut
    return dict(sorted(joined.items()))


def _in_phase(name: str, phase: str) -> str:
    return name if name.startswith(f"{phase}/") else f"{phase}/{name}"


def _joined(folders: Mapping[Path, _Folder]) -> dict[Path, _Folder]:
    """Folders that only hold hparams and their metrics at one step, taken into the run above."""
    joined = dict(folders)
    for path, content in folders.items():
        above = folders.get(path.parent)
        if above is None or not content.config or len({point.step for point in content.points}) > 1:
            continue
        later = [point._replace(step=_last_step(above)) for point in content.points]
        above.points += later
        above.config |= content.config
        above.end = content.end if above.end == "unknown" else above.end
        del joined[path]
    return joined


def _last_step(folder: _Folder) -> int:
    return max((point.step for point in folder.points), default=0)


def _runs(folders: Mapping[Path, _Folder], root: Path) -> list[LoggedRun]:
    names = [path.relative_to(root).as_posix() for path in folders]
    told = configuration_in_names(names) if len(names) > 1 else [{} for _ in names]
    return [
        LoggedRun(
            name=root.name if name == "." else name,
            config=content.config or configuration_beside(path) or said,
            history=in_order(content.points),
            end=content.end,
            started=content.started,
            cut=content.cut,
        )
        for (path, content), name, said in zip(folders.items(), names, told, strict=True)
    ]


def _read(paths: Sequence[Path]) -> _Folder:
    """Event files in the order of their first events: a resumed run's later values stand."""
    folder = _Folder()
    parts = [_events(path) for path in paths]
    folder.cut = any(cut for _, cut in parts)
    for events, _ in sorted(parts, key=lambda part: part[0][0].wall_time if part[0] else math.inf):
        for event in events:
            _take(event, folder)
    return folder


def _events(path: Path) -> tuple[list[Event], bool]:
    """The events of a file, and whether its end is missing or damaged."""
    event, damaged = _protocol(path)
    where = Location(str(path))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TableError(Problem(f"cannot be read ({error})", "", "", where)) from error
    events: list[Event] = []
    for record in _records(content):
        if record is None:
            return events, True
        try:
            events.append(event.FromString(record))
        except damaged:
            return events, True
    return events, False


def _protocol(path: Path) -> tuple[type[Event], type[Exception]]:
    """The class of an event, and what it raises for bytes that are none."""
    try:
        from google.protobuf.message import DecodeError
        from tensorboard.compat.proto.event_pb2 import Event
    except ImportError as error:
        rule = "reading event files needs the package tensorboard"
        raise TableError(Problem(rule, "", INSTALL, Location(str(path)))) from error
    return Event, DecodeError


def _records(content: bytes) -> Iterator[bytes | None]:
    """The records of a file; None in the place of the first that is cut or damaged.

    A record is its length, a checksum of the length, its bytes and their checksum. Those of long
    records, which hold images, are not compared: the checksum is calculated in Python.
    """
    from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

    place = 0
    while place < len(content):
        head = content[place : place + HEAD_BYTES]
        if len(head) < HEAD_BYTES or masked_crc32c(head[:8]) != int.from_bytes(head[8:], "little"):
            yield None
            return
        start = place + HEAD_BYTES
        end = start + int.from_bytes(head[:8], "little")
        record, tail = content[start:end], content[end : end + TAIL_BYTES]
        place = end + TAIL_BYTES
        checked = len(record) > MOST_CHECKED or (
            len(tail) == TAIL_BYTES and masked_crc32c(record) == int.from_bytes(tail, "little")
        )
        if place > len(content) or not checked:
            yield None
            return
        yield record


def _take(event: Event, folder: _Folder) -> None:
    """Adds what an event says: scalars, hparams, the arguments of transformers."""
    if folder.started is None:
        folder.started = event.wall_time
    for value in event.summary.value:
        plugin = value.metadata.plugin_data.plugin_name
        if plugin == HPARAMS:
            _take_hparams(value.metadata.plugin_data.content, folder)
        elif value.tag in ARGUMENTS:
            folder.config = _arguments(value) | folder.config
        elif (number := _scalar(value)) is not None:
            folder.points.append(LoggedPoint(event.step, event.wall_time, {value.tag: number}))


def _take_hparams(content: bytes, folder: _Folder) -> None:
    from google.protobuf.message import DecodeError
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    try:
        data = HParamsPluginData.FromString(content)
    except DecodeError:
        folder.cut = True
        return
    for name, value in sorted(data.session_start_info.hparams.items()):
        kind = value.WhichOneof("kind")
        given: Any = getattr(value, kind) if kind else None
        whole = kind == "number_value" and float(given).is_integer()
        folder.config[name] = int(given) if whole else given
    if data.HasField("session_end_info"):
        folder.end = ENDS.get(data.session_end_info.status, "unknown")


def _scalar(value: Any) -> float | None:
    """A summary's number, as PyTorch or as TensorFlow 2 writes it; None for anything else."""
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.metadata.plugin_data.plugin_name not in ("", SCALARS):
        return None
    from tensorboard.util.tensor_util import make_ndarray

    array = make_ndarray(value.tensor)
    return number_of(array.item()) if array.size == 1 and array.dtype.kind in "fiu" else None


def _arguments(value: Any) -> dict[str, Any]:
    texts = value.tensor.string_val
    try:
        content = json.loads(texts[0]) if texts else None
    except ValueError:
        return {}
    return flatten(content) if isinstance(content, dict) else {}
