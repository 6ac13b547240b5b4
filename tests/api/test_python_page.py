"""Every block of the page on Python runs, one after the other, as in one notebook."""

from __future__ import annotations

import linecache
import re
from pathlib import Path
from typing import Any

import pytest

import ablatekit
from ablatekit.errors import UsageError

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the blocks have defined."""
    values: dict[str, Any] = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        for number, block in enumerate(BLOCKS):
            file = f"<block {number} of {PAGE.name}>"
            linecache.cache[file] = (len(block), None, block.splitlines(keepends=True), file)
            exec(compile(block, file, "exec"), values)  # noqa: S102
    return values


def test_the_blocks_do_what_the_page_says(session: dict[str, Any]) -> None:
    assert len(BLOCKS) == 9
    assert session["same"].to_yaml() == session["study"].to_yaml()
    assert session["runs"].counts["finished"] == 8
    assert session["existing"].effects["estimate"][0] == pytest.approx(
        session["effects"]["estimate"][0]
    )
    assert list(session["both"].effects["agreement"])
    assert session["fitted"].effects["level"][0] == "true"


def test_the_table_of_names_is_complete() -> None:
    told = set(re.findall(r"`(\w+)`", TEXT.split("|---|---|")[1].split("\n\n")[0]))
    assert set(ablatekit.__all__) - {"__version__"} <= told


def test_the_study_file_of_a_function_loads(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("def train(lr, depth, seed): ...", encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    rest = "factors: {depth: {baseline: 1, levels: [1, 2]}}\nresponses: {a: {metric: a}}\n"
    study = tmp_path / "study.yaml"
    study.write_text(f"version: 1\nname: own\n{block}{rest}", encoding="utf-8")
    with pytest.raises(UsageError, match="does not say which way is better"):
        ablatekit.plan(study, workspace=tmp_path)
    study.write_text(study.read_text().replace("metric: a", "metric: a, direction: higher"))
    assert len(ablatekit.plan(study, workspace=tmp_path).runs) == 2
