"""Packs what the packages wrote: `python pack.py FOLDER ARCHIVE PATTERN...`.

Only files whose name matches a pattern are packed: others hold paths of the machine.
"""

from __future__ import annotations

import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

folder, archive, *patterns = sys.argv[1:]
Path(archive).parent.mkdir(parents=True, exist_ok=True)
with ZipFile(archive, "w", ZIP_DEFLATED) as packed:
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and not path.is_symlink() and any(map(path.match, patterns)):
            entry = ZipInfo(path.relative_to(folder).as_posix())
            entry.compress_type = ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())
