"""How large the committed pages are, how fast they open, and how many sheets they print.

    python benchmarks/report_pages.py > benchmarks/results/report_pages.txt

Needs the extra `browser` and Chromium. Opening is from the request of the file to its load event
and the first frame after it, in a fresh tab of one warm browser, the median and the worst of 7.
"""

from __future__ import annotations

import re
import shutil
import statistics
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPORTS = Path(__file__).parents[1] / "reports"
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
REPEATS = 7
FRAME = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
HEIGHT = "() => document.documentElement.scrollHeight / innerHeight"


def opening(browser: Browser, page: Path) -> list[float]:
    """Milliseconds to the load event and the next frame, once per repeat."""
    times = []
    for _ in range(REPEATS):
        tab = browser.new_page(viewport=DESK)
        tab.goto(page.as_uri())
        tab.evaluate(FRAME)
        times.append(float(tab.evaluate("() => performance.now()")))
        tab.close()
    return times


def screens(browser: Browser, page: Path, size: dict[str, int]) -> float:
    """Screens of a page as it opens."""
    tab = browser.new_page(viewport=size)
    tab.goto(page.as_uri())
    height = float(tab.evaluate(HEIGHT))
    tab.close()
    return height


def sheets(browser: Browser, page: Path, query: str = "") -> int:
    """A4 sheets that a page prints."""
    tab = browser.new_page(viewport=DESK)
    tab.goto(page.as_uri() + query)
    printed = tab.pdf(format="A4")
    tab.close()
    return len(re.findall(rb"/Type\s*/Page\b", printed))


def main() -> None:
    """Print one line per committed page."""
    print(f"{'page':<26}{'kB':>6}{'scripts kB':>12}{'opens ms':>10}{'worst':>7}"
          f"{'screens':>9}{'phone':>7}{'sheets':>8}{'all':>6}")  # fmt: skip
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for page in sorted(REPORTS.glob("*/index.html")):
            text = page.read_text(encoding="utf-8")
            scripts = sum(map(len, re.findall(r"<script>(.*?)</script>", text, re.DOTALL)))
            times = opening(browser, page)
            print(
                f"{page.parent.name:<26}{len(text.encode()) / 1000:>6.0f}{scripts / 1000:>12.1f}"
                f"{statistics.median(times):>10.0f}{max(times):>7.0f}"
                f"{screens(browser, page, DESK):>9.1f}{screens(browser, page, PHONE):>7.1f}"
                f"{sheets(browser, page):>8}{sheets(browser, page, '?print=all'):>6}"
            )
        browser.close()


if __name__ == "__main__":
    main()
