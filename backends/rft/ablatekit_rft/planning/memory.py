"""What planning has found out, kept between commands in the user's cache folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ablatekit.canonical import content_hash, write_atomically

VARIABLE = "ABLATEKIT_CACHE"
FOLDER = "rft"


@dataclass(frozen=True, slots=True)
class Memory:
    """Findings by their key, in the first of the folders that has them or can be written.

    A file that is damaged is as good as none, and a folder that cannot be written is no error:
    what is found there is found again.
    """

    folders: tuple[Path, ...]

    def recall(self, key: str) -> Any | None:
        """What was kept under a key; None where nothing readable is."""
        for folder in self.folders:
            try:
                kept = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
                if kept["digest"] == content_hash(kept["finding"]):
                    return kept["finding"]
            except (OSError, ValueError, KeyError, TypeError):
                continue
        return None

    def keep(self, key: str, finding: Any) -> None:
        """Remember what was found, as JSON."""
        text = json.dumps({"digest": content_hash(finding), "finding": finding})
        for folder in self.folders:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_atomically(folder / f"{key}.json", text.encode())
            except OSError:
                continue
            return


def user_memory(*others: Path) -> Memory:
    """The user's cache folder, then the others.

    It is `$ABLATEKIT_CACHE`, else `ablatekit` below `$XDG_CACHE_HOME`, else below `~/.cache`.
    """
    general = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    named = os.environ.get(VARIABLE) or f"{general}/ablatekit"
    try:
        own: tuple[Path, ...] = (Path(named).expanduser() / FOLDER,)
    except RuntimeError:  # a user without a home
        own = ()
    return Memory((*own, *others))
