"""Models on the Hugging Face hub: names, revisions, and the commits that the local cache knows.

A branch or tag can move, a commit cannot: a run is identified by the commit and trains exactly it.
Imports nothing of the hub's own package and never asks the network, so that planning needs neither.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from ablatekit.errors import Problem, UsageError

MAIN = "main"
_NAME = re.compile(r"(?P<name>[A-Za-z0-9][\w.\-]*/[\w.\-]+)(@(?P<revision>[\w.\-]+(/[\w.\-]+)*))?")
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


def parse_hub_name(text: str) -> HubModel | None:
    """`owner/name` or `owner/name@revision`; None for any other text."""
    found = _NAME.fullmatch(text.removeprefix("hub:"))
    return HubModel(found["name"], found["revision"] or MAIN) if found else None


def pinned(model: HubModel) -> HubModel:
    """The model at a commit: its own, or the one that the local cache has for its revision.

    Raises UsageError when the revision is a branch or tag that is not in the cache.
    """
    if _COMMIT.fullmatch(model.revision):
        return model
    try:
        commit = _reference(model).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        commit = ""
    if not _COMMIT.fullmatch(commit):
        raise UsageError(_not_pinned(model))
    return HubModel(model.name, commit)


def _not_pinned(model: HubModel) -> Problem:
    asked = "" if model.revision == MAIN else f"@{model.revision}"
    option = "" if model.revision == MAIN else f" --revision {model.revision}"
    return Problem(
        "a hub model is not pinned: its branch may move, and the local cache has no commit for it",
        repr(f"{model.name}{asked}"),
        f"Write {model.name}@COMMIT (40 hex digits), or download it first:"
        f" hf download {model.name}{option}",
    )


def _reference(model: HubModel) -> Path:
    """The file of the hub's cache that holds the commit of a branch or tag."""
    folder = f"models--{model.name.replace('/', '--')}"
    return cache_directory() / folder / "refs" / model.revision


def cache_directory() -> Path:
    """Where huggingface_hub keeps what it downloaded, by its environment variables."""
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    if named:
        return Path(named).expanduser()
    general = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{general}/huggingface"
    return Path(home).expanduser() / "hub"
