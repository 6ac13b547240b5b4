"""Which files decide the results of a command, and their hashes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ablatekit.canonical import bytes_hash
from ablatekit.references import sources_of
from ablatekit_command.invocation import PYTHONS, split_words, stand_ins
from ablatekit_command.settings import CommandSettings
from ablatekit_command.templates import fill, only_placeholder, placeholders

_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


def named_content(settings: CommandSettings, parameters: Mapping[str, Any]) -> dict[str, str]:
    """SHA-256 of what settings name: files in the command, what these import, `files`, parameters.

    A parameter whose value is a file is known by what the file contains, wherever it lies.
    """
    base = looked_up_in(settings)
    named = {f"command {word}": base / word for word in files_of_command(settings, parameters)}
    named |= {f"imported {name}": path for name, path in imported_sources(base, named.values())}
    named |= {f"files {name}": path for name, path in matched_files(settings)}
    named |= {name: base / value for name, value in parameters.items() if _is_path(base, value)}
    if settings.config.template:
        named["config.template"] = Path(settings.config.template)
    return {name: bytes_hash(path) for name, path in sorted(named.items()) if path.is_file()}


def imported_sources(base: Path, named: Iterable[Path]) -> Iterator[tuple[str, Path]]:
    """What Python files of a command import from beside them, with names below `base`."""
    scripts = [path for path in named if path.suffix == ".py" and path.is_file()]
    for script in scripts:
        for source in sources_of(script):
            if source not in scripts:
                yield os.path.relpath(source, base), source


def looked_up_in(settings: CommandSettings) -> Path:
    """The folder from which relative names of a command are seen when planning."""
    return Path(settings.study_dir if placeholders(settings.cwd) else settings.cwd)


def script_of(words: list[str]) -> str | None:
    """The script that an interpreter of Python is given; None for a module or code in the line."""
    skipped = False
    for word in words[1:]:
        if skipped or (word.startswith("-") and word not in ("-m", "-c")):
            skipped = word in _WITH_VALUE
            continue
        return None if word in ("-m", "-c") else word
    return None


def module_of(words: list[str]) -> str | None:
    """The module that an interpreter of Python is asked to run."""
    if words[0] not in PYTHONS or "-m" not in words[:-1]:
        return None
    at = words.index("-m")
    return words[at + 1] if all(word.startswith("-") for word in words[1:at]) else None


def matched_files(settings: CommandSettings) -> Iterator[tuple[str, Path]]:
    """The files that the patterns of `files` match, with their names below the study's folder."""
    base = Path(settings.study_dir)
    for pattern in settings.files:
        for path in sorted(matches(base, pattern)):
            yield str(path.relative_to(base) if path.is_relative_to(base) else path), path


def matches(base: Path, pattern: str) -> list[Path]:
    """The files that one pattern, a name or an absolute path matches."""
    if Path(pattern).is_absolute():
        return [Path(pattern)] if Path(pattern).is_file() else []
    return [path for path in base.glob(pattern) if path.is_file()]


def files_of_command(settings: CommandSettings, parameters: Mapping[str, Any]) -> Iterator[str]:
    """The words of a command that name files, as they are seen from its working directory.

    A word that is a placeholder is the parameter's to name; `--option=FILE` names a file, too.
    """
    base, values = looked_up_in(settings), {**stand_ins(settings), **parameters}
    words = split_words(settings.command)
    module = module_of(words) if words else None
    if module is not None:
        place = module.replace(".", "/")
        words += [f"{place}.py", f"{place}/__main__.py"]
    for word in dict.fromkeys(word for word in words if only_placeholder(word) is None):
        file = fill(word, values).partition("=")[2] if word.startswith("-") else fill(word, values)
        if _is_path(base, file):
            yield file


def _is_path(base: Path, value: Any) -> bool:
    if not isinstance(value, str) or not value or "\0" in value or len(value) > 1000:
        return False
    try:
        return (base / value).is_file()
    except OSError:
        return False
