"""Inference on numbers alone: verdicts, adjustments, effect sizes, resampling, meta-analysis."""
