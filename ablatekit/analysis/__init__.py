"""Tidy frames to models to effects."""
