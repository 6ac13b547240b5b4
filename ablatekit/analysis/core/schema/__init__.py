"""The shape of `analysis.json`: stable, versioned; the report shows nothing else."""
