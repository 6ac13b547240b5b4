"""`analyze --formula`: a table and a formula in, one response of `analysis.json` out."""
