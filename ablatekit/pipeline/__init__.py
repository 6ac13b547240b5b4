"""From the study file to the report: the only package that knows all stages."""
