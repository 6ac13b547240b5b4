"""From analysis.json to pages: HTML, Markdown, LaTeX, and the answer table in a terminal.

The report computes no statistic: it shows what the analysis holds.
"""
