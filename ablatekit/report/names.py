"""Names of the study as parts of HTML ids and file names."""

from __future__ import annotations


def slug(name: str) -> str:
    """A name as part of an HTML id; distinct names stay distinct."""
    return "".join(
        letter if letter.isascii() and letter.isalnum() else f"_{ord(letter):x}" for letter in name
    )
