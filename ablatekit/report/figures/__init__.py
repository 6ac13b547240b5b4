"""Figures as SVG fragments whose colours are the page's CSS variables."""
