"""Runs to workers: executors, run directories, retries, resume."""
