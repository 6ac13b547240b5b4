"""What every part of the analysis shares: the schema of `analysis.json`, layouts and arrays."""
