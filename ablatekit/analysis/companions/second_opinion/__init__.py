"""A second opinion on an analysis: statsmodels, by code that shares nothing with ours."""
