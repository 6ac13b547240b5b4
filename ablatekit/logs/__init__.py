"""Logs that other tools write: the metric history of runs, one file per format."""
