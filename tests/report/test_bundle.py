"""One archive from which the analysis runs again, and the commands around it."""

from __future__ import annotations

import io
import json
import zipfile

import pandas as pd
import pytest
import yaml

from ablatekit.cli.main import invoke

STUDY = {
    "version": 1,
    "name": "small",
    "title": "A small study",
    "backend": {"name": "simulated", "settings": {"rounds": 4, "items": 20}},
    "factors": {"helps_both": {"baseline": False, "levels": [False, True], "label": "helps"}},
    "contexts": {"model": ["m1", "m2", "m3"], "dataset": ["d1", "d2"]},
    "replicates": 2,
    "responses": {
        "learning": {"metric": "train/pass@1", "smallest_effect": 0.02},
        "generalization": {"metric": "test/pass@1", "smallest_effect": 0.02},
    },
    "tracking": {"uri": None},
}


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    """(folder, study file, bundle) of a study that was run and exported."""
    folder = tmp_path_factory.mktemp("bundle")
    study, bundle = folder / "study.yaml", folder / "small.zip"
    study.write_text(yaml.safe_dump(STUDY, sort_keys=False))
    where = ["--workspace", str(folder / "workspace")]
    assert invoke(["study", "run", str(study), *where]) == 0
    assert invoke(["study", "export", str(study), *where, "--output", str(bundle)]) == 0
    return folder, study, bundle


def test_a_bundle_holds_study_plan_tables_and_report(bundled):
    with zipfile.ZipFile(bundled[2]) as archive:
        names = set(archive.namelist())
        assert archive.read("study.yaml") == bundled[1].read_bytes()
        items = pd.read_parquet(io.BytesIO(archive.read("tables/items.parquet")))
        runs = pd.read_parquet(io.BytesIO(archive.read("tables/runs.parquet")))
    assert {"plan.json", "analysis.json", "tables/history.parquet"} <= names
    assert {"report/index.html", "report/report.tex", "report/references.bib"} <= names
    assert set(items["run"]) == set(runs["run"])
    assert len(runs) == 24


def test_the_analysis_runs_again_without_the_workspace_and_is_the_same(bundled, capsys):
    folder, _, bundle = bundled
    (folder / "workspace").rename(folder / "away")
    try:
        capsys.readouterr()
        assert invoke(["study", "report", str(bundle), "--json", "--theme", "dark"]) == 0
    finally:
        (folder / "away").rename(folder / "workspace")
    told = json.loads(capsys.readouterr().out)
    assert told["same_analysis"] is True
    page = folder / "small" / "report" / "index.html"
    assert told["report"] == str(page)
    assert 'data-theme="dark"' in page.read_text()
    again = (folder / "small" / "report" / "analysis.json").read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        assert again == archive.read("analysis.json")


def test_studies_bundles_and_analyses_can_be_compared(bundled, capsys):
    folder, study, bundle = bundled
    where = ["--workspace", str(folder / "workspace")]
    capsys.readouterr()
    assert invoke(["study", "compare", str(study), str(bundle), *where, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["contexts"] == "overlapping"
    assert {row["agreement"] for row in told["effects"]} == {"not compared"}
    assert invoke(["study", "compare", str(study), str(bundle), *where]) == 0
    assert "learning: 24 runs are in both studies" in capsys.readouterr().out


def test_another_file_is_refused_with_a_remedy(tmp_path, capsys):
    path = tmp_path / "other.zip"
    path.write_bytes(b"no archive")
    assert invoke(["study", "report", str(path)]) == 2
    assert "ablatekit study export" in capsys.readouterr().err
    assert invoke(["study", "compare", str(path.with_suffix(".json")), str(path)]) == 2
