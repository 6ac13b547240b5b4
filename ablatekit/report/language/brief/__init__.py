"""Sentences of the brief and of what a reader explores on the page."""
