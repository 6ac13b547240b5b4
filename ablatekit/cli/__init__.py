"""Typer commands: thin, with imports inside."""
