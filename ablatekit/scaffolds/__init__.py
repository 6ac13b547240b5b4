"""Distributions to start from: a plugin that installs, passes its suite and runs at once."""
