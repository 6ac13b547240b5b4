"""Names and files that a study mentions: references, hub names, hashes. Imports no torch."""
