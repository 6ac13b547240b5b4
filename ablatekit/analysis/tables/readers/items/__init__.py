"""Readers of evaluations: frames with one row per run, item and sample."""
