"""Kinds of design: one file per kind, registered under `ablatekit.designs`."""
