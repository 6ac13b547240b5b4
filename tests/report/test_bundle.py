"""One archive from which the analysis runs again, and the commands around it."""

from __future__ import annotations

import io
import json
import zipfile

import pandas as pd
import pytest
import yaml

from ablatekit.cli.main import invoke
from ablatekit.report import write
from ablatekit.report.formats import html

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


@pytest.fixture(scope="module", autouse=True)
def _without_figures():
    """Files of figures are tested with LaTeX; here each takes their place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(html, "svg", lambda picture, **_: f'<svg aria-label="{picture.title}"></svg>')
        patch.setattr(write, "image", lambda picture, kind, *_: f"{kind} of {picture.id}".encode())
        yield


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
    assert {row["agreement"] for row in told["effects"]} == {"undecided"}
    assert invoke(["study", "compare", str(study), str(bundle), *where]) == 0
    told = capsys.readouterr().out
    assert "learning: 24 runs are in both studies" in told
    assert "Learning" in told
    assert "helps:" in told
    assert "the same command with --report DIR" in told
    assert max(len(line) for line in told.splitlines()) <= 80
    page = folder / "side by side"
    assert invoke(["study", "compare", str(study), str(bundle), *where, "--report", str(page)]) == 0
    assert f"report: {page / 'index.html'}" in capsys.readouterr().out
    assert "Both are one study" in (page / "index.html").read_text()


def test_no_member_of_a_bundle_tells_a_password_and_it_is_analysed_alike(tmp_path, capsys):
    source = "https://me:hunter2@host/d1"
    study, bundle = tmp_path / "study.yaml", tmp_path / "small.zip"
    changed = {**STUDY, "contexts": {**STUDY["contexts"], "dataset": [source]}}
    study.write_text(yaml.safe_dump(changed, sort_keys=False))
    where = ["--workspace", str(tmp_path / "workspace")]
    assert invoke(["study", "run", str(study), *where, "--second-opinion"]) == 0
    assert "The second opinion differs" not in capsys.readouterr().out
    assert invoke(["study", "export", str(study), *where, "--output", str(bundle)]) == 0
    with zipfile.ZipFile(bundle) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".parquet"):
                content = pd.read_parquet(io.BytesIO(content)).to_csv().encode()
            assert b"hunter2" not in content, name
    assert invoke(["study", "report", str(bundle), "--no-second-opinion"]) == 0
    assert "the analysis equals the bundled one" in capsys.readouterr().out


def test_another_file_is_refused_with_a_remedy(tmp_path, capsys):
    path = tmp_path / "other.zip"
    path.write_bytes(b"no archive")
    assert invoke(["study", "report", str(path)]) == 2
    assert "ablatekit study export" in capsys.readouterr().err
    assert invoke(["study", "compare", str(path.with_suffix(".json")), str(path)]) == 2


def test_the_analysis_of_a_formula_is_not_compared(tmp_path, capsys):
    path = tmp_path / "analysis.json"
    path.write_text('{"schema_version": 4, "responses": {}}')
    assert invoke(["study", "compare", str(path), str(path)]) == 2
    assert "the analysis of a formula has no cells" in capsys.readouterr().err


def test_an_analysis_is_no_study_in_one_message(tmp_path, capsys):
    path = tmp_path / "analysis.json"
    path.write_text('{"schema_version": 1, "study": {}}')
    assert invoke(["study", "report", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "an analysis.json is no study" in told


def test_a_bundle_is_reported_in_the_workspace_that_is_named(bundled, tmp_path, capsys):
    _, _, bundle = bundled
    where = ["--workspace", str(tmp_path / "elsewhere")]
    assert invoke(["study", "report", str(bundle), *where]) == 0
    assert (tmp_path / "elsewhere" / "small" / "report" / "index.html").exists()
    assert invoke(["study", "report", str(bundle), "--set", "replicates=3"]) == 2
    assert "a bundle cannot be changed" in capsys.readouterr().err


def test_a_bundle_never_replaces_the_report_of_a_study(bundled, capsys):
    folder, _, bundle = bundled
    page = folder / "workspace" / "small" / "report" / "index.html"
    before = page.read_bytes()
    assert invoke(["study", "report", str(bundle), "--workspace", str(folder / "workspace")]) == 2
    assert "would replace that of a study" in capsys.readouterr().err
    assert page.read_bytes() == before


def test_a_failed_export_leaves_the_report_alone(bundled, capsys):
    folder, study, _ = bundled
    where = ["--workspace", str(folder / "workspace")]
    report = folder / "workspace" / "small" / "report"
    before = {path: path.stat().st_mtime_ns for path in report.iterdir()}
    (folder / "taken").mkdir(exist_ok=True)
    assert invoke(["study", "export", str(study), *where, "--output", str(folder / "taken")]) != 0
    assert "Traceback" not in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in report.iterdir()} == before


def test_the_study_file_names_the_theme_and_the_labels(bundled):
    folder, study, _ = bundled
    themed = folder / "themed.yaml"
    themed.write_text(study.read_text() + "report: {theme: dark}\n")
    where = ["--workspace", str(folder / "workspace")]
    assert invoke(["study", "report", str(themed), *where]) == 0
    page = (folder / "workspace" / "small" / "report" / "index.html").read_text()
    assert 'data-theme="dark"' in page
    assert "<h1>A small study</h1>" in page
    assert "helps \N{MULTIPLICATION SIGN} context" in page
    assert invoke(["study", "report", str(themed), *where, "--theme", "auto"]) == 0
    page = (folder / "workspace" / "small" / "report" / "index.html").read_text()
    assert "data-theme" not in page.split("<style>")[0]


def _changed(bundle, path, member, change):
    """A copy of a bundle with one member changed; None leaves it out."""
    with zipfile.ZipFile(bundle) as archive, zipfile.ZipFile(path, "w") as copy:
        for name in archive.namelist():
            content = archive.read(name)
            content = change(content) if name == member else content
            if content is not None:
                copy.writestr(name, content)
    return path


def _with(*keys, value):
    """A change of one value of a JSON document."""

    def change(content):
        document = json.loads(content)
        part = document
        for key in keys[:-1]:
            part = part[key]
        part[keys[-1]] = value
        return json.dumps(document).encode()

    return change


def _column_lost(content):
    frame = pd.read_parquet(io.BytesIO(content)).drop(columns="status")
    return frame.to_parquet(index=False)


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("plan.json", lambda _: None),
        ("plan.json", lambda _: b"[1, 2]"),
        ("plan.json", lambda _: b"\xff\xfe{"),
        ("plan.json", _with("cells", 0, "levels", "helps_both", value="other")),
        ("plan.json", _with("cells", 0, "unit", value=7)),
        ("plan.json", _with("analysis", "alpha", value="small")),
        ("plan.json", _with("analysis", "alpha", value=2.0)),
        ("plan.json", _with("runs", 0, "run_id", value="another")),
        ("plan.json", _with("analysis", "responses", 0, "metric", value={"a": 1})),
        ("analysis.json", lambda _: b"null"),
        ("analysis.json", _with("responses", "learning", "effects", 0, "se", value="small")),
        ("analysis.json", _with("responses", "learning", "effects", value={})),
        ("tables/runs.parquet", lambda content: content[: len(content) // 2]),
        ("tables/runs.parquet", _column_lost),
        ("tables/history.parquet", lambda _: b"run,step\n1,2\n"),
    ],
)
def test_a_damaged_bundle_is_one_message(bundled, tmp_path, capsys, member, change):
    path = _changed(bundled[2], tmp_path / "damaged.zip", member, change)
    capsys.readouterr()
    assert invoke(["study", "report", str(path)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "damaged.zip" in told
    assert not (tmp_path / "damaged").exists()


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_bundle_that_was_cut_is_one_message(bundled, tmp_path, capsys, share):
    content = bundled[2].read_bytes()
    path = tmp_path / "cut.zip"
    path.write_bytes(content[: int(share * len(content))])
    assert invoke(["study", "report", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    "content",
    [
        "[]", "{}", "null", '{"schema_version": 4}', "[" * 100_000,
        '{"schema_version": 4, "responses": {"y": 1}, "design": {"contexts": []}}',
        '{"schema_version": 4, "responses": {}, "design": {"contexts": []}}',
    ],
)  # fmt: skip
def test_foreign_json_is_one_message(tmp_path, capsys, content):
    path = tmp_path / "foreign.json"
    path.write_text(content)
    assert invoke(["study", "compare", str(path), str(path)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "this is not an analysis.json of a study" in told
