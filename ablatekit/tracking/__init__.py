"""Runs in an experiment tracker: a mirror of the run directories that can always be rebuilt."""
