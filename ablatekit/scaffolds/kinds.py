"""The scaffolds of the core: a backend and a reader."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from ablatekit.plugins import plugin_names
from ablatekit.scaffolds.base import Scaffold

_HERE = Path(__file__).parent


def _backends() -> Collection[str]:
    return plugin_names("backend")


def _readers() -> Collection[str]:
    """Names of readers, and what their files end in: two readers of one suffix would be unclear."""
    from ablatekit.analysis.tables.read import load_reader

    names = plugin_names("reader")
    suffixes = (suffix for name in names for suffix in load_reader(name).suffixes)
    return {*names, *(suffix.removeprefix(".") for suffix in suffixes)}


BACKEND = Scaffold("backend", _HERE / "backend", _backends, "study run {folder}/study.yaml")
READER = Scaffold(
    "reader",
    _HERE / "reader",
    _readers,
    "analyze {folder}/sample.{suffix} --response accuracy --factors optimizer,size",
)
