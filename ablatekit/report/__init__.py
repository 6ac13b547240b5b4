"""Effects to HTML, Markdown, JSON and figures."""
