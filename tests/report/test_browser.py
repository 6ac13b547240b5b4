"""The page in a real browser; skipped where none is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from ablatekit.report import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None,
    reason="chromium is not installed (Debian: apt-get install chromium); no page is opened",
)
PROBE = """
<script>
addEventListener("load", () => {
  const table = document.getElementById("answer-table");
  const levels = () => [...table.tBodies[0].rows].map((row) => row.dataset.level).join(",");
  const head = table.tHead.rows[1].cells[2];
  head.querySelector("button").click();
  const up = levels();
  head.querySelector("button").click();
  const down = levels();
  const paper = () => getComputedStyle(document.body).backgroundColor;
  const before = paper();
  document.getElementById("theme").click();
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const drawn = [...document.querySelectorAll("figure svg")]
    .filter((svg) => svg.getBoundingClientRect().height > 50).length;
  document.title = JSON.stringify({up, down, before, after: paper(), wide, drawn});
});
</script>
"""


@pytest.fixture
def opened(analysis, tmp_path):
    page = write_report(analysis, tmp_path / "report").html
    page.write_text(page.read_text().replace("</body>", PROBE + "</body>"))

    def run(width):
        command = [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr", "--v=0", f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900", "--dump-dom", f"{page.as_uri()}?theme=light",
        ]  # fmt: skip
        environment = {**os.environ, "HOME": str(tmp_path)}
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, env=environment
        )

    return run


@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_runs_without_errors_sorts_and_turns_dark(opened, width):
    result = opened(width)
    assert "CONSOLE" not in result.stderr
    title = re.search(r"<title>(\{.*?\})</title>", result.stdout)
    assert title is not None
    state = title[1].replace("&quot;", '"')
    assert '"up":"k3,q64,group_norm,4,batch_norm,k3_alias"' in state
    assert '"down":"batch_norm,4,group_norm,q64,k3,k3_alias"' in state
    assert '"before":"rgb(253, 252, 250)"' in state
    assert '"after":"rgb(22, 21, 19)"' in state
    assert '"wide":0' in state
    assert '"drawn":24' in state
