"""Readers of tables: one file per format, registered under `ablatekit.readers`."""
