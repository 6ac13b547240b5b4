"""The study file: schema, loading with positions, factors and levels."""
