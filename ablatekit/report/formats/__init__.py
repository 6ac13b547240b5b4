"""From a document to a file: HTML, Markdown, LaTeX, CSV, and the terminal."""
