"""From analysis.json to pages: HTML, Markdown, LaTeX, and the answer table in a terminal.

The report computes no statistic: it shows what the analysis holds.
"""

from ablatekit.report.files import ReportFiles, export_contents, write_report
from ablatekit.report.html import render_html
from ablatekit.report.markdown import render_markdown
from ablatekit.report.terminal import summary

__all__ = [
    "ReportFiles",
    "export_contents",
    "render_html",
    "render_markdown",
    "summary",
    "write_report",
]
