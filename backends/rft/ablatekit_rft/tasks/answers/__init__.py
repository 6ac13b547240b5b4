"""Short answers in LaTeX: read as notation, compared as spelling and as mathematics."""
