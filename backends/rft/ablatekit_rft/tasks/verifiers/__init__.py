"""Verifiers: from a completion and an answer key to a verdict. Importing them imports no torch."""
