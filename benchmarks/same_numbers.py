"""Whether two analyses have the same numbers, by the key map beside this file.

    python benchmarks/same_numbers.py ARCHIVE.zip...     the bundled analysis against a new one
    python benchmarks/same_numbers.py OLD NEW            analysis.json files, or folders of them

Numbers may differ by 1e-10 of their size (p values below 1e-300 by anything); sentences are not
compared, names are, so that a number is compared with the one of the same row. Exits with 1 where
anything differs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RELATIVE, NEGLIGIBLE, SHOWN = 1e-10, 1e-300, 5
KEY_MAP: Mapping[str, Any] = json.loads(
    Path(__file__).with_name("key_map.json").read_text(encoding="utf-8")
)


@dataclass
class Tally:
    """What was compared, the largest relative difference, and every disagreement."""

    numbers: int = 0
    names: int = 0
    largest: float = 0.0
    differences: list[str] = field(default_factory=list)


def compare(old: Any, new: Any, path: tuple[str, ...], tally: Tally) -> None:
    """Everything that the old analysis holds, at its place in the new one."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key, value in old.items():
            if key in KEY_MAP["sentences"] or (key in KEY_MAP["not_compared"] and not path):
                continue
            place = new_name((*path, key))
            if place in new:
                compare(value, new[place], (*path, key), tally)
            else:
                tally.differences.append(f"{'.'.join((*path, key))}: missing")
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            tally.differences.append(f"{'.'.join(path)}: {len(old)} against {len(new)} rows")
        for i, (ours, theirs) in enumerate(zip(old, new, strict=False)):
            compare(ours, theirs, (*path, str(i)), tally)
    elif is_number(old) and is_number(new):
        compare_numbers(old, new, path, tally)
    else:
        tally.names += isinstance(old, str)
        if KEY_MAP["words"].get(old, old) != new if isinstance(old, str) else old is not new:
            tally.differences.append(f"{'.'.join(path)}: {old!r} against {new!r}")


def new_name(path: tuple[str, ...]) -> str:
    """The last key of a path under its new name; `*` in the map stands for any one key."""
    for before, after in KEY_MAP["renamed"].items():
        parts = before.split(".")
        if len(parts) == len(path) and all(
            part in ("*", key) for part, key in zip(parts, path, strict=True)
        ):
            return str(after.split(".")[-1])
    return path[-1]


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def compare_numbers(old: float, new: float, path: tuple[str, ...], tally: Tally) -> None:
    tally.numbers += 1
    size = max(abs(old), abs(new))
    if size < NEGLIGIBLE:
        return
    relative = abs(old - new) / size
    tally.largest = max(tally.largest, relative)
    if relative > RELATIVE:
        tally.differences.append(f"{'.'.join(path)}: {old!r} against {new!r}")


def archived(path: Path) -> tuple[Any, Any]:
    """The analysis in an archive and that of its tables by the code that runs here."""
    from ablatekit.report.bundle import analyse_bundle, read_bundle
    from ablatekit.report.write import analysis_json

    bundle = read_bundle(path)
    return bundle.analysis, json.loads(analysis_json(analyse_bundle(bundle)))


def pairs(arguments: list[str]) -> Iterator[tuple[str, Any, Any]]:
    """Name, old and new analysis of everything that the command names."""
    paths = [Path(argument) for argument in arguments]
    if all(path.suffix == ".zip" for path in paths):
        for path in paths:
            yield path.name, *archived(path)
        return
    old, new = paths
    if old.is_file():
        yield old.name, read(old), read(new)
        return
    for file in sorted(old.rglob("analysis.json")):
        place = file.relative_to(old)
        if (new / place).exists():
            yield str(place), read(file), read(new / place)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def main(arguments: list[str]) -> int:
    failed = 0
    for name, old, new in pairs(arguments):
        tally = Tally()
        compare(old, new, (), tally)
        failed += bool(tally.differences)
        print(
            f"{name}: {tally.numbers} numbers and {tally.names} names compared, largest relative"
            f" difference {tally.largest:.1e}, {len(tally.differences)} differ"
        )
        for difference in tally.differences[:SHOWN]:
            print(f"  {difference}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
