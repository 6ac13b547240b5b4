"""The page in a real browser; skipped where none is installed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="chromium is not installed (Debian: apt-get install chromium); no page is opened",
    ),
]
SHIPPED = Path(__file__).parents[2] / "reports" / "full_factorial"
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
  const printed = [...document.styleSheets].flatMap((sheet) => [...sheet.cssRules])
    .some((rule) => rule.media && rule.media.mediaText === "print");
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  const drawn = [...document.querySelectorAll("figure svg")]
    .filter((svg) => svg.getBoundingClientRect().height > 50).length;
  const figures = document.querySelectorAll("figure").length;
  const verdicts = Object.fromEntries([...table.tBodies[0].rows].map((row) => [
    row.dataset.level,
    [...row.querySelectorAll("[data-verdict]")].map((badge) => badge.dataset.verdict)]));
  const state = {up, down, before, after: paper(), wide, drawn, verdicts, printed, figures};
  const field = document.querySelector(".filter input");
  if (field) {
    const list = field.closest(".table").querySelector("table");
    const shown = () => [...list.tBodies[0].rows].filter((row) => !row.hidden);
    state.all = shown().length;
    field.value = " Models HELPS ";
    field.dispatchEvent(new Event("input"));
    state.kept = shown().map((row) => row.textContent);
    state.told = field.parentNode.querySelector("output").textContent;
  }
  document.title = JSON.stringify(state);
});
</script>
"""


def browse(folder, *arguments):
    """Run the browser with the network cut."""
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
        "--enable-logging=stderr", "--v=0", f"--user-data-dir={folder / 'profile'}", *arguments,
    ]  # fmt: skip
    environment = {**os.environ, "HOME": str(folder)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=environment
    )


def probed(folder, width, address):
    """What the probe saw on a page, which logged nothing to the console."""
    size = f"--window-size={width},900"
    result = browse(folder, size, "--dump-dom", f"{address}?theme=light")
    assert "CONSOLE" not in result.stderr
    title = re.search(r"<title>(\{.*?\})</title>", result.stdout)
    assert title is not None
    return json.loads(title[1].replace("&quot;", '"'))


@pytest.fixture(scope="module")
def folder(page_text, tmp_path_factory):
    """A folder with the page as it is, and with the probe."""
    folder = tmp_path_factory.mktemp("browser")
    (folder / "page.html").write_text(page_text)
    (folder / "probed.html").write_text(page_text.replace("</body>", PROBE + "</body>"))
    return folder


@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_runs_without_errors_sorts_and_turns_dark(folder, width, planted_verdicts):
    state = probed(folder, width, (folder / "probed.html").as_uri())
    assert state["up"] == "k3,q64,group_norm,4,batch_norm,k3_alias"
    assert state["down"] == "batch_norm,4,group_norm,q64,k3,k3_alias"
    assert state["before"] == "rgb(253, 252, 250)"
    assert state["after"] == "rgb(22, 21, 19)"
    assert state["wide"] == 0
    assert state["drawn"] == 26
    assert 0 < len(state["kept"]) < state["all"]
    assert all("models" in row and "helps" in row for row in state["kept"])
    assert state["told"] == f"{len(state['kept'])} of {state['all']}"
    for (_, level), planted in planted_verdicts.items():
        narrow_and_broad = [planted[name][1:] for name in ("learning", "generalization", "gap")]
        wanted = [verdict for pair in narrow_and_broad for verdict in pair
                  if verdict not in ("", "not_estimated")]  # fmt: skip
        assert state["verdicts"][level] == wanted


def test_the_page_prints_on_paper_with_its_folds_open(folder):
    paper = folder / "page.pdf"
    browse(
        folder, f"--print-to-pdf={paper}", "--no-pdf-header-footer", (folder / "page.html").as_uri()
    )
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    pages = [int(count) for count in re.findall(rb"/Count (\d+)", content)]
    assert 5 <= max(pages) <= 40


def test_the_shipped_full_factorial_shows_every_verdict_and_figure(tmp_path):
    page = tmp_path / "shipped.html"
    page.write_text((SHIPPED / "index.html").read_text().replace("</body>", PROBE + "</body>"))
    analysis = json.loads((SHIPPED / "analysis.json").read_text())
    state = probed(tmp_path, 1280, page.as_uri())
    wanted = {}
    for answer in (*analysis["responses"].values(), *analysis["comparisons"].values()):
        average = [effect for effect in answer["effects"] if effect["estimand"] == "average"]
        for level in {effect["level"] for effect in average}:
            rows = [row for row in average if row["level"] == level and row["se"] is not None]
            shown = [next(row for row in rows if not row["scope"])]
            if answer in analysis["responses"].values():
                shown.append(max(rows, key=lambda row: len(row["scope"])))
            wanted.setdefault(level, []).extend(row["verdict"] for row in shown)
    assert {level: sorted(found) for level, found in state["verdicts"].items()} == {
        level: sorted(verdicts) for level, verdicts in wanted.items()
    }
    sizes = {
        effect["level"]: effect["estimate"]
        for effect in analysis["responses"]["learning"]["effects"]
        if (effect["estimand"], effect["inference"]) == ("average", "narrow")
    }
    assert len(sizes) == len(analysis["design"]["factors"])
    assert state["up"].split(",") == sorted(sizes, key=sizes.get)
    assert state["down"] == ",".join(reversed(state["up"].split(",")))
    assert (state["before"], state["after"]) == ("rgb(253, 252, 250)", "rgb(22, 21, 19)")
    assert (state["wide"], state["printed"]) == (0, True)
    assert state["figures"] == state["drawn"] > 2 * len(sizes)
