"""A tracker in one JSON file: small enough to be read as what the protocol asks for."""

from __future__ import annotations

import json
import shutil

from pydantic import BaseModel, ConfigDict

from ablatekit.tracking.base import KeptRecord, TrackerError


class JsonSettings(BaseModel):
    """What a study file says of it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    file: str = "records.json"
    """Name of the file below the workspace."""


class JsonTracker:
    """Records by key; every write is a new file."""

    name = "json"
    settings = JsonSettings
    points_at_once = 100

    def __init__(self, plan, workspace, settings):
        self.folder = workspace.root
        self.study = plan.study
        self.path = self.folder / settings.file
        self.place = str(self.path)

    def open(self):
        records = [entry for entry in self._read().items() if entry[1]["study"] == self.study]
        return [
            KeptRecord(key=key, run_id=kept["run_id"], cursor=kept["cursor"], status=kept["status"])
            for key, kept in records
        ]

    def create(self, record):
        records = self._read()
        key = str(1 + max(map(int, records), default=0))
        records[key] = {
            "study": self.study,
            "run_id": record.run_id,
            "name": record.name,
            "status": "running",
            "started": record.started,
            "ended": None,
            "tags": {**record.tags, "user": record.user},
            "params": {},
            "points": [],
            "files": [],
            "cursor": record.cursor,
        }
        self._write(records)
        return key

    def add(self, key, content):
        records = self._read()
        kept = records[key]
        kept["params"] |= content.params
        kept["tags"] |= content.tags
        for point in content.points:
            stored = [point.metric, point.step, repr(point.value), point.time]
            if stored not in kept["points"]:
                kept["points"].append(stored)
        kept["cursor"] = content.cursor
        self._write(records)

    def attach(self, key, folder):
        target = self.folder / "attached" / key
        shutil.copytree(folder, target, dirs_exist_ok=True)
        records = self._read()
        records[key]["files"] = sorted(path.name for path in target.iterdir())
        self._write(records)

    def set_status(self, key, status, ended):
        records = self._read()
        records[key] |= {"status": status, "ended": ended}
        self._write(records)

    def delete(self, key):
        records = self._read()
        del records[key]
        self._write(records)

    def close(self):
        pass

    def _read(self):
        try:
            return json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise TrackerError(str(error)) from error

    def _write(self, records):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(records), encoding="utf-8")
