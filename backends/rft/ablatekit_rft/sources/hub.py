"""Models and data sets on the Hugging Face hub: names, revisions, commits in the local cache.

A branch or tag can move, a commit cannot: a run is identified by the commit and trains exactly it.
Imports nothing of the hub's own package and never asks the network, so that planning needs neither.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from ablatekit.errors import Problem, UsageError

RepositoryKind: TypeAlias = Literal["model", "dataset"]

MAIN = "main"
_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.\-]*/[\w.\-]+)(@(?P<revision>[\w.\-]+(/[\w.\-]+)*))?")
_DATASET = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.\-]*/[\w.\-]+)(/(?P<subset>[\w.\-]+))?(@(?P<revision>[\w.\-]+))?"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubModel:
    """`owner/name` at a commit, branch or tag."""

    name: str
    revision: str

    @property
    def content(self) -> str:
        """What identifies the model in a run."""
        return f"hub:{self.name}@{self.revision}"


@dataclass(frozen=True, slots=True)
class HubDataset:
    """`owner/name` or `owner/name/subset` at a commit, branch or tag."""

    name: str
    subset: str | None
    revision: str

    def __str__(self) -> str:
        return self.name if self.subset is None else f"{self.name}/{self.subset}"

    @property
    def content(self) -> str:
        """What identifies the data set in a run."""
        return f"hub-dataset:{self}@{self.revision}"


def parse_hub_name(text: str) -> HubModel | None:
    """`owner/name` or `owner/name@revision`; None for any other text."""
    parts = _NAME.fullmatch(text.removeprefix("hub:"))
    return HubModel(parts["name"], parts["revision"] or MAIN) if parts else None


def parse_hub_dataset(text: str) -> HubDataset | None:
    """`owner/name[/subset][@revision]`; None for any other text."""
    parts = _DATASET.fullmatch(text.removeprefix("hub-dataset:"))
    if parts is None:
        return None
    return HubDataset(parts["name"], parts["subset"], parts["revision"] or MAIN)


def pinned(model: HubModel) -> HubModel:
    """The model at a commit: its own, or the one that the local cache has for its revision.

    Raises UsageError when the revision is a branch or tag that is not in the cache.
    """
    return replace(model, revision=_commit("model", model.name, model.name, model.revision))


def pinned_dataset(dataset: HubDataset) -> HubDataset:
    """The same for a data set."""
    commit = _commit("dataset", str(dataset), dataset.name, dataset.revision)
    return replace(dataset, revision=commit)


def snapshot(model: str) -> Path | None:
    """The folder of the local cache that holds a hub model's files; None where there is none."""
    named = parse_hub_name(model)
    if named is None:
        return None
    try:
        commit = pinned(named).revision
    except UsageError:
        return None
    folder = _cached("model", named.name) / "snapshots" / commit
    return folder if folder.is_dir() else None


def _commit(kind: RepositoryKind, written: str, name: str, revision: str) -> str:
    if _COMMIT.fullmatch(revision):
        return revision
    try:
        commit = _reference(kind, name, revision).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        commit = ""
    if not _COMMIT.fullmatch(commit):
        raise UsageError(_not_pinned(kind, written, name, revision))
    return commit


def _not_pinned(kind: RepositoryKind, written: str, name: str, revision: str) -> Problem:
    asked = "" if revision == MAIN else f"@{revision}"
    options = "" if kind == "model" else " --repo-type dataset"
    options += "" if revision == MAIN else f" --revision {revision}"
    return Problem(
        f"a hub {kind} is not pinned: its branch may move, and the local cache has no commit for"
        " it",
        repr(f"{written}{asked}"),
        f"Write {written}@COMMIT (40 hex digits), or download it first:"
        f" hf download {name}{options}",
    )


def _reference(kind: RepositoryKind, name: str, revision: str) -> Path:
    """The file of the hub's cache that holds the commit of a branch or tag."""
    return _cached(kind, name) / "refs" / revision


def _cached(kind: RepositoryKind, name: str) -> Path:
    return cache_directory() / f"{kind}s--{name.replace('/', '--')}"


def cache_directory() -> Path:
    """Where huggingface_hub keeps what it downloaded, by its environment variables."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(named).expanduser()
    general = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{general}/huggingface"
    return Path(home).expanduser() / "hub"
