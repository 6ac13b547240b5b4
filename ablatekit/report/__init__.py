"""From analysis.json to pages: HTML, Markdown, LaTeX, and the answer table in a terminal.

The report computes no statistic: it shows what the analysis holds.
"""

from ablatekit.report.formats.html import render_html
from ablatekit.report.formats.markdown import render_markdown
from ablatekit.report.formats.terminal import summary
from ablatekit.report.write import ReportFiles, export_contents, write_report

__all__ = [
    "ReportFiles",
    "export_contents",
    "render_html",
    "render_markdown",
    "summary",
    "write_report",
]
